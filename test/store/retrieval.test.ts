import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SearchMode } from '../../shared/core/ports/passage-store.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { anArchive } from '../contracts/store/archives.ts'
import { aPassage } from '../contracts/store/passages.ts'
import { ADA } from '../contracts/store/samples.ts'
import { testVector } from '../support/test-embeddings.ts'
import { passages, questions } from './fixtures/village.ts'

const MODEL = 'test/trigrams'
const KINDS = ['same words', 'other forms', 'misspelt', 'other words around'] as const

describe('what a search finds of a small world', () => {
  let directory: string
  let store: Store
  let archive_id: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loci-retrieval-'))
    store = await openSqliteStore({ directory })
    const embedding = { handle: MODEL, config: null }
    archive_id = (await store.archives.create(ADA, anArchive('village', { embedding }))).id
    await store.passages.createIn(
      ADA,
      archive_id,
      passages.map((text) => aPassage(text)),
    )
    const limits = { texts: 100, characters: 100_000, claim_ms: 60_000 }
    for (let batch = await store.vectors.claim(limits); batch; batch = await store.vectors.claim(limits)) {
      const vectors = batch.texts.map(({ text }) => Float32Array.from(testVector(text)))
      await store.vectors.save(batch, vectors)
    }
  })
  after(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })

  it('by words, by vectors and by both: recall among the first five', async () => {
    const recall = {
      fts: await recallOf('fts'),
      vector: await recallOf('vector'),
      hybrid: await recallOf('hybrid'),
    }
    for (const [mode, { all, kinds }] of Object.entries(recall)) {
      const parts = kinds.map((share, i) => `${KINDS[i]} ${share.toFixed(2)}`).join(', ')
      console.log(`      recall@5 ${mode}: ${all.toFixed(2)} (${parts})`)
    }
    assert.equal(questions.length, 50)
    assert.equal(passages.length, 300)
    assert.ok(recall.fts.all >= 0.6, 'words')
    assert.ok(recall.vector.all >= 0.6, 'vectors')
    assert.ok(recall.hybrid.all >= 0.85, 'both')
    assert.ok(recall.hybrid.all >= Math.max(recall.fts.all, recall.vector.all), 'both find what either finds')
  })

  async function recallOf(mode: SearchMode) {
    const hits = await Promise.all(
      questions.map(async ({ query, answer }) => {
        const vectors = new Map([[MODEL, Float32Array.from(testVector(query))]])
        const found = await store.passages.search(ADA, { archive_id, query, mode, vectors, limit: 5 })
        return found.some(({ passage }) => passage.text === answer)
      }),
    )
    const share = (some: boolean[]) => some.filter(Boolean).length / some.length
    return {
      all: share(hits),
      kinds: KINDS.map((kind) => share(hits.filter((_, i) => questions[i]?.kind === kind))),
    }
  }
})
