import assert from 'node:assert/strict'
import { collect, type ContractTest, startContractTest } from '../support/contract.ts'

interface Query {
  before?: string
  after?: string
  limit?: number
  order?: 'asc' | 'desc'
}
interface Listed {
  id?: string
}
interface Paged extends AsyncIterable<Listed>, PromiseLike<{ items: Listed[] }> {}

/** A list of the official client that follows its order, and how five things come into it. */
interface OrderedList {
  name: string
  order: 'asc' | 'desc'
  /** Makes five items that only `list` sees. */
  seed(t: ContractTest): Promise<(query: Query) => Paged>
}

const FIVE = [1, 2, 3, 4, 5]

async function fiveTurns(t: ContractTest) {
  const { id } = await t.newAgent()
  for (const n of FIVE) await t.say(id, `${n}`, `re ${n}`)
  return id
}

/** One run of five steps. */
async function fiveSteps(t: ContractTest) {
  const { id } = await t.newAgent()
  const search = { name: 'conversation_search', arguments: { query: 'x' } }
  for (const _ of FIVE.slice(1)) t.model.add({ reply: { tool_calls: [search] } })
  await t.say(id, 'Search', 'Found nothing.')
  const [run] = (await t.letta.runs.list({ agent_id: id })).items
  return { agent_id: id, run_id: run?.id ?? '' }
}

const LISTS: OrderedList[] = [
  {
    name: 'agents.list',
    order: 'desc',
    async seed(t) {
      const tags = [crypto.randomUUID()]
      for (const _ of FIVE) await t.newAgent({ tags })
      return (query) => t.letta.agents.list({ tags, ...query })
    },
  },
  {
    name: 'agents.blocks.list',
    order: 'desc',
    async seed(t) {
      const { id } = await t.newAgent({ memory_blocks: FIVE.map((n) => ({ label: `b${n}`, value: '' })) })
      return (query) => t.letta.agents.blocks.list(id, query)
    },
  },
  {
    name: 'agents.tools.list',
    order: 'desc',
    async seed(t) {
      const tools = (await t.letta.tools.list({ limit: 5 })).items.map((tool) => tool.name ?? '')
      const { id } = await t.newAgent({ include_base_tools: false, tools })
      return (query) => t.letta.agents.tools.list(id, query)
    },
  },
  {
    name: 'blocks.list',
    order: 'asc',
    async seed(t) {
      const label = crypto.randomUUID()
      for (const _ of FIVE) await t.letta.blocks.create({ label, value: '' })
      return (query) => t.letta.blocks.list({ label, ...query })
    },
  },
  {
    name: 'blocks.agents.list',
    order: 'desc',
    async seed(t) {
      const { id } = await t.letta.blocks.create({ label: 'shared', value: '' })
      for (const _ of FIVE) await t.newAgent({ block_ids: [id] })
      return (query) => t.letta.blocks.agents.list(id, query)
    },
  },
  {
    name: 'tools.list',
    order: 'desc',
    async seed(t) {
      const names = (await t.letta.tools.list({ limit: 5 })).items.map((tool) => tool.name ?? '')
      return (query) => t.letta.tools.list({ names, ...query })
    },
  },
  {
    name: 'runs.list',
    order: 'desc',
    async seed(t) {
      const agent_id = await fiveTurns(t)
      return (query) => t.letta.runs.list({ agent_id, ...query })
    },
  },
  {
    name: 'runs.steps.list',
    order: 'desc',
    async seed(t) {
      const { run_id } = await fiveSteps(t)
      return (query) => t.letta.runs.steps.list(run_id, query)
    },
  },
  {
    name: 'steps.list',
    order: 'desc',
    async seed(t) {
      const { agent_id } = await fiveSteps(t)
      return (query) => t.letta.steps.list({ agent_id, ...query })
    },
  },
]

describe('lists that follow their order', () => {
  let t: ContractTest
  before(async () => {
    t = await startContractTest()
  })
  after(() => t.close())

  for (const ordered of LISTS)
    it(`${ordered.name}: pages end, cursors follow the order, both at once are a window`, async () => {
      const { order } = ordered
      const list = await ordered.seed(t)
      const page = async (query: Query) => (await list(query)).items.map((item) => item.id ?? '')
      const every = async (query: Query) => (await collect(list(query))).map((item) => item.id ?? '')
      const all = await page({})
      assert.equal(new Set(all).size, 5)
      const other = order === 'desc' ? 'asc' : 'desc'
      assert.deepEqual(await page({ order: other }), all.toReversed(), `the default order is ${order}`)

      const from = t.recorder.calls.length
      assert.deepEqual(await every({ limit: 2 }), all)
      const pages = t.recorder.calls.slice(from).map((call) => (call.body as unknown[]).length)
      assert.deepEqual(pages, [2, 2, 1, 0], 'an empty page ends the paging, not a short one')
      assert.deepEqual(await every({ limit: 2, order: other }), all.toReversed())

      const [one = '', two = '', , four = '', five = ''] = all
      assert.deepEqual(await page({ after: two }), all.slice(2))
      assert.deepEqual(await page({ before: four }), all.slice(0, 3))
      assert.deepEqual(await page({ before: four, limit: 2 }), all.slice(1, 3), 'the page next to the cursor')
      assert.deepEqual(await page({ after: one, before: five }), all.slice(1, 4))
      assert.deepEqual(await page({ after: one, before: five, limit: 1 }), [two])
      assert.deepEqual(await page({ after: five }), [])
      assert.deepEqual(await page({ before: one }), [])
      const back = await every({ before: five, limit: 2 })
      assert.deepEqual(back.toSorted(), all.slice(0, 4).toSorted(), 'the client walks back to the first')

      const unknown = one.replace(/-.*/, `-${crypto.randomUUID()}`)
      await assert.rejects(page({ after: unknown }), { status: 404 })
      await assert.rejects(page({ before: unknown }), { status: 404 })
      for (const query of [{ limit: 0 }, { limit: -1 }, { order: 'up' as 'asc' }])
        await assert.rejects(page(query), { status: 422 })
      await t.recorder.verify()
    })

  it('agents.list pages in the order asked for, agents that never ran last', async () => {
    const tags = ['a/b', '100 %', '😀', crypto.randomUUID()]
    const ids: string[] = []
    for (const _ of FIVE) ids.push((await t.newAgent({ tags })).id)
    const [one = '', two = '', three = '', four = '', five = ''] = ids
    for (const id of [three, one, five]) await t.say(id, 'Hi', 'Hello.')
    await t.letta.agents.update(two, { description: 'changed last' })
    const list = async (
      order_by: 'created_at' | 'updated_at' | 'last_run_completion',
      order: 'asc' | 'desc',
    ) =>
      (await collect(t.letta.agents.list({ tags, match_all_tags: true, order_by, order, limit: 2 }))).map(
        (a) => a.id,
      )
    const byRun = await list('last_run_completion', 'desc')
    assert.deepEqual(byRun.slice(0, 3), [five, one, three])
    assert.deepEqual(byRun.slice(3).toSorted(), [two, four].toSorted())
    assert.deepEqual(await list('last_run_completion', 'asc'), byRun.toReversed())
    assert.equal((await list('updated_at', 'desc'))[0], two)
    assert.deepEqual(await list('created_at', 'asc'), ids)
    await t.recorder.verify()
  })

  it('tags.list pages by tag, in the order of names', async () => {
    const at = crypto.randomUUID()
    const tags = FIVE.map((n) => `${at} ${n}`)
    await t.newAgent({ tags: tags.toReversed() })
    const list = (query: object) => t.letta.tags.list({ query_text: at, ...query })
    assert.deepEqual(await list({}), tags)
    assert.deepEqual(await list({ order: 'desc', limit: 2 }), [tags[4], tags[3]])
    assert.deepEqual(await list({ after: tags[1] ?? '', limit: 2 }), [tags[2], tags[3]])
    assert.deepEqual(await list({ before: tags[2] ?? '' }), [tags[0], tags[1]])
    assert.deepEqual(await list({ after: tags[4] ?? '' }), [])
    await t.recorder.verify()
  })

  it('gives fifty agents and blocks, and ten tools of an agent, when no limit is asked for', async () => {
    const tags = [crypto.randomUUID()]
    for (let n = 0; n < 51; n++) await t.newAgent({ tags, memory_blocks: [], include_base_tools: false })
    assert.equal((await t.letta.agents.list({ tags })).items.length, 50)
    const label = crypto.randomUUID()
    for (let n = 0; n < 51; n++) await t.letta.blocks.create({ label, value: '' })
    assert.equal((await t.letta.blocks.list({ label })).items.length, 50)
    const tools = (await t.letta.tools.list()).items
    const { id } = await t.newAgent({ tool_ids: tools.map((tool) => tool.id), include_base_tools: false })
    assert.equal((await t.letta.agents.tools.list(id)).items.length, Math.min(10, tools.length))
    await t.recorder.verify()
  })
})

describe('lists of messages: after is newer and before older, whatever the order', () => {
  let t: ContractTest
  let agent_id: string
  before(async () => {
    t = await startContractTest()
    agent_id = await fiveTurns(t)
  })
  after(() => t.close())

  const list = (query: Query & { include_return_message_types?: ['user_message'] } = {}) =>
    t.letta.agents.messages.list(agent_id, query)
  const texts = (items: object[]) =>
    items.flatMap((m) => ('content' in m && !String(m.content).includes('memory') ? [m.content] : []))
  const SAID = FIVE.flatMap((n) => [`${n}`, `re ${n}`])

  it('gives the newest first, and all of them oldest first with order=asc', async () => {
    assert.deepEqual(texts((await list()).items), SAID.toReversed())
    assert.deepEqual(texts((await list({ order: 'asc' })).items), SAID)
    assert.deepEqual(texts((await list({ limit: 2 })).items), ['re 5', '5'])
  })

  it('walks back with before, page by page, to the first message', async () => {
    const seen: unknown[] = []
    let before: string | undefined
    for (;;) {
      const { items } = await list({ limit: 2, ...(before === undefined ? {} : { before }) })
      const last = items.at(-1)
      if (!last) break
      seen.push(...texts(items))
      before = 'id' in last ? last.id : undefined
    }
    assert.deepEqual(seen, SAID.toReversed())
  })

  it('pages forward to the end with order=asc, as the client does it by itself', async () => {
    assert.deepEqual(texts(await collect(list({ limit: 2, order: 'asc' }))), SAID)
  })

  it('ends the paging of the client in every direction', async () => {
    const { items } = await list()
    const [newest, oldest] = [items[0], items.at(-1)].map((m) => (m && 'id' in m ? m.id : ''))
    const from = t.recorder.calls.length
    for (const order of ['asc', 'desc'] as const)
      for (const cursor of [{}, { before: newest ?? '' }, { after: oldest ?? '' }])
        await collect(list({ limit: 2, order, ...cursor }))
    assert.ok(t.recorder.calls.length - from < 60)
  })

  it('reads after as newer and before as older in both orders', async () => {
    const { items } = await list({ include_return_message_types: ['user_message'], limit: 100 })
    const ids = items.map((m) => ('id' in m ? m.id : '')).toReversed()
    const [, two = '', , four = ''] = ids
    for (const order of ['asc', 'desc'] as const) {
      const turn = (said: string[]) => (order === 'asc' ? said : said.toReversed())
      assert.deepEqual(texts((await list({ after: four, order })).items), turn(['re 4', '5', 're 5']))
      assert.deepEqual(texts((await list({ before: two, order })).items), turn(['1', 're 1']))
      assert.deepEqual(
        texts((await list({ after: two, before: four, order })).items),
        turn(['re 2', '3', 're 3']),
      )
    }
    await assert.rejects(list({ after: `message-${crypto.randomUUID()}` }), { status: 404 })
    await assert.rejects(list({ before: 'agent-1' }), { status: 404 })
  })

  it('gives no empty page while messages of the asked type are left', async () => {
    const types: ['user_message'] = ['user_message']
    const said = await collect(list({ limit: 1, order: 'asc', include_return_message_types: types }))
    assert.deepEqual(texts(said), FIVE.map(String))
  })

  it('counts one stored message as one, however many API messages it is shown as', async () => {
    const { id } = await t.newAgent()
    t.model.add({ reply: { reasoning: 'Hm.', text: 'Hello.' } })
    await t.letta.agents.messages.create(id, { input: 'Hi' })
    const seen = await collect(t.letta.agents.messages.list(id, { limit: 1, order: 'asc' }))
    assert.deepEqual(
      seen.map((m) => m.message_type),
      ['system_message', 'user_message', 'reasoning_message', 'assistant_message'],
    )
    await t.recorder.verify()
  })

  it('pages the messages of a run and of a step from the first on', async () => {
    const { run_id } = await fiveSteps(t)
    const all = (await t.letta.runs.messages.list(run_id)).items
    assert.equal(all.length, 1 + 4 * 2 + 1)
    const paged = await collect(t.letta.runs.messages.list(run_id, { limit: 2 }))
    assert.deepEqual(paged, all)
    const [step] = (await t.letta.runs.steps.list(run_id, { order: 'asc' })).items
    const ofStep = await collect(t.letta.steps.messages.list(step?.id ?? '', { limit: 1 }))
    assert.deepEqual(
      ofStep.map((m) => m.message_type),
      ['tool_call_message', 'tool_return_message'],
    )
    await t.recorder.verify()
  })
})
