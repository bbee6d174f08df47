import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cleanEnvironment, temporaryFolder } from '../support/cli-process.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { type Host, HOSTS } from '../support/mcp-hosts.ts'

/** A server of the Letta V1 API without Redis, as far as the MCP server can tell: Loci without what V1 does not have. */
async function withoutRedis(loci: TestLoci, asked: string[]): Promise<Server> {
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = []
    incoming
      .on('data', (piece: Buffer) => pieces.push(piece))
      .on('end', () => {
        const body = Buffer.concat(pieces)
        const url = incoming.url ?? '/'
        asked.push(`${incoming.method} ${url.split('?')[0]}`)
        const refuse = (status: number, detail: string) =>
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ detail }))
        if (url.startsWith('/v1/events') || url.includes('/files/search') || url.endsWith('/edit'))
          return refuse(404, 'Not Found')
        if (body.includes('"background":true')) return refuse(503, 'Background streaming requires Redis.')
        const { 'content-type': type = 'application/json', authorization } = incoming.headers
        if (authorization !== 'Bearer secret') return refuse(401, 'Unauthorized')
        const pass = async () => {
          const answer = await fetch(loci.url + url, {
            method: incoming.method ?? 'GET',
            headers: { 'content-type': type },
            ...(body.length > 0 ? { body } : {}),
          })
          const headers = { 'content-type': answer.headers.get('content-type') ?? '' }
          response.writeHead(answer.status, headers).end(await answer.text())
        }
        pass().catch((error: unknown) => refuse(502, String(error)))
      })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

describe('loci mcp over a Letta V1 server without Redis', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let loci: TestLoci
  let server: Server
  let url: string
  let env: Record<string, string>
  let host: Host
  const asked: string[] = []

  before(async () => {
    folder = await temporaryFolder()
    loci = await startLoci()
    server = await withoutRedis(loci, asked)
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    env = cleanEnvironment(folder.path, { LOCI_TOKEN: 'secret' })
    host = await HOSTS[1]![1](['--url', url], env)
  })
  after(async () => {
    await host?.close()
    server?.closeAllConnections()
    server?.close()
    await loci?.close()
    await folder.remove()
  })

  it('talks to agents, not in the background, and edits their memory', async () => {
    const made = await host.call('agent_create', { name: 'Ada', model: 'loci/demo' })
    assert.equal(made.isError, false, made.text)
    const { text, isError } = await host.call('agent_send_message', {
      agent: 'Ada',
      message: 'My name is Bob.',
    })
    assert.equal(isError, false, text)
    assert.match(text, /Bob/)
    const edit = { agent: 'Ada', label: 'human', mode: 'append', text: 'Likes tea.' }
    assert.match((await host.call('memory_edit', edit)).text, /Likes tea\./)
    const messages = asked.filter((one) => /^POST \/v1\/agents\/agent-.*messages/.test(one))
    assert.equal(messages.length, 2)
    const misfit = { ...edit, mode: 'replace', old_text: 'coffee', text: 'x' }
    assert.match(
      (await host.call('memory_edit', misfit)).text,
      /old_text is not in it. Its value is:[^]*Likes tea/,
    )
    const texts = Array.from({ length: 50 }, (_, i) => `Fact ${i}`)
    await Promise.all(texts.map((text) => host.call('memory_edit', { ...edit, text })))
    const { text: memory } = await host.call('memory_read', { agent: 'Ada', label: 'human' })
    for (const fact of texts) assert.ok(memory.includes(`${fact}\n`) || memory.endsWith(fact), fact)
  })

  it('says what the server does not have', async () => {
    const { text, isError } = await host.call('file_search', { agent: 'Ada', query: 'x' })
    assert.equal(isError, true)
    assert.match(text, /has no search of files\. Without query/)
    await host.subscribe('agent://Ada/memory/human', () => undefined)
    assert.match((await host.call('agent_list', {})).text, /Ada/)
  })

  it('says when the token is wrong, without showing it', async () => {
    const wrong = await HOSTS[1]![1](['--url', url], { ...env, LOCI_TOKEN: 'nonsense' })
    try {
      const { text, isError } = await wrong.call('agent_list', {})
      assert.equal(isError, true)
      assert.match(text, /wants another token \(401\)/)
      assert.doesNotMatch(text, /nonsense/)
    } finally {
      await wrong.close()
    }
  })
})
