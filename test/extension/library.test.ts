import assert from 'node:assert/strict'
import { createLibrary, staleObjects, type Library } from '../../extension/host/library.ts'
import { connect, type LociClient } from '../../shared/client/http.ts'
import type { Event, EventType } from '../../shared/schema/event.ts'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'

const change = (type: EventType, object_id: string, agent_id: string | null = null): Event => ({
  id: 1,
  type,
  object_id,
  agent_id,
  date: '2026-11-01T10:00:00.000Z',
})

describe('the library of a server', () => {
  let loci: TestLoci
  let model: ScriptedModel
  let client: LociClient
  let library: Library
  let changes = 0
  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    client = connect({ url: loci.url })
    library = createLibrary(
      () => Promise.resolve(client),
      () => void changes++,
    )
  })
  after(async () => {
    await client.close()
    await loci.close()
    await model.close()
  })
  const create = (name: string) =>
    loci.letta.agents.create({
      name,
      model: 'loci/demo',
      memory_blocks: [{ label: 'human', value: `${name}'s` }],
    })

  it('reads nothing before it is asked, whatever changes', async () => {
    await library.apply([change('agent.created', 'agent-x')])
    assert.equal(library.loaded, false)
    assert.equal(changes, 0)
  })

  it('holds all agents, blocks and tools, page after page', async () => {
    for (let n = 0; n < 3; n++) await create(`Agent ${n}`)
    await Promise.all([library.load(), library.load()])
    assert.equal(changes, 1, 'two who ask at a time are served by one reading')
    assert.deepEqual(
      [...library.agents.values()].map((agent) => agent.name),
      ['Agent 0', 'Agent 1', 'Agent 2'],
    )
    assert.equal(library.blocks.size, 3)
    const [first] = library.agents.values()
    assert.equal(library.blocks.get(first?.block_ids[0] ?? '')?.value, "Agent 0's")
    assert.ok(first?.tool_ids.every((id) => library.tools.has(id)))
  })

  it('reads again what a change concerns: added, edited, attached, deleted', async () => {
    const agent = await create('New')
    const block = agent.blocks[0]?.id ?? ''
    await library.apply([change('agent.created', agent.id), change('block.created', block)])
    assert.equal(library.agents.get(agent.id)?.name, 'New')
    await loci.letta.blocks.update(block, { value: 'edited' })
    await library.apply([change('block.updated', block)])
    assert.equal(library.blocks.get(block)?.value, 'edited')
    await loci.letta.agents.blocks.detach(block, { agent_id: agent.id })
    await library.apply([change('block.detached', block, agent.id)])
    assert.deepEqual(library.agents.get(agent.id)?.block_ids, [])
    await loci.letta.agents.delete(agent.id)
    await library.apply([change('agent.deleted', agent.id)])
    assert.equal(library.agents.has(agent.id), false)
  })

  it('leaves out what is hidden, as lists do', async () => {
    const { id } = await loci.letta.blocks.create({ label: 'inner', value: '', hidden: true })
    await library.apply([change('block.created', id)])
    assert.ok(!library.blocks.has(id))
  })

  it('reads a whole list for a large burst', async () => {
    const made = await Promise.all(Array.from({ length: 30 }, (_, n) => create(`Many ${n}`)))
    await library.apply(made.map((agent) => change('agent.created', agent.id)))
    assert.equal(library.agents.size, 33)
  })

  it('knows which agents wait for an approval, and no more once that is answered', async () => {
    const agent = await create('Careful')
    const call = { agent_id: agent.id, body_requires_approval: true }
    await loci.letta.agents.update(agent.id, { model: 'openai/test-model' })
    await loci.letta.agents.tools.updateApproval('memory_insert', call)
    model.add({
      reply: { tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'x' } }] },
    })
    const messages = [{ role: 'user' as const, content: 'Note x' }]
    await loci.letta.agents.messages.create(agent.id, { messages })
    await library.apply([change('run.updated', 'run-1', agent.id)])
    assert.equal(library.activity.get(agent.id), 'approval')
    await library.reload()
    assert.equal(library.activity.get(agent.id), 'approval', 'also when it is read from nothing')
    await loci.letta.agents.messages.cancel(agent.id)
    await library.apply([change('agent.updated', agent.id, agent.id)])
    assert.equal(library.activity.has(agent.id), false)
    await library.reload()
    assert.equal(library.activity.has(agent.id), false)
    await model.done()
  })

  it('reads conversations of an agent when asked, and again when they change', async () => {
    const agent = await create('Talker')
    const getDetails = () => library.details(agent.id)
    assert.deepEqual((await getDetails()).conversations, [])
    const made = await loci.letta.conversations.create({ agent_id: agent.id })
    assert.deepEqual((await getDetails()).conversations, [], 'kept until a change is told')
    await library.apply([change('conversation.created', made.id, agent.id)])
    assert.deepEqual(
      (await getDetails()).conversations.map(({ id }) => id),
      [made.id],
    )
  })

  it('shows what is made in several steps when it is whole', async () => {
    const before = changes
    const steps = Promise.withResolvers<void>()
    const making = library.during(async () => {
      const agent = await create('Steps')
      await steps.promise
      await loci.letta.agents.update(agent.id, { name: 'Whole' })
      return agent.id
    })
    const [agent] = await eventually('the agent is made', async () => {
      const { items } = await loci.letta.agents.list({ name: 'Steps' })
      return items.length > 0 ? items : null
    })
    const applied = library.apply([change('agent.created', agent?.id ?? '')])
    assert.equal(changes, before)
    steps.resolve()
    const id = await making
    await applied
    assert.equal(library.agents.get(id)?.name, 'Whole')
    await assert.rejects(
      library.during(() => Promise.reject(new Error('no'))),
      /no/,
    )
    await library.apply([change('agent.updated', id)])
  })

  it('reads MCP servers and files again when they change', async () => {
    const agent = await create('Reader')
    const config = { mcp_server_type: 'stdio' as const, command: 'x', args: [] }
    const made = await loci.letta.mcpServers.create({ server_name: 'none', config })
    await library.apply([change('mcp_server.created', made.id ?? '')])
    assert.equal(library.mcp_servers.get(made.id ?? '')?.name, 'none')
    const folder = await loci.letta.folders.create({ name: 'notes' })
    assert.deepEqual((await library.details(agent.id)).files, [])
    await loci.letta.agents.folders.attach(folder.id, { agent_id: agent.id })
    await loci.letta.folders.files.upload(folder.id, { file: new File(['Hi'], 'a.txt') })
    await library.apply([change('file.created', 'file-1')])
    assert.deepEqual(
      (await library.details(agent.id)).files.map((file) => file.folder_name),
      ['notes'],
    )
  })

  it('forgets everything for another server', () => {
    library.clear()
    assert.deepEqual(
      [library.loaded, library.agents.size, library.blocks.size, library.tools.size],
      [false, 0, 0, 0],
    )
  })
})

describe('what a change makes stale', () => {
  it('is the agent when something is attached to it, else the object itself; runs concern no list', () => {
    const stale = staleObjects([
      change('tool.attached', 'tool-1', 'agent-1'),
      change('block.updated', 'block-1', 'agent-2'),
      change('agent.updated', 'agent-3', 'agent-3'),
      change('run.updated', 'run-1', 'agent-4'),
      change('mcp_server.deleted', 'mcp_server-1'),
    ])
    assert.deepEqual(
      [[...stale.agents], [...stale.blocks], [...stale.tools], stale.mcp_servers],
      [['agent-1', 'agent-3'], ['block-1'], ['tool-1'], true],
    )
  })
})
