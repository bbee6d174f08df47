import assert from 'node:assert/strict'
import { startLoci, type TestLoci } from '../support/loci.ts'

describe('a search of tools', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci()
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })

  const found = async (query: string) => (await t.letta.tools.search({ query })).map(({ tool }) => tool.name)

  it('finds what a person means by it among the first', async () => {
    for (const [query, wanted] of [
      ['browse the internet', ['web_search', 'fetch_webpage']],
      ['look something up online', ['web_search']],
      ['read a web page', ['fetch_webpage']],
      ['remember a fact', ['memory_insert', 'memory']],
      ['edit memories', ['memory_replace', 'memory']],
      ['search the past conversation', ['conversation_search']],
      ['find text in files', ['grep_files', 'semantic_search_files']],
      ['opening documents', ['open_files']],
      ['send a message to another agent', ['send_message_to_agent_async']],
    ] as const) {
      const names = await found(query)
      for (const name of wanted) assert.ok(names.slice(0, 6).includes(name), `${query}: ${names.join(', ')}`)
    }
  })

  it('is not led by words that say nothing, unless there are no others', async () => {
    const names = await found('the')
    assert.ok(names.length > 0)
    assert.deepEqual(await found('fetch_webpage'), await found('the fetch_webpage of a tool'))
    assert.deepEqual(await found('zeppelin of the'), [])
  })
})
