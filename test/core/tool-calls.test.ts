import assert from 'node:assert/strict'
import { ToolRules } from '../../shared/core/turn/tool-rules.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WorkingMemory } from '../../shared/core/memory.ts'
import type { NewAgent } from '../../shared/core/ports/agent-store.ts'
import type { CoreDeps } from '../../shared/core/ports/deps.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import type { ToolCallInput, ToolOutcome, ToolResult } from '../../shared/core/ports/tools.ts'
import { runAgain, runToolCalls, type ToolCallScope } from '../../shared/core/turn/tool-calls.ts'
import type { Agent } from '../../shared/schema/agent.ts'
import type { StoredToolCall } from '../../shared/schema/message.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { aBlock, aBuiltin, ADA, anAgent } from '../contracts/store/samples.ts'
import { ALONE } from '../support/turn-test.ts'

type Run = (call: ToolCallInput, signal: AbortSignal) => Promise<ToolOutcome> | ToolOutcome

describe('tool calls', () => {
  let store: Store
  let directory = ''
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loci-calls-'))
    store = await openSqliteStore({ directory })
  })
  after(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  /** An agent whose tools do this; those whose name begins with `free` may run side by side. */
  async function scopeOf(tools: Record<string, Run>, more: Partial<NewAgent> = {}) {
    const builtins = Object.keys(tools).map((name) => ({
      ...aBuiltin(name),
      enable_parallel_execution: name.startsWith('free'),
    }))
    await store.tools.seed(ADA, builtins)
    const tool_ids = (await store.tools.list(ADA, { names: Object.keys(tools) }, page)).map((tool) => tool.id)
    const agent: Agent = await store.agents.create(
      ADA,
      anAgent('ada', { tool_ids, new_blocks: [aBlock('human', 'a')], ...more }),
    )
    const abort = new AbortController()
    const deps: CoreDeps = {
      store,
      models: {
        list: () => Promise.resolve({ models: [], problems: [] }),
        resolve: () => Promise.reject(new Error('no model is asked here')),
      },
      tools: {
        builtins,
        run: async (call, { signal }) => (tools[call.tool.name] ?? assert.fail())(call, signal),
      },
      clock: { now: () => new Date(), monotonic: () => performance.now() },
    }
    const memory = new WorkingMemory(agent.blocks)
    const rules = new ToolRules(
      [],
      agent.tools.map((tool) => tool.name),
    )
    const scope: ToolCallScope = {
      actor: ADA,
      agent,
      run_id: 'run',
      memory,
      rules,
      messaging: ALONE,
      deps,
      signal: abort.signal,
    }
    return { scope, agent, memory, abort, deps }
  }

  const page = { limit: 50, order: 'asc' } as const
  const ok = (text: ToolResult['func_response']): ToolResult => ({ status: 'success', func_response: text })
  const aCall = (name: string, args: unknown = {}, id = 'c'): StoredToolCall => ({
    id,
    type: 'function',
    function: { name, arguments: typeof args === 'string' ? args : JSON.stringify(args) },
  })

  it('that may run side by side do; the others wait their turn; returns keep the order of the calls', async () => {
    const log: string[] = []
    let release: () => void = () => undefined
    const bothStarted = new Promise<void>((resolve) => {
      release = resolve
    })
    let started = 0
    const free: Run = async (call) => {
      log.push(`${call.tool.name} begins`)
      if (++started === 2) release()
      await bothStarted
      return ok(call.tool.name)
    }
    const alone: Run = (call) => {
      log.push('alone')
      return ok(call.tool.name)
    }
    const { scope } = await scopeOf({ free_a: free, free_b: free, alone })
    const done = await runToolCalls([aCall('free_a'), aCall('alone'), aCall('free_b')], scope)
    assert.deepEqual(
      done.map((e) => e.result.func_response),
      ['free_a', 'alone', 'free_b'],
    )
    assert.deepEqual(log, ['free_a begins', 'free_b begins', 'alone'])
  })

  it('with one id each get a return of their own', async () => {
    const { scope } = await scopeOf({ free: (call) => ok(String(call.arguments['n'])) })
    const done = await runToolCalls([aCall('free', { n: 1 }), aCall('free', { n: 2 })], scope)
    assert.deepEqual(
      done.map((e) => e.result.func_response),
      ['1', '2'],
    )
  })

  it('know which of them used memory, also while others run beside them', async () => {
    const { scope, memory } = await scopeOf({
      free_look: async () => {
        await Promise.resolve()
        return ok('looked')
      },
      edit: async (call) => {
        call.memory.set('human', `${call.memory.get('human').value}+`)
        await new Promise(setImmediate)
        return ok('edited')
      },
    })
    const done = await runToolCalls([aCall('edit'), aCall('free_look'), aCall('edit')], scope)
    assert.deepEqual(
      done.map((e) => e.touched_memory),
      [true, false, true],
    )
    const [block] = memory.edits()
    assert.deepEqual(block && 'value' in block && block.value, 'a++')
    const present = scope.agent.blocks.map((b) => ({ ...b, value: 'theirs', version: 7 }))
    memory.rebase({ status: 'conflict', blocks: present })
    await runAgain(done, scope)
    assert.deepEqual(memory.edits(), [{ block_id: present[0]!.id, base_version: 7, value: 'theirs++' }])
  })

  it('that fail half way leave no edit and no passage', async () => {
    const { scope, memory } = await scopeOf({
      half: (call) => {
        call.memory.set('human', 'half')
        call.memory.create({ label: 'new', value: '', description: null })
        call.insertPassage({ text: 'half', tags: [] })
        throw new RangeError('not further')
      },
    })
    const [done] = await runToolCalls([aCall('half')], scope)
    assert.equal(done?.result.func_response, 'Error executing function half: RangeError: not further')
    assert.deepEqual([done.result.status, done.passages, memory.edits()], ['error', [], []])
  })

  it('are given the arguments of the tool, without those of older loops', async () => {
    let seen: unknown
    const { scope } = await scopeOf({
      tool: (call) => {
        seen = call.arguments
        return ok('')
      },
    })
    await runToolCalls([aCall('tool', { a: 1, request_heartbeat: true, thinking: 'hm' })], scope)
    assert.deepEqual(seen, { a: 1 })
    await runToolCalls([aCall('tool', '  ')], scope)
    assert.deepEqual(seen, {})
    const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
    const [done] = await runToolCalls([aCall('tool', deep)], scope)
    assert.equal(done?.result.status, 'success')
  })

  it('with arguments that are no object are told so, and the tool is not run', async () => {
    const { scope } = await scopeOf({ tool: () => assert.fail('was run') })
    for (const [text, complaint] of [
      ['{"a":', /^Error executing function tool: ToolError: the arguments are not valid JSON/],
      ['[1]', /must be one JSON object/],
      ['null', /must be one JSON object/],
      ['"text"', /must be one JSON object/],
    ] as const) {
      const [done] = await runToolCalls([aCall('tool', text)], scope)
      assert.equal(done?.result.status, 'error')
      assert.match(done.result.func_response as string, complaint)
    }
    const [unknown] = await runToolCalls([aCall('__proto__')], scope)
    assert.match(unknown?.result.func_response as string, /there is no tool '__proto__'; the tools are: tool/)
  })

  it('return at most what the tool may say, in text and in parts, and say the limit', async () => {
    const long = 'x'.repeat(60_000)
    const { scope } = await scopeOf({
      text: () => ok(long),
      parts: () => ok([textPart('y'.repeat(49_990)), textPart(long), textPart('more')]),
      conversation_search: () => ok(long),
      fails: () => {
        throw new Error('🧠'.repeat(5000))
      },
    })
    const [text, parts, search, fails] = (
      await runToolCalls(
        ['text', 'parts', 'conversation_search', 'fails'].map((name) => aCall(name)),
        scope,
      )
    ).map((e) => e.result.func_response)
    assert.match(
      text as string,
      /^x{50000}\.\.\. \[truncated 10000 chars\] \(this tool's limit is 50000 char/,
    )
    const cut = (parts as { text: string }[]).map((part) => part.text)
    assert.equal(cut.length, 2)
    assert.match(cut[1] ?? '', /^x{10}\.\.\. \[truncated 59990 chars\] \(this tool's limit is 50000 char/)
    assert.equal(search, long, 'a search bounds itself')
    assert.ok(typeof fails === 'string' && fails.length <= 1000 && fails.isWellFormed())
  })

  it('end with an abort at once, and leave no rejection that nobody hears', async () => {
    const unheard: unknown[] = []
    const hear = (error: unknown) => unheard.push(error)
    process.on('unhandledRejection', hear)
    try {
      const { scope, abort } = await scopeOf({
        free_wait: (_, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error))
          }),
        alone: () => {
          abort.abort(new Error('enough'))
          return ok('')
        },
      })
      const running = runToolCalls([aCall('alone'), aCall('free_wait'), aCall('free_wait')], scope)
      await assert.rejects(running, { message: 'enough' })
      await new Promise(setImmediate)
      assert.deepEqual(unheard, [])
    } finally {
      process.off('unhandledRejection', hear)
    }
  })

  describe('of tools that run once', () => {
    /** The blocks after somebody else has written `value` into the first. */
    const theirs = (agent: Agent, value: string) =>
      agent.blocks.map((block, i) => (i === 0 ? { ...block, value, version: 7 } : block))

    it('have their changes of memory written again on a changed block, without a second run', async () => {
      for (const [after, present, expected] of [
        ['a, more', 'theirs', 'theirs, more'],
        ['first: a', 'theirs', 'first: theirs'],
        ['new', 'theirs', 'new'],
      ] as const) {
        let runs = 0
        const { scope, memory, agent } = await scopeOf({
          code: () => {
            runs++
            return { ...ok('done'), memory_edits: { human: after } }
          },
        })
        const done = await runToolCalls([aCall('code')], scope)
        assert.deepEqual(memory.edits(), [{ block_id: agent.blocks[0]!.id, base_version: 1, value: after }])
        memory.rebase({ status: 'conflict', blocks: theirs(agent, present) })
        const [again] = await runAgain(done, scope)
        assert.equal(runs, 1)
        assert.deepEqual([again?.result.func_response, again?.result.status], ['done', 'success'])
        const edits = memory.edits().map((edit) => ('value' in edit ? edit.value : null))
        assert.deepEqual(edits, [expected], `${after} on ${present}`)
      }
    })

    it('run once also when they looked at memory and changed nothing', async () => {
      let runs = 0
      const { scope, memory, agent } = await scopeOf({
        code: (call) => {
          runs++
          return { ...ok(call.memory.get('human').value), memory_edits: {} }
        },
      })
      const done = await runToolCalls([aCall('code')], scope)
      memory.rebase({ status: 'conflict', blocks: theirs(agent, 'theirs') })
      const again = await runAgain(done, scope)
      assert.deepEqual([runs, again[0]?.result.func_response], [1, 'a'])
    })

    it('say that they ran when their changes may not be written, and leave none of them', async () => {
      const { scope, memory } = await scopeOf(
        { code: () => ({ ...ok('42'), stdout: ['hi'], memory_edits: { human: 'b', fixed: 'c' } }) },
        { new_blocks: [aBlock('human', 'a'), aBlock('fixed', 'x', { read_only: true })] },
      )
      const [done] = await runToolCalls([aCall('code')], scope)
      assert.equal(done?.result.status, 'error')
      assert.equal(
        done.result.func_response,
        "The tool ran, but its changes of memory were not saved: memory block 'fixed' is read-only and cannot be " +
          'edited. It returned: 42',
      )
      assert.deepEqual([done.result.stdout, memory.edits()], [['hi'], []])
    })

    it('that failed change no memory', async () => {
      const { scope, memory } = await scopeOf({
        code: () => ({ status: 'error', func_response: 'no', memory_edits: { human: 'b' } }),
      })
      const [done] = await runToolCalls([aCall('code')], scope)
      assert.deepEqual([done?.result.func_response, memory.edits()], ['no', []])
    })

    it('keep the changes of each when they run side by side', async () => {
      const { scope, memory } = await scopeOf(
        {
          free_a: () => ({ ...ok(''), memory_edits: { human: 'a one' } }),
          free_b: () => ({ ...ok(''), memory_edits: { human: 'a two', fixed: 'no' } }),
          free_c: () => ({ ...ok(''), memory_edits: { human: 'three a' } }),
        },
        { new_blocks: [aBlock('human', 'a'), aBlock('fixed', 'x', { read_only: true })] },
      )
      const done = await runToolCalls([aCall('free_a'), aCall('free_b'), aCall('free_c')], scope)
      assert.deepEqual(
        done.map(({ result }) => result.status),
        ['success', 'error', 'success'],
      )
      assert.equal(memory.forCall().get('human').value, 'three a one')
    })
  })

  it('show no value of a secret in what they return, print, throw or remember', async () => {
    const secrets = {
      TOKEN: 'hunter2-hunter2',
      LONGER: 'hunter2-hunter2-and-more',
      SHORT: 'cat',
      LINES: 'one\n"two"',
    }
    const { scope, memory } = await scopeOf(
      {
        says: async (call) => {
          const { TOKEN, LONGER, SHORT, LINES } = await call.secrets()
          return {
            ...ok([textPart(`${TOKEN} ${LONGER} ${SHORT}`), textPart(JSON.stringify({ LINES }))]),
            stdout: [`got ${TOKEN}`],
            stderr: [`${LONGER}!`],
            memory_edits: { human: `a ${TOKEN}` },
          }
        },
        throws: async (call) => {
          throw new Error(`bad token ${(await call.secrets())['TOKEN']}`)
        },
      },
      { secrets },
    )
    const [says, throws] = await runToolCalls([aCall('says'), aCall('throws')], scope)
    assert.deepEqual(says?.result.func_response, [
      textPart('***TOKEN*** ***LONGER*** cat'),
      textPart('{"LINES":"***LINES***"}'),
    ])
    assert.deepEqual([says.result.stdout, says.result.stderr], [['got ***TOKEN***'], ['***LONGER***!']])
    assert.equal(memory.forCall().get('human').value, 'a ***TOKEN***')
    assert.equal(
      throws?.result.func_response,
      'Error executing function throws: Error: bad token ***TOKEN***',
    )
  })

  function textPart(text: string) {
    return { type: 'text' as const, text }
  }
})
