import type { Passage } from '@letta-ai/letta-client/resources/passages'
import assert from 'node:assert/strict'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('archival memory over the official client', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))

  const keysOf = (value: object) => Object.keys(value).sort()

  it('is added to, listed, searched and deleted from', async () => {
    const agent = await t.letta.agents.create({ model: SCRIPTED, timezone: 'Asia/Tokyo' })
    const add = (text: string, tags: string[], created_at: string) =>
      t.letta.agents.passages.create(agent.id, { text, tags, created_at })
    const [tea] = await add('Ada drinks tea', ['drinks', 'ada'], '2026-01-31T20:00:00Z')
    const [coffee] = await add('Eve drinks coffee', ['drinks'], '2026-02-01T20:00:00+00:00')
    await add('京都へ行きたい', [], '2026-01-01T00:00:00Z')
    assert.ok(tea && coffee)
    assert.deepEqual(keysOf(tea), [
      'archive_id',
      'created_at',
      'created_by_id',
      'embedding',
      'embedding_config',
      'file_id',
      'file_name',
      'id',
      'is_deleted',
      'last_updated_by_id',
      'metadata',
      'source_id',
      'tags',
      'text',
      'updated_at',
    ])
    const texts = (passages: Passage[]) => passages.map((passage) => passage.text)
    const list = async (query: Parameters<typeof t.letta.agents.passages.list>[1]) =>
      texts(await t.letta.agents.passages.list(agent.id, query))
    assert.deepEqual(await list({}), ['京都へ行きたい', 'Ada drinks tea', 'Eve drinks coffee'])
    assert.deepEqual(await list({ ascending: false, limit: 2 }), ['Eve drinks coffee', 'Ada drinks tea'])
    assert.deepEqual(await list({ ascending: false, after: tea.id ?? '' }), ['京都へ行きたい'])
    assert.deepEqual(await list({ search: 'DRINKS' }), ['Ada drinks tea', 'Eve drinks coffee'])

    const search = async (query: Parameters<typeof t.letta.agents.passages.search>[1]) => {
      const found = await t.letta.agents.passages.search(agent.id, query)
      assert.equal(found.count, found.results.length)
      return found.results.map((result) => result.content).sort()
    }
    assert.deepEqual(await search({ query: 'drink' }), ['Ada drinks tea', 'Eve drinks coffee'])
    assert.deepEqual(await search({ query: '京都' }), ['京都へ行きたい'])
    assert.deepEqual(await search({ query: '  ' }), [])
    assert.deepEqual(await search({ query: 'drinks', top_k: 1 }).then((found) => found.length), 1)
    assert.deepEqual(await search({ query: 'drinks', tags: ['ada', 'none'] }), ['Ada drinks tea'])
    assert.deepEqual(await search({ query: 'drinks', tags: ['ada', 'drinks'], tag_match_mode: 'all' }), [
      'Ada drinks tea',
    ])
    // In Tokyo it was the first of February already.
    assert.deepEqual(
      await search({ query: 'drinks', start_datetime: '2026-02-01', end_datetime: '2026-02-01' }),
      ['Ada drinks tea'],
    )
    assert.deepEqual(await search({ query: 'drinks', end_datetime: '2026-01-31' }), [])
    const { results } = await t.letta.agents.passages.search(agent.id, { query: 'tea' })
    assert.deepEqual(results, [
      {
        id: tea.id,
        timestamp: '2026-02-01T05:00:00+09:00',
        content: 'Ada drinks tea',
        tags: ['drinks', 'ada'],
      },
    ])

    const gone = await t.letta.agents.passages.delete(tea.id ?? '', { agent_id: agent.id })
    assert.match((gone as { message: string }).message, /deleted/)
    assert.deepEqual(await search({ query: 'tea' }), [])
    await assert.rejects(t.letta.agents.passages.delete(tea.id ?? '', { agent_id: agent.id }), {
      status: 404,
    })
  })

  it('says what is wrong with a request', async () => {
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    const path = `/v1/agents/${agent.id}/archival-memory`
    const nobody = '/v1/agents/agent-00000000-0000-4000-8000-000000000000/archival-memory'
    for (const [method, to, body, status, text] of [
      ['POST', path, { tags: [] }, 422, /body\.text/],
      ['POST', path, { text: 'x', created_at: 'soon' }, 422, /body\.created_at/],
      ['POST', path, { text: 'x', tags: [1] }, 422, /body\.tags\.0/],
      ['POST', nobody, { text: 'x' }, 404, /Agent not found/],
      ['GET', nobody, undefined, 404, /Agent not found/],
      ['GET', `${path}?after=passage-1`, undefined, 404, /passage-1/],
      ['GET', `${path}/search`, undefined, 422, /query\.query/],
      [
        'GET',
        `${path}/search?query=x&end_datetime=soon`,
        undefined,
        400,
        /end_datetime 'soon' is not a date/,
      ],
      ['GET', `${path}/search?query=x&top_k=0`, undefined, 422, /top_k/],
      ['DELETE', `${path}/nothing`, undefined, 404, /Passage 'nothing'/],
    ] as const) {
      const answer = await t.http(method, to, body)
      assert.equal(answer.status, status, `${method} ${to}`)
      assert.match((answer.body as { detail: string }).detail, text)
    }
  })

  it('is written and searched by its tools, and counted in the next prompt that is compiled', async () => {
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      tools: ['archival_memory_insert', 'archival_memory_search'],
      memory_blocks: [{ label: 'human', value: 'Ada' }],
      timezone: 'America/New_York',
    })
    const from = model.requests.length
    const insert = (content: string, tags: string[]) => ({
      name: 'archival_memory_insert',
      arguments: { content, tags },
    })
    model.add(
      { reply: { tool_calls: [insert('Ada has a cat, Byron', ['pets']), insert('Rain today', ['<b>'])] } },
      {
        expect: (body) =>
          assert.deepEqual(
            body.messages
              .slice(-2)
              .map((m) => (JSON.parse(String(m.content)) as { message: string }).message),
            ['None', 'None'],
          ),
        reply: {
          tool_calls: [
            { name: 'archival_memory_search', arguments: { query: 'cats', tags: ['pets'] } },
            { name: 'archival_memory_search', arguments: { query: 'zebra' } },
          ],
        },
      },
      { reply: { text: 'Byron.' } },
    )
    const answer = await t.letta.agents.messages.create(agent.id, { input: 'Who is my cat?' })
    const returns = answer.messages.flatMap((m) =>
      m.message_type === 'tool_return_message' ? (m.tool_returns ?? []) : [],
    )
    const search = returns[2]?.tool_return
    assert.ok(typeof search === 'string')
    const [found] = JSON.parse(search) as Record<string, unknown>[]
    assert.deepEqual(
      { ...found, id: null, timestamp: null },
      {
        id: null,
        timestamp: null,
        content: 'Ada has a cat, Byron',
        tags: ['pets'],
        relevance: { rrf_score: 1 / 61, vector_rank: null, fts_rank: 1 },
      },
    )
    assert.match(String(found?.['timestamp']), /-0[45]:00$/)
    assert.equal(returns[3]?.tool_return, '[]')
    assert.equal((await t.letta.agents.passages.list(agent.id)).length, 2)

    model.add({ reply: { text: 'a' } }, { reply: { text: 'b' } })
    await t.letta.agents.messages.create(agent.id, { input: 'and?' })
    await t.letta.agents.blocks.update('human', { agent_id: agent.id, value: 'Ada L.' })
    await t.letta.agents.messages.create(agent.id, { input: 'and now?' })
    const systems = model.requests.slice(from).map((r) => String(r.body.messages[0]?.content))
    assert.equal(systems[3], systems[0], 'a count alone causes no compile')
    assert.match(systems[4] ?? '', /- 2 memories are stored in archival memory/)
    assert.match(systems[4] ?? '', /- Archival memory tags: {2}b , pets/)
  })

  it('keeps nothing of a call that failed', async () => {
    const agent = await t.letta.agents.create({ model: SCRIPTED, tools: ['archival_memory_insert'] })
    model.add(
      { reply: { tool_calls: [{ name: 'archival_memory_insert', arguments: { content: 'x', tags: [1] } }] } },
      { reply: { text: 'ok' } },
    )
    await t.letta.agents.messages.create(agent.id, { input: 'go' })
    assert.deepEqual(await t.letta.agents.passages.list(agent.id), [])
  })
})
