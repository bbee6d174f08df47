import assert from 'node:assert/strict'
import { answerChat, type ChatOutput } from '../../extension/host/models/agent-chat.ts'
import { createChatIndex } from '../../extension/host/models/chat-index.ts'
import {
  newInput,
  ownWords,
  type ChatMessage,
  type ChatPart,
} from '../../extension/host/models/chat-input.ts'
import { connect, type LociClient } from '../../shared/client/http.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'

const message = (role: ChatMessage['role'], ...parts: (string | ChatPart)[]): ChatMessage => ({
  role,
  parts: parts.map((part) => (typeof part === 'string' ? { type: 'text', text: part } : part)),
})
const user = (...parts: (string | ChatPart)[]) => message('user', ...parts)
const agent = (...parts: (string | ChatPart)[]) => message('assistant', ...parts)
const READ = { name: 'read_file', description: 'Reads a file', parameters: { type: 'object' } }

describe('an agent in the chat of the editor', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let client: LociClient
  let agent_id: string
  let chats: ReturnType<typeof createChatIndex>
  beforeEach(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    client = connect({ url: loci.url })
    agent_id = (await loci.letta.agents.create({ name: 'Scout', model: SCRIPTED })).id
    const kept = new Map<string, unknown>()
    chats = createChatIndex({
      get: <T>(key: string, otherwise?: T) => (kept.get(key) as T | undefined) ?? (otherwise as T),
      update: (key: string, value: unknown) => Promise.resolve(void kept.set(key, value)),
    })
  })
  afterEach(async () => {
    await client.close()
    await loci.close()
    await model.close()
    assert.deepEqual(loci.failures, [])
    await model.done()
  })

  const ask = async (
    messages: ChatMessage[],
    tools = [READ].slice(0, 0),
    signal = new AbortController().signal,
  ) => {
    const out: ChatOutput[] = []
    for await (const part of answerChat(client, { agent_id, messages, tools }, chats, signal)) out.push(part)
    const text = out.map((part) => (part.type === 'text' ? part.text : '')).join('')
    return { text, calls: out.filter((part) => part.type === 'tool_call') }
  }
  /** What the model was told by users in its last request. */
  const told = () =>
    (model.requests.at(-1)?.body.messages ?? [])
      .filter(({ role }) => role === 'user')
      .map(({ content }) =>
        typeof content === 'string'
          ? content
          : (content as { text?: string }[]).map(({ text }) => text).join('|'),
      )
  const conversations = async () => loci.letta.conversations.list({ agent_id })

  it('is told only what is new, in one conversation for each chat', async () => {
    model.add(
      { reply: { text: ['Hello', ' Ada'] } },
      { reply: { text: 'Yes.' } },
      { reply: { text: 'Other.' } },
    )
    const first = [message('system', 'You are an AI assistant.'), user('Hi')]
    assert.equal((await ask(first)).text, 'Hello Ada')
    const second = await ask([...first, agent('Hello Ada'), user('Still there?')])
    assert.equal(second.text, 'Yes.')
    assert.deepEqual(told(), ['Hi', 'Still there?'])
    assert.equal((await conversations()).length, 1)
    await ask([user('Another chat')])
    assert.deepEqual(told(), ['Another chat'])
    assert.equal((await conversations()).length, 2)
  })

  it('knows its chat again when the editor writes the history otherwise', async () => {
    model.add({ reply: { text: 'Fine.\n' } }, { reply: { text: 'Bye.' } })
    const wrapped = '<context>It is Monday.</context>\n<userRequest>How are you?</userRequest>'
    await ask([user(wrapped)])
    await ask([user('How are you?'), agent('Fine.'), user('<userRequest>Bye</userRequest>')])
    assert.deepEqual(told(), ['<context>It is Monday.</context>\nHow are you?', 'Bye'])
    assert.equal((await conversations()).length, 1)
  })

  it('is told once what was said before it came to a chat', async () => {
    model.add({ reply: { text: 'I see.' } }, { reply: { text: 'Blue.' } })
    const before = [user('My colour is blue'), agent('Noted by another model'), user('Do you see?')]
    await ask(before)
    const [text] = told()
    assert.match(
      text ?? '',
      /earlier_in_this_chat.*user: My colour is blue.*assistant: Noted by another model/s,
    )
    assert.match(text ?? '', /Do you see\?$/)
    await ask([...before, agent('I see.'), user('Which colour?')])
    assert.deepEqual(told().slice(1), ['Which colour?'])
  })

  it('uses its own tools, which the chat shows', async () => {
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }],
        },
      },
      { reply: { text: 'Nothing there.' } },
    )
    assert.match((await ask([user('Search')])).text, /\*Used `conversation_search`\*\s+Nothing there\.$/)
  })

  it('calls tools of the editor and goes on with their results', async () => {
    model.add(
      {
        reply: {
          text: 'Reading.',
          tool_calls: [{ name: 'read_file', id: 'call-1', arguments: { path: 'a' } }],
        },
      },
      { reply: { text: 'It says hello.' } },
      { reply: { text: 'Done.' } },
    )
    const { text, calls } = await ask([user('Read a')], [READ])
    assert.equal(text, 'Reading.')
    assert.deepEqual(calls, [{ type: 'tool_call', id: 'call-1', name: 'read_file', input: { path: 'a' } }])
    const then = [
      user('Read a'),
      agent('Reading.', { type: 'tool_call', id: 'call-1' }),
      user({ type: 'tool_result', id: 'call-1', text: 'hello' }),
    ]
    assert.equal((await ask(then, [READ])).text, 'It says hello.')
    const result = model.requests[1]?.body.messages.at(-1)
    assert.deepEqual([result?.role, JSON.stringify(result?.content).includes('hello')], ['tool', true])
    await ask([...then, agent('It says hello.'), user('Thanks')], [READ])
    assert.equal((await conversations()).length, 1)
  })

  it('goes on when the user says something else instead of letting the editor run its tool', async () => {
    model.add(
      { reply: { text: 'Reading.', tool_calls: [{ name: 'read_file', id: 'call-1', arguments: {} }] } },
      { reply: { text: 'All right.' } },
    )
    await ask([user('Read a')], [READ])
    const { text } = await ask([user('Read a'), agent('Reading.'), user('Leave it')], [READ])
    assert.match(text, /All right\.$/)
    assert.match(JSON.stringify(model.requests[1]?.body.messages), /Leave it/)
  })

  it('is never handed the tools through which it would ask itself', async () => {
    model.add({ reply: { text: 'Hi.' } })
    const own = ['loci_ask_agent', 'mcp_loci_agent_send_message'].map((name) => ({ ...READ, name }))
    await ask([user('Hi')], [READ, ...own])
    const names = model.requests[0]?.body.tools?.map((tool) => tool.function.name) ?? []
    assert.ok(names.includes('read_file'))
    assert.deepEqual(
      names.filter((name) => name.includes('loci')),
      [],
    )
  })

  it('waits for an approval, which the next words give or deny', async () => {
    const guarded = await loci.letta.agents.create({
      name: 'Guarded',
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'a' }],
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
    })
    agent_id = guarded.id
    const insert = (text: string) => ({
      reply: {
        text: 'May I?',
        tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: text } }],
      },
    })
    model.add(insert('one'), { reply: { text: 'Kept.' } }, insert('two'), { reply: { text: 'As you say.' } })
    const asked = await ask([user('Remember one')])
    assert.match(asked.text, /Waiting for your approval:.*`memory_insert`.*"one"/s)
    const history = [user('Remember one'), agent(asked.text)]
    assert.match((await ask([...history, user('approve')])).text, /Kept\.$/)
    history.push(user('approve'), agent('Kept.'))
    await ask([...history, user('Remember two')])
    history.push(user('Remember two'), agent('May I?'))
    assert.match((await ask([...history, user('No, that is wrong')])).text, /As you say\.$/)
    assert.match(JSON.stringify(model.requests.at(-1)?.body.messages), /No, that is wrong/)
    const { value } = await loci.letta.agents.blocks.retrieve('human', { agent_id })
    assert.match(value, /one/)
    assert.doesNotMatch(value, /two/)
  })

  it('stops on the server when the chat is stopped', async () => {
    model.add({ reply: { text: ['never '], hold: new Promise(() => undefined), hold_after: 2 } })
    const abort = new AbortController()
    const out: string[] = []
    const asking = (async () => {
      const request = { agent_id, messages: [user('Go on')], tools: [] }
      for await (const part of answerChat(client, request, chats, abort.signal)) {
        out.push(part.type)
        abort.abort()
      }
    })()
    await asking
    assert.deepEqual(out, ['text'])
    await eventually('the run is cancelled', async () => {
      const [run] = (await loci.letta.runs.list({ agent_id })).getPaginatedItems()
      return run?.status === 'cancelled' ? true : null
    })
  })

  it('begins anew when its conversation was deleted meanwhile', async () => {
    model.add({ reply: { text: 'One.' } }, { reply: { text: 'Two.' } })
    await ask([user('Hi')])
    const [conversation] = await conversations()
    await loci.letta.conversations.delete(conversation?.id ?? '')
    assert.equal((await ask([user('Hi'), agent('One.'), user('And?')])).text, 'Two.')
    assert.match(told()[0] ?? '', /earlier_in_this_chat.*One\./s)
  })

  it('sees images', async () => {
    model.add({ reply: { text: 'A dot.' } })
    await ask([
      user('What is it?', { type: 'image', media_type: 'image/png', bytes: Buffer.from(PNG, 'base64') }),
    ])
    assert.match(JSON.stringify(model.requests[0]?.body.messages), /data:image\/png;base64,/)
  })
})

describe('what is new in a request of the editor', () => {
  it('is the last message of the user, without what was said for other models', () => {
    const text = '<reminderInstructions>Be terse.</reminderInstructions>\n<userRequest>Hi</userRequest>'
    assert.equal(ownWords(text), 'Hi')
    const { parts } = newInput([user('workspace: /a'), user(text)])
    assert.deepEqual(parts, [{ type: 'text', text: 'Hi' }])
  })

  it('are results of tools, and the words that come after them', () => {
    const result = { type: 'tool_result', id: '1', text: 'ok' } as const
    assert.deepEqual(newInput([user('a'), agent('b'), user(result)]), {
      parts: [],
      results: [{ id: '1', text: 'ok' }],
    })
    assert.deepEqual(newInput([user('a'), agent('b'), user(result), user('c')]), {
      parts: [{ type: 'text', text: 'c' }],
      results: [{ id: '1', text: 'ok' }],
    })
  })
})

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
