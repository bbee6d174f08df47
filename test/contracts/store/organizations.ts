import assert from 'node:assert/strict'
import type { Subject } from '../store.contract.ts'
import { aPassage } from './passages.ts'
import { aBlock, aBuiltin, aCommit, ADA, aMessage, anAgent, aRun, aStep, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

/** Every method, called by a user of another organisation with ids that exist. */
export function describeOrganizations(subject: Subject): void {
  describe('another organisation', () => {
    it('sees, changes and links nothing, whatever id it knows', async () => {
      const { store } = subject
      await store.tools.seed(ADA, [aBuiltin('look')])
      const [tool] = await store.tools.list(ADA, {}, page)
      const agent = await store.agents.create(
        ADA,
        anAgent('ada', { new_blocks: [aBlock('human', 'Ada')], tool_ids: [tool!.id], tags: ['t'] }),
      )
      const block = agent.blocks[0]!
      const run = aRun(agent.id)
      const message = aMessage(agent.id, 'user', 'secret')
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [message] })
      const step = aStep(run)
      await store.turns.commit(ADA, aCommit(opened, run, { step }))
      const [passage] = await store.passages.create(ADA, agent.id, [aPassage('secret', { tags: ['t'] })])
      const hers = await store.agents.create(EVE, anAgent('eve'))
      const before = await snapshot()

      assert.equal(await store.agents.get(EVE, agent.id, ['agent.blocks']), null)
      assert.deepEqual(
        (await store.agents.list(EVE, {}, page, [])).map((a) => a.id),
        [hers.id],
      )
      assert.deepEqual(await store.agents.list(EVE, { block_id: block.id }, page, []), [])
      assert.deepEqual(await store.agents.list(EVE, { tags: ['t'] }, page, []), [])
      assert.equal(await store.agents.count(EVE, {}), 1)
      assert.equal(await store.agents.update(EVE, agent.id, { name: 'stolen' }), null)
      assert.equal(await store.agents.delete(EVE, agent.id), false)
      await refused(store.agents.create(EVE, anAgent('x', { block_ids: [block.id] })))
      await refused(store.agents.create(EVE, anAgent('x', { tool_ids: [tool!.id] })))
      await refused(store.agents.update(EVE, hers.id, { block_ids: [block.id] }))
      await refused(store.agents.update(EVE, hers.id, { tool_ids: [tool!.id] }))
      await refused(store.agents.attachBlock(EVE, hers.id, block.id))
      await refused(store.agents.attachBlock(EVE, agent.id, block.id))
      await refused(store.agents.detachBlock(EVE, agent.id, block.id))
      await refused(store.agents.attachTool(EVE, hers.id, tool!.id))
      await refused(store.agents.detachTool(EVE, agent.id, tool!.id))
      await refused(store.agents.list(EVE, {}, { ...page, after: agent.id }, []))

      assert.equal(await store.blocks.get(EVE, block.id), null)
      assert.deepEqual(await store.blocks.list(EVE, { agent_id: agent.id }, page), [])
      assert.equal(await store.blocks.count(EVE, {}), 0)
      assert.equal(await store.blocks.update(EVE, block.id, { value: 'stolen' }), null)
      assert.equal(await store.blocks.delete(EVE, block.id), false)
      await refused(store.blocks.list(EVE, {}, { ...page, before: block.id }))
      assert.equal(await store.blocks.history(EVE, block.id, page), null)
      assert.equal(await store.blocks.restore(EVE, block.id, 1), null)

      await refused(store.passages.create(EVE, agent.id, [aPassage('stolen')]))
      assert.deepEqual(await store.passages.list(EVE, { agent_id: agent.id }, page), [])
      await refused(store.passages.list(EVE, { agent_id: hers.id }, { ...page, after: passage!.id }))
      const remember = { agent_id: agent.id, query: 'secret', limit: 10 }
      assert.deepEqual(await store.passages.search(EVE, remember), [])
      assert.equal(await store.passages.delete(EVE, agent.id, passage!.id), false)
      assert.equal(await store.passages.delete(EVE, hers.id, passage!.id), false)

      assert.equal(await store.tools.get(EVE, tool!.id), null)
      assert.deepEqual(await store.tools.list(EVE, { tool_ids: [tool!.id] }, page), [])
      assert.deepEqual(await store.tools.list(EVE, { agent_id: agent.id }, page), [])
      assert.equal(await store.tools.count(EVE, {}), 0)
      await refused(store.tools.list(EVE, {}, { ...page, after: tool!.id }))
      await store.tools.seed(EVE, [aBuiltin('look', 'Hers.')])

      assert.deepEqual(await store.messages.list(EVE, { agent_id: agent.id }, page), [])
      assert.deepEqual(await store.messages.list(EVE, { run_id: run.id }, page), [])
      await refused(store.messages.list(EVE, { agent_id: hers.id }, { ...page, after: message.id }))
      const search = { agent_id: agent.id, roles: ['user' as const], limit: 10 }
      assert.deepEqual(await store.messages.search(EVE, { ...search, query: 'secret' }), [])
      assert.deepEqual(await store.messages.search(EVE, search), [])

      await refused(store.turns.open(EVE, { run: aRun(agent.id), conversation_id: agent.id, messages: [] }))
      await refused(store.turns.open(EVE, { run: aRun(hers.id), conversation_id: agent.id, messages: [] }))
      const stolen = aCommit(opened, run, { messages: [aMessage(agent.id, 'assistant', 'stolen')] })
      await assert.rejects(store.turns.commit(EVE, stolen), { code: 'lease_lost' })
      assert.equal(await store.turns.getRun(EVE, run.id), null)
      assert.deepEqual(await store.turns.listRuns(EVE, { agent_id: agent.id }, page), [])
      assert.deepEqual(await store.turns.listSteps(EVE, { run_id: run.id }, page), [])
      await refused(store.turns.listRuns(EVE, {}, { ...page, after: run.id }))
      await refused(store.turns.listSteps(EVE, {}, { ...page, after: step.id }))

      const own = aRun(hers.id)
      const turn = await store.turns.open(EVE, { run: own, conversation_id: hers.id, messages: [] })
      const edit = { block_id: block.id, base_version: 1, value: 'stolen' }
      const edited = await store.turns.commit(EVE, aCommit(turn, own, { block_edits: [edit] }))
      assert.deepEqual(edited, { status: 'conflict', blocks: [] })
      const away = { block_id: block.id, base_version: 1, detach: true as const }
      const detached = await store.turns.commit(EVE, aCommit(turn, own, { block_edits: [away] }))
      assert.deepEqual(detached, { status: 'conflict', blocks: [] })
      const system = { message_id: message.id, text: 'stolen' }
      await store.turns.commit(EVE, aCommit(turn, own, { system }))

      assert.deepEqual(await snapshot(), before)

      async function snapshot() {
        return {
          agents: await store.agents.list(ADA, {}, page, ['agent.blocks', 'agent.tools', 'agent.tags']),
          blocks: await store.blocks.list(ADA, {}, page),
          tools: await store.tools.list(ADA, {}, page),
          history: await store.blocks.history(ADA, block.id, page),
          passages: await store.passages.list(ADA, { agent_id: agent.id }, page),
          messages: await store.messages.list(ADA, { agent_id: agent.id }, page),
          runs: await store.turns.listRuns(ADA, {}, page),
          steps: await store.turns.listSteps(ADA, {}, page),
        }
      }
    })
  })
}

async function refused(attempt: Promise<unknown>): Promise<void> {
  await assert.rejects(attempt, { name: 'AppError', code: 'not_found' })
}
