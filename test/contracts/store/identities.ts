import assert from 'node:assert/strict'
import { createIdentity, type CreateIdentity } from '../../../shared/schema/identity.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, ADA, anAgent, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

function anIdentity(identifier_key: string, more: Partial<CreateIdentity> = {}): CreateIdentity {
  return { ...createIdentity.parse({ identifier_key, name: identifier_key, identity_type: 'user' }), ...more }
}

export function describeIdentities(subject: Subject): void {
  describe('identities', () => {
    it('a key is taken once in a project, and by each organisation for itself', async () => {
      const { identities } = subject.store
      await identities.create(ADA, anIdentity('k'))
      await assert.rejects(identities.create(ADA, anIdentity('k')), { code: 'conflict' })
      const elsewhere = await identities.create(ADA, anIdentity('k', { project_id: 'p' }))
      await assert.rejects(identities.create(ADA, anIdentity('k', { project_id: 'p' })), { code: 'conflict' })
      await identities.create(EVE, anIdentity('k'))
      const other = await identities.create(ADA, anIdentity('other'))
      await assert.rejects(identities.update(ADA, other.id, { identifier_key: 'k' }), { code: 'conflict' })
      assert.deepEqual(await identities.get(ADA, other.id), other, 'a refused change leaves it as it was')
      assert.deepEqual(await identities.list(ADA, { project_id: 'p' }, page), [elsewhere])
      assert.deepEqual([await identities.count(ADA), await identities.count(EVE)], [3, 1])
    })

    it('creates nothing when an agent or block is not there', async () => {
      const { identities } = subject.store
      for (const link of [{ agent_ids: [newId('agent')] }, { block_ids: [newId('block')] }])
        await assert.rejects(identities.create(ADA, anIdentity('k', link)), { code: 'not_found' })
      assert.equal(await identities.count(ADA), 0)
    })

    it('an update adds, an upsert replaces', async () => {
      const { agents, blocks, identities } = subject.store
      const [one, two] = [await agents.create(ADA, anAgent('one')), await agents.create(ADA, anAgent('two'))]
      const block = await blocks.create(ADA, aBlock('b', ''))
      const text = (key: string, value: string) => ({ key, value, type: 'string' as const })
      const made = await identities.create(
        ADA,
        anIdentity('k', { agent_ids: [one.id], block_ids: [block.id], properties: [text('a', '1')] }),
      )
      const patch = { agent_ids: [two.id], properties: [text('a', '2'), text('b', '3')] }
      const changed = await identities.update(ADA, made.id, patch)
      assert.deepEqual(changed?.agent_ids, [one.id, two.id].toSorted())
      assert.deepEqual(changed?.properties, patch.properties)
      const replaced = await identities.upsert(ADA, anIdentity('k', { name: 'New', agent_ids: [two.id] }))
      assert.deepEqual(
        [replaced.id, replaced.name, replaced.agent_ids, replaced.block_ids, replaced.properties],
        [made.id, 'New', [two.id], [block.id], patch.properties],
        'what is not given stays',
      )
      assert.deepEqual(await identities.get(ADA, made.id), replaced)
      assert.equal((await identities.upsert(ADA, anIdentity('fresh'))).identifier_key, 'fresh')
    })

    it('agents and blocks are found by them, as long as they are linked', async () => {
      const { agents, blocks, identities } = subject.store
      const { id } = await identities.create(ADA, anIdentity('k'))
      const agent = await agents.create(ADA, anAgent('one', { new_blocks: [aBlock('b', '')] }))
      const block_id = agent.blocks[0]?.id ?? ''
      const found = async () => [
        (await agents.list(ADA, { identifier_keys: ['x', 'k'] }, page, [])).length,
        await agents.count(ADA, { identity_id: id }),
        (await blocks.list(ADA, { identity_id: id }, page)).length,
        await blocks.count(ADA, { identifier_keys: ['k'] }),
      ]
      for (const link of [{ agent_id: agent.id }, { block_id }]) {
        await identities.attach(ADA, id, link)
        await identities.attach(ADA, id, link)
      }
      assert.deepEqual(await found(), [1, 1, 1, 1])
      const read = await agents.get(ADA, agent.id, ['agent.identities'])
      assert.deepEqual([read?.identity_ids, read?.identities?.[0]?.agent_ids], [[id], [agent.id]])
      await identities.detach(ADA, id, { agent_id: agent.id })
      await blocks.delete(ADA, block_id)
      assert.deepEqual(await found(), [0, 0, 0, 0])
      await agents.update(ADA, agent.id, { identity_ids: [id] })
      assert.deepEqual((await identities.get(ADA, id))?.agent_ids, [agent.id])
      await agents.delete(ADA, agent.id)
      assert.deepEqual((await identities.get(ADA, id))?.agent_ids, [])
    })

    it('lists by part of the name and by type, from a cursor', async () => {
      const { identities } = subject.store
      const made = []
      for (const name of ['Ann', 'Hannah', 'Bob'])
        made.push((await identities.create(ADA, anIdentity(name, { name }))).id)
      const ids = async (
        ...query: Parameters<typeof identities.list> extends [unknown, ...infer R] ? R : never
      ) => (await identities.list(ADA, ...query)).map(({ id }) => id)
      assert.deepEqual(await ids({ name: 'ann' }, page), made.slice(0, 2))
      assert.deepEqual(await ids({}, { ...page, after: made[0] }), made.slice(1))
      assert.deepEqual(await ids({}, { ...page, before: made[2], limit: 1 }), [made[1]])
      assert.deepEqual(await ids({ identity_type: 'org' }, page), [])
      await assert.rejects(ids({}, { ...page, after: newId('identity') }), { code: 'not_found' })
    })

    it('another organisation sees, changes and links nothing', async () => {
      const { agents, identities } = subject.store
      const { id } = await identities.create(ADA, anIdentity('k'))
      const mine = await agents.create(ADA, anAgent('ada'))
      const hers = await agents.create(EVE, anAgent('eve'))
      const own = await identities.create(EVE, anIdentity('own'))
      assert.equal(await identities.get(EVE, id), null)
      assert.equal(await identities.update(EVE, id, { name: 'stolen' }), null)
      assert.equal(await identities.delete(EVE, id), false)
      const refused = { name: 'AppError', code: 'not_found' }
      await assert.rejects(identities.attach(EVE, id, { agent_id: hers.id }), refused)
      await assert.rejects(identities.attach(EVE, own.id, { agent_id: mine.id }), refused)
      await assert.rejects(identities.detach(EVE, id, { agent_id: mine.id }), refused)
      await assert.rejects(agents.update(EVE, hers.id, { identity_ids: [id] }), refused)
      await assert.rejects(identities.list(EVE, {}, { ...page, after: id }), refused)
      assert.deepEqual(await agents.list(EVE, { identity_id: id }, page, []), [])
      assert.equal((await identities.get(ADA, id))?.name, 'k')
    })
  })
}
