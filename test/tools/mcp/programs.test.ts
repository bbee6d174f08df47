import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { McpConnections, McpServer } from '../../../shared/core/ports/mcp-servers.ts'
import { eventually } from '../../support/loci.ts'
import { actor, aProgram, aServer, call, connections, lives, soon, textOf } from './support.ts'

/** Short, so that what hangs is seen to; long enough for a busy machine to start a program. */
const LIMITS = { connect_ms: 10_000, list_ms: 4000, execute_ms: 2000, execute_total_ms: 10_000 }

describe('MCP servers that are programs', () => {
  let mcp: McpConnections
  beforeEach(() => {
    mcp = connections({ limits: LIMITS })
  })
  afterEach(() => mcp.close())

  const list = (server: McpServer) => mcp.listTools(actor, server, { signal: soon() })
  const text = async (server: McpServer, name: string, args = {}) => {
    const { status, func_response } = await call(mcp, server, name, args)
    return [status, textOf(func_response)] as const
  }

  it('list their tools and run them, over one process', async () => {
    const server = aProgram('well')
    assert.deepEqual(mcp.state(server.id).state, 'idle')
    const { tools, notes } = await list(server)
    assert.deepEqual(notes, [])
    assert.ok(tools.some(({ name, description }) => name === 'add' && description === 'Adds two numbers.'))
    assert.deepEqual(await text(server, 'add', { a: 2, b: 3 }), ['success', '5'])
    assert.deepEqual(await text(server, 'fail'), ['error', 'it went wrong'])
    const [[, one], [, two]] = [await text(server, 'pid'), await text(server, 'pid')]
    assert.equal(JSON.parse(one)[0], JSON.parse(two)[0])
    assert.equal(mcp.state(server.id).state, 'connected')
  })

  it('get what they need of the environment, what is configured, and nothing else', async () => {
    process.env['LOCI_TEST_SECRET'] = 'not for others'
    try {
      const server = aProgram('well', { env: { OWN: 'yes', FROM: '{{ NAME | nobody }}' } })
      const [, json] = await text(server, 'env')
      const env = JSON.parse(json) as Record<string, string>
      assert.deepEqual([env['OWN'], env['FROM'], env['PATH']], ['yes', 'nobody', process.env['PATH']])
      assert.equal(env['LOCI_TEST_SECRET'], undefined)
      assert.equal(env['ELECTRON_RUN_AS_NODE'], undefined)
    } finally {
      delete process.env['LOCI_TEST_SECRET']
    }
  })

  it('with other secrets are other processes', async () => {
    const server = aProgram('well', { env: { TOKEN: '{{ TOKEN }}' } })
    const run = async (secrets: Record<string, string>) =>
      mcp.callTool(actor, server, { name: 'env', arguments: {}, secrets }, { signal: soon() })
    const tokenOf = async (secrets: Record<string, string>) =>
      (JSON.parse(textOf((await run(secrets)).func_response)) as Record<string, string>)['TOKEN']
    assert.deepEqual([await tokenOf({ TOKEN: 'a' }), await tokenOf({ TOKEN: 'b' })], ['a', 'b'])
    await assert.rejects(run({}), /needs the secret 'TOKEN'/)
  })

  it('end with all that they have started, however stubborn', async () => {
    const server = aProgram('stubborn')
    const [, pids] = await text(server, 'pid')
    const all = JSON.parse(pids) as number[]
    assert.ok(all.length === 2 && all.every(lives))
    await mcp.forget(server.id)
    await eventually('they are gone', () => (all.some(lives) ? null : true))
  })

  it('may end at a question of the newer protocol: they are started once more for the older, from then on once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loci-mcp-'))
    const file = join(folder, 'pids')
    const starts = async () => (await readFile(file, 'utf8')).trim().split('\n').length
    try {
      const server = aProgram('strict', { args: [file] })
      assert.ok((await list(server)).tools.length > 0)
      assert.equal(await starts(), 2)
      await assert.rejects(call(mcp, server, 'crash'))
      assert.deepEqual(await text(server, 'add', { a: 1, b: 2 }), ['success', '3'])
      assert.equal(await starts(), 3)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('may print what is no message', async () => {
    assert.deepEqual(await text(aProgram('noisy'), 'add', { a: 1, b: 1 }), ['success', '2'])
  })

  it('that are not there say so', async () => {
    const server = aServer({ mcp_server_type: 'stdio', command: 'loci-no-such-program', args: [], env: null })
    await assert.rejects(list(server), {
      code: 'mcp_error',
      message: /'tried' failed while connecting: the program 'loci-no-such-program' was not found/,
    })
    assert.match(mcp.state(server.id).error ?? '', /was not found/)
    assert.equal(mcp.state(server.id).state, 'failed')
  })

  it('that end at once say how, and what they wrote last', async () => {
    const server = aProgram('crash', { env: { API_KEY: 'looked-for-secret' } })
    await assert.rejects(list(server), /it ended with code 3; the last it wrote: no such configuration \*{8}/)
    assert.ok(!mcp.state(server.id).error?.includes('looked-for'))
    assert.equal(mcp.state(server.id).state, 'failed')
  })

  it('that never answer are given up, and ended', async () => {
    const mcp = connections({ limits: { ...LIMITS, connect_ms: 4000 } })
    const folder = await mkdtemp(join(tmpdir(), 'loci-mcp-'))
    const file = join(folder, 'pids')
    try {
      const server = aProgram('deaf', { args: [file] })
      await assert.rejects(mcp.listTools(actor, server, { signal: soon() }), {
        code: 'mcp_timeout',
        message: /did not answer within 4 s/,
      })
      const pids = (await readFile(file, 'utf8')).trim().split('\n').map(Number)
      await eventually('it is gone', () => (pids.some(lives) ? null : true))
    } finally {
      await mcp.close()
      await rm(folder, { recursive: true })
    }
  }).timeout(30_000)

  it('that print nothing but text are ended', async () => {
    await assert.rejects(
      list(aProgram('text')),
      /it prints text instead of messages, such as: this is no protocol/,
    )
    await assert.rejects(
      list(aProgram('one-line')),
      /it prints text instead of messages, such as: no line of it ends/,
    )
  })

  it('that flood block nobody, and still answer', async () => {
    const mcp = connections({ limits: { ...LIMITS, execute_ms: 5000 } })
    const text = async (server: McpServer, name: string, args = {}) => {
      const { status, func_response } = await call(mcp, server, name, args)
      return [status, textOf(func_response)] as const
    }
    for (const mode of ['flood', 'flood-stderr']) {
      const server = aProgram(mode)
      const stalls = watchStalls()
      assert.deepEqual(await text(server, 'add', { a: 1, b: 2 }), ['success', '3'])
      const others = aProgram('well')
      assert.deepEqual(await text(others, 'add', { a: 1, b: 2 }), ['success', '3'])
      assert.ok(stalls() < 2000, `the event loop stood still for ${stalls()} ms`)
    }
    await mcp.close()
  }).timeout(60_000)

  for (const [tool, why] of [
    ['big', /it sent a message of more than 8 MB/],
    ['line', /it prints text instead of messages/],
    ['deep', /values nested more than 100 deep/],
  ] as const)
    it(`that send what nobody can read (${tool}) are ended, and started anew by the next call`, async () => {
      const server = aProgram('well')
      const stalls = watchStalls()
      await assert.rejects(call(mcp, server, tool), why)
      assert.ok(stalls() < 2000, `the event loop stood still for ${stalls()} ms`)
      await eventually('its state says so', () => (why.test(mcp.state(server.id).error ?? '') ? true : null))
      assert.deepEqual(await text(server, 'add', { a: 1, b: 2 }), ['success', '3'])
      assert.equal(mcp.state(server.id).error, null)
    })

  it('that die in a call are an error of that call; the next one finds them alive again', async () => {
    const server = aProgram('well')
    await assert.rejects(call(mcp, server, 'crash'), {
      code: 'mcp_error',
      message: /running its tool 'crash': it ended with code 7; the last it wrote: the roof is on fire/,
    })
    assert.deepEqual(await text(server, 'add', { a: 1, b: 2 }), ['success', '3'])
  })

  it('that fail again and again are left alone for longer and longer', async () => {
    const server = aProgram('crash')
    await assert.rejects(call(mcp, server, 'add'), /ended with code 3/)
    await assert.rejects(call(mcp, server, 'add'), /ended with code 3/)
    const before = performance.now()
    await assert.rejects(call(mcp, server, 'add'), /ended with code 3.* It is tried again in 1 s\./)
    assert.ok(performance.now() - before < 50)
    // Who asks for its tools means now.
    await assert.rejects(list(server), (error: Error) => !error.message.includes('tried again'))
  })

  it('that do not answer a call are an error after the time limit; others go on meanwhile', async () => {
    const server = aProgram('well')
    const hanging = call(mcp, server, 'hang')
    hanging.catch(() => undefined)
    assert.deepEqual(await text(server, 'add', { a: 1, b: 2 }), ['success', '3'])
    await assert.rejects(hanging, {
      code: 'mcp_timeout',
      message: /did not answer in time while running its tool 'hang'/,
    })
    const [, pid] = await text(server, 'pid')
    assert.ok(pid, 'it lives: only one of its tools hangs')
  })

  it('that are stuck altogether are ended after a call has timed out', async () => {
    const server = aProgram('well')
    const pids = JSON.parse((await text(server, 'pid'))[1]) as number[]
    await assert.rejects(call(mcp, server, 'spin'), { code: 'mcp_timeout' })
    await eventually('it is gone', () => (pids.some(lives) ? null : true))
    assert.deepEqual(await text(server, 'add', { a: 1, b: 2 }), ['success', '3'])
  }).timeout(30_000)

  it('have more time while they report progress', async () => {
    assert.equal((await call(mcp, aProgram('well'), 'slow')).func_response, 'done')
  })

  it('are left when the caller goes', async () => {
    const server = aProgram('well')
    await list(server)
    const gone = new AbortController()
    const hanging = call(mcp, server, 'hang', {}, gone.signal)
    gone.abort(new Error('nobody waits'))
    await assert.rejects(hanging, /nobody waits/)
    assert.deepEqual(await text(server, 'add', { a: 1, b: 2 }), ['success', '3'])
  })

  it('that never say which tools they have are given up', async () => {
    const short = connections({ limits: { ...LIMITS, list_ms: 500 } })
    try {
      await assert.rejects(short.listTools(actor, aProgram('no-list'), { signal: soon() }), {
        code: 'mcp_timeout',
        message: /did not answer in time while listing its tools/,
      })
    } finally {
      await short.close()
    }
  })

  it('with thousands of tools have the first thousand', async () => {
    const { tools, notes } = await list(aProgram('many'))
    assert.equal(tools.length, 1000)
    assert.deepEqual(notes, ['The server has more than 1000 tools; the rest was left out.'])
  })

  it('whose list never ends have its first pages', async () => {
    const { tools, notes } = await list(aProgram('pages'))
    assert.equal(tools.length, 100)
    assert.match(notes[0] ?? '', /more than 100 pages/)
  })

  it('are read without what steers terminals or hides text', async () => {
    const { tools, notes } = await list(aProgram('hostile'))
    const [look] = tools
    assert.equal(tools.length, 1)
    assert.match(look?.description ?? '', /^Looks\.evilx+… \(cut\)$/)
    assert.ok((look?.description?.length ?? 0) < 4100)
    assert.deepEqual(look?.input_schema, {
      type: 'object',
      properties: { q: { type: 'string', description: 'red' } },
      required: [],
    })
    assert.match(notes[0] ?? '', /a name that cannot be used: 'badname'/)
    assert.deepEqual(await text(aProgram('well'), 'hostile'), ['success', 'Hello\nthere\ufffd'])
  })

  it('tell when their tools change', async () => {
    const changed: string[] = []
    const told = connections({ limits: LIMITS, onToolsChanged: (_, id) => changed.push(id) })
    try {
      const server = aProgram('well')
      await call(told, server, 'more')
      await eventually('it was told', () => (changed.length > 0 ? true : null))
      assert.deepEqual(changed, [server.id])
    } finally {
      await told.close()
    }
  })

  it('are not started where that is refused', async () => {
    const refusing = connections({ stdioRefused: () => 'Not here.' })
    try {
      const server = aProgram('well')
      await assert.rejects(refusing.listTools(actor, server, { signal: soon() }), {
        code: 'invalid_argument',
        message: 'Not here.',
      })
      assert.equal(refusing.state(server.id).error, 'Not here.')
    } finally {
      await refusing.close()
    }
  })

  it('are ended when nobody uses them for a while', async () => {
    const brief = connections({ limits: { ...LIMITS, idle_ms: 200 } })
    try {
      const server = aProgram('well')
      const pids = JSON.parse(textOf((await call(brief, server, 'pid')).func_response)) as number[]
      await eventually('it is gone', () => (pids.some(lives) ? null : true))
      assert.deepEqual([brief.state(server.id).state, brief.state(server.id).error], ['idle', null])
    } finally {
      await brief.close()
    }
  })
})

/** The longest time that the event loop stood still since, in milliseconds. */
function watchStalls(): () => number {
  let last = performance.now()
  let longest = 0
  const look = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  const timer = setInterval(look, 5)
  timer.unref()
  return () => {
    clearInterval(timer)
    look()
    return longest
  }
}
