import assert from 'node:assert/strict'
import { createAgentChoice } from '../../extension/host/models/agent-choice.ts'
import {
  followupsOf,
  respond,
  type ParticipantRequest,
  type ParticipantResult,
} from '../../extension/host/models/participant-chat.ts'
import { connect, type LociClient } from '../../shared/client/http.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'

describe('@loci in the chat of the editor', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let client: LociClient
  let shown: { markdown: string; progress: string[]; buttons: string[] }
  let history: ParticipantResult[]
  let answer: Awaited<ReturnType<typeof respond>>
  const kept = new Map<string, unknown>()
  const choice = createAgentChoice({
    get: <T>(key: string, otherwise?: T) => (kept.get(key) as T | undefined) ?? (otherwise as T),
    update: (key: string, value: unknown) => Promise.resolve(void kept.set(key, value)),
  })
  beforeEach(async () => {
    kept.clear()
    history = []
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    client = connect({ url: loci.url })
  })
  afterEach(async () => {
    await client.close()
    await loci.close()
    await model.close()
    assert.deepEqual(loci.failures, [])
    await model.done()
  })

  const newAgent = (name: string, more: object = {}) =>
    loci.letta.agents.create({ name, model: SCRIPTED, ...more })
  const say = async (
    prompt: string,
    more: Partial<ParticipantRequest> = {},
    signal = new AbortController().signal,
  ) => {
    shown = { markdown: '', progress: [], buttons: [] }
    const stream = {
      markdown: (text: string) => void (shown.markdown += text),
      progress: (text: string) => void shown.progress.push(text),
      button: (_title: string, command: string) => void shown.buttons.push(command),
    }
    const request = { prompt, command: undefined, references: [], history, ...more }
    answer = await respond(client, request, stream, choice, signal)
    const result = answer && 'agent_id' in answer ? answer : null
    if (result) history.push(result)
    return result
  }

  it('offers to make an agent when there is none', async () => {
    assert.equal(await say('Hi'), null)
    assert.deepEqual(shown.buttons, ['loci.newAgent'])
    assert.deepEqual(followupsOf(null), [])
  })

  it('streams the answer of the agent, shows its tools and keeps one conversation for the chat', async () => {
    await newAgent('Ada')
    model.add(
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
      { reply: { text: ['Hello', ' you'] } },
      { reply: { text: 'Again.' } },
      { reply: { text: 'New.' } },
    )
    const first = await say('Hi', { references: ['<file path="a.ts">\nlet a\n</file>'] })
    assert.deepEqual([shown.markdown, shown.progress], ['Hello you', ['Using conversation_search']])
    assert.match(JSON.stringify(model.requests[0]?.body.messages), /Hi\\n\\n<file path=/)
    const second = await say('And again')
    assert.equal(second?.conversation_id, first?.conversation_id)
    assert.deepEqual(
      followupsOf(second).map(({ command }) => command),
      ['recall'],
    )
    history = []
    assert.notEqual((await say('In a new chat'))?.conversation_id, first?.conversation_id)
  })

  it('talks with the agent that was named last, in later chats too', async () => {
    const ada = await newAgent('Ada')
    await newAgent('Ada Two')
    assert.equal(await say('Hi'), null)
    assert.match(shown.markdown, /With which agent\? .*`\/agent Ada`/)
    assert.deepEqual(
      followupsOf(answer).toSorted((a, b) => a.prompt.localeCompare(b.prompt)),
      ['Ada', 'Ada Two'].map((name) => ({ prompt: `${name} Hi`, command: 'agent', label: name })),
    )
    await say('Ada', { command: 'agent' })
    assert.match(shown.markdown, /talking with \*\*Ada\*\*/)
    model.add({ reply: { text: 'I am Ada.' } }, { reply: { text: 'I am Two.' } })
    history = []
    assert.equal((await say('Hi'))?.agent_id, ada.id)
    await say('ada two: who are you?', { command: 'agent' })
    assert.equal(shown.markdown, 'I am Two.')
    assert.match(JSON.stringify(model.requests[1]?.body.messages.at(-1)), /"who are you\?"/)
    await assert.rejects(say('Adda', { command: 'agent' }), /no agent 'Adda'/)
    await say('', { command: 'agents' })
    assert.match(shown.markdown, /\*\*Ada Two\*\* \(talking with you\).*\*\*Ada\*\*/s)
  })

  it('goes back to the conversation of an agent that the chat was with before', async () => {
    await newAgent('Ada')
    await newAgent('Bob')
    model.add({ reply: { text: 'a' } }, { reply: { text: 'b' } }, { reply: { text: 'c' } })
    const first = await say('Ada hi', { command: 'agent' })
    await say('Bob hi', { command: 'agent' })
    const third = await say('Ada hi again', { command: 'agent' })
    assert.equal(third?.conversation_id, first?.conversation_id)
  })

  it('keeps facts and finds them, without a model', async () => {
    await newAgent('Ada')
    await say('The release is on Friday.', { command: 'remember' })
    assert.match(shown.markdown, /\*\*Ada\*\* keeps that/)
    await say('release', { command: 'recall' })
    assert.match(shown.markdown, /The release is on Friday\./)
    assert.deepEqual(model.requests, [])
  })

  it('asks for approvals, which the next message gives', async () => {
    await newAgent('Ada', {
      memory_blocks: [{ label: 'human', value: 'a' }],
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
    })
    const call = { name: 'memory_insert', arguments: { label: 'human', new_string: 'b' } }
    model.add({ reply: { tool_calls: [call] } }, { reply: { text: 'Kept.' } })
    const asked = await say('Remember b')
    assert.equal(asked?.waiting, true)
    assert.deepEqual(
      followupsOf(asked).map(({ prompt }) => prompt),
      ['approve', 'deny'],
    )
    const done = await say('approve')
    assert.equal(done?.waiting, false)
    assert.match(shown.markdown, /Kept\.$/)
  })

  it('stops the agent with the chat', async () => {
    const ada = await newAgent('Ada')
    model.add({ reply: { text: ['never '], hold: new Promise(() => undefined), hold_after: 1 } })
    const abort = new AbortController()
    const saying = say('Go on', {}, abort.signal)
    await model.request(0)
    abort.abort()
    await saying
    await eventually('the run is cancelled', async () => {
      const [run] = (await loci.letta.runs.list({ agent_id: ada.id })).getPaginatedItems()
      return run?.status === 'cancelled' ? true : null
    })
  })

  it('begins anew when its conversation or agent was deleted', async () => {
    const ada = await newAgent('Ada')
    await newAgent('Bob')
    model.add({ reply: { text: 'One.' } }, { reply: { text: 'Two.' } })
    const first = await say('Ada hi', { command: 'agent' })
    await loci.letta.conversations.delete(first?.conversation_id ?? '')
    const second = await say('And?')
    assert.notEqual(second?.conversation_id, first?.conversation_id)
    await loci.letta.agents.delete(ada.id)
    await newAgent('Eve')
    assert.equal(await say('Still there?'), null)
    assert.match(shown.markdown, /With which agent/)
  })
})
