import assert from 'node:assert/strict'
import type { AgentEvent } from '../../shared/core/events.ts'
import type { Answer } from '../../shared/core/turn/answer.ts'
import {
  asksForStep,
  olderSchema,
  withoutThought,
  withThought,
} from '../../shared/core/turn/inner-thoughts.ts'
import { MemgptLoop } from '../../shared/core/turn/memgpt-loop.ts'
import type { OpenStep } from '../../shared/core/turn/records.ts'
import { StepClock } from '../../shared/core/turn/step-clock.ts'
import type { ExecutedCall } from '../../shared/core/turn/tool-calls.ts'
import { ToolRules } from '../../shared/core/turn/tool-rules.ts'
import type { ToolRule, ToolSchema } from '../../shared/schema/tool.ts'

const schemaOf = (name: string, ...parameters: string[]): ToolSchema => ({
  name,
  description: name,
  parameters: {
    type: 'object',
    properties: Object.fromEntries(parameters.map((parameter) => [parameter, { type: 'string' }])),
    required: parameters,
  },
})
const SCHEMAS = [schemaOf('send_message', 'message'), schemaOf('look', 'at'), schemaOf('note', 'thinking')]
const EXIT: ToolRule = { type: 'exit_loop', tool_name: 'send_message' }

function loopWith(rules: ToolRule[] = [EXIT], { schemas = SCHEMAS, thinks = true } = {}) {
  const names = schemas.map((schema) => schema.name)
  const tools = {
    schemas,
    client: new Set<string>(),
    guarded: new Map<string, string>(),
    rules: new ToolRules(rules, names),
  }
  const now = () => ({ date: new Date('2026-01-31T10:00:00Z'), timezone: 'Europe/London' })
  return { loop: new MemgptLoop(tools, { thinks, now }), tools }
}

const callOf = (name: string, args: string, id = 'c') => ({
  id,
  type: 'function' as const,
  function: { name, arguments: args },
})
const executed = (
  name: string,
  args: object,
  more: { outcome?: ExecutedCall['outcome']; status?: 'success' | 'error' } = {},
): ExecutedCall => ({
  call: callOf(name, JSON.stringify(args)),
  result: { tool_call_id: 'c', name, status: more.status ?? 'success', func_response: 'ok' },
  outcome: more.outcome ?? 'made',
  touched_memory: false,
  passages: [],
})
const answerOf = (text: string, calls: ReturnType<typeof callOf>[], more: Partial<Answer> = {}): Answer => ({
  content: text === '' ? [] : [{ type: 'text', text }],
  text,
  tool_calls: calls,
  finish_reason: 'stop',
  usage: null,
  logprobs: null,
  ...more,
})

describe('the older loop', () => {
  it('offers every tool with a thought, and those that do not end the turn with a heartbeat', () => {
    const { tools, tool_choice, parallel_tool_calls } = loopWith().loop.offer()
    assert.deepEqual(
      tools.map((tool) => [tool.name, Object.keys(tool.parameters.properties), tool.parameters.required]),
      [
        ['send_message', ['thinking', 'message'], ['thinking', 'message']],
        ['look', ['thinking', 'at', 'request_heartbeat'], ['thinking', 'at', 'request_heartbeat']],
        ['note', ['thinking', 'request_heartbeat'], ['thinking', 'request_heartbeat']],
      ],
      'an argument of that name which a tool has for itself stays its own',
    )
    assert.deepEqual([tool_choice, parallel_tool_calls], ['required', false])
    assert.deepEqual(
      loopWith([EXIT], { thinks: false }).loop.offer().tools[0],
      olderSchema(SCHEMAS[0]!, { thinks: false, ends: true }),
    )
    assert.deepEqual(Object.keys(SCHEMAS[1]!.parameters.properties), ['at'], 'the schemas themselves stay')
  })

  it('forces a call as long as there is a tool to speak or to end with, and the only one by its name', () => {
    const choice = (rules: ToolRule[], names: string[]) =>
      loopWith(rules, { schemas: names.map((name) => schemaOf(name)) }).loop.offer().tool_choice
    assert.equal(choice([], ['send_message', 'look']), 'required')
    assert.deepEqual(choice([], ['send_message']), { name: 'send_message' })
    assert.equal(choice([{ type: 'exit_loop', tool_name: 'done' }], ['done', 'look']), 'required')
    assert.equal(choice([], ['look']), 'auto')
    assert.equal(choice([], []), 'auto')
    assert.deepEqual(choice([{ type: 'run_first', tool_name: 'look' }], ['look', 'note']), { name: 'look' })
  })

  it('reads text beside a call and the thought in its arguments as one thought of its own', () => {
    const { loop } = loopWith()
    const native = { type: 'reasoning' as const, is_native: true, reasoning: 'deep', signature: 's' }
    const read = loop.read(
      answerOf(' Well. ', [callOf('look', '{"thinking":"There?","at":"it"}'), callOf('look', '{}', 'd')], {
        content: [native, { type: 'text', text: ' Well. ' }],
      }),
    )
    assert.deepEqual(read.content, [
      native,
      { type: 'reasoning', is_native: false, reasoning: 'Well.\n\nThere?' },
    ])
    assert.deepEqual(read.tool_calls, [callOf('look', '{"at":"it"}')])
    assert.equal(read.text, '')
    assert.deepEqual(loop.read(answerOf('Plain.', [])), answerOf('Plain.', []), 'plain words are said')
    const own = callOf('note', '{"thinking":"mine"}')
    assert.deepEqual(loop.read(answerOf('', [own])).tool_calls, [own])
  })

  it('goes on or ends as the call, its outcome and the rules say', () => {
    const { loop } = loopWith([
      EXIT,
      { type: 'continue_loop', tool_name: 'note' },
      { type: 'exit_loop', tool_name: 'done' },
    ])
    const after = (...args: Parameters<typeof executed>) => {
      const next = loop.afterCalls([executed(...args)])
      return next.stop ?? (JSON.parse(next.say ?? '{}') as { reason: string }).reason
    }
    assert.equal(after('send_message', { message: 'hi' }), 'end_turn')
    assert.equal(after('send_message', { message: 'hi', request_heartbeat: true }), 'tool_rule')
    assert.equal(after('look', { request_heartbeat: false }), 'end_turn')
    assert.equal(after('look', {}), 'end_turn')
    assert.match(after('look', { request_heartbeat: true }), /look has returned/)
    assert.match(after('look', { request_heartbeat: 'True' }), /look has returned/)
    assert.match(after('note', { request_heartbeat: false }), /rule/)
    assert.match(after('look', {}, { outcome: 'refused' }), /rule/)
    assert.match(after('look', {}, { outcome: 'denied' }), /denied/)
    assert.match(after('send_message', {}, { status: 'error' }), /failed/)
    assert.equal(after('look', {}, { outcome: 'unusable' }), 'invalid_tool_call')
    assert.equal(loop.afterCalls([]).stop, 'no_tool_call')
  })

  it('says a heartbeat as JSON with the local time', () => {
    const next = loopWith().loop.afterCalls([executed('look', { request_heartbeat: true })])
    assert.ok(next.stop === null)
    assert.deepEqual(JSON.parse(next.say ?? ''), {
      type: 'heartbeat',
      reason: 'look has returned, as you asked to be told.',
      time: '2026-01-31 10:00:00 AM UTC+0000',
    })
  })

  it('ends with words, but not with nothing, cut off, or before a required tool', () => {
    const { loop } = loopWith()
    assert.deepEqual(loop.afterText(answerOf('Hello.', [])), { stop: 'end_turn' })
    assert.deepEqual(loop.afterText(answerOf('', [])), { stop: 'no_tool_call' })
    assert.deepEqual(loop.afterText(answerOf('Hel', [], { finish_reason: 'length' })), {
      stop: 'max_tokens_exceeded',
    })
    const required = loopWith([EXIT, { type: 'required_before_exit', tool_name: 'look' }]).loop
    for (const next of [
      required.afterText(answerOf('Hello.', [])),
      required.afterCalls([executed('send_message', { message: 'hi' })]),
    ])
      assert.match((next.stop === null && next.say) || '', /heartbeat.*look/)
    assert.deepEqual(required.afterCalls([executed('look', {})]), { stop: 'end_turn' })
  })

  it('shows a model that broke a rule only what it may call', () => {
    const { loop, tools } = loopWith([
      EXIT,
      { type: 'constrain_child_tools', tool_name: 'look', children: ['note'] },
    ])
    tools.rules.record({ name: 'look', text: 'ok' })
    assert.equal(loop.offer().tools.length, 3)
    loop.afterCalls([executed('send_message', {}, { outcome: 'refused' })])
    assert.deepEqual(
      loop.offer().tools.map((tool) => tool.name),
      ['note'],
    )
  })
})

describe('deltas of the older loop', () => {
  const place = { step_id: 'step-1', message_id: 'message-1' }
  const textDelta = (text: string): AgentEvent => ({ type: 'text_delta', ...place, text })
  const callDelta = (text: string, name: string | null = null, id = 'c'): AgentEvent => ({
    type: 'tool_call_delta',
    ...place,
    tool_call_id: id,
    name,
    arguments: text,
    waits: false,
  })

  /** The answer sent as deltas and read by the loop: what is streamed, what is stored, what was heard so far. */
  function follow(deltas: AgentEvent[], loop = loopWith().loop) {
    const step: OpenStep = {
      id: 'step-1',
      message_id: 'message-1',
      clock: new StepClock({ now: () => new Date(), monotonic: () => 0 }),
      partial: { text: '' },
    }
    const filter = loop.deltas(step)
    const heard: string[] = []
    const events = deltas.flatMap((event) => {
      if (event.type === 'text_delta') step.partial.text += event.text
      const passed = filter.pass(event)
      heard.push(step.partial.text)
      return passed
    })
    events.push(...filter.end())
    const words = (type: AgentEvent['type']) =>
      events.flatMap((e) => (e.type === type && 'text' in e ? [e.text] : [])).join('')
    const calls = events.filter((e) => e.type === 'tool_call_delta')
    return {
      kinds: events.map((event) => event.type),
      said: words('text_delta'),
      thought: words('reasoning_delta'),
      args: calls.map((e) => e.arguments).join(''),
      names: calls.map((e) => e.name),
      heard,
    }
  }

  it('add up to what is stored, in whatever pieces they come', () => {
    const args = '{"thinking":"Where \\"is\\" 😀?","message":"Hello\\nAda 😀","x":{"thinking":"no"}}'
    for (let size = 1; size <= args.length; size++) {
      const pieces = args.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
      const streamed = follow([
        textDelta('Let me '),
        textDelta('see.'),
        callDelta('', 'send_message'),
        ...pieces.map((piece) => callDelta(piece)),
      ])
      const stored = loopWith().loop.read(answerOf('Let me see.', [callOf('send_message', args)]))
      const [thought] = stored.content
      assert.ok(thought?.type === 'reasoning')
      assert.equal(streamed.thought, thought.reasoning)
      assert.equal(streamed.args, stored.tool_calls[0]?.function.arguments)
      assert.deepEqual(
        streamed.names.filter((name) => name !== null),
        ['send_message'],
      )
      assert.equal(
        streamed.kinds.indexOf('tool_call_delta') > streamed.kinds.indexOf('reasoning_delta'),
        true,
      )
      assert.equal(streamed.heard.at(-1), 'Hello\nAda 😀', 'the partial text is what was said')
    }
  })

  it('hold text back until a call follows it or the answer is over', () => {
    const { kinds, said } = follow([textDelta('Plain '), textDelta('words.')])
    assert.deepEqual(kinds, ['text_delta'])
    assert.equal(said, 'Plain words.')
    const { heard, thought } = follow([
      textDelta('Hm.'),
      callDelta('{"at":"it"}', 'look'),
      textDelta(' And.'),
    ])
    assert.equal(thought, 'Hm. And.')
    assert.deepEqual(heard, ['Hm.', '', ''])
  })

  it('pass text on as it comes when the agent may answer in words', () => {
    const loop = loopWith([], { schemas: [schemaOf('look', 'at')] }).loop
    const { kinds } = follow([textDelta('Plain '), textDelta('words.')], loop)
    assert.deepEqual(kinds, ['text_delta', 'text_delta'])
  })

  it('keep to the first call, and never fail on half a JSON', () => {
    const two = follow([callDelta('{"at":', 'look'), callDelta('{}', 'send_message', 'd'), callDelta('1}')])
    assert.deepEqual([two.args, two.names.filter((name) => name !== null)], ['{"at":1}', ['look']])
    for (const text of ['', '{', '{"thinking":"a', 'nonsense', '{"message":"x\\', '[]', '{"thinking":}'])
      for (const name of ['send_message', 'look', '', 'unknown']) {
        const streamed = follow([callDelta(text, name)])
        const [stored] = loopWith().loop.read(answerOf('', [callOf(name, text)])).tool_calls
        assert.equal(streamed.args, stored?.function.arguments, text)
        assert.deepEqual(streamed.names, [name], 'the call is always named')
      }
  })
})

describe('thoughts in arguments', () => {
  it('are taken out and put back in front', () => {
    const given = '{"thinking":"a \\"b\\"","at":"it","request_heartbeat":true}'
    const { rest, thought } = withoutThought(given)
    assert.deepEqual([rest, thought], ['{"at":"it","request_heartbeat":true}', 'a "b"'])
    assert.equal(withThought(rest, thought), given)
    assert.deepEqual(JSON.parse(withThought('{}', 'x')), { thinking: 'x' })
    assert.deepEqual(JSON.parse(withThought(' { "a" : 1 }', 'x')), { thinking: 'x', a: 1 })
    for (const text of ['', 'nonsense', '[1]']) assert.equal(withThought(text, 'x'), text)
    assert.equal(withThought('{}', ''), '{}')
  })

  it('say whether another step is asked for', () => {
    const asked = [
      '{"request_heartbeat":true}',
      '{"request_heartbeat":" True "}',
      '{"request_heartbeat":false}',
    ]
    assert.deepEqual(asked.map(asksForStep), [true, true, false])
    for (const text of [
      '',
      '{}',
      'null',
      '[]',
      '1',
      '{',
      '{"request_heartbeat":1}',
      '{"request_heartbeat":null}',
    ])
      assert.equal(asksForStep(text), null, text)
  })
})
