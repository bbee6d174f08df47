import assert from 'node:assert/strict'
import {
  cleanEnvironment,
  LOCI,
  type Running,
  start,
  temporaryFolder,
  withDeadline,
} from '../support/cli-process.ts'
import { eventually } from '../support/loci.ts'

interface Reply {
  id: number | null
  result?: Record<string, unknown> & { content?: { text: string }[]; isError?: boolean }
  error?: { code: number; message: string }
}

/** A host by hand: it writes lines of JSON and reads them. */
class RawHost {
  readonly server: Running
  #id = 0
  readonly #meta: Record<string, unknown> | null

  constructor(env: Record<string, string>, meta: Record<string, unknown> | null) {
    this.server = start(process.execPath, [LOCI, 'mcp'], env)
    this.#meta = meta
  }

  send(message: object): void {
    this.server.child.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }

  async ask(method: string, params: object = {}): Promise<Reply> {
    const id = ++this.#id
    this.send({ id, method, params: this.#meta ? { ...params, _meta: this.#meta } : params })
    return eventually(
      `the answer to ${method}`,
      () => this.replies().find((reply) => reply.id === id) ?? null,
    )
  }

  call(name: string, args: object): Promise<Reply> {
    return this.ask('tools/call', { name, arguments: args })
  }

  replies(): Reply[] {
    const lines = this.server.stdout.split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Reply)
  }
}

const clientInfo = { name: 'raw', version: '1' }
const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': clientInfo,
  'io.modelcontextprotocol/clientCapabilities': {},
}

for (const era of ['2025-11-25', '2026-07-28'] as const)
  describe(`a host by hand, ${era}`, () => {
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    let host: RawHost

    before(async () => {
      folder = await temporaryFolder()
      const modern = era === '2026-07-28'
      host = new RawHost(cleanEnvironment(folder.path), modern ? ENVELOPE : null)
      if (modern) {
        const { result } = await host.ask('server/discover')
        assert.deepEqual(result?.['supportedVersions'], ['2026-07-28'])
        const { resources } = (result ?? {})['capabilities'] as { resources: { subscribe: boolean } }
        assert.equal(resources.subscribe, true)
      } else {
        const { result } = await host.ask('initialize', {
          protocolVersion: era,
          capabilities: {},
          clientInfo,
        })
        assert.equal(result?.['protocolVersion'], era)
        host.send({ method: 'notifications/initialized' })
      }
    })
    after(async () => {
      await host?.server.stop()
      await folder.remove()
    })

    it('gets the same list twice, byte for byte', async () => {
      const [first, second] = [await host.ask('tools/list'), await host.ask('tools/list')]
      assert.equal(JSON.stringify(first.result), JSON.stringify(second.result))
      const tools = (first.result ?? {})['tools'] as unknown[]
      assert.equal(tools.length, 16)
    })

    it('is told what is wrong with what it asks', async () => {
      const unknown = await host.ask('tools/call', { name: 'agent_lisst', arguments: {} })
      assert.match(unknown.error?.message ?? unknown.result?.content?.[0]?.text ?? '', /agent_lisst/)
      assert.equal((await host.ask('no/such/method')).error?.code, -32_601)
      const extra = await host.call('agent_list', { nonsense: 1 })
      assert.equal(extra.result?.isError, true)
      assert.match(extra.result.content?.[0]?.text ?? '', /nonsense/)
      const none = await host.ask('tools/call', {})
      assert.equal(none.error?.code, -32_602)
      const many = await host.call('archival_insert', {
        agent: 'x',
        text: 'x',
        tags: Array(20_000).fill('a'),
      })
      assert.ok(many.error !== undefined || many.result?.isError === true)
      host.server.child.stdin?.write('{"jsonrpc": nonsense\n[1,2\n\n42\n')
      assert.equal((await host.call('agent_list', {})).error, undefined)
    })

    it('answers a thousand calls at once, each once', async () => {
      const made = await host.call('agent_create', { name: 'Ada', model: 'loci/demo' })
      assert.equal(made.result?.isError, undefined)
      const ids = Array.from({ length: 1000 }, (_, i) => 10_000 + i)
      const meta = era === '2026-07-28' ? { _meta: ENVELOPE } : {}
      for (const id of ids) {
        const params = { name: 'memory_read', arguments: { agent: 'Ada' }, ...meta }
        host.send({ id, method: 'tools/call', params })
      }
      const answered = await eventually('a thousand answers', () => {
        const found = host.replies().filter(({ id }) => id !== null && id >= 10_000)
        return found.length >= ids.length ? found : null
      })
      assert.deepEqual(
        answered.map(({ id }) => id).sort((a, b) => Number(a) - Number(b)),
        ids,
      )
      assert.ok(answered.every(({ result }) => result?.isError === undefined))
    })
  })

describe('loci mcp and a difficult host', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeEach(async () => {
    folder = await temporaryFolder()
  })
  afterEach(() => folder.remove())

  async function initialized(): Promise<RawHost> {
    const host = new RawHost(cleanEnvironment(folder.path), null)
    await host.ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo })
    return host
  }

  it('ends with a reason when a message is too large to be read', async () => {
    const host = await initialized()
    const text = 'x'.repeat(11 * 1024 * 1024)
    host.send({ id: 7, method: 'tools/call', params: { name: 'archival_insert', arguments: { text } } })
    assert.deepEqual(await withDeadline(host.server.exited, 'its end'), { code: 0, signal: null })
    const last = host.replies().at(-1)
    assert.equal(last?.error?.code, -32_600)
    assert.match(last.error.message, /The connection ends: .*size/)
  })

  it('does not listen to a host that does not read, and goes on when it does', async () => {
    const host = await initialized()
    await host.call('agent_create', { name: 'Ada', model: 'loci/demo', human: 'x'.repeat(30_000) })
    host.server.child.stdout?.pause()
    const ids = Array.from({ length: 1000 }, (_, i) => 10_000 + i)
    for (const id of ids)
      host.send({ id, method: 'tools/call', params: { name: 'memory_read', arguments: { agent: 'Ada' } } })
    // 30 MB that nobody reads: it answers another question only once it has been heard out.
    host.server.child.stdout?.resume()
    await eventually('all answers', () =>
      host.replies().filter(({ id }) => id !== null && id >= 10_000).length === ids.length ? true : null,
    )
    host.server.child.stdin?.end()
    assert.deepEqual(await withDeadline(host.server.exited, 'its end'), { code: 0, signal: null })
  })

  it('ends when its host goes without having read anything', async () => {
    const host = await initialized()
    await host.call('agent_create', { name: 'Ada', model: 'loci/demo', human: 'x'.repeat(30_000) })
    host.server.child.stdout?.pause()
    for (let id = 0; id < 500; id++)
      host.send({
        id: 10_000 + id,
        method: 'tools/call',
        params: { name: 'memory_read', arguments: { agent: 'Ada' } },
      })
    host.server.child.stdin?.end()
    host.server.child.stdout?.destroy()
    assert.deepEqual(await withDeadline(host.server.exited, 'its end'), { code: 0, signal: null })
  })
})
