import assert from 'node:assert/strict'
import { startLoci, type TestLoci } from '../support/loci.ts'

describe('agents over the official client', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci()
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })

  it('creates an agent with its blocks, base tools and a system message', async () => {
    const agent = await t.letta.agents.create({
      name: 'Ada',
      model: 'loci/demo',
      embedding: 'openai/text-embedding-3-small',
      memory_blocks: [
        { label: 'human', value: 'Name: Sarah' },
        { label: 'persona', value: 'Helpful assistant' },
      ],
      tags: ['team'],
    })
    assert.match(agent.id, /^agent-[0-9a-f-]{36}$/)
    assert.equal(agent.model, 'loci/demo')
    assert.equal(agent.embedding, 'openai/text-embedding-3-small')
    assert.deepEqual(
      agent.blocks.map((b) => [b.label, b.value]),
      [
        ['human', 'Name: Sarah'],
        ['persona', 'Helpful assistant'],
      ],
    )
    assert.deepEqual(agent.tools.map((tool) => tool.name).toSorted(), [
      'conversation_search',
      'memory_insert',
      'memory_replace',
    ])
    assert.deepEqual(agent.tags, ['team'])
    assert.equal(agent.message_ids?.length, 1)
    const messages = await t.letta.agents.messages.list(agent.id)
    assert.equal(messages.items.length, 1)
    const [system] = messages.items
    assert.ok(system?.message_type === 'system_message')
    assert.match(system.content, /<human>[\s\S]*Name: Sarah[\s\S]*<\/human>/)
    assert.match(system.content, new RegExp(`- AGENT_ID: ${agent.id}`))
    assert.match(system.content, /- CONVERSATION_ID: default/)
    assert.match(
      system.content,
      /- System prompt last recompiled: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d (AM|PM) UTC\+0000/,
    )
  })

  it('loads relations only when a current client asks for them', async () => {
    const { id } = await t.letta.agents.create({
      model: 'loci/demo',
      memory_blocks: [{ label: 'human', value: 'x' }],
    })
    const bare = await t.letta.agents.retrieve(id)
    assert.deepEqual([bare.blocks, bare.tools, bare.tags], [[], [], []])
    const full = await t.letta.agents.retrieve(id, { include: ['agent.blocks', 'agent.tools'] })
    assert.equal(full.blocks.length, 1)
    assert.equal(full.tools.length, 3)
    const older = await fetch(`${t.url}/v1/agents/${id}`, {
      headers: { 'user-agent': 'letta-client/0.1.319' },
    })
    assert.equal(((await older.json()) as { blocks: unknown[] }).blocks.length, 1)
  })

  it('lists with auto-paging to the end, filters, counts, updates and deletes', async () => {
    const made: string[] = []
    for (let i = 0; i < 5; i++)
      made.push((await t.letta.agents.create({ name: `paged ${i}`, model: 'loci/demo', tags: ['paged'] })).id)
    const seen: string[] = []
    for await (const agent of t.letta.agents.list({ tags: ['paged'], limit: 2 })) seen.push(agent.id)
    assert.deepEqual(seen, made.toReversed())
    const first = made[0] ?? ''
    const renamed = await t.letta.agents.update(first, { name: 'Renamed', description: 'd' })
    assert.deepEqual([renamed.name, renamed.description, renamed.tags], ['Renamed', 'd', ['paged']])
    assert.equal((await t.http('GET', '/v1/agents/count?tags=paged')).body, 5)
    assert.deepEqual(
      (await t.letta.agents.list({ query_text: 'RENAM' })).items.map((a) => a.id),
      [first],
    )
    await t.letta.agents.delete(first)
    await assert.rejects(t.letta.agents.retrieve(first), (e: Error) => e.message.includes('Agent not found'))
    assert.equal((await t.http('GET', '/v1/agents/count?tags=paged')).body, 4)
  })

  it('serves both slash spellings and /latest', async () => {
    for (const path of ['/v1/agents', '/v1/agents/', '/latest/agents/', '/v1/health', '/v1/health/'])
      assert.equal((await t.http('GET', path)).status, 200, path)
  })

  it('attaches and detaches blocks and tools', async () => {
    const agent = await t.letta.agents.create({ model: 'loci/demo', include_base_tools: false })
    const block = await t.letta.blocks.create({ label: 'project', value: 'Loci' })
    const attached = await t.letta.agents.blocks.attach(block.id, { agent_id: agent.id })
    assert.deepEqual(
      attached.blocks.map((b) => b.label),
      ['project'],
    )
    assert.deepEqual(
      (await t.letta.blocks.agents.list(block.id)).items.map((a) => a.id),
      [agent.id],
    )
    const changed = await t.letta.agents.blocks.update('project', { agent_id: agent.id, value: 'Loci 0.1' })
    assert.equal(changed.value, 'Loci 0.1')
    assert.equal((await t.letta.agents.blocks.retrieve('project', { agent_id: agent.id })).value, 'Loci 0.1')
    assert.equal((await t.letta.blocks.retrieve(block.id)).value, 'Loci 0.1')
    await t.letta.agents.blocks.detach(block.id, { agent_id: agent.id })
    assert.deepEqual((await t.letta.agents.blocks.list(agent.id)).items, [])

    const tool = (await t.letta.tools.list({ name: 'memory_insert' })).items[0]
    assert.ok(tool)
    await t.letta.agents.tools.attach(tool.id, { agent_id: agent.id })
    assert.deepEqual(
      (await t.letta.agents.tools.list(agent.id)).items.map((x) => x.name),
      ['memory_insert'],
    )
    await t.letta.agents.tools.detach(tool.id, { agent_id: agent.id })
    assert.deepEqual((await t.letta.agents.tools.list(agent.id)).items, [])
  })

  it('lists the built-in tools and the demo model', async () => {
    const tools = await t.letta.tools.list()
    assert.ok(tools.items.every((tool) => tool.json_schema !== null))
    const models = await t.letta.models.list()
    assert.deepEqual(
      models.map((m) => m.handle),
      ['loci/demo'],
    )
  })
})

describe('bad input', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci()
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })
  const missing = '00000000-0000-4000-8000-000000000000'

  const cases: [string, string, unknown, number, RegExp][] = [
    ['POST', '/v1/agents/', '{"name": ', 422, /body: not valid JSON/],
    ['POST', '/v1/agents/', '', 422, /no body/],
    ['POST', '/v1/agents/', '[]', 422, /body: .*expected object/],
    ['POST', '/v1/agents/', { name: 5 }, 422, /body\.name/],
    [
      'POST',
      '/v1/agents/',
      {
        llm_config: { model: 'm', model_endpoint_type: 'openai', context_window: 0 },
        enable_sleeptime: true,
      },
      422,
      /body\.llm_config\.context_window/,
    ],
    ['POST', '/v1/agents/', { name: 'a/b' }, 422, /body\.name: letters/],
    ['POST', '/v1/agents/', { model: 'nowhere/at-all' }, 404, /nowhere\/at-all/],
    ['POST', '/v1/agents/', { model: 'no-slash' }, 400, /no-slash/],
    ['POST', '/v1/agents/', { model: 'loci/demo', tools: ['nope'] }, 400, /no tool named 'nope'/],
    ['POST', '/v1/agents/', { model: 'loci/demo', tool_ids: [`tool-${missing}`] }, 404, /tool-0000/],
    ['POST', '/v1/agents/', { model: 'loci/demo', block_ids: ['block-x'] }, 422, /body\.block_ids\.0/],
    ['GET', '/v1/agents/agent-1', undefined, 422, /path\.agent_id/],
    ['GET', '/v1/agents/block-' + missing, undefined, 422, /path\.agent_id/],
    ['GET', `/v1/agents/agent-${missing}`, undefined, 404, /^Agent not found$/],
    ['GET', `/v1/agents/?after=agent-${missing}`, undefined, 404, /agent-0000/],
    ['GET', '/v1/agents/?limit=many', undefined, 422, /query\.limit: .*expected number, received 'many'/],
    ['GET', '/v1/agents/?limit=', undefined, 422, /query\.limit: .*expected number/],
    ['GET', '/v1/blocks/?connected_to_agents_count_lt=', undefined, 422, /connected_to_agents_count_lt/],
    ['GET', '/v1/agents/?last_stop_reason=nope', undefined, 422, /query\.last_stop_reason/],
    ['GET', '/v1/agents/count?last_stop_reason=nope', undefined, 422, /query\.last_stop_reason/],
    [
      'POST',
      `/v1/blocks/block-${missing}/history/x/restore`,
      undefined,
      422,
      /path\.version: .*received 'x'/,
    ],
    ['POST', '/v1/agents/', { name: '  ' }, 422, /body\.name: .*more than spaces/],
    ['POST', '/v1/agents/', { name: 'x'.repeat(1001) }, 422, /body\.name: .*1000/],
    ['POST', '/v1/agents/', { tags: ['x'.repeat(1001)] }, 422, /body\.tags\.0: .*1000/],
    ['POST', '/v1/blocks/', { label: 'a', value: '', tags: ['x'.repeat(1001)] }, 422, /body\.tags\.0/],
    [
      'POST',
      `/v1/agents/agent-${missing}/archival-memory`,
      { text: ' ' },
      422,
      /body\.text: there is nothing/,
    ],
    ['GET', '/v1/agents/?include=nothing', undefined, 422, /query\.include/],
    ['GET', '/v1/blocks/block-' + missing, undefined, 404, /block-0000/],
    ['GET', '/v1/tools/?tool_types=odd', undefined, 422, /query\.tool_types/],
    ['PATCH', `/v1/agents/agent-${missing}`, { name: 'x' }, 404, /Agent not found/],
    ['PATCH', `/v1/agents/agent-${missing}/core-memory/blocks/human`, { value: 'x' }, 404, /Agent not found/],
    ['POST', `/v1/agents/agent-${missing}/messages`, { input: 'hi' }, 404, /Agent not found/],
    ['POST', `/v1/agents/agent-${missing}/messages`, {}, 422, /exactly one of 'messages' and 'input'/],
    ['POST', `/v1/agents/agent-${missing}/messages`, { messages: [] }, 422, /body\.messages/],
    [
      'POST',
      `/v1/agents/agent-${missing}/messages`,
      { messages: [{ role: 'robot', content: '' }] },
      422,
      /role/,
    ],
    ['GET', '/v1/nothing', undefined, 404, /no route GET \/v1\/nothing/],
    ['GET', '/', undefined, 404, /no route/],
    ['GET', '/v1/events?after=-1', undefined, 422, /query\.after/],
    ['GET', '/v1/runs/run-nope', undefined, 404, /run-nope/],
  ]
  for (const [method, path, body, status, detail] of cases)
    it(`${method} ${path} ${JSON.stringify(body) ?? ''} answers ${status}`, async () => {
      const answer = await t.http(method, path, body)
      assert.equal(answer.status, status, JSON.stringify(answer.body))
      const text = (answer.body as { detail: unknown }).detail
      assert.equal(typeof text, 'string')
      assert.match(String(text), detail)
      assert.ok(!/\n\s+at /.test(JSON.stringify(answer.body)), 'no stack trace')
    })

  it('refuses other hosts and the pages of other origins', async () => {
    const { request } = await import('node:http')
    const ask = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        request(`${t.url}/v1/health/`, { headers }, (res) => {
          res.resume()
          resolve(res.statusCode ?? 0)
        })
          .on('error', reject)
          .end()
      })
    assert.equal(await ask({ host: 'evil.example' }), 403)
    assert.equal(await ask({ origin: 'https://evil.example' }), 403)
    assert.equal(await ask({ origin: 'http://localhost:3000' }), 403)
    assert.equal(await ask({ origin: t.url }), 200)
  })
})
