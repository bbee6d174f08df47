import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

const newArchive = (t: ContractTest, name = 'Travel') => t.letta.archives.create({ name })

async function idsOf(t: ContractTest, agent_id: string): Promise<string[]> {
  return (await t.letta.archives.list({ agent_id })).items.map(({ id }) => id)
}

export const archiveMethods: Method[] = [
  {
    name: 'archives.create',
    shows: 'an archive as it was asked for',
    async run(t) {
      const archive = await t.letta.archives.create({ name: 'Travel', description: 'Where we were.' })
      assert.deepEqual(
        [archive.name, archive.description, archive.embedding_config, archive.vector_db_provider],
        ['Travel', 'Where we were.', null, 'native'],
      )
      await assert.rejects(t.letta.archives.create({ name: ' ' }), { status: 422 })
    },
  },
  {
    name: 'archives.retrieve',
    shows: 'the archive, or 404',
    async run(t) {
      const archive = await newArchive(t)
      assert.deepEqual(await t.letta.archives.retrieve(archive.id), archive)
      const nobody = archive.id.replace(/.$/, (c) => (c === '0' ? '1' : '0'))
      await assert.rejects(t.letta.archives.retrieve(nobody), { status: 404 })
    },
  },
  {
    name: 'archives.list',
    shows: 'newest first, by name and by agent, paged',
    async run(t) {
      const name = `Notes ${crypto.randomUUID()}`
      const { id } = await t.newAgent()
      const one = await newArchive(t, name)
      const two = await newArchive(t, name)
      const list = async (query: Parameters<typeof t.letta.archives.list>[0]) =>
        (await t.letta.archives.list(query)).items.map((archive) => archive.id)
      assert.deepEqual(await list({ name }), [two.id, one.id])
      assert.deepEqual(await list({ name, order: 'asc', limit: 1 }), [one.id])
      assert.deepEqual(await list({ name, after: two.id }), [one.id])
      await t.letta.agents.archives.attach(one.id, { agent_id: id })
      assert.deepEqual(await list({ agent_id: id }), [one.id])
    },
  },
  {
    name: 'archives.update',
    shows: 'a new name and description; what is absent stays',
    async run(t) {
      const { id } = await newArchive(t)
      await t.letta.archives.update(id, { description: 'All trips.' })
      const { name, description } = await t.letta.archives.update(id, { name: 'Trips' })
      assert.deepEqual([name, description], ['Trips', 'All trips.'])
    },
  },
  {
    name: 'archives.delete',
    shows: 'an archive that is gone with its passages, from its agents too',
    async run(t) {
      const { id: agent_id } = await t.newAgent()
      const { id } = await newArchive(t)
      await t.letta.agents.archives.attach(id, { agent_id })
      await t.letta.archives.passages.create(id, { text: 'Lisbon in May.' })
      await t.letta.archives.delete(id)
      await assert.rejects(t.letta.archives.retrieve(id), { status: 404 })
      await assert.rejects(t.letta.archives.delete(id), { status: 404 })
      assert.deepEqual(await idsOf(t, agent_id), [])
      assert.deepEqual(await t.letta.agents.passages.list(agent_id), [])
    },
  },
  {
    name: 'archives.passages.create',
    shows: 'a passage that agents of the archive find',
    async run(t) {
      const { id } = await newArchive(t)
      const passage = await t.letta.archives.passages.create(id, {
        text: 'The tram to Belém is number 15.',
        tags: ['lisbon'],
        metadata: { page: 3 },
        created_at: '2026-03-01T10:00:00+01:00',
      })
      assert.deepEqual(
        [passage.archive_id, passage.tags, passage.metadata, passage.created_at],
        [id, ['lisbon'], { page: 3 }, '2026-03-01T09:00:00.000Z'],
      )
      await assert.rejects(t.letta.archives.passages.create(id, { text: ' ' }), { status: 422 })
    },
  },
  {
    name: 'archives.passages.createMany',
    shows: 'the passages in their order, all or none',
    async run(t) {
      const { id } = await newArchive(t)
      const texts = ['one', 'two', 'three']
      const many = await t.letta.archives.passages.createMany(id, {
        passages: texts.map((text) => ({ text })),
      })
      assert.deepEqual(
        many.map((passage) => passage.text),
        texts,
      )
      const bad = { passages: [{ text: 'four' }, { text: '' }] }
      await assert.rejects(t.letta.archives.passages.createMany(id, bad), { status: 422 })
      const found = await t.letta.passages.search({ archive_id: id, query: 'four' })
      assert.deepEqual(found, [])
    },
  },
  {
    name: 'archives.passages.delete',
    shows: 'a passage that is gone, only through its archive',
    async run(t) {
      const { id } = await newArchive(t)
      const other = await newArchive(t)
      const passage = await t.letta.archives.passages.create(id, { text: 'forget me' })
      const gone = (archive_id: string) => t.letta.archives.passages.delete(passage.id ?? '', { archive_id })
      await assert.rejects(gone(other.id), { status: 404 })
      await gone(id)
      await assert.rejects(gone(id), { status: 404 })
      assert.deepEqual(await t.letta.passages.search({ archive_id: id, query: 'forget' }), [])
    },
  },
  {
    name: 'agents.archives.attach',
    shows: 'an agent that finds what is in the archive, and writes to its first one',
    async run(t) {
      const { id: agent_id } = await t.newAgent()
      const { id } = await newArchive(t)
      await t.letta.archives.passages.create(id, { text: 'Pastéis de nata' })
      assert.equal(await t.letta.agents.archives.attach(id, { agent_id }), null)
      await t.letta.agents.archives.attach(id, { agent_id })
      assert.deepEqual(await idsOf(t, agent_id), [id])
      const [written] = await t.letta.agents.passages.create(agent_id, { text: 'Coffee is a bica.' })
      assert.equal(written?.archive_id, id)
      assert.equal((await t.letta.agents.passages.search(agent_id, { query: 'pasteis' })).count, 1)
    },
  },
  {
    name: 'agents.archives.detach',
    shows: 'an agent without the archive, which stays',
    async run(t) {
      const { id: agent_id } = await t.newAgent()
      const { id } = await newArchive(t)
      await t.letta.agents.archives.attach(id, { agent_id })
      assert.equal(await t.letta.agents.archives.detach(id, { agent_id }), null)
      assert.deepEqual(await idsOf(t, agent_id), [])
      await assert.rejects(t.letta.agents.archives.detach(id, { agent_id }), { status: 404 })
      assert.equal((await t.letta.archives.retrieve(id)).id, id)
    },
  },
  {
    name: 'passages.search',
    shows: 'passages of an archive, of an agent or of all, with scores, tags and dates',
    async run(t) {
      const { id } = await newArchive(t)
      const { id: agent_id } = await t.newAgent()
      const word = `w${crypto.randomUUID().replaceAll('-', '')}`
      await t.letta.archives.passages.createMany(id, {
        passages: [
          { text: `${word} walks`, tags: ['a', 'b'], created_at: '2026-01-01T00:00:00Z' },
          { text: `${word} talks`, tags: ['a'], created_at: '2026-02-01T00:00:00Z' },
        ],
      })
      await t.letta.agents.passages.create(agent_id, { text: `${word} sleeps` })
      const search = async (query: Parameters<typeof t.letta.passages.search>[0]) =>
        (await t.letta.passages.search({ query: word, ...query })).map(({ passage }) => passage.text).sort()
      const [sleeps, talks, walks] = [`${word} sleeps`, `${word} talks`, `${word} walks`] as const
      assert.deepEqual(await search({}), [sleeps, talks, walks])
      assert.deepEqual(await search({ agent_id }), [sleeps])
      assert.deepEqual(await search({ archive_id: id }), [talks, walks])
      assert.deepEqual(await search({ archive_id: id, tags: ['a', 'b'], tag_match_mode: 'all' }), [walks])
      assert.deepEqual(await search({ archive_id: id, start_date: '2026-01-15T00:00:00Z' }), [talks])
      assert.deepEqual(
        await search({ archive_id: id, end_date: '2026-01-01' }),
        [walks],
        'a day counts whole',
      )
      assert.deepEqual(await search({ archive_id: id, end_date: '2025-12-31' }), [])
      for (const created_at of ['99999-01-01', 'yesterday', '2026'])
        await assert.rejects(t.letta.archives.passages.create(id, { text: word, created_at }), {
          status: 422,
        })
      const [best] = await t.letta.passages.search({ query: `${word} walking`, archive_id: id })
      assert.equal(best?.passage.text, walks)
      assert.ok((best?.score ?? 0) > 0)
      assert.deepEqual(best?.metadata, { search_mode: 'fts', fts_rank: 1, vector_rank: null })
      await assert.rejects(t.letta.passages.search({ query: 'x', limit: 101 }), { status: 422 })
    },
  },
]

export const archiveOperations: PlainOperation[] = [
  {
    name: 'GET /v1/archives/{archive_id}/agents',
    shows: 'the agents that have the archive',
    async run(t) {
      const { id } = await newArchive(t)
      const { id: agent_id } = await t.newAgent()
      await t.letta.agents.archives.attach(id, { agent_id })
      const { status, body } = await t.http('GET', `/v1/archives/${id}/agents`)
      assert.equal(status, 200)
      assert.deepEqual(
        (body as { id: string }[]).map((agent) => agent.id),
        [agent_id],
      )
    },
  },
]
