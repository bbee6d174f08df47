import assert from 'node:assert/strict'
import type { ModelMessage, ModelRequest } from '../../shared/core/ports/models.ts'
import { createDemoModel } from '../../shared/models/demo.ts'
import { collect, failureOf, request, userSays } from '../support/model-fixtures.ts'

const TOOLS = ['memory_insert', 'memory_replace', 'conversation_search'].map((name) => ({
  name,
  description: '',
  parameters: { type: 'object' as const, properties: {}, required: [] },
}))

/** A prompt as an agent's: the block `human` holds this; with null there is none. */
function system(human: string | null): ModelMessage {
  const block = (label: string, value: string) =>
    `<${label}>\n<description>\nAbout.\n</description>\n<metadata>\n- chars_current=${value.length}\n- chars_limit=100000\n</metadata>\n<value>\n${value}\n</value>\n</${label}>`
  const blocks = [block('persona', 'I help.'), ...(human === null ? [] : [block('human', human)])]
  const text = `You are an agent. <human> is a tag.\n\n<memory_blocks>\nThe following memory blocks are engaged.\n\n${blocks.join('\n\n')}\n\n</memory_blocks>\n\n<memory_metadata>\n- AGENT_ID: agent-1\n</memory_metadata>`
  return { role: 'system', text }
}

/** One model call; `after` is what the turn did since the user spoke. */
function ask(
  human: string | null,
  said: string,
  after: ModelMessage[] = [],
  more: Partial<ModelRequest> = {},
) {
  return collect(
    createDemoModel(),
    request([system(human), userSays(said), ...after], { tools: TOOLS, ...more }),
  )
}

async function callOf(human: string | null, said: string, after: ModelMessage[] = []) {
  const { calls, finish } = await ask(human, said, after)
  assert.equal(finish?.reason, 'tool_calls')
  assert.equal(calls.length, 1)
  const { name, arguments: text } = calls[0]!
  return [name, JSON.parse(text)]
}

function did(name: string, args: unknown, result: string): ModelMessage[] {
  return [
    { role: 'assistant', content: [], tool_calls: [{ id: 'c', name, arguments: JSON.stringify(args) }] },
    { role: 'tool', tool_call_id: 'c', name, content: result },
  ]
}
const insert = (new_string: string) => ['memory_insert', { label: 'human', new_string, insert_line: -1 }]

describe('loci/demo', () => {
  it('writes facts about the user into the human block, then says what it noted', async () => {
    const said = 'My name is Ada and I live in London.'
    const [name, args] = await callOf('', said)
    assert.deepEqual([name, args], insert('Name: Ada\nLives in: London'))
    const done = did(name, args, '{"status": "OK", "message": "The block now reads …", "time": "now"}')
    const { text, finish } = await ask('', said, done)
    assert.equal(text, 'Noted in my memory: Name: Ada; Lives in: London.')
    assert.equal(finish?.reason, 'stop')
  })

  const told: [string, string][] = [
    ['call me Grace', 'Name: Grace'],
    ['Hi, I’m Ada Lovelace, nice to meet you', 'Name: Ada Lovelace'],
    [
      'I am a nurse. I work at Mercy Hospital, and I like tea!',
      'Is: a nurse\nWorks at: Mercy Hospital\nLikes: tea',
    ],
    ['please remember that the deploy is on Friday.', 'Note: the deploy is on Friday'],
    ['I live in São Paulo, but I moved to 東京', 'Lives in: São Paulo\nLives in: 東京'],
    ['{"type": "user_message", "message": "My name is Ada", "time": "now"}', 'Name: Ada'],
  ]
  for (const [said, line] of told) {
    it(`notes from: ${said}`, async () => assert.deepEqual(await callOf('', said), insert(line)))
  }

  it('replaces a fact that changed, before it adds new ones', async () => {
    const said = 'Call me Grace. I like tea.'
    const [name, args] = await callOf('Name: Ada\nLives in: London', said)
    assert.deepEqual(
      [name, args],
      ['memory_replace', { label: 'human', old_string: 'Name: Ada', new_string: 'Name: Grace' }],
    )
    const done = did(name, args, 'OK')
    assert.deepEqual(await callOf('Name: Ada\nLives in: London', said, done), insert('Likes: tea'))
  })

  it('does not write what it knows', async () => {
    assert.equal((await ask('Name: Ada', 'My name is Ada')).text, 'I know that already: Name: Ada.')
  })

  const asked: [string, string][] = [
    ['What is my name?', 'From my memory: Name: Ada.'],
    ["what's the user's name?", 'From my memory: Name: Ada.'],
    ['Where do I live?', 'From my memory: Lives in: London.'],
    ['where does the user live?', 'From my memory: Lives in: London.'],
    ['who am I?', 'My memory says about you:\nName: Ada\nLives in: London'],
    ['Who is the user?', 'My memory says about you:\nName: Ada\nLives in: London'],
    ['What do you know about me?', 'My memory says about you:\nName: Ada\nLives in: London'],
    ['Where do I work?', 'My memory says about you:\nName: Ada\nLives in: London'],
  ]
  for (const [said, answer] of asked) {
    it(`answers from memory: ${said}`, async () => {
      assert.equal((await ask('Name: Ada\nLives in: London', said)).text, answer)
    })
  }

  it('reads a block with line numbers', async () => {
    assert.equal(
      (await ask('1→ Name: Ada\n2→ Likes: tea', 'What do I like?')).text,
      'From my memory: Likes: tea.',
    )
  })

  it('says when it knows nothing', async () => {
    assert.match((await ask('', 'Who am I?')).text, /^I know nothing about you yet/)
  })

  const searched: [string, string][] = [
    ['Search for "London bridges".', 'London bridges'],
    ['search our conversation about tea', 'tea'],
    ['What did I say about cats?', 'cats'],
    ['do you remember when we met?', 'we met'],
    ['Did I ever mention Paris?', 'Paris'],
  ]
  for (const [said, query] of searched) {
    it(`searches history: ${said}`, async () => {
      assert.deepEqual(await callOf('', said), ['conversation_search', { query }])
    })
  }

  it('tells what it found, and when there was nothing', async () => {
    const said = 'What did I say about cats?'
    const result = (results: unknown[]) =>
      JSON.stringify({ status: 'OK', message: JSON.stringify({ message: 'Showing.', results }), time: 'now' })
    const hit = { timestamp: '2026-01-02T03:04:05Z', role: 'user', content: 'I have two cats.' }
    const args = { query: 'cats' }
    const { text } = await ask('', said, did('conversation_search', args, result([hit])))
    assert.equal(
      text,
      'I searched our conversation for "cats" and found:\n- user, 2026-01-02T03:04:05Z: I have two cats.',
    )
    const none = await ask('', said, did('conversation_search', args, result([])))
    assert.equal(none.text, 'I searched our conversation for "cats" and found nothing.')
  })

  it('says so when a tool or the block is missing, and when a tool fails', async () => {
    const tell = 'My name is Ada'
    const none = await ask('', tell, [], { tools: [] })
    assert.equal(none.text, "I cannot keep that (Name: Ada): this agent has no tool 'memory_insert'.")
    const forbidden = await ask('', tell, [], { tool_choice: 'none' })
    assert.equal(forbidden.calls.length, 0)
    assert.match((await ask('', 'Search for tea', [], { tools: [] })).text, /no tool 'conversation_search'/)
    assert.match((await ask(null, tell)).text, /I have no memory block 'human'/)
    assert.match((await ask(null, 'Who am I?')).text, /no memory block 'human'/)
    const failed = did(
      'memory_insert',
      insert('Name: Ada')[1],
      '{"status": "Failed", "message": "read-only", "time": "now"}',
    )
    assert.equal((await ask('', tell, failed)).text, 'That did not work. The tool answered: read-only')
  })

  it('says that it is a script, what it can do and how to get a model', async () => {
    for (const said of ['What are you?', 'hello', '', 'x'.repeat(200_000)]) {
      const { text } = await ask('Name: Ada', said)
      assert.match(text, /a script and not a language model/)
      assert.match(text, /Ollama.*OPENAI_API_KEY/)
    }
  })

  it('answers through send_message where the agent must use a tool', async () => {
    const tools = [{ ...TOOLS[0]!, name: 'send_message' }]
    const { calls } = await ask('Name: Ada', 'What is my name?', [], { tools, tool_choice: 'required' })
    assert.deepEqual(
      calls.map((call) => [call.name, call.arguments]),
      [['send_message', '{"message":"From my memory: Name: Ada."}']],
    )
  })

  it('streams in pieces, gives equal answers to equal requests, and counts', async () => {
    const one = await ask('', 'hello')
    assert.deepEqual(await ask('', 'hello'), one)
    assert.ok(one.events.length > 20)
    const usage = one.finish?.usage
    assert.ok(usage && usage.prompt_tokens > 50 && usage.completion_tokens > 50)
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    const whole = await collect(createDemoModel(), request([system(''), userSays('hello')]), {
      stream: false,
    })
    assert.deepEqual([whole.events.length, whole.text], [2, one.text])
  })

  it('stops when it is cancelled', async () => {
    const asked = collect(createDemoModel(), request('hello'), { signal: AbortSignal.abort() })
    assert.equal((await failureOf(asked)).code, 'cancelled')
  })
})
