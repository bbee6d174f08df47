import assert from 'node:assert/strict'
import {
  cleanEnvironment,
  LOCI,
  type Running,
  start,
  temporaryFolder,
  withDeadline,
} from '../support/cli-process.ts'
import { join } from 'node:path'
import { openInProcess } from '../../shared/client/in-process.ts'
import { eventually } from '../support/loci.ts'

interface Reply {
  id: string | number | null
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
        const found = host.replies().filter(({ id }) => Number(id) >= 10_000)
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
  const hosts: RawHost[] = []
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeEach(async () => {
    folder = await temporaryFolder()
  })
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.server.stop()
    await folder.remove()
  })

  async function initialized(): Promise<RawHost> {
    const host = new RawHost(cleanEnvironment(folder.path), null)
    hosts.push(host)
    await host.ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo })
    return host
  }

  it('answers a message that is too large with an error, skips it and goes on', async () => {
    const host = await initialized()
    const text = 'x'.repeat(11 * 1024 * 1024)
    const params = { name: 'archival_insert', arguments: { text } }
    host.send({ id: 'first', method: 'tools/call', params })
    host.server.child.stdin?.write(
      `${JSON.stringify({ method: 'tools/call', params, jsonrpc: '2.0', id: 77 })}\n`,
    )
    host.server.child.stdin?.write(`${text}\n`)
    assert.match((await host.call('agent_list', {})).result?.content?.[0]?.text ?? '', /no agents yet/)
    const refused = host.replies().filter(({ error }) => error)
    assert.deepEqual(
      refused.map(({ id, error }) => [id, error?.code]),
      [
        ['first', -32_600],
        [77, -32_600],
        [null, -32_600],
      ],
    )
    assert.match(refused[0]?.error?.message ?? '', /has 1153\d+ bytes; one of more than 10485760 is not read/)
    host.server.child.stdin?.end()
    assert.deepEqual(await withDeadline(host.server.exited, 'its end'), { code: 0, signal: null })
  })

  it('answers what is no message, with the id where there is one', async () => {
    const host = await initialized()
    const lines: [line: string, id: string | number | null, code: number][] = [
      ['not json', null, -32_700],
      ['{', null, -32_700],
      ['{}', null, -32_600],
      ['null', null, -32_600],
      ['5', null, -32_600],
      ['[]', null, -32_600],
      ['[{"jsonrpc":"2.0","id":99,"method":"ping"}]', null, -32_600],
      ['{"jsonrpc":"1.0","id":98,"method":"ping"}', 98, -32_600],
      ['{"jsonrpc":"2.0","id":97,"method":5}', 97, -32_600],
      ['{"jsonrpc":"2.0","id":95,"method":"tools/call","params":"x"}', 95, -32_600],
      ['{"jsonrpc":"2.0","id":"94","method":"tools/call","params":null}', '94', -32_600],
      ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', 1.5, -32_600],
      ['{"jsonrpc":"2.0","id":null,"method":"ping"}', null, -32_600],
      ['{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}', null, -32_600],
    ]
    // What is no message and no request either gets no answer.
    const silent = [
      '',
      '   ',
      '{"jsonrpc":"2.0","id":777,"result":5}',
      '{"jsonrpc":"2.0","id":778,"error":{}}',
    ]
    host.server.child.stdin?.write([...lines.map(([line]) => line), ...silent, ''].join('\n'))
    assert.deepEqual((await host.ask('ping')).result, {})
    const refused = host.replies().filter(({ error }) => error)
    assert.deepEqual(
      refused.map(({ id, error }) => [id, error?.code]),
      lines.map(([, id, code]) => [id, code]),
    )
    // One line for the operator each, and no dump.
    for (const line of host.server.stderr.trimEnd().split('\n')) assert.match(line, /^loci mcp: .{1,300}$/)
  })

  it('answers a thousand calls at once although an agent has a huge block, and ends soon after stdin', async function () {
    this.timeout(240_000)
    const big = await openInProcess({ data: join(folder.path, 'loci'), env: {} })
    try {
      const memory_blocks = [
        { label: 'human', value: 'z'.repeat(9_000_000) },
        { label: 'persona', value: '' },
      ]
      await big.letta.agents.create({ name: 'Big', model: 'loci/demo', memory_blocks })
    } finally {
      await big.close()
    }
    const host = await initialized()
    // Most calls need nothing of it, and must not have it in memory.
    const callOf = (i: number): [name: string, args: object] => {
      if (i % 40 === 0) return ['agent_get', { agent: 'Big' }]
      if (i % 40 === 20) return ['memory_read', { agent: 'Big', label: 'human' }]
      if (i % 3 === 0) return ['agent_list', {}]
      if (i % 3 === 1) return ['archival_insert', { agent: 'Big', text: `p${i}` }]
      return ['memory_edit', { agent: 'Big', label: 'persona', mode: 'append', text: `n${i}` }]
    }
    for (let i = 0; i < 1000; i++) {
      const [name, args] = callOf(i)
      host.send({ id: 10_000 + i, method: 'tools/call', params: { name, arguments: args } })
    }
    const answered = await eventually(
      'a thousand answers',
      () => {
        const found = host.replies().filter(({ id }) => Number(id) >= 10_000)
        return found.length >= 1000 ? found : null
      },
      200_000,
    )
    assert.deepEqual(
      answered.filter(({ result }) => result === undefined || result.isError === true).slice(0, 3),
      [],
    )
    // In about the order they were asked: a few at a time.
    const late = answered.map(({ id }, at) => Number(id) - 10_000 - at)
    assert.ok(Math.max(...late) < 50, `one of them was answered ${Math.max(...late)} too early`)
    for (let i = 0; i < 1000; i++)
      host.send({
        id: 20_000 + i,
        method: 'tools/call',
        params: { name: 'agent_get', arguments: { agent: 'Big' } },
      })
    host.server.child.stdin?.end()
    assert.deepEqual(await withDeadline(host.server.exited, 'its end'), { code: 0, signal: null })
  })

  it('appends a thousand times at once to one block, and each is there', async function () {
    this.timeout(120_000)
    const host = await initialized()
    await host.call('agent_create', { name: 'Ada', model: 'loci/demo' })
    const texts = Array.from({ length: 1000 }, (_, i) => `line ${i}`)
    for (const [i, text] of texts.entries()) {
      const args = { agent: 'Ada', label: 'human', mode: 'append', text }
      host.send({ id: 10_000 + i, method: 'tools/call', params: { name: 'memory_edit', arguments: args } })
    }
    const answered = await eventually('a thousand answers', () => {
      const found = host.replies().filter(({ id }) => Number(id) >= 10_000)
      return found.length >= 1000 ? found : null
    })
    assert.deepEqual(
      answered.filter(({ result }) => result === undefined || result.isError === true).slice(0, 3),
      [],
    )
    const { result } = await host.call('memory_read', { agent: 'Ada', label: 'human' })
    assert.deepEqual(result?.content?.[0]?.text.split('\n').sort(), texts.toSorted())
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
      host.replies().filter(({ id }) => Number(id) >= 10_000).length === ids.length ? true : null,
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
