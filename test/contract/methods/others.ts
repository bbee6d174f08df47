import assert from 'node:assert/strict'
import type { Method } from './method.ts'

export const otherMethods: Method[] = [
  {
    name: 'health',
    shows: 'version and status',
    async run(t) {
      assert.equal((await t.letta.health()).status, 'ok')
    },
  },
  {
    name: 'models.list',
    shows: 'models by provider, with their context size',
    async run(t) {
      const all = await t.letta.models.list()
      const test = all.find((m) => m.handle === 'openai/test-model')
      assert.equal(test?.max_context_window, 128_000)
      const demo = await t.letta.models.list({ provider_name: 'loci' })
      assert.deepEqual(
        demo.map((m) => m.handle),
        ['loci/demo'],
      )
      assert.deepEqual(await t.letta.models.list({ provider_type: 'anthropic' }), [])
    },
  },
  {
    name: 'models.embeddings.list',
    shows: 'a list',
    async run(t) {
      assert.ok(Array.isArray(await t.letta.models.embeddings.list()))
    },
  },
  {
    name: 'tools.list',
    shows: 'tools by name, type and search',
    async run(t) {
      const names = async (query: Parameters<typeof t.letta.tools.list>[0]) =>
        (await t.letta.tools.list(query)).items.map((tool) => tool.name).toSorted()
      assert.equal((await t.http('POST', '/v1/tools/add-base-tools')).status, 200)
      assert.deepEqual(await names({ name: 'memory_insert' }), ['memory_insert'])
      assert.deepEqual(await names({ names: ['memory_insert', 'memory_replace'] }), [
        'memory_insert',
        'memory_replace',
      ])
      assert.ok((await names({ search: 'memory_' })).includes('memory_replace'))
      assert.deepEqual(await names({ tool_types: ['external_mcp'] }), [])
      assert.deepEqual(
        await names({ name: 'memory_insert', exclude_tool_types: ['letta_core', 'letta_memory_core'] }),
        [],
      )
      await assert.rejects(names({ tool_types: ['no_such_type'] }), (error: { status?: number }) =>
        [400, 422].includes(error.status ?? 0),
      )
    },
  },
  {
    name: 'tools.retrieve',
    shows: 'a built-in tool with its schema and no source',
    async run(t) {
      const [listed] = (await t.letta.tools.list({ name: 'conversation_search' })).items
      const tool = await t.letta.tools.retrieve(listed?.id ?? '')
      assert.deepEqual(tool, listed)
      assert.equal(tool.json_schema?.['name'], 'conversation_search')
      assert.equal(tool.source_code, null)
    },
  },
  {
    name: 'tags.list',
    shows: 'the tags of agents and blocks, by name, each once',
    async run(t) {
      const at = `tag-${crypto.randomUUID()}`
      await t.newAgent({ tags: [`${at}/b`, `${at}/a`] })
      await t.newAgent({ tags: [`${at}/b`] })
      await t.letta.blocks.create({ label: 'tagged', value: '', tags: [`${at}/c`] })
      const tags = await t.letta.tags.list({ query_text: at })
      assert.deepEqual(tags, [`${at}/a`, `${at}/b`, `${at}/c`])
      assert.deepEqual(await t.letta.tags.list({ query_text: at, after: `${at}/a`, limit: 1 }), [`${at}/b`])
    },
  },
  {
    name: 'agents.passages.create',
    shows: 'a list with the one passage',
    async run(t) {
      const { id } = await t.newAgent()
      const [passage, ...more] = await t.letta.agents.passages.create(id, {
        text: 'The keys are under the mat.',
        tags: ['home'],
      })
      assert.deepEqual(more, [])
      assert.deepEqual([passage?.text, passage?.tags], ['The keys are under the mat.', ['home']])
    },
  },
  {
    name: 'agents.passages.list',
    shows: 'oldest first, by text, paged',
    async run(t) {
      const { id } = await t.newAgent()
      for (const text of ['one fish', 'two fish', 'red bird'])
        await t.letta.agents.passages.create(id, { text })
      const texts = async (query: Parameters<typeof t.letta.agents.passages.list>[1]) =>
        (await t.letta.agents.passages.list(id, query)).map((p) => p.text)
      assert.deepEqual(await texts({}), ['one fish', 'two fish', 'red bird'])
      assert.deepEqual(await texts({ ascending: false, limit: 2 }), ['red bird', 'two fish'])
      assert.deepEqual(await texts({ search: 'fish' }), ['one fish', 'two fish'])
      const [first] = await t.letta.agents.passages.list(id)
      assert.deepEqual(await texts({ after: first?.id ?? '' }), ['two fish', 'red bird'])
    },
  },
  {
    name: 'agents.passages.search',
    shows: 'passages that fit a query, and a count',
    async run(t) {
      const { id } = await t.newAgent()
      await t.letta.agents.passages.create(id, { text: 'The keys are under the mat.', tags: ['home'] })
      await t.letta.agents.passages.create(id, { text: 'Tea is at four.', tags: ['day'] })
      const found = await t.letta.agents.passages.search(id, { query: 'keys' })
      assert.equal(found.count, 1)
      assert.equal(found.results[0]?.content, 'The keys are under the mat.')
      const tagged = await t.letta.agents.passages.search(id, { query: 'keys', tags: ['day'] })
      assert.equal(tagged.count, 0)
      const blank = await t.letta.agents.passages.search(id, { query: '  ' })
      assert.deepEqual([blank.count, blank.results], [0, []])
    },
  },
  {
    name: 'agents.passages.delete',
    shows: 'a passage that is gone',
    async run(t) {
      const { id } = await t.newAgent()
      const [passage] = await t.letta.agents.passages.create(id, { text: 'forget me' })
      await t.letta.agents.passages.delete(passage?.id ?? '', { agent_id: id })
      assert.deepEqual(await t.letta.agents.passages.list(id), [])
    },
  },
]
