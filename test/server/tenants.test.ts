import assert from 'node:assert/strict'
import type { Route } from '../../shared/server/route.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { bodies, everyRoute, everything, filled, type Owner, populate } from '../support/every-route.ts'

const KEY = 'the-server-s-own-key'
/** Stands in everything that the owner has. */
const MARK = 'Zebra77'

describe('every route, asked by a user of another organisation with ids that exist', () => {
  let loci: TestLoci
  let key: string
  /** By the parameter's name: something of the owner's. */
  const ids: Record<string, string> = {}
  let routes: Route[]

  const ask = async (who: string, method: string, path: string, body?: unknown) => {
    const signal = AbortSignal.timeout(20_000)
    const response = await fetch(loci.url + path, {
      method,
      signal,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${who}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    // A stream that never ends is read as far as it has come.
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      const reader = response.body?.getReader()
      const first = await Promise.race([
        reader?.read(),
        new Promise<undefined>((ok) => setTimeout(ok, 300, undefined)),
      ])
      reader?.cancel().catch(() => undefined)
      return { status: response.status, text: first?.value ? new TextDecoder().decode(first.value) : '' }
    }
    return { status: response.status, text: await response.text() }
  }
  const owner: Owner = async (method: string, path: string, body?: unknown) => {
    const { status, text } = await ask(KEY, method, path, body)
    assert.ok(status < 300, `${method} ${path}: ${status} ${text}`)
    return JSON.parse(text === '' ? 'null' : text) as Record<string, unknown> & { id: string }
  }

  before(async () => {
    loci = await startLoci({ serve: { key: KEY } })
    routes = await everyRoute()
    Object.assign(ids, await populate(loci, KEY, MARK))
    const eve = await owner('POST', '/v1/admin/users', {
      name: 'Eve',
      // Refused for asking too much, every later route would pass unseen.
      limits: { requests_per_hour: null, agents: null, tools: null },
    })
    key = (await owner('POST', `/v1/admin/users/${eve.id}/keys`))['key'] as string
  })
  after(() => loci.close())

  it('shows nothing, changes nothing, and answers as if nothing were there', async function () {
    this.timeout(240_000)
    const before = await everything(owner, ids)
    const wrong: string[] = []
    const unfit: string[] = []
    let asked = 0
    for (const route of routes) {
      const { names, path: bare } = filled(route, ids)
      const path = route.method === 'GET' ? `${bare}?query=${MARK}` : bare
      const statuses: number[] = []
      for (const body of route.body ? bodies(MARK, ids['agent_id']) : [undefined]) {
        const { status, text } = await ask(key, route.method, path, body)
        asked++
        statuses.push(status)
        const line = `${route.method} ${path} ${JSON.stringify(body) ?? ''} → ${status}`
        // What was asked for may be named in the answer; what is stored of it may not.
        const shown = [ids['mcp_server_name'], ids['folder_name'], ids['template_name']]
          .reduce<string>((rest, name) => rest.replaceAll(name ?? '', ''), text)
          .replaceAll(`"${MARK}"`, '')
        if (shown.includes(MARK)) wrong.push(`${line} shows ${text.slice(0, 300)}`)
        if (status === 429 || (status >= 500 && status !== 501)) wrong.push(`${line} ${text.slice(0, 300)}`)
        const named = names.filter(
          (name) =>
            !['block_label', 'tool_name', 'version', 'editor_id', 'model', 'project_id'].includes(name),
        )
        if (named.length > 0 && status < 300) wrong.push(`${line} ${text.slice(0, 300)}`)
      }
      if (names.length > 0 && statuses.every((status) => status === 422))
        unfit.push(`${route.method} ${route.path}`)
    }
    assert.deepEqual(wrong, [])
    assert.deepEqual(unfit, [], 'these took no body: add one to `bodies`')
    const now = await everything(owner, ids)
    const changed = now.filter((line, i) => line !== before[i])
    assert.deepEqual([now.length, changed], [before.length, []])
    console.log(`      ${asked} requests to ${routes.length} routes`)
  })
})
