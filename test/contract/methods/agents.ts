import assert from 'node:assert/strict'
import type { Method } from './method.ts'

export const agentMethods: Method[] = [
  {
    name: 'agents.create',
    shows: 'an agent with everything asked for, relations loaded',
    async run(t) {
      const agent = await t.newAgent({
        model: 'openai/test-model',
        name: 'Countess',
        description: 'Counts.',
        metadata: { team: 'engine' },
        tags: ['b', 'a'],
        tools: ['conversation_search'],
        timezone: 'Europe/London',
        context_window_limit: 20_000,
      })
      assert.match(agent.id, /^agent-[0-9a-f-]{36}$/)
      assert.equal(agent.name, 'Countess')
      assert.equal(agent.agent_type, 'letta_v1_agent')
      assert.deepEqual(agent.metadata, { team: 'engine' })
      assert.deepEqual(agent.tags.toSorted(), ['a', 'b'])
      assert.deepEqual(agent.blocks.map((b) => b.label).toSorted(), ['human', 'persona'])
      assert.equal(agent.llm_config.context_window, 20_000)
      assert.equal(agent.timezone, 'Europe/London')
      assert.equal(agent.message_ids?.length, 1)
      const config = { ...agent.llm_config, model_endpoint_type: 'fireworks' as const, context_window: 9_000 }
      const configured = await t.newAgent({ llm_config: config })
      assert.deepEqual(
        [configured.llm_config.context_window, configured.llm_config.model_endpoint_type],
        [9_000, 'fireworks'],
        'the older way to name a model',
      )
    },
  },
  {
    name: 'agents.retrieve',
    shows: 'only the relations that include names',
    async run(t) {
      const { id } = await t.newAgent()
      const bare = await t.letta.agents.retrieve(id)
      assert.deepEqual([bare.blocks, bare.tools, bare.tags], [[], [], []])
      const full = await t.letta.agents.retrieve(id, { include: ['agent.blocks', 'agent.tools'] })
      assert.equal(full.blocks.length, 2)
      assert.equal(full.tools.length, 3)
    },
  },
  {
    name: 'agents.update',
    shows: 'changed fields, all others as they were',
    async run(t) {
      const { id } = await t.newAgent({ name: 'Before', tags: ['x'] })
      const changed = await t.letta.agents.update(id, { name: 'After', description: 'new' })
      assert.deepEqual([changed.name, changed.description, changed.tags], ['After', 'new', ['x']])
      const replaced = await t.letta.agents.update(id, { tags: ['y', 'z'], model: 'loci/demo' })
      assert.deepEqual([replaced.tags.toSorted(), replaced.model], [['y', 'z'], 'loci/demo'])
    },
  },
  {
    name: 'agents.list',
    shows: 'the agents a filter asks for, and no hidden ones',
    async run(t) {
      const tag = `list-${crypto.randomUUID()}`
      const first = await t.newAgent({ name: 'Alpha One', tags: [tag, 'even'] })
      const second = await t.newAgent({ name: 'Beta Two', tags: [tag] })
      await t.newAgent({ tags: [tag], hidden: true })
      const ids = async (query: Parameters<typeof t.letta.agents.list>[0]) =>
        (await t.letta.agents.list({ tags: [tag], ...query })).items.map((a) => a.id)
      assert.deepEqual(await ids({}), [second.id, first.id], 'newest first, hidden left out')
      assert.deepEqual(await ids({ order: 'asc' }), [first.id, second.id])
      assert.deepEqual(await ids({ name: 'Beta Two' }), [second.id])
      assert.deepEqual(await ids({ query_text: 'alpha' }), [first.id], 'a part of the name, in any case')
      assert.deepEqual(await ids({ tags: [tag, 'even'], match_all_tags: true }), [first.id])
      assert.deepEqual(await ids({ tags: ['even', tag] }), [second.id, first.id], 'any of the tags')
    },
  },
  {
    name: 'agents.delete',
    shows: 'an agent that is gone',
    async run(t) {
      const { id } = await t.newAgent()
      await t.letta.agents.delete(id)
      await assert.rejects(t.letta.agents.retrieve(id), { status: 404 })
    },
  },
  {
    name: 'agents.recompile',
    shows: 'the compiled system prompt',
    async run(t) {
      const { id } = await t.newAgent()
      const prompt = await t.letta.agents.recompile(id, { dry_run: true })
      assert.match(prompt, /Name: Ada/)
    },
  },
  {
    name: 'agents.blocks.list',
    shows: "the agent's blocks",
    async run(t) {
      const { id } = await t.newAgent()
      const { items } = await t.letta.agents.blocks.list(id)
      assert.deepEqual(items.map((b) => b.label).toSorted(), ['human', 'persona'])
    },
  },
  {
    name: 'agents.blocks.retrieve',
    shows: 'a block by its label',
    async run(t) {
      const { id } = await t.newAgent({ memory_blocks: [{ label: 'to do', value: 'tea' }] })
      const block = await t.letta.agents.blocks.retrieve('to do', { agent_id: id })
      assert.equal(block.value, 'tea')
    },
  },
  {
    name: 'agents.blocks.update',
    shows: 'a new value, here and under /blocks',
    async run(t) {
      const agent = await t.newAgent()
      const changed = await t.letta.agents.blocks.update('human', { agent_id: agent.id, value: 'Name: Bo' })
      assert.equal(changed.value, 'Name: Bo')
      assert.equal((await t.letta.blocks.retrieve(changed.id)).value, 'Name: Bo')
    },
  },
  {
    name: 'agents.blocks.attach',
    shows: 'a shared block; the answer is the agent',
    async run(t) {
      const { id } = await t.newAgent()
      const block = await t.letta.blocks.create({ label: 'shared', value: 'ours' })
      const agent = await t.letta.agents.blocks.attach(block.id, { agent_id: id })
      assert.ok(agent.blocks.some((b) => b.id === block.id))
      const again = await t.letta.blocks.create({ label: 'shared', value: 'other' })
      await assert.rejects(
        t.letta.agents.blocks.attach(again.id, { agent_id: id }),
        (error: { status?: number }) => error.status === 400 || error.status === 409,
        'a second block of the same label is refused',
      )
    },
  },
  {
    name: 'agents.blocks.detach',
    shows: 'an agent without the block, which lives on',
    async run(t) {
      const { id, blocks } = await t.newAgent()
      const human = blocks.find((b) => b.label === 'human')
      const agent = await t.letta.agents.blocks.detach(human?.id ?? '', { agent_id: id })
      assert.deepEqual(
        agent.blocks.map((b) => b.label),
        ['persona'],
      )
      assert.equal((await t.letta.blocks.retrieve(human?.id ?? '')).value, 'Name: Ada')
    },
  },
  {
    name: 'agents.tools.list',
    shows: "ten of the agent's tools",
    async run(t) {
      const { id } = await t.newAgent()
      const { items } = await t.letta.agents.tools.list(id)
      assert.deepEqual(items.map((tool) => tool.name).toSorted(), [
        'conversation_search',
        'memory_insert',
        'memory_replace',
      ])
    },
  },
  {
    name: 'agents.tools.attach',
    shows: 'null, and the tool on the agent',
    async run(t) {
      const { id } = await t.newAgent({ include_base_tools: false })
      const [tool] = (await t.letta.tools.list({ name: 'memory_insert' })).items
      assert.equal(await t.letta.agents.tools.attach(tool?.id ?? '', { agent_id: id }), null)
      const { items } = await t.letta.agents.tools.list(id)
      assert.deepEqual(
        items.map((i) => i.name),
        ['memory_insert'],
      )
    },
  },
  {
    name: 'agents.tools.detach',
    shows: 'null, and the tool off the agent',
    async run(t) {
      const { id, tools } = await t.newAgent()
      const tool = tools.find((i) => i.name === 'memory_insert')
      assert.equal(await t.letta.agents.tools.detach(tool?.id ?? '', { agent_id: id }), null)
      const { items } = await t.letta.agents.tools.list(id)
      assert.deepEqual(items.map((i) => i.name).toSorted(), ['conversation_search', 'memory_replace'])
    },
  },
]
