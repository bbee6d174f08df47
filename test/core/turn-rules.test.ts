import assert from 'node:assert/strict'
import type { ToolRule } from '../../shared/schema/tool.ts'
import {
  actor,
  call,
  calls,
  finish,
  openTurnTest,
  says,
  SEARCH,
  text,
  type TurnTest,
} from '../support/turn-test.ts'

const INSERT = call('memory_insert', { label: 'human', new_string: 'b' })
const REPLACE = call('memory_replace', { label: 'human', old_string: 'a', new_string: 'c' })

describe('a turn with tool rules', () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => t.close())

  const withRules = (...tool_rules: ToolRule[]) => t.newAgent({ tool_rules })
  const choices = () => t.requests.map((request) => request.tool_choice)
  const shown = () => t.requests.map((request) => request.tools.map((tool) => tool.name))
  const ALL = ['conversation_search', 'memory_replace', 'memory_insert']

  it('forces the one tool that is to run first by its name, and several by asking for any call', async () => {
    const one = await withRules({ type: 'run_first', tool_name: 'conversation_search' })
    await t.turn(one.id, [calls(SEARCH), says('ok')])
    assert.deepEqual(choices(), [{ name: 'conversation_search' }, 'auto'])
    t.requests.length = 0
    const two = await withRules(
      { type: 'run_first', tool_name: 'conversation_search' },
      { type: 'run_first', tool_name: 'memory_insert' },
    )
    await t.turn(two.id, [calls(INSERT), says('ok')])
    assert.deepEqual(choices(), ['required', 'auto'])
    await t.turn(two.id, [calls(INSERT), says('ok')])
    assert.deepEqual(choices().slice(2), ['required', 'auto'], 'each turn begins anew')
  })

  it('keeps prompt and tools byte-identical whatever the rules force', async () => {
    const agent = await withRules(
      { type: 'run_first', tool_name: 'conversation_search' },
      { type: 'constrain_child_tools', tool_name: 'conversation_search', children: ['memory_insert'] },
      { type: 'max_count_per_step', tool_name: 'memory_insert', max_count_limit: 1 },
    )
    const result = await t.turn(agent.id, [calls(SEARCH), calls(INSERT), says('ok')])
    assert.equal(result.stop_reason, 'end_turn')
    assert.deepEqual(choices(), [{ name: 'conversation_search' }, { name: 'memory_insert' }, 'auto'])
    const [first, second, third] = t.requests.map((request) => ({
      tools: JSON.stringify(request.tools),
      messages: request.messages.map((message) => JSON.stringify(message)),
    }))
    for (const [before, now] of [
      [first, second],
      [second, third],
    ]) {
      assert.equal(now?.tools, before?.tools)
      assert.deepEqual(now?.messages.slice(0, before?.messages.length), before?.messages)
    }
    await t.closed(agent.id, result)
  })

  it('refuses a call that breaks a rule, says why, and then shows only what may be called', async () => {
    const agent = await withRules({
      type: 'constrain_child_tools',
      tool_name: 'conversation_search',
      children: ['memory_insert'],
    })
    const result = await t.turn(agent.id, [calls(SEARCH), calls(REPLACE), calls(INSERT), says('ok')])
    const [, refused] = result.messages.flatMap((message) => message.tool_returns)
    assert.equal(refused?.status, 'error')
    assert.match(
      JSON.stringify(refused?.func_response),
      /memory_replace cannot be called now; call one of: memory_insert\..*After using conversation_search/,
    )
    assert.deepEqual(choices(), ['auto', { name: 'memory_insert' }, { name: 'memory_insert' }, 'auto'])
    assert.deepEqual(shown(), [ALL, ALL, ['memory_insert'], ALL])
    const [block] = await t.store.blocks.list(actor, {}, { limit: 1, order: 'asc' })
    assert.equal(block?.value, 'a\nb', 'the refused call changed nothing')
    await t.closed(agent.id, result)
  })

  it('lets the model speak when it has used up every tool', async () => {
    const agent = await t.newAgent({
      include_base_tools: false,
      tools: ['conversation_search'],
      tool_rules: [{ type: 'max_count_per_step', tool_name: 'conversation_search', max_count_limit: 1 }],
    })
    const result = await t.turn(agent.id, [calls(SEARCH), calls(SEARCH), says('ok')])
    assert.deepEqual(choices(), ['auto', 'none', 'none'])
    assert.deepEqual(
      result.messages.flatMap((message) => message.tool_returns.map((r) => r.status)),
      ['success', 'error'],
    )
    assert.equal(result.stop_reason, 'end_turn')
  })

  it('runs one call at a time, whatever the agent is set to', async () => {
    const agent = await t.newAgent({
      parallel_tool_calls: true,
      tool_rules: [{ type: 'continue_loop', tool_name: 'memory_insert' }],
    })
    const result = await t.turn(agent.id, [
      calls(SEARCH, call('memory_insert', { label: 'human', new_string: 'b' }, 1)),
      says('ok'),
    ])
    assert.equal(t.requests[0]?.parallel_tool_calls, false)
    assert.equal(result.messages[0]?.tool_calls.length, 1)
  })

  it('streams only the call that it will run', async () => {
    const agent = await t.newAgent({ parallel_tool_calls: false })
    const events = await t.events(agent.id, [
      calls(SEARCH, call('memory_insert', { label: 'human', new_string: 'b' }, 1)),
      says('ok'),
    ])
    const ids = events.flatMap((event) => (event.type === 'tool_call_delta' ? [event.tool_call_id] : []))
    assert.deepEqual(ids, ['call-0'])
  })

  it('ends with tool_rule after a tool that ends the turn', async () => {
    const agent = await withRules({ type: 'exit_loop', tool_name: 'memory_insert' })
    const result = await t.turn(agent.id, [calls(INSERT)])
    assert.deepEqual([result.status, result.stop_reason], ['completed', 'tool_rule'])
    await t.closed(agent.id, result)
  })

  it('gives arguments that win over those of the model', async () => {
    const agent = await withRules({
      type: 'run_first',
      tool_name: 'memory_insert',
      args: { new_string: 'from the rule' },
    })
    await t.turn(agent.id, [calls(INSERT), says('ok')])
    const [block] = await t.store.blocks.list(actor, {}, { limit: 1, order: 'asc' })
    assert.equal(block?.value, 'a\nfrom the rule')
  })

  it('fails with invalid_tool_call when a rule gives arguments that the tool does not take', async () => {
    const agent = await withRules({ type: 'run_first', tool_name: 'memory_insert', args: { nonsense: 1 } })
    const result = await t.turn(agent.id, [calls(INSERT)])
    assert.deepEqual([result.status, result.stop_reason], ['failed', 'invalid_tool_call'])
    assert.match(
      JSON.stringify(result.messages[1]?.tool_returns[0]?.func_response),
      /'nonsense' is no parameter of memory_insert/,
    )
  })

  describe('that require a tool before the end', () => {
    const required: ToolRule = { type: 'required_before_exit', tool_name: 'memory_insert' }

    it('asks for it by a heartbeat, which is kept in history and not in the answer', async () => {
      const agent = await withRules(required)
      const result = await t.turn(agent.id, [says('done'), calls(INSERT), says('now done')])
      assert.equal(result.stop_reason, 'end_turn')
      assert.deepEqual(
        result.messages.map((message) => message.role),
        ['assistant', 'assistant', 'tool', 'assistant'],
      )
      const [, , , beat] = await t.stored(agent.id)
      assert.equal(beat?.role, 'user')
      const packed = JSON.parse(beat?.content[0]?.type === 'text' ? beat.content[0].text : '') as {
        type: string
        reason: string
      }
      assert.equal(packed.type, 'heartbeat')
      assert.match(packed.reason, /memory_insert/)
      const asked = t.requests[1]?.messages.at(-1)
      assert.equal(asked?.role, 'user', 'the model was shown it')
    })

    it('asks for it also after a tool that would end the turn, and after silence', async () => {
      const agent = await withRules(required, { type: 'exit_loop', tool_name: 'conversation_search' })
      const result = await t.turn(agent.id, [calls(SEARCH), [finish()], calls(INSERT), calls(SEARCH)])
      assert.deepEqual([result.stop_reason, result.usage.step_count], ['tool_rule', 4])
    })

    it('gives up with max_steps', async () => {
      const agent = await withRules(required)
      const result = await t.turn(agent.id, [says('a'), says('b'), says('c')], { max_steps: 3 })
      assert.equal(result.stop_reason, 'max_steps')
      assert.equal((await t.stored(agent.id)).at(-1)?.role, 'assistant', 'no heartbeat that nobody answers')
    })
  })

  it('goes on forcing the same tool after a name or arguments that mean nothing', async () => {
    const agent = await withRules({ type: 'run_first', tool_name: 'conversation_search' })
    const result = await t.turn(agent.id, [
      calls(call('no_such_tool', {})),
      calls(call('conversation_search', '{"query": "x')),
      calls(SEARCH),
      says('ok'),
    ])
    const forced = { name: 'conversation_search' }
    assert.deepEqual(choices(), [forced, forced, forced, 'auto'])
    assert.deepEqual(
      result.messages.flatMap((message) => message.tool_returns.map((r) => r.status)),
      ['error', 'error', 'success'],
    )
    await t.closed(agent.id, result)
  })

  it('takes an answer in words from a model that ignores that it must call', async () => {
    const agent = await withRules({ type: 'run_first', tool_name: 'conversation_search' })
    const result = await t.turn(agent.id, [[text('no'), finish()]])
    assert.equal(result.stop_reason, 'end_turn')
    await t.closed(agent.id, result)
  })
})
