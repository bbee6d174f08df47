import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAgent } from '../../shared/core/agents.ts'
import { ActiveRuns } from '../../shared/core/active-runs.ts'
import type { StartRun } from '../../shared/core/runs/active-run.ts'
import type { AgentEvent, TurnResult } from '../../shared/core/events.ts'
import type { Actor } from '../../shared/core/ports/actor.ts'
import type { CoreDeps } from '../../shared/core/ports/deps.ts'
import type { LanguageModel, ModelEvent, ModelRequest } from '../../shared/core/ports/models.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import type { AgentMessaging, ToolRunner } from '../../shared/core/ports/tools.ts'
import { createModels } from '../../shared/models/catalog.ts'
import { type Agent, createAgent as createAgentBody } from '../../shared/schema/agent.ts'
import { DEFAULT_ORGANIZATION_ID, DEFAULT_USER_ID } from '../../shared/schema/ids.ts'
import type { StoredMessage } from '../../shared/schema/message.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { createToolRunner } from '../../shared/tools/tool-runner.ts'

export const actor: Actor = { user_id: DEFAULT_USER_ID, organization_id: DEFAULT_ORGANIZATION_ID }

const unused = () => assert.fail('no agent is to be spoken to')
/** For turns that speak to no other agent. */
export const ALONE: AgentMessaging = { ask: unused, tell: unused, askTagged: unused }

/** What the model does when it is asked: events, a failure, or something that watches the request. */
export type Said = ModelEvent[] | ((request: ModelRequest, signal: AbortSignal) => AsyncIterable<ModelEvent>)

export const text = (value: string): ModelEvent => ({ type: 'text', text: value })
export const call = (name: string, args: string | object, index = 0, id = `call-${index}`): ModelEvent => ({
  type: 'tool_call',
  index,
  id,
  name,
  arguments: typeof args === 'string' ? args : JSON.stringify(args),
})
export const finish = (reason: Extract<ModelEvent, { type: 'finish' }>['reason'] = 'stop'): ModelEvent => ({
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
/** A call that changes nothing. */
export const SEARCH = call('conversation_search', { query: 'x' })
/** Whole answers. */
export const says = (value: string): Said => [text(value), finish()]
export const calls = (...events: ModelEvent[]): Said => [...events, finish('tool_calls')]

export const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })

/** The core over a real store in a fresh folder, with a model that says what a test tells it to. */
export interface TurnTest {
  store: Store
  deps: CoreDeps
  runs: ActiveRuns
  /** What the model was asked, in order. */
  requests: ModelRequest[]
  script: Said[]
  tools: ToolRunner
  /** Failures that the core called its own. */
  failures: unknown[]
  /** Finding the model waits for it. */
  resolving: Promise<void>
  newAgent(more?: object): Promise<Agent>
  start(agent_id: string, more?: Partial<StartRun>): ReturnType<ActiveRuns['start']>
  /** One turn from its start to its end. */
  turn(agent_id: string, said: Said[], more?: Partial<StartRun>): Promise<TurnResult>
  /** Everything that happens in one. */
  events(agent_id: string, said: Said[], more?: Partial<StartRun>): Promise<AgentEvent[]>
  stored(agent_id: string): Promise<StoredMessage[]>
  roles(agent_id: string): Promise<string[]>
  /** What must hold after any turn: it is closed, every call has its return, and the next message works. */
  closed(agent_id: string, result: TurnResult): Promise<void>
  close(): Promise<void>
}

/** Opens one; the caller closes it. */
export async function openTurnTest(): Promise<TurnTest> {
  const directory = await mkdtemp(join(tmpdir(), 'loci-turn-'))
  const store = await openSqliteStore({ directory })
  const tools = createToolRunner()
  const models = createModels({ providers: [], default_handle: null, discover_local: false })
  const language_model: LanguageModel = {
    async *generate(request, { signal }) {
      t.requests.push(request)
      const said = t.script.shift()
      assert.ok(said, 'the model was asked once too often')
      yield* typeof said === 'function' ? said(request, signal) : said
    },
  }
  const deps: CoreDeps = {
    store,
    models: {
      list: (who) => models.list(who),
      async resolve(who, handle) {
        await t.resolving
        return { ...(await models.resolve(who, handle)), language_model }
      },
    },
    tools: { builtins: tools.builtins, run: (input, options) => t.tools.run(input, options) },
    clock: { now: () => new Date(), monotonic: () => performance.now() },
  }
  const t: TurnTest = {
    store,
    deps,
    runs: new ActiveRuns(deps, (_, error) => t.failures.push(error)),
    requests: [],
    script: [],
    tools,
    failures: [],
    resolving: Promise.resolve(),
    newAgent: (more = {}) =>
      createAgent(
        deps,
        actor,
        createAgentBody.parse({
          model: 'loci/demo',
          memory_blocks: [{ label: 'human', value: 'a' }],
          ...more,
        }),
      ),
    start: (agent_id, more = {}) =>
      t.runs.start(actor, {
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
      }),
    async turn(agent_id, said, more) {
      t.script = said
      return (await t.start(agent_id, more)).done
    },
    async events(agent_id, said, more) {
      t.script = said
      const active = await t.start(agent_id, more)
      const events: AgentEvent[] = []
      for await (const batch of active.follow(new AbortController().signal)) events.push(...batch)
      return events
    },
    stored: (agent_id) =>
      store.messages.list(actor, { agent_id, include_err: true }, { limit: 1000, order: 'asc' }),
    roles: async (agent_id) => (await t.stored(agent_id)).map((message) => message.role),
    async closed(agent_id, result) {
      const run = await store.turns.getRun(actor, result.run_id)
      assert.deepEqual([run?.status, run?.stop_reason], [result.status, result.stop_reason])
      const agent = await store.agents.get(actor, agent_id, [])
      assert.equal(agent?.last_stop_reason, result.stop_reason)
      const messages = await t.stored(agent_id)
      const asked = messages.flatMap((message) => message.tool_calls.map(({ id }) => id))
      const returned = messages.flatMap((message) =>
        message.tool_returns.map(({ tool_call_id }) => tool_call_id),
      )
      assert.deepEqual(returned, asked)
      const next = await t.turn(agent_id, [says('next')])
      assert.equal(next.stop_reason, 'end_turn')
      assert.deepEqual(t.failures, [])
    },
    async close() {
      await t.runs.stop()
      await store.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
  await store.tools.seed(actor, tools.builtins)
  return t
}
