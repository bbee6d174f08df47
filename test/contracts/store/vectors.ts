import assert from 'node:assert/strict'
import type { PassageSearch } from '../../../shared/core/ports/passage-store.ts'
import type { EmbeddingBatch } from '../../../shared/core/ports/vector-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import { testVector } from '../../support/test-embeddings.ts'
import type { Subject } from '../store.contract.ts'
import { anArchive } from './archives.ts'
import { aPassage } from './passages.ts'
import { ADA, at, EVE } from './samples.ts'

const LIMITS = { texts: 3, characters: 10_000, claim_ms: 60_000 }
const MODEL = 'test/embedder'

export function describeVectors(subject: Subject): void {
  describe('vectors of passages', () => {
    const embedded = (handle = MODEL) => ({ handle, config: null })
    const anEmbeddedArchive = async (...texts: string[]) => {
      const { archives, passages } = subject.store
      const { id } = await archives.create(ADA, anArchive('a', { embedding: embedded() }))
      await passages.createIn(
        ADA,
        id,
        texts.map((text) => aPassage(text)),
      )
      return id
    }
    const vectorsOf = (batch: EmbeddingBatch, dim?: number) =>
      batch.texts.map(({ text }) => Float32Array.from(testVector(text, dim)))
    const embedAll = async (dim?: number) => {
      const { vectors } = subject.store
      for (let batch = await vectors.claim(LIMITS); batch; batch = await vectors.claim(LIMITS))
        await vectors.save(batch, vectorsOf(batch, dim))
    }
    const near = async (archive_id: string, query: string, more: Partial<PassageSearch> = {}) => {
      const vectors = new Map([[MODEL, Float32Array.from(testVector(query))]])
      const search = { archive_id, query, limit: 2, mode: 'vector' as const, vectors, ...more }
      return (await subject.store.passages.search(ADA, search)).map(({ passage }) => passage.text)
    }

    it('are waited for by rows, made in batches, and found by nearness', async () => {
      const { vectors } = subject.store
      const archive = await anEmbeddedArchive('elephants', 'bicycles', 'gardens', 'volcanoes')
      assert.deepEqual(await vectors.status(ADA, archive), {
        model: MODEL,
        dim: null,
        waiting: true,
        problem: null,
      })
      const first = await vectors.claim(LIMITS)
      assert.deepEqual(
        [first?.owner, first?.model, first?.texts.map(({ text }) => text)],
        [archive, MODEL, ['elephants', 'bicycles', 'gardens']],
      )
      assert.equal(await vectors.claim(LIMITS), null, 'claimed by one process')
      await vectors.save(first!, vectorsOf(first!))
      await embedAll()
      assert.deepEqual(await vectors.status(ADA, archive), {
        model: MODEL,
        dim: 256,
        waiting: false,
        problem: null,
      })
      assert.equal((await near(archive, 'elefants'))[0], 'elephants')
      assert.equal((await near(archive, 'volcano'))[0], 'volcanoes')
      await subject.store.passages.createIn(ADA, archive, [aPassage('elephant herds')])
      assert.equal((await vectors.status(ADA, archive))?.waiting, true)
      await embedAll()
      assert.ok((await near(archive, 'elephant herd')).includes('elephant herds'))
      assert.deepEqual(await vectors.models(ADA, { of: 'passages', archive_id: archive }), [MODEL])
      assert.deepEqual(await vectors.models(EVE, { of: 'passages', archive_id: archive }), [])
      assert.equal(await vectors.status(EVE, archive), null)
    })

    it('take up as much as their numbers do, to their organisation', async () => {
      const { vectors } = subject.store
      assert.equal(await vectors.bytes(ADA), 0)
      await anEmbeddedArchive('elephants', 'bicycles', 'gardens', 'volcanoes')
      assert.equal(await vectors.bytes(ADA), 0, 'none is made yet')
      await embedAll(256)
      assert.deepEqual([await vectors.bytes(ADA), await vectors.bytes(EVE)], [4 * 256 * 4, 0])
    })

    it('are fused with words, and narrowed as words are', async () => {
      const { archives, passages } = subject.store
      const { id } = await archives.create(ADA, anArchive('a', { embedding: embedded() }))
      await passages.createIn(ADA, id, [
        aPassage('an elephant in Kenya', { tags: ['a'], created_at: at(1) }),
        aPassage('elephants of India', { tags: ['a', 'b'], created_at: at(2) }),
        aPassage('bicycles of India', { created_at: at(3) }),
      ])
      await embedAll()
      const hybrid = { mode: 'hybrid' as const, limit: 10 }
      const [best] = await near(id, 'elephants India', hybrid)
      assert.equal(best, 'elephants of India')
      assert.deepEqual(await near(id, 'elefant', { ...hybrid, tags: ['b'] }), ['elephants of India'])
      assert.deepEqual(await near(id, 'elefant', { ...hybrid, end_date: at(2) }), ['an elephant in Kenya'])
      assert.deepEqual(await near(id, 'elefant', { ...hybrid, tags: ['none'] }), [])
      const vectors = new Map([[MODEL, Float32Array.from(testVector('India'))]])
      const found = await passages.search(ADA, { query: 'India', archive_id: id, vectors, ...hybrid })
      assert.ok(found.every((match) => match.vector_rank !== null))
      assert.equal(found.filter((match) => match.fts_rank !== null).length, 2)
    })

    it('that are not made yet keep a text from no place that its words give it', async () => {
      const { passages } = subject.store
      const others = Array.from({ length: 8 }, (_, i) => `the turbine number ${i}`)
      const archive = await anEmbeddedArchive(...others)
      await embedAll()
      await passages.createIn(ADA, archive, [aPassage('the turbine bearing clearance')])
      const found = await near(archive, 'turbine bearing clearance', { mode: 'hybrid', limit: 3 })
      assert.equal(found[0], 'the turbine bearing clearance')
      await embedAll()
      assert.deepEqual(
        (await near(archive, 'turbine bearing clearance', { mode: 'hybrid', limit: 3 }))[0],
        'the turbine bearing clearance',
      )
    })

    it('of a process that died are made by another after its claim', async () => {
      const { vectors } = subject.store
      await anEmbeddedArchive('one')
      const lost = await vectors.claim({ ...LIMITS, claim_ms: 0 })
      const again = await vectors.claim(LIMITS)
      assert.deepEqual(again?.texts, lost?.texts)
      await vectors.release(again!)
      assert.ok(await vectors.claim(LIMITS))
    })

    it('are claimed by another at once when their process is gone', async function () {
      const { store, reopen } = subject
      if (!reopen) this.skip()
      await anEmbeddedArchive('one')
      const other = await reopen()
      const lost = await other.vectors.claim(LIMITS)
      assert.ok(lost)
      assert.equal(await store.vectors.claim(LIMITS), null, 'it works on them')
      await other.close()
      assert.deepEqual(await store.vectors.claim(LIMITS), lost)
    })

    it('that could not be made wait, with the reason', async () => {
      const { vectors } = subject.store
      const archive = await anEmbeddedArchive('one', 'two')
      const batch = (await vectors.claim(LIMITS))!
      await vectors.fail(batch, 'it is down', 60_000)
      assert.equal(await vectors.claim(LIMITS), null)
      const status = await vectors.status(ADA, archive)
      assert.deepEqual([status?.waiting, status?.problem], [true, 'it is down'])
      assert.deepEqual(await near(archive, 'one'), [])
      assert.deepEqual(await near(archive, 'one', { mode: 'hybrid' }), ['one'])
    })

    it('of another dimension are refused, all of the batch', async () => {
      const { passages, vectors } = subject.store
      const archive = await anEmbeddedArchive('one')
      await embedAll()
      await passages.createIn(ADA, archive, [aPassage('two'), aPassage('three')])
      const batch = (await vectors.claim(LIMITS))!
      const [good, bad] = [vectorsOf(batch)[0]!, vectorsOf(batch, 128)[1]!]
      await assert.rejects(vectors.save(batch, [good, bad]), { code: 'invalid_argument' })
      assert.deepEqual(await near(archive, 'two', { limit: 9 }), ['one'])
    })

    it('of one text that is refused are left out, and the others kept', async () => {
      const { vectors } = subject.store
      const archive = await anEmbeddedArchive('one', 'two')
      const batch = (await vectors.claim(LIMITS))!
      await vectors.save(batch, [null, vectorsOf(batch)[1]!], 'too long')
      assert.deepEqual(await near(archive, 'one', { limit: 9 }), ['two'])
      assert.equal(await vectors.claim(LIMITS), null)
      assert.equal((await vectors.status(ADA, archive))?.problem, 'too long')
    })

    it('are made anew for another model, and those of the old one are not searched', async () => {
      const { archives, vectors } = subject.store
      const archive = await anEmbeddedArchive('one', 'two')
      const late = (await vectors.claim(LIMITS))!
      await archives.update(ADA, archive, { embedding: embedded('test/other') })
      await vectors.save(late, vectorsOf(late))
      assert.equal((await vectors.status(ADA, archive))?.dim, null, 'of the model before')
      await embedAll(64)
      assert.equal((await vectors.status(ADA, archive))?.dim, 64)
      const other = new Map([['test/other', Float32Array.from(testVector('one', 64))]])
      assert.equal((await near(archive, 'one', { vectors: other }))[0], 'one')
      await archives.update(ADA, archive, { embedding: embedded() })
      await embedAll()
      await vectors.tidy()
      assert.equal((await near(archive, 'two'))[0], 'two')
      assert.equal(await subject.store.passages.vectorBytes(ADA), 2 * 256 * 4)
      await archives.update(ADA, archive, { embedding: null })
      assert.equal(await vectors.status(ADA, archive), null)
      assert.equal(await vectors.claim(LIMITS), null)
    })

    it('go with their passage and with their archive', async () => {
      const { archives, passages } = subject.store
      const archive = await anEmbeddedArchive('one', 'two')
      await embedAll()
      const [found] = await passages.search(ADA, { archive_id: archive, query: 'one', limit: 1 })
      await passages.deleteFrom(ADA, archive, found!.passage.id)
      assert.deepEqual(await near(archive, 'one'), ['two'])
      await archives.delete(ADA, archive)
      assert.equal(await passages.vectorBytes(ADA), 0)
      assert.deepEqual(await near(archive, 'two'), [])
      assert.equal(await subject.store.vectors.status(ADA, newId('archive')), null)
    })
  })
}
