import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAgent } from '../../shared/core/agents.ts'
import type { AgentEvent, TurnResult } from '../../shared/core/events.ts'
import { ActiveRuns, type StartRun } from '../../shared/core/active-runs.ts'
import type { Actor } from '../../shared/core/ports/actor.ts'
import type { CoreDeps } from '../../shared/core/ports/deps.ts'
import type { LanguageModel, ModelEvent, ModelRequest } from '../../shared/core/ports/models.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import type { ToolRunner } from '../../shared/core/ports/tools.ts'
import { createModels } from '../../shared/models/catalog.ts'
import { createAgent as createAgentBody } from '../../shared/schema/agent.ts'
import { AppError } from '../../shared/schema/errors.ts'
import { DEFAULT_ORGANIZATION_ID, DEFAULT_USER_ID } from '../../shared/schema/ids.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { createToolRunner } from '../../shared/tools/tool-runner.ts'
import { eventually } from '../support/loci.ts'

const actor: Actor = { user_id: DEFAULT_USER_ID, organization_id: DEFAULT_ORGANIZATION_ID }

/** What the model does when it is asked: events, a failure, or something that watches the request. */
type Said = ModelEvent[] | ((request: ModelRequest, signal: AbortSignal) => AsyncIterable<ModelEvent>)

const text = (value: string): ModelEvent => ({ type: 'text', text: value })
const call = (name: string, args: string | object, index = 0, id = `call-${index}`): ModelEvent => ({
  type: 'tool_call',
  index,
  id,
  name,
  arguments: typeof args === 'string' ? args : JSON.stringify(args),
})
const finish = (reason: Extract<ModelEvent, { type: 'finish' }>['reason'] = 'stop'): ModelEvent => ({
  type: 'finish',
  reason,
  usage: {
    prompt_tokens: 10,
    completion_tokens: 5,
    total_tokens: 15,
    cached_input_tokens: null,
    cache_write_tokens: null,
    reasoning_tokens: null,
  },
})
const SEARCH = call('conversation_search', { query: 'x' })

const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })

describe('a turn', () => {
  let directory: string
  let store: Store
  let requests: ModelRequest[]
  let script: Said[]
  let tools: ToolRunner
  let deps: CoreDeps
  let runs: ActiveRuns
  let failures: unknown[]
  let resolving: Promise<void>

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loci-turn-'))
    store = await openSqliteStore({ directory })
    requests = []
    script = []
    failures = []
    resolving = Promise.resolve()
    tools = createToolRunner()
    const models = createModels({ providers: [], default_handle: null, discover_local: false })
    const language_model: LanguageModel = {
      async *generate(request, { signal }) {
        requests.push(request)
        const said = script.shift()
        assert.ok(said, 'the model was asked once too often')
        yield* typeof said === 'function' ? said(request, signal) : said
      },
    }
    deps = {
      store,
      models: {
        list: (who) => models.list(who),
        async resolve(who, handle) {
          await resolving
          return { ...(await models.resolve(who, handle)), language_model }
        },
      },
      tools: { builtins: tools.builtins, run: (input, options) => tools.run(input, options) },
      clock: { now: () => new Date(), monotonic: () => performance.now() },
    }
    runs = new ActiveRuns(deps, (_, error) => failures.push(error))
    await store.tools.seed(actor, tools.builtins)
  })
  afterEach(async () => {
    await runs.stop()
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })

  const newAgent = (more = {}) =>
    createAgent(
      deps,
      actor,
      createAgentBody.parse({ model: 'loci/demo', memory_blocks: [{ label: 'human', value: 'a' }], ...more }),
    )
  const start = (agent_id: string, more: Partial<StartRun> = {}) =>
    runs.start(actor, {
      agent_id,
      conversation_id: agent_id,
      messages: [{ role: 'user', content: 'go' }],
      max_steps: 50,
      stream_tokens: true,
      override_model: null,
      override_system: null,
      logprobs: null,
      client_tools: [],
      client_skills: [],
      recording: null,
      otids: null,
      background: false,
      callback_url: null,
      fingerprint: null,
      request_config: null,
      ...more,
    })
  async function turn(agent_id: string, said: Said[], more: Partial<StartRun> = {}): Promise<TurnResult> {
    script = said
    return (await start(agent_id, more)).done
  }
  const stored = async (agent_id: string) =>
    store.messages.list(actor, { agent_id, include_err: true }, { limit: 1000, order: 'asc' })
  const roles = async (agent_id: string) => (await stored(agent_id)).map((message) => message.role)

  /** What must hold after any turn: it is closed, every call has its return, and the next message works. */
  async function closed(agent_id: string, result: TurnResult) {
    const run = await store.turns.getRun(actor, result.run_id)
    assert.deepEqual([run?.status, run?.stop_reason], [result.status, result.stop_reason])
    const agent = await store.agents.get(actor, agent_id, [])
    assert.equal(agent?.last_stop_reason, result.stop_reason)
    const messages = await stored(agent_id)
    const asked = messages.flatMap((message) => message.tool_calls.map(({ id }) => id))
    const returned = messages.flatMap((message) =>
      message.tool_returns.map(({ tool_call_id }) => tool_call_id),
    )
    assert.deepEqual(returned, asked)
    const next = await turn(agent_id, [[text('next'), finish()]])
    assert.equal(next.stop_reason, 'end_turn')
    assert.deepEqual(failures, [])
  }

  describe('stops', () => {
    it('with end_turn after a text, with every event once', async () => {
      const agent = await newAgent()
      script = [[{ type: 'reasoning', text: 'hm' }, text('hel'), text('lo'), finish()]]
      const active = await start(agent.id)
      const events: AgentEvent[] = []
      for await (const batch of active.follow(new AbortController().signal)) events.push(...batch)
      assert.deepEqual(
        events.map((event) => event.type),
        [
          'run_start',
          'step_start',
          'reasoning_delta',
          'text_delta',
          'text_delta',
          'message',
          'step_end',
          'run_end',
        ],
      )
      const result = await active.done
      assert.deepEqual(
        [result.status, result.stop_reason, result.usage.step_count],
        ['completed', 'end_turn', 1],
      )
      await closed(agent.id, result)
    })

    it('with end_turn and nothing stored when the model says nothing on purpose', async () => {
      const agent = await newAgent()
      const result = await turn(agent.id, [[finish('stop')]])
      assert.deepEqual([result.status, result.stop_reason, result.messages], ['completed', 'end_turn', []])
      assert.deepEqual(await roles(agent.id), ['system', 'user'])
      await closed(agent.id, result)
    })

    it('with invalid_llm_response when it says nothing and not why, or does not finish', async () => {
      const agent = await newAgent()
      for (const said of [[finish('unknown')], [text('half')]] satisfies ModelEvent[][]) {
        const result = await turn(agent.id, [said])
        assert.deepEqual([result.status, result.stop_reason], ['failed', 'invalid_llm_response'])
        assert.equal(result.error?.type, 'llm_empty_response')
        await closed(agent.id, result)
      }
    })

    it('with max_tokens_exceeded when the text was cut, which is kept', async () => {
      const agent = await newAgent()
      const result = await turn(agent.id, [[text('once upon'), finish('length')]])
      assert.deepEqual([result.status, result.stop_reason], ['failed', 'max_tokens_exceeded'])
      assert.equal(result.error, undefined, 'an answer, not an error')
      assert.deepEqual(await roles(agent.id), ['system', 'user', 'assistant'])
      await closed(agent.id, result)
    })

    it('with max_steps after the tools of the last step', async () => {
      const agent = await newAgent()
      const again = [SEARCH, finish('tool_calls')]
      const result = await turn(agent.id, [again, again, again], { max_steps: 3 })
      assert.deepEqual(
        [result.status, result.stop_reason, result.usage.step_count],
        ['completed', 'max_steps', 3],
      )
      assert.deepEqual(await roles(agent.id), [
        'system',
        'user',
        'assistant',
        'tool',
        'assistant',
        'tool',
        'assistant',
        'tool',
      ])
    })

    it('with llm_api_error when the model fails, keeping the input and what was said', async () => {
      const agent = await newAgent()
      const result = await turn(agent.id, [
        async function* () {
          yield text('I was about to ')
          throw new AppError('llm_connection', 'openai at http://x hung up')
        },
      ])
      assert.deepEqual([result.status, result.stop_reason], ['failed', 'llm_api_error'])
      assert.equal(result.error?.message, 'openai at http://x hung up')
      const last = (await stored(agent.id)).at(-1)
      assert.deepEqual(last?.content, [{ type: 'text', text: 'I was about to ' }])
      await closed(agent.id, result)
    })

    it('with llm_api_error when there is no such model, and when a filter held the answer back', async () => {
      const agent = await newAgent()
      const unknown = await turn(agent.id, [], { override_model: 'nowhere/model' })
      assert.equal(unknown.stop_reason, 'llm_api_error')
      await closed(agent.id, unknown)
      const filtered = await turn(agent.id, [[finish('content_filter')]])
      assert.equal(filtered.stop_reason, 'llm_api_error')
      assert.match(filtered.error?.message ?? '', /content filter/)
      await closed(agent.id, filtered)
    })

    it('with error when something of ours breaks, which is told and not shown', async () => {
      const agent = await newAgent()
      const result = await turn(agent.id, [
        async function* () {
          yield text('x')
          throw new TypeError('secret internals')
        },
      ])
      assert.deepEqual([result.status, result.stop_reason], ['failed', 'error'])
      assert.equal(result.error?.type, 'internal_error')
      assert.doesNotMatch(result.error?.message ?? '', /secret/)
      assert.equal(failures.length, 1)
      failures = []
      await closed(agent.id, result)
    })
  })

  describe('with tools', () => {
    it('runs the calls beside a cut answer that are whole, and tells the model of the others', async () => {
      const agent = await newAgent()
      const result = await turn(agent.id, [
        [SEARCH, call('memory_insert', '{"label": "hum', 1), finish('length')],
        [text('ok'), finish()],
      ])
      assert.equal(result.stop_reason, 'end_turn')
      const [returned] = result.messages.filter((message) => message.role === 'tool')
      assert.deepEqual(
        returned?.tool_returns.map((r) => r.status),
        ['success', 'error'],
      )
      await closed(agent.id, result)
    })

    it('keeps only the first call when parallel calls are off', async () => {
      const agent = await newAgent({ parallel_tool_calls: false })
      const result = await turn(agent.id, [
        [SEARCH, call('memory_insert', { label: 'human', new_string: 'b' }, 1), finish('tool_calls')],
        [text('ok'), finish()],
      ])
      assert.equal(requests[0]?.parallel_tool_calls, false)
      assert.equal(result.messages[0]?.tool_calls.length, 1)
      await closed(agent.id, result)
    })

    it('gives calls of one id ids of their own', async () => {
      const agent = await newAgent()
      const result = await turn(agent.id, [
        [{ ...SEARCH }, call('conversation_search', { query: 'y' }, 1, 'call-0'), finish('tool_calls')],
        [text('ok'), finish()],
      ])
      const ids = result.messages[0]?.tool_calls.map(({ id }) => id) ?? []
      assert.equal(new Set(ids).size, 2)
      await closed(agent.id, result)
    })

    it('keeps thoughts with their signatures, for the model that had them and no other', async () => {
      const agent = await newAgent()
      const thoughts: ModelEvent[] = [
        { type: 'reasoning', text: 'first ' },
        { type: 'reasoning', text: 'thought', signature: 'sig-1' },
        { type: 'reasoning', text: 'second', signature: 'sig-2' },
      ]
      await turn(agent.id, [
        [...thoughts, SEARCH, finish('tool_calls')],
        [text('ok'), finish()],
      ])
      const parts = [
        { type: 'reasoning', is_native: true, reasoning: 'first thought', signature: 'sig-1' },
        { type: 'reasoning', is_native: true, reasoning: 'second', signature: 'sig-2' },
      ]
      const contentOf = (n: number) => {
        const message = requests[n]?.messages.find((m) => m.role === 'assistant')
        return message?.role === 'assistant' ? message.content : null
      }
      assert.deepEqual(contentOf(1), parts, 'within the turn')
      await turn(agent.id, [[text('ok'), finish()]])
      assert.deepEqual(contentOf(2), parts, 'from the store')
      const { models } = deps
      deps.models = {
        ...models,
        resolve: async (who, handle) => {
          const model = await models.resolve(who, handle)
          return { ...model, info: { ...model.info, model: 'another' } }
        },
      }
      await turn(agent.id, [[text('ok'), finish()]])
      assert.deepEqual(contentOf(3), [], 'another model')
    })
  })

  describe('cancelled', () => {
    const cancelling = async (agent_id: string, said: Said[], when: () => Promise<unknown>) => {
      script = said
      const active = await start(agent_id)
      await when()
      active.cancel()
      const result = await active.done
      assert.deepEqual([result.status, result.stop_reason], ['cancelled', 'cancelled'])
      assert.equal(result.error, undefined)
      await closed(agent_id, result)
      return result
    }

    it('before the model is asked, while its provider is looked for', async () => {
      const agent = await newAgent()
      let release: () => void = () => undefined
      resolving = new Promise((resolve) => {
        release = resolve
      })
      script = []
      const active = await start(agent.id)
      active.cancel()
      const result = await active.done
      assert.equal(result.stop_reason, 'cancelled')
      assert.equal(requests.length, 0)
      release()
      await closed(agent.id, result)
    })

    it('while the model is silent', async () => {
      const agent = await newAgent()
      await cancelling(
        agent.id,
        [
          async function* (_, signal) {
            yield* []
            await untilAborted(signal)
          },
        ],
        () => eventually('the model is asked', () => requests[0] ?? null),
      )
      assert.deepEqual((await roles(agent.id)).slice(0, 2), ['system', 'user'])
    })

    it('in the middle of an answer, which is kept as far as it came', async () => {
      const agent = await newAgent()
      let spoke = false
      const result = await cancelling(
        agent.id,
        [
          async function* (_, signal) {
            yield text('half a ')
            spoke = true
            await untilAborted(signal)
          },
        ],
        () => eventually('it spoke', () => (spoke ? true : null)),
      )
      assert.deepEqual(
        result.messages.map((message) => message.content),
        [[{ type: 'text', text: 'half a ' }]],
      )
    })

    it('in the middle of a tool call, of which nothing is kept', async () => {
      const agent = await newAgent()
      let spoke = false
      await cancelling(
        agent.id,
        [
          async function* (_, signal) {
            yield call('memory_insert', '{"lab')
            spoke = true
            await untilAborted(signal)
          },
        ],
        () => eventually('it spoke', () => (spoke ? true : null)),
      )
      assert.equal((await store.blocks.list(actor, {}, { limit: 1, order: 'asc' }))[0]?.value, 'a')
    })

    it('while a tool runs that does not listen', async () => {
      const agent = await newAgent()
      let running = false
      tools = {
        ...tools,
        run: async () => {
          running = true
          return new Promise(() => undefined)
        },
      }
      await cancelling(agent.id, [[SEARCH, finish('tool_calls')]], () =>
        eventually('the tool runs', () => (running ? true : null)),
      )
    })

    it('between two steps: the committed one stays', async () => {
      const agent = await newAgent()
      const result = await cancelling(
        agent.id,
        [
          [call('memory_insert', { label: 'human', new_string: 'b' }), finish('tool_calls')],
          async function* (_, signal) {
            yield* []
            await untilAborted(signal)
          },
        ],
        () => eventually('the second step', () => requests[1] ?? null),
      )
      assert.deepEqual(
        result.messages.map((message) => message.role),
        ['assistant', 'tool'],
      )
      const [block] = await store.blocks.list(actor, {}, { limit: 1, order: 'asc' })
      assert.equal(block?.value, 'a\nb')
    })
  })

  describe('when the store fails', () => {
    /** The real store, whose next commits fail as on a full disk. */
    function failCommits(left: number): void {
      deps.store = {
        ...store,
        turns: new Proxy(store.turns, {
          get(target, name) {
            const value: unknown = Reflect.get(target, name)
            if (name === 'commit' && left-- > 0)
              return async () => {
                throw new AppError('store_unavailable', 'the disk is full')
              }
            return typeof value === 'function' ? (value.bind(target) as unknown) : value
          },
        }),
      }
    }

    it('fails a turn whose step cannot be written, and frees the conversation', async () => {
      const agent = await newAgent()
      failCommits(1)
      const result = await turn(agent.id, [[text('said but not written'), finish()]])
      assert.deepEqual([result.status, result.stop_reason], ['failed', 'error'])
      assert.equal(result.error?.message, 'the disk is full')
      const last = (await stored(agent.id)).at(-1)
      assert.deepEqual(
        last?.content,
        [{ type: 'text', text: 'said but not written' }],
        'what was shown is kept',
      )
      await closed(agent.id, result)
    })

    it('ends the turn for its readers also when not even its end can be written', async () => {
      const agent = await newAgent()
      failCommits(2)
      const result = await turn(agent.id, [[text('lost'), finish()]])
      assert.deepEqual([result.status, result.error?.message], ['failed', 'the disk is full'])
      assert.equal(failures.length, 1)
    })

    it('writes nothing once another process has taken the conversation over', async () => {
      const agent = await newAgent()
      script = [
        async function* () {
          yield text('too late')
          await store.agents.delete(actor, agent.id)
          yield finish()
        },
      ]
      const result = await (await start(agent.id)).done
      assert.deepEqual([result.status, result.stop_reason], ['failed', 'error'])
      assert.equal(result.error?.detail, 'lease_lost')
    })
  })

  it('stores the input before the model is asked', async () => {
    const agent = await newAgent()
    let seen: string[] = []
    await turn(agent.id, [
      async function* () {
        seen = await roles(agent.id)
        yield text('ok')
        yield finish()
      },
    ])
    assert.deepEqual(seen, ['system', 'user'])
  })
})
