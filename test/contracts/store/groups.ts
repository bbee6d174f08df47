import assert from 'node:assert/strict'
import type { NewGroup } from '../../../shared/core/ports/group-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, ADA, anAgent, at, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

/** A group before its first save. */
function aGroup(more: Partial<NewGroup> = {}): NewGroup {
  return {
    id: newId('group'),
    manager_type: 'round_robin',
    agent_ids: [],
    description: 'A team.',
    project_id: null,
    template_id: null,
    base_template_id: null,
    deployment_id: null,
    shared_block_ids: [],
    manager_agent_id: null,
    termination_token: null,
    max_turns: null,
    sleeptime_agent_frequency: null,
    turns_counter: null,
    last_processed_message_id: null,
    max_message_buffer_length: null,
    min_message_buffer_length: null,
    hidden: null,
    created_at: at(0),
    ...more,
  }
}

export function describeGroups(subject: Subject): void {
  const agent = async (name: string, type: 'letta_v1_agent' | 'sleeptime_agent' = 'letta_v1_agent') =>
    (await subject.store.agents.create(ADA, anAgent(name, { fields: { agent_type: type } }))).id
  const labels = async (agent_id: string) =>
    (await subject.store.agents.get(ADA, agent_id, ['agent.blocks']))?.blocks.map((block) => block.label)
  const led = async (agent_id: string) =>
    (await subject.store.agents.get(ADA, agent_id, ['agent.managed_group']))?.managed_group?.id ?? null
  const sleeptime = (manager: string, ...agent_ids: string[]) =>
    aGroup({ manager_type: 'sleeptime', manager_agent_id: manager, agent_ids, turns_counter: 0 })
  const withCompanion = (name: string) => {
    const main = anAgent(name, { new_blocks: [aBlock('human', 'Ada'), aBlock('plan', 'none')] })
    const companion = anAgent(`${name}-sleeptime`, {
      fields: { agent_type: 'sleeptime_agent' },
      new_blocks: [aBlock('memory_persona', 'I keep.')],
    })
    const group = sleeptime(main.agent.id, companion.agent.id)
    return { main, companion: { agent: companion, group } }
  }

  describe('groups', () => {
    it('are stored, listed in order of creation, found by kind and agent, changed and deleted', async () => {
      const { groups } = subject.store
      const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => agent(name)))
      const first = await groups.create(ADA, aGroup({ agent_ids: [b!, a!], created_at: at(1), max_turns: 3 }))
      const second = await groups.create(
        ADA,
        aGroup({ manager_type: 'supervisor', manager_agent_id: c!, agent_ids: [a!], created_at: at(2) }),
      )
      const hidden = await groups.create(ADA, aGroup({ hidden: true, created_at: at(3) }))
      assert.deepEqual(first.agent_ids, [b, a])
      assert.deepEqual(await groups.get(ADA, first.id), first)
      assert.equal(await groups.get(ADA, newId('group')), null)
      assert.deepEqual(await groups.list(ADA, {}, page), [first, second])
      assert.deepEqual(await groups.list(ADA, {}, { ...page, order: 'desc', limit: 1 }), [second])
      assert.deepEqual(await groups.list(ADA, {}, { ...page, after: first.id }), [second])
      assert.deepEqual(await groups.list(ADA, {}, { ...page, before: second.id }), [first])
      assert.deepEqual(await groups.list(ADA, { show_hidden: true }, { ...page, after: second.id }), [hidden])
      assert.deepEqual(await groups.list(ADA, { manager_type: 'supervisor' }, page), [second])
      assert.deepEqual(await groups.list(ADA, { agent_id: a! }, page), [first, second])
      assert.deepEqual(await groups.list(ADA, { agent_id: c! }, page), [second])
      assert.equal(await groups.count(ADA), 2)
      assert.equal(await led(c!), second.id)
      const changed = await groups.update(ADA, first.id, { agent_ids: [c!], description: 'B', max_turns: 4 })
      assert.deepEqual(changed, { ...first, agent_ids: [c], description: 'B', max_turns: 4 })
      assert.deepEqual(await groups.get(ADA, first.id), changed)
      assert.equal(await groups.update(ADA, newId('group'), {}), null)
      assert.equal(await groups.delete(ADA, first.id), true)
      assert.equal(await groups.delete(ADA, first.id), false)
      assert.equal((await subject.store.agents.get(ADA, c!, []))?.id, c)
    })

    it('refuse agents and blocks that are not there, and then store nothing', async () => {
      const { groups, blocks } = subject.store
      const a = await agent('a')
      const refused = (group: NewGroup) => assert.rejects(groups.create(ADA, group), { code: 'not_found' })
      await refused(aGroup({ agent_ids: [a, newId('agent')] }))
      await refused(aGroup({ manager_type: 'supervisor', manager_agent_id: newId('agent') }))
      await refused(aGroup({ agent_ids: [a], shared_block_ids: [newId('block')] }))
      await refused(aGroup({ shared_block_ids: [newId('block')] }))
      const [one, other] = await Promise.all(
        ['1', '2'].map((value) => blocks.create(ADA, aBlock('plan', value))),
      )
      await assert.rejects(
        groups.create(ADA, aGroup({ agent_ids: [a], shared_block_ids: [one!.id, other!.id] })),
        {
          code: 'conflict',
        },
      )
      assert.equal(await groups.count(ADA), 0)
      assert.deepEqual(await labels(a), [])
    })

    it('attach their shared blocks to every agent, also to those that come later', async () => {
      const { groups, blocks } = subject.store
      const [a, b, lead] = await Promise.all(['a', 'b', 'lead'].map((name) => agent(name)))
      const [plan, rules] = await Promise.all(
        ['plan', 'rules'].map((label) => blocks.create(ADA, aBlock(label, ''))),
      )
      const { id } = await groups.create(
        ADA,
        aGroup({
          manager_type: 'supervisor',
          manager_agent_id: lead!,
          agent_ids: [a!],
          shared_block_ids: [plan!.id],
        }),
      )
      assert.deepEqual([await labels(a!), await labels(lead!)], [['plan'], ['plan']])
      await groups.attachBlock(ADA, id, rules!.id)
      await groups.attachBlock(ADA, id, rules!.id)
      assert.deepEqual(await labels(a!), ['plan', 'rules'])
      await groups.update(ADA, id, { agent_ids: [a!, b!] })
      assert.deepEqual(await labels(b!), ['plan', 'rules'])
      await groups.detachBlock(ADA, id, plan!.id)
      for (const one of [a!, b!, lead!]) assert.deepEqual(await labels(one), ['rules'])
      assert.deepEqual((await groups.get(ADA, id))?.shared_block_ids, [rules!.id])
      await blocks.delete(ADA, rules!.id)
      assert.deepEqual((await groups.get(ADA, id))?.shared_block_ids, [])
      await assert.rejects(groups.attachBlock(ADA, id, newId('block')), { code: 'not_found' })
      await assert.rejects(groups.attachBlock(ADA, newId('group'), plan!.id), { code: 'not_found' })
    })

    it('of an agent and its companion are made together, whole or not at all', async () => {
      const { agents, groups } = subject.store
      const { main, companion } = withCompanion('Ada')
      const made = await agents.create(ADA, { ...main, companion })
      const id = companion.agent.agent.id
      assert.deepEqual(made.managed_group?.agent_ids, [id])
      assert.equal(made.enable_sleeptime, true)
      assert.deepEqual(await labels(id), ['memory_persona', 'human', 'plan'])
      const again = withCompanion('x').companion
      await agents.addCompanion(ADA, made.id, { ...again, group: sleeptime(made.id, again.agent.agent.id) })
      assert.equal(await agents.count(ADA, {}), 2, 'it has one')
      await assert.rejects(groups.create(ADA, sleeptime(made.id, await agent('other'))), { code: 'conflict' })
      const broken = withCompanion('Eve')
      broken.companion.agent.tool_ids = [newId('tool')]
      await assert.rejects(agents.create(ADA, { ...broken.main, companion: broken.companion }), {
        code: 'not_found',
      })
      assert.equal(await agents.get(ADA, broken.main.agent.id, []), null)
      const plain = await agents.create(ADA, anAgent('plain', { new_blocks: [aBlock('human', 'x')] }))
      const later = withCompanion('y').companion
      await agents.addCompanion(ADA, plain.id, { ...later, group: sleeptime(plain.id, later.agent.agent.id) })
      assert.deepEqual(await labels(later.agent.agent.id), ['memory_persona', 'human'])
      assert.equal((await agents.get(ADA, plain.id, []))?.enable_sleeptime, true)
      await assert.rejects(agents.addCompanion(ADA, newId('agent'), later), { code: 'not_found' })
    })

    it('give companions the blocks of their agent as they come and go', async () => {
      const { agents, blocks } = subject.store
      const { main, companion } = withCompanion('Ada')
      const { id } = await agents.create(ADA, { ...main, companion })
      const other = companion.agent.agent.id
      const block = await blocks.create(ADA, aBlock('rules', ''))
      const taken = await blocks.create(ADA, aBlock('memory_persona', 'not its own'))
      await agents.attachBlock(ADA, id, block.id)
      await agents.attachBlock(ADA, id, taken.id)
      assert.deepEqual(await labels(other), ['memory_persona', 'human', 'plan', 'rules'])
      await agents.detachBlock(ADA, id, block.id)
      assert.deepEqual(await labels(other), ['memory_persona', 'human', 'plan'])
      await agents.update(ADA, id, { block_ids: [block.id] })
      assert.deepEqual(await labels(other), ['memory_persona', 'rules'])
    })

    it('count turns and remember what was processed, also when two processes do it at once', async () => {
      const { agents, groups } = subject.store
      const { main, companion } = withCompanion('Ada')
      const { id } = await agents.create(ADA, { ...main, companion })
      const counted = await Promise.all(Array.from({ length: 5 }, () => groups.countTurn(ADA, id)))
      assert.deepEqual(counted.map((group) => group?.turns_counter).toSorted(), [1, 2, 3, 4, 5])
      const message_id = newId('message')
      await groups.setProcessed(ADA, companion.group.id, message_id)
      const group = await groups.get(ADA, companion.group.id)
      assert.deepEqual([group?.turns_counter, group?.last_processed_message_id], [5, message_id])
      assert.equal(await groups.countTurn(ADA, companion.agent.agent.id), null)
    })

    it('end with the agent that leads them, and take its companions along, but nobody else', async () => {
      const { agents, groups } = subject.store
      const { main, companion } = withCompanion('Ada')
      const { id } = await agents.create(ADA, { ...main, companion })
      const guest = await agent('guest')
      await groups.update(ADA, companion.group.id, { agent_ids: [companion.agent.agent.id, guest] })
      const ring = await groups.create(ADA, aGroup({ agent_ids: [id, guest] }))
      assert.equal(await agents.delete(ADA, id), true)
      assert.equal(await agents.get(ADA, companion.agent.agent.id, []), null)
      assert.equal((await agents.get(ADA, guest, []))?.id, guest)
      assert.equal(await groups.get(ADA, companion.group.id), null)
      assert.deepEqual((await groups.get(ADA, ring.id))?.agent_ids, [guest])
    })

    it('of a companion end with it, and with their deletion; their agent goes on without', async () => {
      const { agents, groups } = subject.store
      for (const end of ['companion', 'group'] as const) {
        const { main, companion } = withCompanion(end)
        const { id } = await agents.create(ADA, { ...main, companion })
        if (end === 'group') await groups.delete(ADA, companion.group.id)
        else await agents.delete(ADA, companion.agent.agent.id)
        assert.equal(await groups.get(ADA, companion.group.id), null)
        assert.equal((await agents.get(ADA, id, []))?.enable_sleeptime, false)
        assert.equal(await led(id), null)
      }
    })

    it('are nothing to another organisation', async () => {
      const { agents, groups, blocks } = subject.store
      const { main, companion } = withCompanion('Ada')
      const { id } = await agents.create(ADA, { ...main, companion })
      const { id: group_id } = companion.group
      const block = await blocks.create(ADA, aBlock('mine', ''))
      const hers = (await agents.create(EVE, anAgent('eve'))).id
      const before = await groups.get(ADA, group_id)
      const refused = (attempt: Promise<unknown>) => assert.rejects(attempt, { code: 'not_found' })
      assert.equal(await groups.get(EVE, group_id), null)
      assert.deepEqual(await groups.list(EVE, {}, page), [])
      assert.deepEqual(await groups.list(EVE, { agent_id: id }, page), [])
      assert.equal(await groups.count(EVE), 0)
      assert.equal(await groups.update(EVE, group_id, { description: 'stolen' }), null)
      assert.equal(await groups.delete(EVE, group_id), false)
      assert.equal(await groups.countTurn(EVE, id), null)
      await groups.setProcessed(EVE, group_id, newId('message'))
      await refused(groups.attachBlock(EVE, group_id, block.id))
      await refused(groups.detachBlock(EVE, group_id, block.id))
      await refused(groups.create(EVE, aGroup({ agent_ids: [hers, id] })))
      await refused(groups.create(EVE, sleeptime(id, hers)))
      await refused(groups.create(EVE, aGroup({ agent_ids: [hers], shared_block_ids: [block.id] })))
      await refused(groups.list(EVE, {}, { ...page, after: group_id }))
      await refused(agents.addCompanion(EVE, id, withCompanion('x').companion))
      assert.equal(await agents.delete(EVE, id), false)
      assert.equal(await agents.delete(EVE, companion.agent.agent.id), false)
      assert.deepEqual(await groups.get(ADA, group_id), before)
    })
  })
}
