import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '../../shared/core/ports/store.ts'
import { AGENT_RELATIONS } from '../../shared/schema/agent.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { aConversation } from '../contracts/store/conversation-turns.ts'
import { aBlock, aCommit, ADA, aMessage, anAgent, aRun, aStep, DONE } from '../contracts/store/samples.ts'
import { startLoci } from '../support/loci.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import { type CountedWay, startCountedWay } from './counted-way.ts'
import { startServer, type TestServer } from './server.ts'

const AGENTS = 5
const newest = { limit: 50, order: 'desc' } as const

// How often each waits for the database: on a network that is what it takes (docs/performance.md).
describe('round trips to the database', function () {
  this.timeout(120_000)
  let server: TestServer
  let way: CountedWay
  let store: Store
  let directory = ''
  const agents: string[] = []

  before(async () => {
    server = await startServer()
    await server.create('loci')
    directory = await mkdtemp(join(tmpdir(), 'loci-trips-'))
    way = await startCountedWay(server, 'loci')
    store = await openPostgresStore({ address: way.address, directory })
    for (let i = 0; i < AGENTS; i++) agents.push(await anotherAgent(i))
  })
  after(async () => {
    await store?.close()
    await way?.[Symbol.asyncDispose]()
    await server?.stop()
    if (directory !== '') await rm(directory, { recursive: true })
  })

  async function anotherAgent(i: number, message_buffer_autoclear = false): Promise<string> {
    const sample = anAgent(`agent ${i}`)
    const agent = { ...sample.agent, message_buffer_autoclear }
    const { id } = await store.agents.create(ADA, { ...sample, agent, new_blocks: [aBlock('human', 'Ada')] })
    return id
  }

  /** A turn with so many steps. */
  async function turn(conversation_id: string, steps: number, agent_id = agents[0]!): Promise<void> {
    const run = aRun(agent_id, { conversation_id: conversation_id === agent_id ? null : conversation_id })
    const said = (role: 'user' | 'assistant') => aMessage(agent_id, role, 'Hello.', { conversation_id })
    const opened = await store.turns.open(ADA, { run, conversation_id, messages: [said('user')] })
    for (let left = steps; left > 0; left--) {
      const end = left === 1 ? { finish: DONE } : {}
      const step = { conversation_id, step: aStep(run), messages: [said('assistant')], ...end }
      await store.turns.commit(ADA, aCommit(opened, run, step))
    }
  }

  it('an agent is read in one, with everything that belongs to it', async () => {
    const id = agents[0]!
    assert.equal(await way.count(() => store.agents.get(ADA, id, AGENT_RELATIONS)), 1)
    assert.equal(await way.count(() => store.agents.get(ADA, id, [])), 1)
  })

  it('agents are listed in two, however many there are; a cursor is one more', async () => {
    assert.equal(await way.count(() => store.agents.list(ADA, {}, newest, AGENT_RELATIONS)), 2)
    const page = { ...newest, after: agents.at(-1)! }
    assert.equal(await way.count(() => store.agents.list(ADA, {}, page, AGENT_RELATIONS)), 3)
    assert.equal((await store.agents.list(ADA, {}, page, [])).length, AGENTS - 1)
  })

  it('an agent is created in three', async () => {
    assert.equal(await way.count(() => anotherAgent(0)), 3)
  })

  it('a conversation is read in one, and several are listed in two', async () => {
    const [agent_id] = agents as [string]
    const { id } = await store.conversations.create(ADA, aConversation(agent_id))
    await store.conversations.create(ADA, aConversation(agent_id))
    assert.equal(await way.count(() => store.conversations.get(ADA, id)), 1)
    assert.equal(await way.count(() => store.conversations.list(ADA, { agent_id }, newest)), 2)
  })

  it('messages are listed in one; with cursors, or of a conversation with its history, in two', async () => {
    const [agent_id] = agents as [string]
    await turn(agent_id, 1)
    assert.equal(await way.count(() => store.messages.list(ADA, { agent_id }, newest)), 1)
    const all = await store.messages.list(ADA, { agent_id }, newest)
    const page = { ...newest, after: all[0]!.id, before: all.at(-1)!.id }
    const own = { agent_id, conversation_id: agent_id }
    assert.equal(await way.count(() => store.messages.list(ADA, own, page)), 2)
  })

  it("a search in an agent's messages takes two", async () => {
    const search = { agent_id: agents[0]!, query: 'hello', limit: 10 }
    assert.equal(await way.count(() => store.messages.search(ADA, { ...search, roles: ['user'] })), 2)
  })

  it('a turn is opened in two, and each step of it takes two', async () => {
    const [id] = agents as [string]
    assert.equal(await way.count(() => turn(id, 1)), 4)
    assert.equal(await way.count(() => turn(id, 2)), 6)
    const conversation = await store.conversations.create(ADA, aConversation(id))
    assert.equal(
      await way.count(() => turn(conversation.id, 1)),
      4,
      'in a conversation with blocks of its own',
    )
  })

  it('an agent is deleted in 29, in short transactions for each kind of its rows', async () => {
    const gone: string[] = []
    for (let i = 0; i < 4; i++) gone.push(await anotherAgent(i))
    assert.equal(await way.count(() => store.agents.delete(ADA, gone.pop()!)), 29)
  })

  it('requests of a server take what the store takes', async () => {
    const model = await startScriptedModel()
    const loci = await startLoci({ env: { LOCI_STORE: way.address }, model_url: model.url })
    try {
      const made = await loci.letta.agents.create({ model: 'openai/test-model' })
      const get = async (path: string) => assert.equal((await loci.http('GET', path)).status, 200)
      assert.equal(await way.count(() => get(`/v1/agents/${made.id}`)), 1)
      assert.equal(await way.count(() => get('/v1/agents')), 2)
      assert.equal(await way.count(() => get(`/v1/agents/${made.id}/messages`)), 2)
    } finally {
      await loci.close()
      await model.close()
    }
  })
})
