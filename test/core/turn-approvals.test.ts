import assert from 'node:assert/strict'
import { runTurn } from '../../shared/core/turn/turn.ts'
import { inputMessage } from '../../shared/core/messages.ts'
import type { ModelRequest } from '../../shared/core/ports/models.ts'
import type { ApprovalInput, StoredApproval, TurnMessage } from '../../shared/schema/message.ts'
import { eventually } from '../support/loci.ts'
import {
  actor,
  call,
  calls,
  openTurnTest,
  says,
  SEARCH,
  type TurnTest,
  untilAborted,
  ALONE,
} from '../support/turn-test.ts'

const INSERT = (id: string, text = id) => call('memory_insert', { label: 'human', new_string: text }, 0, id)
const READ_FILE = { name: 'read_file' }
const approval = (...approvals: StoredApproval[]): ApprovalInput => ({ type: 'approval', approvals })
const yes = (tool_call_id: string): StoredApproval => ({
  type: 'approval',
  tool_call_id,
  approve: true,
  reason: null,
})

describe('a turn that waits for an approval', () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => t.close())

  const guarded = (more = {}) =>
    t.newAgent({
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
      parallel_tool_calls: true,
      ...more,
    })
  const shownOf = (request: ModelRequest | undefined) => ({
    tools: JSON.stringify(request?.tools),
    messages: (request?.messages ?? []).map((message) => JSON.stringify(message)),
  })
  const beginsWith = (later: ModelRequest | undefined, earlier: ModelRequest | undefined) => {
    const [a, b] = [shownOf(earlier), shownOf(later)]
    assert.equal(b.tools, a.tools)
    assert.deepEqual(b.messages.slice(0, a.messages.length), a.messages)
  }

  it('reports its events in order, the request for approval as a message of its own', async () => {
    const agent = await guarded()
    const events = await t.events(agent.id, [
      calls(SEARCH, { ...INSERT('call-1'), index: 1 } as typeof SEARCH),
    ])
    assert.deepEqual(
      events.map((event) => (event.type === 'message' ? event.message.role : event.type)),
      [
        'run_start',
        'step_start',
        'tool_call_delta',
        'tool_call_delta',
        'assistant',
        'approval',
        'step_end',
        'run_end',
      ],
    )
    const deltas = events.flatMap((event) => (event.type === 'tool_call_delta' ? [event] : []))
    const [ran, waits] = events.flatMap((event) => (event.type === 'message' ? [event.message.id] : []))
    assert.deepEqual(
      deltas.map((delta) => [delta.waits, delta.message_id]),
      [
        [false, ran],
        [true, waits],
      ],
    )
  })

  it('keeps the prefix byte-identical before, over and after the approval', async () => {
    const agent = await guarded()
    const options = { client_tools: [READ_FILE] }
    await t.turn(
      agent.id,
      [calls(SEARCH), calls(SEARCH, { ...INSERT('call-1'), index: 1 } as typeof SEARCH)],
      {
        ...options,
      },
    )
    const messages = [approval(yes('call-1')), { role: 'user', content: 'and?' } as TurnMessage]
    await t.turn(agent.id, [calls(SEARCH), says('done')], { messages, ...options })
    await t.turn(agent.id, [says('next')], options)
    assert.equal(t.requests.length, 5)
    for (const n of [1, 2, 3]) beginsWith(t.requests[n], t.requests[n - 1])
    const [, , , last, after] = t.requests.map(shownOf)
    const own = last?.messages.slice(1)
    assert.deepEqual(
      after?.messages.slice(1, 1 + (own?.length ?? 0)),
      own,
      'all but the prompt, which has a new block',
    )
  })

  it('cancelled while it carries out what was approved keeps denials and returns, and what was said after', async () => {
    const agent = await guarded({ parallel_tool_calls: true })
    let running = false
    await t.turn(
      agent.id,
      [
        calls(
          INSERT('call-1'),
          { ...call('read_file', {}, 1, 'call-2') },
          { ...call('read_file', {}, 2, 'call-3') },
        ),
      ],
      { client_tools: [READ_FILE] },
    )
    const { tools } = t
    t.tools = {
      ...tools,
      run: async (_, { signal }) => {
        running = true
        return untilAborted(signal)
      },
    }
    const messages: TurnMessage[] = [
      approval(
        yes('call-1'),
        { type: 'tool', tool_call_id: 'call-2', tool_return: 'a file', status: 'success' },
        { type: 'approval', tool_call_id: 'call-3', approve: false, reason: 'private' },
      ),
      { role: 'user', content: 'hurry' },
    ]
    const active = await t.start(agent.id, { messages })
    await eventually('the tool runs', () => (running ? true : null))
    active.cancel()
    const result = await active.done
    assert.equal(result.status, 'cancelled')
    t.tools = tools
    const stored = await t.stored(agent.id)
    assert.deepEqual(
      stored.slice(-3).map((message) => message.role),
      ['approval', 'tool', 'user'],
    )
    assert.deepEqual(
      stored
        .at(-2)
        ?.tool_returns.map(({ tool_call_id, func_response }) => [
          tool_call_id,
          /interrupted|a file|private/.exec(JSON.stringify(func_response))?.[0],
        ]),
      [
        ['call-1', 'interrupted'],
        ['call-2', 'a file'],
        ['call-3', 'private'],
      ],
    )
    assert.equal(stored.at(-2)?.run_id, result.run_id)
    await t.closed(agent.id, result)
  })

  it('carries on without what was decided when another process has given the calls up', async () => {
    const agent = await guarded()
    await t.turn(agent.id, [says('hello')])
    const run = await t.store.turns.listRuns(actor, { agent_id: agent.id }, { limit: 1, order: 'desc' })
    const next = { ...run[0]!, id: `run-${crypto.randomUUID()}`, status: 'running' as const }
    const opened = await t.store.turns.open(actor, { run: next, conversation_id: agent.id, messages: [] })
    const place = { agent_id: agent.id, conversation_id: agent.id, run_id: next.id, step_id: null }
    const follow_ups = [inputMessage({ role: 'user', content: 'and hurry' }, place, new Date())]
    t.script = [says('done')]
    const turn = runTurn(
      {
        actor,
        run: next,
        conversation_id: agent.id,
        opened,
        max_steps: 5,
        stream_tokens: false,
        override_model: null,
        override_system: null,
        logprobs: null,
        client_tools: [],
        client_skills: [],
        follow_ups,
        messaging: ALONE,
      },
      t.deps,
      { signal: new AbortController().signal },
    )
    for await (const event of turn) assert.ok(event)
    assert.equal(t.requests.at(-1)?.messages.at(-1)?.role, 'user')
    assert.deepEqual((await t.stored(agent.id)).at(-2)?.id, follow_ups[0]?.id, 'stored before the answer')
  })

  it('applies an approved edit to the block as it is by then', async () => {
    const agent = await guarded()
    await t.turn(agent.id, [calls(INSERT('call-1', 'mine'))])
    const [block] = await t.store.blocks.list(actor, {}, { limit: 1, order: 'asc' })
    await t.store.blocks.update(actor, block!.id, { value: 'theirs' })
    const result = await t.turn(agent.id, [says('ok')], { messages: [approval(yes('call-1'))] })
    const [after] = await t.store.blocks.list(actor, {}, { limit: 1, order: 'asc' })
    assert.equal(after?.value, 'theirs\nmine')
    await t.closed(agent.id, result)
  })

  it('counts the calls before an approval for the rules of the turn', async () => {
    const agent = await t.newAgent({
      tool_rules: [
        { type: 'requires_approval', tool_name: 'memory_insert' },
        { type: 'run_first', tool_name: 'conversation_search' },
        { type: 'max_count_per_step', tool_name: 'conversation_search', max_count_limit: 1 },
      ],
    })
    await t.turn(agent.id, [calls(SEARCH), calls(INSERT('call-1'))])
    const result = await t.turn(agent.id, [calls(SEARCH), says('ok')], {
      messages: [approval(yes('call-1'))],
    })
    assert.deepEqual(
      t.requests.map((request) => request.tool_choice),
      [{ name: 'conversation_search' }, 'auto', 'auto', 'auto'],
    )
    assert.match(
      JSON.stringify(result.messages.at(-2)?.tool_returns[0]?.func_response),
      /cannot be called now/,
    )
  })

  it('asks again when the next call needs an approval too', async () => {
    const agent = await guarded()
    await t.turn(agent.id, [calls(INSERT('call-1'))])
    const again = await t.turn(agent.id, [calls(INSERT('call-2'))], { messages: [approval(yes('call-1'))] })
    assert.equal(again.stop_reason, 'requires_approval')
    const done = await t.turn(agent.id, [says('ok')], { messages: [approval(yes('call-2'))] })
    assert.equal(done.stop_reason, 'end_turn')
    const [block] = await t.store.blocks.list(actor, {}, { limit: 1, order: 'asc' })
    assert.equal(block?.value, 'a\ncall-1\ncall-2')
    await t.closed(agent.id, done)
  })

  it('works for agents of the older loop', async () => {
    const agent = await t.newAgent({
      agent_type: 'memgpt_v2_agent',
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
      initial_message_sequence: [],
    })
    const asked = await t.turn(agent.id, [calls(INSERT('call-1'))])
    assert.equal(asked.stop_reason, 'requires_approval')
    const done = await t.turn(agent.id, [calls(call('send_message', { message: 'done' }, 0, 'call-2'))], {
      messages: [approval(yes('call-1'))],
    })
    assert.deepEqual([done.status, done.messages.length > 0], ['completed', true])
    const [block] = await t.store.blocks.list(actor, {}, { limit: 1, order: 'asc' })
    assert.equal(block?.value, 'a\ncall-1')
  })
})
