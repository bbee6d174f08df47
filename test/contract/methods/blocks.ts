import assert from 'node:assert/strict'
import type { Method } from './method.ts'

export const blockMethods: Method[] = [
  {
    name: 'blocks.create',
    shows: 'a block with the defaults of V1',
    async run(t) {
      const block = await t.letta.blocks.create({ label: 'notes', value: 'one' })
      assert.match(block.id, /^block-[0-9a-f-]{36}$/)
      assert.deepEqual(
        [block.label, block.value, block.limit, block.read_only, block.is_template],
        ['notes', 'one', 100_000, false, false],
      )
    },
  },
  {
    name: 'blocks.retrieve',
    shows: 'the block',
    async run(t) {
      const made = await t.letta.blocks.create({
        label: 'r',
        value: 'Größe 😀',
        description: 'd',
        metadata: { a: [1] },
        tags: ['x'],
        read_only: true,
      })
      assert.deepEqual(await t.letta.blocks.retrieve(made.id), made)
      assert.deepEqual([made.value, made.metadata, made.tags], ['Größe 😀', { a: [1] }, ['x']])
    },
  },
  {
    name: 'blocks.update',
    shows: 'a new value; a null byte and the limit are no obstacle',
    async run(t) {
      const { id } = await t.letta.blocks.create({ label: 'u', value: 'old', limit: 10 })
      const changed = await t.letta.blocks.update(id, { value: 'longer than\0 the limit', description: 'd' })
      assert.deepEqual([changed.value, changed.description], ['longer than the limit', 'd'])
      assert.equal((await t.letta.blocks.retrieve(id)).value, 'longer than the limit')
      const same = await t.letta.blocks.update(id, { label: null, limit: null })
      assert.deepEqual([same.label, same.limit], ['u', 10], 'null leaves them as they are')
    },
  },
  {
    name: 'blocks.list',
    shows: 'oldest first, by label, search and number of agents; hidden ones left out',
    async run(t) {
      const label = `list-${crypto.randomUUID()}`
      const one = await t.letta.blocks.create({ label, value: 'alpha', description: 'first' })
      const two = await t.letta.blocks.create({ label, value: 'beta' })
      await t.letta.blocks.create({ label, value: 'gamma', hidden: true })
      const { id } = await t.newAgent()
      await t.letta.agents.blocks.attach(two.id, { agent_id: id })
      const ids = async (query: Parameters<typeof t.letta.blocks.list>[0]) =>
        (await t.letta.blocks.list({ label, ...query })).items.map((b) => b.id)
      assert.deepEqual(await ids({}), [one.id, two.id])
      assert.deepEqual(await ids({ order: 'desc' }), [two.id, one.id])
      assert.deepEqual(await ids({ value_search: 'bet' }), [two.id])
      assert.deepEqual(await ids({ description_search: 'fir' }), [one.id])
      assert.deepEqual(await ids({ label_search: label.slice(0, 12) }), [one.id, two.id])
      assert.deepEqual(await ids({ connected_to_agents_count_gt: 0 }), [two.id])
      assert.deepEqual(await ids({ connected_to_agents_count_eq: [0] }), [one.id])
    },
  },
  {
    name: 'blocks.delete',
    shows: 'a block that is gone, from its agents too',
    async run(t) {
      const { id, blocks } = await t.newAgent()
      const human = blocks.find((b) => b.label === 'human')?.id ?? ''
      await t.letta.blocks.delete(human)
      await assert.rejects(t.letta.blocks.retrieve(human), { status: 404 })
      assert.equal((await t.letta.agents.blocks.list(id)).items.length, 1)
    },
  },
  {
    name: 'blocks.agents.list',
    shows: 'the agents that share a block',
    async run(t) {
      const block = await t.letta.blocks.create({ label: 'shared', value: 's' })
      const one = await t.newAgent({ block_ids: [block.id] })
      const two = await t.newAgent({ block_ids: [block.id] })
      const { items } = await t.letta.blocks.agents.list(block.id)
      assert.deepEqual(
        items.map((a) => a.id),
        [two.id, one.id],
      )
    },
  },
]
