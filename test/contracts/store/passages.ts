import assert from 'node:assert/strict'
import type { NewPassage, PassageSearch } from '../../../shared/core/ports/passage-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, aCommit, ADA, anAgent, aRun, at, DONE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

export function aPassage(text: string, more: Partial<NewPassage> = {}): NewPassage {
  return { id: newId('passage'), text, tags: [], metadata: {}, created_at: at(0), ...more }
}

export function describePassages(subject: Subject): void {
  describe('passages', () => {
    const anAgentWith = async (...passages: NewPassage[]) => {
      const agent = await subject.store.agents.create(ADA, anAgent('ada'))
      await subject.store.passages.create(ADA, agent.id, passages)
      return agent.id
    }
    const found = async (agent_id: string, query: string, more: Partial<PassageSearch> = {}) =>
      (await subject.store.passages.search(ADA, { agent_id, query, limit: 10, ...more })).map(
        ({ passage }) => passage.text,
      )

    it('are kept as they were given, all of an agent in one archive', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const given = aPassage('Ada likes tea.\n"東京"', { tags: ['b', 'a', 'b'], metadata: { k: [1] } })
      const [first] = await store.passages.create(ADA, agent.id, [given])
      const [second] = await store.passages.create(ADA, agent.id, [aPassage('More.', { created_at: at(1) })])
      assert.ok(first && second)
      const { archive_id, updated_at } = first
      assert.match(archive_id ?? '', /^archive-/)
      assert.deepEqual(first, {
        ...given,
        tags: ['b', 'a'],
        archive_id,
        updated_at,
        source_id: null,
        file_id: null,
        file_name: null,
        embedding: null,
        embedding_config: null,
        is_deleted: false,
        created_by_id: ADA.user_id,
        last_updated_by_id: ADA.user_id,
      })
      assert.equal(second.archive_id, archive_id)
      assert.deepEqual(await store.passages.list(ADA, { agent_id: agent.id }, page), [first, second])
      const other = await anAgentWith(aPassage('Hers.'))
      const [hers] = await store.passages.list(ADA, { agent_id: other }, page)
      assert.notEqual(hers?.archive_id, archive_id)
      await assert.rejects(store.passages.create(ADA, newId('agent'), [aPassage('x')]), { code: 'not_found' })
      assert.deepEqual(await store.passages.list(ADA, { agent_id: newId('agent') }, page), [])
    })

    it('are listed by time, then as they were given, with cursors and text', async () => {
      const { store } = subject
      const texts = ['e', 'b', 'c', 'd']
      const agent_id = await anAgentWith(
        aPassage('e 50%', { created_at: at(9) }),
        ...texts.slice(1).map((text) => aPassage(text, { created_at: at(1) })),
      )
      const list = async (more: object, text?: string) =>
        (await store.passages.list(ADA, { agent_id, text }, { ...page, limit: 2, ...more })).map(
          (p) => p.text,
        )
      const all = await store.passages.list(ADA, { agent_id }, page)
      assert.deepEqual(
        all.map((passage) => passage.text),
        ['b', 'c', 'd', 'e 50%'],
      )
      assert.deepEqual(await list({}), ['b', 'c'])
      assert.deepEqual(await list({ after: all[1]!.id }), ['d', 'e 50%'])
      assert.deepEqual(await list({ after: all[3]!.id }), [])
      assert.deepEqual(await list({ before: all[3]!.id }), ['c', 'd'])
      assert.deepEqual(await list({ order: 'desc' }), ['e 50%', 'd'])
      assert.deepEqual(await list({ order: 'desc', after: all[2]!.id }), ['c', 'b'])
      assert.deepEqual(await list({}, '0%'), ['e 50%'])
      assert.deepEqual(await list({}, 'E'), ['e 50%'])
      assert.deepEqual(await list({}, '_'), [])
      await assert.rejects(list({ after: newId('passage') }), { code: 'not_found' })
    })

    it('are found by words of any script, best first, and only in the agent’s archives', async () => {
      const agent_id = await anAgentWith(
        aPassage('Ada drinks green tea. Tea, always tea.'),
        aPassage('Ada drinks coffee and, rarely, tea; mostly she drinks coffee in the morning'),
        aPassage('彼女は東京に住んでいます'),
        aPassage('Party 🎉'),
      )
      await anAgentWith(aPassage('Eve drinks tea.'))
      assert.deepEqual((await found(agent_id, 'tea')).length, 2)
      assert.equal((await found(agent_id, 'tea'))[0], 'Ada drinks green tea. Tea, always tea.')
      assert.deepEqual(await found(agent_id, 'tea', { limit: 1 }), ['Ada drinks green tea. Tea, always tea.'])
      assert.deepEqual(await found(agent_id, 'drinking').then((texts) => texts.length), 2)
      assert.deepEqual(await found(agent_id, 'coff'), [
        'Ada drinks coffee and, rarely, tea; mostly she drinks coffee in the morning',
      ])
      assert.equal((await found(agent_id, '"drinks green tea"')).length, 1)
      assert.deepEqual(await found(agent_id, '東京'), ['彼女は東京に住んでいます'])
      assert.deepEqual(await found(agent_id, '京'), ['彼女は東京に住んでいます'])
      assert.deepEqual(await found(agent_id, '🎉'), ['Party 🎉'])
      for (const query of ['Eve', '', '  ', 'NEAR(', '"', '*', 'owner:']) {
        assert.deepEqual(await found(agent_id, query), [], query)
      }
      const ranks = await subject.store.passages.search(ADA, { agent_id, query: 'tea coffee', limit: 5 })
      assert.deepEqual(
        ranks.map((match) => match.fts_rank),
        [1, 2],
      )
      assert.ok(ranks[0]!.rrf_score > ranks[1]!.rrf_score)
    })

    it('are narrowed by any or all tags, and by time', async () => {
      const agent_id = await anAgentWith(
        aPassage('note one', { tags: ['a', 'b/c'], created_at: at(1) }),
        aPassage('note two', { tags: ['a'], created_at: at(2) }),
        aPassage('note three', { created_at: at(3) }),
      )
      const sorted = async (more: Partial<PassageSearch>) => (await found(agent_id, 'note', more)).sort()
      assert.deepEqual(await sorted({ tags: ['a', 'b/c'] }), ['note one', 'note two'])
      assert.deepEqual(await sorted({ tags: ['a', 'b/c', 'a'], tag_match_mode: 'all' }), ['note one'])
      assert.deepEqual(await sorted({ tags: ['none'] }), [])
      assert.deepEqual(await sorted({ tags: [] }), ['note one', 'note three', 'note two'])
      assert.deepEqual(await sorted({ start_date: at(2) }), ['note three', 'note two'])
      assert.deepEqual(await sorted({ end_date: at(2) }), ['note one'])
      // The same instants, written with an offset.
      const offset = at(2).replace('12:', '14:').replace('Z', '+02:00')
      assert.deepEqual(await sorted({ start_date: offset, end_date: at(3) }), ['note two'])
    })

    it('are deleted with their words and tags, and only through their agent', async () => {
      const { store } = subject
      const agent_id = await anAgentWith(aPassage('gone', { tags: ['t'] }), aPassage('kept'))
      const other = await anAgentWith(aPassage('other'))
      const [gone] = await store.passages.list(ADA, { agent_id }, page)
      assert.equal(await store.passages.delete(ADA, other, gone!.id), false)
      assert.equal(await store.passages.delete(ADA, agent_id, gone!.id), true)
      assert.equal(await store.passages.delete(ADA, agent_id, gone!.id), false)
      assert.deepEqual(await found(agent_id, 'gone'), [])
      const left = await store.passages.list(ADA, { agent_id }, page)
      assert.deepEqual(
        left.map((passage) => passage.text),
        ['kept'],
      )
      const opened = await store.turns.open(ADA, {
        run: aRun(agent_id),
        conversation_id: agent_id,
        messages: [],
      })
      assert.deepEqual(opened.archival, { count: 1, tags: [] })
    })

    it('of a step are stored with it or not at all, and a turn knows how many there are', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', 'a')] }))
      const run = aRun(agent.id)
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
      assert.deepEqual(opened.archival, { count: 0, tags: [] })
      const passages = [aPassage('one', { tags: ['z', 'a'] }), aPassage('two', { tags: ['a'] })]
      const stale = [{ block_id: agent.blocks[0]!.id, base_version: 7, value: 'x' }]
      await store.turns.commit(ADA, aCommit(opened, run, { passages, block_edits: stale }))
      assert.deepEqual(await store.passages.list(ADA, { agent_id: agent.id }, page), [])
      await store.turns.commit(ADA, aCommit(opened, run, { passages, finish: DONE }))
      assert.equal((await store.passages.list(ADA, { agent_id: agent.id }, page)).length, 2)
      const next = await store.turns.open(ADA, {
        run: aRun(agent.id),
        conversation_id: agent.id,
        messages: [],
      })
      assert.deepEqual(next.archival, { count: 2, tags: ['a', 'z'] })
    })
  })
}
