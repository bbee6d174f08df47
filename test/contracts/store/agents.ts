import assert from 'node:assert/strict'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, aBuiltin, aCommit, ADA, aMessage, anAgent, aRun, aStep, at, DONE } from './samples.ts'

const ALL = ['agent.sources', 'agent.blocks', 'agent.tools', 'agent.tags'] as const

export function describeAgents(subject: Subject): void {
  describe('agents', () => {
    it('creates an agent with its blocks, tools and tags, in the order given', async () => {
      const { store } = subject
      await store.tools.seed(ADA, [aBuiltin('look'), aBuiltin('say')])
      const [say, look] = await Promise.all(
        ['say', 'look'].map(async (name) => (await store.tools.list(ADA, { name }, page(1)))[0]!),
      )
      const shared = await store.blocks.create(ADA, aBlock('shared', 'ours'))
      const input = anAgent('ada', {
        tags: ['b', 'a'],
        new_blocks: [aBlock('human', 'Ada', { tags: ['t'] }), aBlock('persona', 'kind')],
        block_ids: [shared.id],
        tool_ids: [say!.id, look!.id],
      })
      const created = await store.agents.create(ADA, input)
      assert.deepEqual(
        created.blocks.map((block) => block.label),
        ['human', 'persona', 'shared'],
      )
      assert.deepEqual(created.blocks[0]?.tags, ['t'])
      assert.deepEqual(created.blocks[2], shared)
      assert.deepEqual(created.tools, [say, look])
      assert.deepEqual(created.tags, ['b', 'a'])
      assert.deepEqual(created.message_ids, [input.system_message.id])
      assert.deepEqual(await store.agents.get(ADA, created.id, ALL), created)
      const { sources: _sources, ...row } = created
      assert.deepEqual(await store.agents.get(ADA, created.id, []), {
        ...row,
        blocks: [],
        tools: [],
        tags: [],
      })
      const { blocks: _, tools: __, tags: ___, message_ids: ____, ...bare } = row
      assert.deepEqual(bare, input.agent)
    })

    it('writes nothing when one of the blocks or tools is unknown, or two blocks have one label', async () => {
      const { store } = subject
      const human = await store.blocks.create(ADA, aBlock('human', 'x'))
      for (const [code, input] of [
        ['not_found', { block_ids: [newId('block')] }],
        ['not_found', { tool_ids: [newId('tool')] }],
        ['conflict', { new_blocks: [aBlock('a', ''), aBlock('a', '')] }],
        ['conflict', { new_blocks: [aBlock('human', '')], block_ids: [human.id] }],
      ] as const) {
        const agent = anAgent('ada', {
          ...input,
          new_blocks: [...('new_blocks' in input ? input.new_blocks : [aBlock('z', '')])],
          block_ids: [...('block_ids' in input ? input.block_ids : [])],
          tool_ids: [...('tool_ids' in input ? input.tool_ids : [])],
        })
        await assert.rejects(store.agents.create(ADA, agent), { name: 'AppError', code })
        assert.equal(await store.agents.count(ADA, {}), 0)
        assert.equal(await store.blocks.count(ADA, {}), 1)
      }
    })

    it('filters by name, text, tags, project, block, stop reason and hiddenness', async () => {
      const { store } = subject
      const shared = await store.blocks.create(ADA, aBlock('shared', ''))
      await store.agents.create(ADA, anAgent('Ada 100', { tags: ['x', 'y'], block_ids: [shared.id] }))
      await store.agents.create(
        ADA,
        anAgent('Bob_1', { tags: ['x'], fields: { project_id: 'p', created_at: at(1) } }),
      )
      await store.agents.create(ADA, anAgent('Bob 1', { fields: { hidden: true, created_at: at(2) } }))
      const names = async (filter: Parameters<typeof store.agents.list>[1]) => {
        const found = (await store.agents.list(ADA, filter, page(10), [])).map((agent) => agent.name)
        assert.equal(await store.agents.count(ADA, filter), found.length)
        return found
      }
      assert.deepEqual(await names({}), ['Ada 100', 'Bob_1'])
      assert.deepEqual(await names({ show_hidden: true }), ['Ada 100', 'Bob_1', 'Bob 1'])
      assert.deepEqual(await names({ name: 'Ada 100' }), ['Ada 100'])
      assert.deepEqual(await names({ name: 'ada 100' }), [])
      assert.deepEqual(await names({ query_text: 'aDA' }), ['Ada 100'])
      assert.deepEqual(await names({ query_text: 'b_1', show_hidden: true }), ['Bob_1'])
      assert.deepEqual(await names({ query_text: '%' }), [])
      assert.deepEqual(await names({ tags: ['x', 'y'] }), ['Ada 100', 'Bob_1'])
      assert.deepEqual(await names({ tags: ['x', 'y'], match_all_tags: true }), ['Ada 100'])
      assert.deepEqual(await names({ project_id: 'p' }), ['Bob_1'])
      assert.deepEqual(await names({ block_id: shared.id }), ['Ada 100'])
      assert.deepEqual(await names({ last_stop_reason: 'end_turn' }), [])
      assert.deepEqual(await names({ created_by_id: newId('user') }), [])
    })

    it('pages forward and back in both orders, and ends with an empty page', async () => {
      const { store } = subject
      const ids: string[] = []
      // Pairs share an instant: the id breaks the tie.
      for (let i = 0; i < 6; i++) {
        const created_at = at(Math.floor(i / 2))
        ids.push((await store.agents.create(ADA, anAgent(`a${i}`, { fields: { created_at } }))).id)
      }
      const all = (await store.agents.list(ADA, {}, page(100), [])).map((agent) => agent.id)
      assert.deepEqual(
        all,
        [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4, 6)].flatMap((pair) => pair.sort()),
      )
      for (const order of ['asc', 'desc'] as const) {
        const sorted = order === 'asc' ? all : all.toReversed()
        const list = async (more: { after?: string; before?: string }, limit = 2) =>
          (await store.agents.list(ADA, {}, { limit, order, ...more }, [])).map((agent) => agent.id)
        assert.deepEqual(await list({}), sorted.slice(0, 2))
        assert.deepEqual(await list({ after: sorted[1]! }), sorted.slice(2, 4))
        assert.deepEqual(await list({ before: sorted[4]! }), sorted.slice(2, 4))
        assert.deepEqual(await list({ after: sorted[0]!, before: sorted[3]! }, 9), sorted.slice(1, 3))
        assert.deepEqual(await list({ after: sorted[5]! }), [])
        assert.deepEqual(await list({ before: sorted[0]! }), [])
      }
    })

    it('sorts by last run with the never run first', async () => {
      const { store } = subject
      const never = await store.agents.create(ADA, anAgent('never'))
      const late = await store.agents.create(ADA, anAgent('late', { fields: { last_run_completion: at(9) } }))
      const early = await store.agents.create(
        ADA,
        anAgent('early', { fields: { last_run_completion: at(1) } }),
      )
      const filter = { order_by: 'last_run_completion' } as const
      const ids = (await store.agents.list(ADA, filter, page(10), [])).map((agent) => agent.id)
      assert.deepEqual(ids, [never.id, early.id, late.id])
      const rest = await store.agents.list(ADA, filter, { ...page(10), after: never.id }, [])
      assert.deepEqual(
        rest.map((agent) => agent.id),
        [early.id, late.id],
      )
    })

    it('refuses a cursor that is no agent', async () => {
      const cursor = newId('agent')
      for (const more of [{ after: cursor }, { before: cursor }]) {
        const listed = subject.store.agents.list(ADA, {}, { ...page(1), ...more }, [])
        await assert.rejects(listed, { name: 'AppError', code: 'not_found', message: new RegExp(cursor) })
      }
    })

    it('updates what is given and leaves the rest', async () => {
      const { store } = subject
      const agent = await store.agents.create(
        ADA,
        anAgent('ada', {
          tags: ['x'],
          new_blocks: [aBlock('human', 'Ada')],
          fields: { description: 'old', model: 'm' },
        }),
      )
      const other = await store.blocks.create(ADA, aBlock('other', ''))
      const updated = await store.agents.update(ADA, agent.id, {
        name: 'eva',
        description: null,
        tags: ['y'],
        block_ids: [other.id],
      })
      assert.ok(updated)
      assert.notEqual(updated.updated_at, agent.updated_at)
      assert.deepEqual(updated, {
        ...agent,
        pending_approval: null,
        managed_group: null,
        secrets: [],
        identities: [],
        name: 'eva',
        description: null,
        tags: ['y'],
        blocks: [other],
        updated_at: updated.updated_at,
      })
      const relations = [
        ...ALL,
        'agent.pending_approval',
        'agent.managed_group',
        'agent.identities',
        'agent.secrets',
      ] as const
      assert.deepEqual(await store.agents.get(ADA, agent.id, relations), updated)
      assert.ok(await store.blocks.get(ADA, agent.blocks[0]!.id), 'a block that was taken away still exists')
      assert.equal(await store.agents.update(ADA, newId('agent'), { name: 'x' }), null)
    })

    it('attaches and detaches blocks and tools', async () => {
      const { store } = subject
      await store.tools.seed(ADA, [aBuiltin('look')])
      const [tool] = await store.tools.list(ADA, {}, page(1))
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', '')] }))
      const block = await store.blocks.create(ADA, aBlock('extra', ''))
      const rival = await store.blocks.create(ADA, aBlock('human', ''))
      for (let twice = 0; twice < 2; twice++) {
        await store.agents.attachBlock(ADA, agent.id, block.id)
        await store.agents.attachTool(ADA, agent.id, tool!.id)
      }
      await assert.rejects(store.agents.attachBlock(ADA, agent.id, rival.id), { code: 'conflict' })
      await assert.rejects(store.agents.attachBlock(ADA, agent.id, newId('block')), { code: 'not_found' })
      await assert.rejects(store.agents.attachTool(ADA, newId('agent'), tool!.id), { code: 'not_found' })
      await assert.rejects(store.agents.attachTool(ADA, agent.id, newId('tool')), { code: 'not_found' })
      const attached = await store.agents.get(ADA, agent.id, ALL)
      assert.deepEqual(
        attached?.blocks.map((b) => b.label),
        ['human', 'extra'],
      )
      assert.deepEqual(attached.tools, [tool])
      await store.agents.detachBlock(ADA, agent.id, block.id)
      await store.agents.detachTool(ADA, agent.id, tool!.id)
      const detached = await store.agents.get(ADA, agent.id, ALL)
      assert.deepEqual(
        detached?.blocks.map((b) => b.label),
        ['human'],
      )
      assert.deepEqual(detached.tools, [])
    })

    it('deletes an agent with its messages, runs and steps; blocks and tools stay', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', '')] }))
      const kept = await store.agents.create(ADA, anAgent('kept'))
      const run = aRun(agent.id)
      const opened = await store.turns.open(ADA, {
        run,
        conversation_id: agent.id,
        messages: [aMessage(agent.id, 'user', 'hello', { run_id: run.id })],
      })
      await store.turns.commit(ADA, aCommit(opened, run, { step: aStep(run), finish: DONE }))
      assert.equal(await store.agents.delete(ADA, agent.id), true)
      assert.equal(await store.agents.delete(ADA, agent.id), false)
      assert.equal(await store.agents.get(ADA, agent.id, []), null)
      assert.deepEqual(await store.messages.list(ADA, { agent_id: agent.id }, page(10)), [])
      assert.deepEqual(await store.messages.list(ADA, { run_id: run.id }, page(10)), [])
      assert.equal(await store.turns.getRun(ADA, run.id), null)
      assert.deepEqual(await store.turns.listSteps(ADA, { run_id: run.id }, page(10)), [])
      const search = { query: 'hello', agent_id: agent.id, roles: ['user' as const], limit: 10 }
      assert.deepEqual(await store.messages.search(ADA, search), [])
      assert.ok(await store.blocks.get(ADA, agent.blocks[0]!.id))
      assert.ok(await store.agents.get(ADA, kept.id, []))
      const late = store.turns.open(ADA, { run: aRun(agent.id), conversation_id: agent.id, messages: [] })
      await assert.rejects(late, { code: 'not_found' })
    })

    it('refuses the commit of a turn whose agent was deleted meanwhile', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const run = aRun(agent.id)
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
      await store.agents.delete(ADA, agent.id)
      const messages = [aMessage(agent.id, 'assistant', 'late')]
      await assert.rejects(store.turns.commit(ADA, aCommit(opened, run, { messages })), {
        code: 'lease_lost',
      })
    })
  })
}

function page(limit: number) {
  return { limit, order: 'asc' } as const
}
