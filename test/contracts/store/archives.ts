import assert from 'node:assert/strict'
import type { NewArchive } from '../../../shared/core/ports/archive-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { aPassage } from './passages.ts'
import { ADA, anAgent, at, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

export function anArchive(name: string, more: Partial<NewArchive> = {}): NewArchive {
  return {
    id: newId('archive'),
    name,
    description: null,
    metadata: null,
    embedding: null,
    created_at: at(0),
    ...more,
  }
}

export function describeArchives(subject: Subject): void {
  describe('archives', () => {
    it('are kept as they were given, changed, listed by name and agent', async () => {
      const { archives, agents } = subject.store
      const one = await archives.create(ADA, anArchive('one', { description: 'd', metadata: { k: 1 } }))
      const two = await archives.create(ADA, anArchive('two', { created_at: at(1) }))
      assert.deepEqual([one.description, one.metadata, one.embedding_config], ['d', { k: 1 }, null])
      assert.deepEqual(await archives.get(ADA, one.id), one)
      const ids = async (filter: object, more: object = {}) =>
        (await archives.list(ADA, filter, { ...page, ...more })).map(({ id }) => id)
      assert.deepEqual(await ids({}), [one.id, two.id])
      assert.deepEqual(await ids({}, { order: 'desc', limit: 1 }), [two.id])
      assert.deepEqual(await ids({}, { after: one.id }), [two.id])
      assert.deepEqual(await ids({ name: 'two' }), [two.id])
      const renamed = await archives.update(ADA, one.id, { name: 'uno' })
      assert.deepEqual([renamed?.name, renamed?.description], ['uno', 'd'])
      assert.equal(await archives.update(ADA, newId('archive'), { name: 'x' }), null)
      const agent = await agents.create(ADA, anAgent('ada'))
      await archives.attach(ADA, agent.id, two.id)
      assert.deepEqual(await ids({ agent_id: agent.id }), [two.id])
      assert.deepEqual(
        (await agents.list(ADA, { archive_id: two.id }, page, [])).map(({ id }) => id),
        [agent.id],
      )
    })

    it('are shared by agents, which write to the first of theirs and search all', async () => {
      const { archives, agents, passages } = subject.store
      const [ada, bo] = [await agents.create(ADA, anAgent('ada')), await agents.create(ADA, anAgent('bo'))]
      const shared = await archives.create(ADA, anArchive('shared'))
      const more = await archives.create(ADA, anArchive('more'))
      for (const { id } of [ada, bo]) await archives.attach(ADA, id, shared.id)
      await archives.attach(ADA, ada.id, more.id)
      await archives.attach(ADA, ada.id, more.id)
      const [written] = await passages.create(ADA, ada.id, [aPassage('tea one')])
      assert.equal(written?.archive_id, shared.id)
      await passages.createIn(ADA, more.id, [aPassage('tea two')])
      const found = async (scope: object) =>
        (await passages.search(ADA, { ...scope, query: 'tea', limit: 9 })).map((m) => m.passage.text).sort()
      assert.deepEqual(await found({ agent_id: ada.id }), ['tea one', 'tea two'])
      assert.deepEqual(await found({ agent_id: bo.id }), ['tea one'])
      assert.deepEqual(await found({ archive_id: more.id }), ['tea two'])
      assert.deepEqual(await found({ agent_id: bo.id, archive_id: more.id }), [])
      assert.deepEqual(await found({}), ['tea one', 'tea two'])
      await archives.detach(ADA, ada.id, shared.id)
      assert.deepEqual(await found({ agent_id: ada.id }), ['tea two'])
      await assert.rejects(archives.detach(ADA, ada.id, shared.id), { code: 'not_found' })
      await assert.rejects(archives.attach(ADA, ada.id, newId('archive')), { code: 'not_found' })
      await assert.rejects(archives.attach(ADA, newId('agent'), more.id), { code: 'not_found' })
      await assert.rejects(passages.createIn(ADA, newId('archive'), []), { code: 'not_found' })
    })

    it('are deleted with their passages, from every agent', async () => {
      const { archives, agents, passages } = subject.store
      const agent = await agents.create(ADA, anAgent('ada'))
      const { id } = await archives.create(ADA, anArchive('gone'))
      const kept = await archives.create(ADA, anArchive('kept'))
      for (const archive of [id, kept.id]) await archives.attach(ADA, agent.id, archive)
      const many = Array.from({ length: 120 }, (_, i) => aPassage(`tea ${i}`, { tags: ['t'] }))
      await passages.createIn(ADA, id, many)
      await passages.createIn(ADA, kept.id, [aPassage('tea kept')])
      assert.equal(await archives.delete(ADA, id), true)
      assert.equal(await archives.delete(ADA, id), false)
      assert.equal(await archives.get(ADA, id), null)
      const left = await passages.search(ADA, { query: 'tea', limit: 100 })
      assert.deepEqual(
        left.map((match) => match.passage.text),
        ['tea kept'],
      )
      assert.equal((await passages.list(ADA, { agent_id: agent.id }, page)).length, 1)
      assert.equal(await passages.deleteFrom(ADA, id, many[0]!.id), false)
    })

    it('of another organisation are not there', async () => {
      const { archives, agents, passages } = subject.store
      const archive = await archives.create(ADA, anArchive('hers'))
      const [passage] = await passages.createIn(ADA, archive.id, [aPassage('secret')])
      const eve = await agents.create(EVE, anAgent('eve'))
      assert.equal(await archives.get(EVE, archive.id), null)
      assert.deepEqual(await archives.list(EVE, {}, page), [])
      assert.equal(await archives.update(EVE, archive.id, { name: 'stolen' }), null)
      assert.equal(await archives.delete(EVE, archive.id), false)
      await assert.rejects(archives.attach(EVE, eve.id, archive.id), { code: 'not_found' })
      await assert.rejects(passages.createIn(EVE, archive.id, [aPassage('x')]), { code: 'not_found' })
      assert.equal(await passages.deleteFrom(EVE, archive.id, passage!.id), false)
      assert.deepEqual(await passages.search(EVE, { archive_id: archive.id, query: 'secret', limit: 5 }), [])
      assert.deepEqual(await passages.search(EVE, { query: 'secret', limit: 5 }), [])
      assert.deepEqual(await archives.get(ADA, archive.id), archive)
    })
  })
}
