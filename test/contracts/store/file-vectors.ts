import assert from 'node:assert/strict'
import type { FileSearch } from '../../../shared/core/ports/file-store.ts'
import type { EmbeddingBatch } from '../../../shared/core/ports/vector-store.ts'
import { testVector } from '../../support/test-embeddings.ts'
import type { Subject } from '../store.contract.ts'
import { aFolder, aReadFile } from './files.ts'
import { ADA, anAgent, EVE } from './samples.ts'

const LIMITS = { texts: 2, characters: 10_000, claim_ms: 60_000 }
const MODEL = 'test/embedder'

export function describeFileVectors(subject: Subject): void {
  describe('vectors of files', () => {
    const config = (handle: string) => ({
      ...aFolder().embedding_config,
      embedding_model: 'embedder',
      handle,
    })
    const anEmbeddedFolder = async (handle = MODEL) =>
      (await subject.store.folders.create(ADA, aFolder({ embedding_config: config(handle) }))).id
    const vectorsOf = (batch: EmbeddingBatch, dim?: number) =>
      batch.texts.map(({ text }) => Float32Array.from(testVector(text, dim)))
    const embedNext = async () => {
      const batch = await subject.store.vectors.claim(LIMITS)
      assert.ok(batch)
      await subject.store.vectors.save(batch, vectorsOf(batch))
    }
    const embedAll = async (dim?: number) => {
      const { vectors } = subject.store
      for (let batch = await vectors.claim(LIMITS); batch; batch = await vectors.claim(LIMITS))
        await vectors.save(batch, vectorsOf(batch, dim))
    }
    const stateOf = async (file_id: string) => {
      const file = await subject.store.files.get(ADA, file_id)
      return [file?.processing_status, file?.chunks_embedded, file?.total_chunks, file?.error_message]
    }
    const near = async (agent_id: string, query: string, more: Partial<FileSearch> = {}) => {
      const vectors = new Map([[MODEL, Float32Array.from(testVector(query))]])
      const search = { agent_id, query, limit: 2, mode: 'vector' as const, vectors, ...more }
      return (await subject.store.files.search(ADA, search)).map(({ text }) => text)
    }

    it('are made part by part, which the file tells, and find what words do not', async () => {
      const folder = await anEmbeddedFolder()
      const { id: agent } = await subject.store.agents.create(ADA, anAgent('ada', { folder_ids: [folder] }))
      const file = await aReadFile(subject, folder, 'a.txt', 'elephants', 'bicycles', 'volcanoes')
      const other = await aReadFile(subject, folder, 'b.txt', 'gardens')
      assert.deepEqual(await stateOf(file), ['embedding', 0, 3, null])
      await embedNext()
      assert.deepEqual(await stateOf(file), ['embedding', 2, 3, null])
      assert.deepEqual(await stateOf(other), ['embedding', 0, 1, null])
      await embedAll()
      assert.deepEqual(await stateOf(file), ['completed', 3, 3, null])
      assert.deepEqual(await stateOf(other), ['completed', 1, 1, null])
      assert.equal((await near(agent, 'elefants'))[0], 'elephants')
      assert.equal((await near(agent, 'garden', { mode: 'hybrid' }))[0], 'gardens')
      assert.deepEqual(await near(agent, 'elefants', { mode: 'fts' }), [])
      assert.deepEqual(await subject.store.vectors.models(ADA, { of: 'files', agent_id: agent }), [MODEL])
      assert.deepEqual(await subject.store.vectors.models(EVE, { of: 'files', agent_id: agent }), [])
      const search = { agent_id: agent, query: 'elephants', limit: 2 }
      assert.deepEqual(await subject.store.files.search(EVE, search), [])
      const dim = (await subject.store.folders.get(ADA, folder))?.embedding_config.embedding_dim
      assert.equal(dim, 256, 'as long as the vectors are')
    })

    it('that are not made yet keep a part from no place that its words give it', async () => {
      const folder = await anEmbeddedFolder()
      const { id: agent } = await subject.store.agents.create(ADA, anAgent('ada', { folder_ids: [folder] }))
      await aReadFile(subject, folder, 'a.txt', ...Array.from({ length: 8 }, (_, i) => `the turbine ${i}`))
      await embedAll()
      await aReadFile(subject, folder, 'b.txt', 'the turbine bearing clearance')
      const found = await near(agent, 'turbine bearing clearance', { mode: 'hybrid' })
      assert.equal(found[0], 'the turbine bearing clearance')
    })

    it('keep no file from being completed when they cannot be made, and it says why', async () => {
      const folder = await anEmbeddedFolder()
      const file = await aReadFile(subject, folder, 'a.txt', 'one', 'two')
      const batch = (await subject.store.vectors.claim(LIMITS))!
      await subject.store.vectors.fail(batch, 'it is down', 0)
      assert.deepEqual(await stateOf(file), [
        'completed',
        0,
        2,
        'It is found by its words so far: it is down',
      ])
      const again = (await subject.store.vectors.claim(LIMITS))!
      await subject.store.vectors.save(again, [null, vectorsOf(again)[1]!], 'too long')
      const [status, embedded, total, why] = await stateOf(file)
      assert.deepEqual([status, embedded, total], ['completed', 1, 2])
      assert.match(String(why), /^1 of its 2 parts are found by their words alone/)
    })

    it('are of the folder that has the model, and of no other', async () => {
      const folder = await anEmbeddedFolder('')
      const file = await aReadFile(subject, folder, 'a.txt', 'one')
      assert.deepEqual(await stateOf(file), ['completed', 0, 1, null])
      assert.equal(await subject.store.vectors.claim(LIMITS), null)
    })

    it('are made anew when the model of the folder changes', async () => {
      const { agents, folders, vectors } = subject.store
      const folder = await anEmbeddedFolder()
      const { id: agent } = await agents.create(ADA, anAgent('ada', { folder_ids: [folder] }))
      const file = await aReadFile(subject, folder, 'a.txt', 'one', 'two')
      await embedAll()
      await folders.update(ADA, folder, { name: 'another name' })
      assert.deepEqual(await stateOf(file), ['completed', 2, 2, null])
      await folders.update(ADA, folder, { embedding_config: config('test/other') })
      assert.deepEqual(await stateOf(file), ['embedding', 0, 2, null])
      assert.deepEqual(await near(agent, 'one'), [], 'those of the model before')
      await embedAll(64)
      const other = new Map([['test/other', Float32Array.from(testVector('one', 64))]])
      assert.equal((await near(agent, 'one', { vectors: other }))[0], 'one')
      await vectors.tidy()
      assert.equal(await vectors.bytes(ADA), 2 * 64 * 4)
      await folders.update(ADA, folder, { embedding_config: config('') })
      assert.deepEqual(await stateOf(file), ['completed', 0, 2, null])
    })

    it('go with their file and with their folder', async () => {
      const { agents, files, folders, vectors } = subject.store
      const folder = await anEmbeddedFolder()
      const { id: agent } = await agents.create(ADA, anAgent('ada', { folder_ids: [folder] }))
      const file = await aReadFile(subject, folder, 'a.txt', 'one')
      await aReadFile(subject, folder, 'b.txt', 'two', 'three')
      await embedAll()
      assert.equal(await subject.store.passages.vectorBytes(ADA), 3 * 256 * 4)
      await files.delete(ADA, folder, file)
      assert.equal(await subject.store.passages.vectorBytes(ADA), 2 * 256 * 4)
      assert.deepEqual((await near(agent, 'one', { limit: 9 })).toSorted(), ['three', 'two'])
      const late = await aReadFile(subject, folder, 'c.txt', 'four')
      const batch = (await vectors.claim(LIMITS))!
      await files.delete(ADA, folder, late)
      await vectors.save(batch, vectorsOf(batch))
      assert.equal(await subject.store.passages.vectorBytes(ADA), 2 * 256 * 4, 'none of a file that is gone')
      await folders.delete(ADA, folder)
      assert.equal(await vectors.status(ADA, folder), null)
      assert.equal(await vectors.claim(LIMITS), null)
      assert.deepEqual(await vectors.models(ADA, { of: 'files', agent_id: agent }), [])
    })
  })
}
