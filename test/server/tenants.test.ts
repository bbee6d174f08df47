import assert from 'node:assert/strict'
import { NOUNS, ROOTS } from '../../shared/server/app.ts'
import type { Route } from '../../shared/server/route.ts'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'

const KEY = 'the-server-s-own-key'
/** Stands in everything that the owner has. */
const MARK = 'Zebra77'

/** Bodies of which each route that takes one takes at least one, or refuses them all for a reason below. */
const BODIES: unknown[] = [
  {},
  { name: 'stolen' },
  { value: 'stolen' },
  { text: 'stolen' },
  { query: MARK },
  { messages: [{ role: 'user', content: 'stolen' }] },
  { message: 'stolen' },
  { input: 'stolen' },
  { prompt: 'stolen' },
  { messages: ['stolen'] },
  { passages: [{ text: 'stolen' }] },
  { requests: [{ agent_id: 'agent-00000000-0000-4000-8000-000000000001', input: 'stolen' }] },
  { requires_approval: true },
  [{ key: 'k', value: 'stolen', type: 'string' }],
  { config: { mcp_server_type: 'streamable_http', server_url: 'http://127.0.0.1:9/stolen' } },
  { mode: 'append', text: 'stolen' },

  {
    messages: [{ role: 'user', content: 'stolen' }],
    schedule: { type: 'recurring', cron_expression: '0 0 1 1 *' },
  },
  { message_id: 'message-00000000-0000-4000-8000-000000000001' },
]

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
  const owner = async (method: string, path: string, body?: unknown) => {
    const { status, text } = await ask(KEY, method, path, body)
    assert.ok(status < 300, `${method} ${path}: ${status} ${text}`)
    return JSON.parse(text === '' ? 'null' : text) as Record<string, unknown> & { id: string }
  }

  before(async () => {
    loci = await startLoci({ serve: { key: KEY } })
    routes = (
      await Promise.all([...Object.values(NOUNS), ...Object.values(ROOTS)].map((load) => load()))
    ).flatMap((noun) => noun.routes)
    const agent = await owner('POST', '/v1/agents/', {
      name: `${MARK}-agent`,
      model: 'loci/demo',
      memory_blocks: [{ label: 'human', value: `${MARK} lives here` }],
      tags: [MARK],
      include_base_tools: true,
    })
    const [block] = (agent['blocks'] as { id: string }[]) ?? []
    const said = await owner('POST', `/v1/agents/${agent.id}/messages`, {
      messages: [{ role: 'user', content: `My name is ${MARK}` }],
    })
    const [run] = (await owner('GET', '/v1/runs/')) as unknown as { id: string }[]
    const [step] = (await owner('GET', '/v1/steps/')) as unknown as { id: string }[]
    const tool = await owner('POST', '/v1/tools/', {
      source_code: `def zebra77(text: str) -> str:\n    """${MARK}.\n\n    Args:\n        text: It.\n    """\n    return text\n`,
    })
    const archive = await owner('POST', '/v1/archives/', { name: `${MARK} archive` })
    const passage = await owner('POST', `/v1/archives/${archive.id}/passages`, { text: `${MARK} remembers` })
    const folder = await owner('POST', '/v1/folders/', { name: `${MARK} folder` })
    const identity = await owner('POST', '/v1/identities/', {
      identifier_key: MARK,
      name: MARK,
      identity_type: 'user',
    })
    const group = await owner('POST', '/v1/groups/', { description: MARK, agent_ids: [agent.id] })
    const conversation = await owner('POST', `/v1/conversations/?agent_id=${agent.id}`, { summary: MARK })
    const form = new FormData()
    form.set('file', new Blob([`${MARK} wrote this`]), `${MARK}.txt`)
    const uploaded = await fetch(`${loci.url}/v1/folders/${folder.id}/upload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}` },
      body: form,
    })
    const file = (await uploaded.json()) as { id: string }
    await eventually('the file is read', async () => {
      const { processing_status } = await owner('GET', `/v1/folders/${folder.id}/files/${file.id}`)
      return processing_status === 'completed' ? true : null
    })
    const server = await owner('POST', '/v1/mcp-servers/', {
      server_name: `${MARK}-mcp`,
      config: { mcp_server_type: 'streamable_http', server_url: 'http://127.0.0.1:9/mcp' },
    })
    const schedule = await owner('POST', `/v1/agents/${agent.id}/schedule`, {
      messages: [{ role: 'user', content: MARK }],
      schedule: { type: 'recurring', cron_expression: '0 0 1 1 *' },
    })
    const user = await owner('POST', '/v1/admin/users', { name: MARK })
    const userKey = await owner('POST', `/v1/admin/users/${user.id}/keys`, { name: MARK })
    const requests = [{ agent_id: agent.id, input: `${MARK} in a batch` }]
    const batch = await owner('POST', '/v1/messages/batches', { requests })
    await eventually('the batch has ended', async () =>
      (await owner('GET', `/v1/messages/batches/${batch.id}`))['completed_at'] === null ? null : true,
    )
    const messages = (said['messages'] as { id: string }[]) ?? []
    Object.assign(ids, {
      agent: agent.id,
      agent_id: agent.id,
      block_id: block?.id ?? '',
      block_label: 'human',
      run_id: run?.id ?? '',
      job_id: run?.id ?? '',
      batch_id: batch.id,
      step_id: step?.id ?? '',
      tool_id: tool.id,
      tool_name: 'zebra77',
      archive_id: archive.id,
      passage_id: passage.id,
      memory_id: passage.id,
      folder_id: folder.id,
      folder_name: `${MARK} folder`,
      source_id: folder.id,
      source_name: `${MARK} folder`,
      conversation: conversation.id,
      file_id: file.id,
      identity_id: identity.id,
      group_id: group.id,
      conversation_id: conversation.id,
      message_id: messages[0]?.id ?? '',
      mcp_server_id: server.id,
      mcp_server_name: `${MARK}-mcp`,
      mcp_tool_name: 'x',
      provider_id: 'provider-00000000-0000-4000-8000-000000000001',
      user_id: user.id,
      key_id: userKey.id,
      version: '1',
      editor_id: 'x',
      response_id: run?.id ?? '',
      model: agent.id,
      compaction_id: 'x',
      scheduled_message_id: schedule.id,
    })
    const eve = await owner('POST', '/v1/admin/users', { name: 'Eve' })
    key = (await owner('POST', `/v1/admin/users/${eve.id}/keys`))['key'] as string
  })
  after(() => loci.close())

  /** All that the owner can list, without what changes by itself. */
  async function everything(): Promise<string[]> {
    const lists = [
      'agents',
      'blocks',
      'tools',
      'archives',
      'folders',
      'identities',
      'groups',
      'runs',
      'steps',
      'mcp-servers',
      'tags',
    ].map((noun) => `/v1/${noun}/?limit=500`)
    const more = [
      `/v1/agents/${ids['agent_id']}/messages?limit=500`,
      `/v1/agents/${ids['agent_id']}/core-memory/blocks`,
      `/v1/agents/${ids['agent_id']}/tools`,
      `/v1/agents/${ids['agent_id']}/archival-memory`,
      `/v1/conversations/?agent_id=${ids['agent_id']}`,
      `/v1/folders/${ids['folder_id']}/files`,
      `/v1/admin/users/${ids['user_id']}/keys`,
    ]
    const answers = await Promise.all([...lists, ...more].map((path) => owner('GET', path)))
    const text = JSON.stringify(
      answers,
      (name, value: unknown) =>
        [
          'connection',
          'last_used_at',
          'processing_status',
          'updated_at',
          'total_chunks',
          'chunks_embedded',
        ].includes(name)
          ? undefined
          : value,
      1,
    )
    return text.split('\n')
  }

  it('shows nothing, changes nothing, and answers as if nothing were there', async function () {
    this.timeout(240_000)
    const before = await everything()
    const wrong: string[] = []
    const unfit: string[] = []
    let asked = 0
    for (const route of routes) {
      const names = [...route.path.matchAll(/:([a-z_]+)(?:\{[^}]*\})?/g)].map(([, name]) => name ?? '')
      const unknown = names.filter((name) => ids[name] === undefined)
      assert.deepEqual(unknown, [], `no id for ${route.path}: add one above`)
      const filled = route.path.replaceAll(/:([a-z_]+)(?:\{[^}]*\})?/g, (_, name: string) => ids[name] ?? '')
      const path = route.method === 'GET' ? `${filled}?query=${MARK}` : filled
      const statuses: number[] = []
      for (const body of route.body ? BODIES : [undefined]) {
        const { status, text } = await ask(key, route.method, path, body)
        asked++
        statuses.push(status)
        const line = `${route.method} ${path} ${JSON.stringify(body) ?? ''} → ${status}`
        // What was asked for may be named in the answer; what is stored of it may not.
        const shown = [ids['mcp_server_name'], ids['folder_name']]
          .reduce<string>((rest, name) => rest.replaceAll(name ?? '', ''), text)
          .replaceAll(`"${MARK}"`, '')
        if (shown.includes(MARK)) wrong.push(`${line} shows ${text.slice(0, 300)}`)
        if (status >= 500 && status !== 501) wrong.push(`${line} ${text.slice(0, 300)}`)
        const named = names.filter(
          (name) => !['block_label', 'tool_name', 'version', 'editor_id', 'model'].includes(name),
        )
        if (named.length > 0 && status < 300) wrong.push(`${line} ${text.slice(0, 300)}`)
      }
      if (names.length > 0 && statuses.every((status) => status === 422))
        unfit.push(`${route.method} ${route.path}`)
    }
    assert.deepEqual(wrong, [])
    assert.deepEqual(unfit, [], 'these took no body: add one to BODIES')
    const now = await everything()
    const changed = now.filter((line, i) => line !== before[i])
    assert.deepEqual([now.length, changed], [before.length, []])
    console.log(`      ${asked} requests to ${routes.length} routes`)
  })
})
