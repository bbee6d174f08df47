import assert from 'node:assert/strict'
import { chooseAgent, createAgentChoice } from '../../extension/host/models/agent-choice.ts'
import {
  beforeAsking,
  beforeRecalling,
  beforeRemembering,
} from '../../extension/host/models/confirmations.ts'
import { askAgent, recall, remember } from '../../extension/host/models/memory.ts'
import { connect, type LociClient } from '../../shared/client/http.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'

describe("what the editor's models do with agents", () => {
  let model: ScriptedModel
  let loci: TestLoci
  let client: LociClient
  const kept = new Map<string, unknown>()
  const choice = createAgentChoice({
    get: <T>(key: string, otherwise?: T) => (kept.get(key) as T | undefined) ?? (otherwise as T),
    update: (key: string, value: unknown) => Promise.resolve(void kept.set(key, value)),
  })
  const { signal } = new AbortController()
  beforeEach(async () => {
    kept.clear()
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

  it('goes to the agent that is named, was chosen last, or is the only one', async () => {
    await assert.rejects(chooseAgent(client, undefined, choice), /There is no agent yet/)
    const ada = await newAgent('Ada')
    assert.equal((await chooseAgent(client, undefined, choice)).id, ada.id)
    const bob = await newAgent('Bob')
    await assert.rejects(chooseAgent(client, '', choice), /several agents.*Bob, Ada/)
    assert.equal((await chooseAgent(client, 'Ada', choice)).id, ada.id)
    await assert.rejects(chooseAgent(client, 'Adda', choice), /no agent 'Adda'.*Ada/)
    await choice.set(bob.id)
    assert.equal((await chooseAgent(client, undefined, choice)).id, bob.id)
    await loci.letta.agents.delete(bob.id)
    assert.equal((await chooseAgent(client, undefined, choice)).id, ada.id)
  })

  it('keeps a fact and finds it again, with what the agent knows besides, and asks no model', async () => {
    const ada = await newAgent('Ada', { memory_blocks: [{ label: 'human', value: 'Lives in Oslo.' }] })
    await remember(client, ada, ' The release is on Friday. ', signal)
    const text = await recall(client, ada, 'release', signal)
    assert.match(text, /# What Ada knows\n\n## Memory blocks\n\n- \*\*human\*\*: Lives in Oslo\./)
    assert.match(text, /## Passages\n\n- \d{4}-\d\d-\d\d: The release is on Friday\.$/)
    assert.doesNotMatch(await recall(client, ada, '', signal), /Passages/)
    const empty = await newAgent('Bob', { memory_blocks: [] })
    assert.equal(await recall(client, empty, 'release', signal), 'Bob knows nothing of that.')
    await assert.rejects(remember(client, ada, ' ', signal), /nothing to remember/)
  })

  it('asks an agent, which answers in a conversation of its own', async () => {
    const ada = await newAgent('Ada')
    model.add(
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
      { reply: { text: 'It was blue.' } },
    )
    assert.equal(await askAgent(client, ada, 'Which colour?', signal), 'It was blue.')
    const found = await recall(client, ada, 'colour', signal)
    assert.match(found, /## Said before\n\n- .* user: Which colour\?/)
    assert.equal((await loci.letta.conversations.list({ agent_id: ada.id })).length, 1)
  })

  it('never approves what waits for a person', async () => {
    const ada = await newAgent('Ada', {
      memory_blocks: [{ label: 'human', value: 'a' }],
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
    })
    const call = { name: 'memory_insert', arguments: { label: 'human', new_string: 'b' } }
    model.add({ reply: { text: 'May I?', tool_calls: [call] } })
    const said = await askAgent(client, ada, 'Remember b', signal)
    assert.match(said, /May I\?.*`memory_insert`.*not done, because only a person may approve it/s)
    assert.equal((await loci.letta.agents.blocks.retrieve('human', { agent_id: ada.id })).value, 'a')
  })

  it('stops an agent when the call is cancelled', async () => {
    const ada = await newAgent('Ada')
    model.add({ reply: { text: ['never '], hold: new Promise(() => undefined), hold_after: 1 } })
    const abort = new AbortController()
    const asking = askAgent(client, ada, 'Go on', abort.signal)
    await model.request(0)
    abort.abort()
    await assert.rejects(asking, /was stopped|abort/i)
    await eventually('the run is cancelled', async () => {
      const [run] = (await loci.letta.runs.list({ agent_id: ada.id })).getPaginatedItems()
      return run?.status === 'cancelled' ? true : null
    })
  })

  it('says why an agent failed', async () => {
    const ada = await newAgent('Ada')
    model.add({ reply: { status: 401, body: { error: { message: 'Incorrect API key' } } } })
    await assert.rejects(askAgent(client, ada, 'Hi', signal), (error: unknown) => {
      return JSON.stringify((error as { error?: unknown }).error).includes('Incorrect API key')
    })
  })
})

describe('what the user is asked before a model of the editor uses an agent', () => {
  it('names the agent and shows what it is told', () => {
    const asked = beforeAsking({ agent: 'Ada', message: 'Delete it' }).confirmationMessages
    assert.equal(asked?.title, 'Ask Ada?')
    assert.match(JSON.stringify(asked?.message), /may use its tools and change its memory.*Delete it/)
    assert.equal(beforeAsking({ message: 'x' }).confirmationMessages?.title, 'Ask an agent of Loci?')
    const kept = beforeRemembering({ text: 'The release is on Friday.' }).confirmationMessages
    assert.deepEqual(kept, { title: 'Remember this in Loci?', message: 'The release is on Friday.' })
  })

  it('is nothing where nothing changes', () => {
    assert.deepEqual(beforeRecalling({ query: 'x' }), { invocationMessage: 'Recalling what is known of "x"' })
  })
})
