import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { pull } from '../../cli/migrate/pull.ts'
import { Report } from '../../cli/migrate/report.ts'
import { Target } from '../../cli/migrate/target.ts'
import { V1Server } from '../../cli/migrate/v1-server.ts'
import { connect } from '../../shared/client/http.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import { assertMigrated, readFrom } from '../support/v1-compare.ts'
import { type FakeV1, startV1, type V1Options } from '../support/v1-server.ts'
import { idOf, type Json, World } from '../support/v1-world.ts'

const SMALL = { agents: 2, messages: 30, passages: 7 }
const AGENT = idOf('agent', 0, 0, 0)

describe('what loci migrate brings', () => {
  let loci: TestLoci
  const open: FakeV1[] = []

  beforeEach(async () => {
    loci = await startLoci()
  })
  afterEach(async () => {
    assert.deepEqual(loci.failures, [])
    await loci.close()
    for (const v1 of open.splice(0)) {
      assert.deepEqual(v1.wrong, [])
      await v1.close()
    }
  })

  const serve = async (world: World, options: V1Options = {}) => {
    const v1 = await startV1(world, options)
    open.push(v1)
    return v1
  }
  async function migrate(
    url: string,
    { agents = null, tries = 2 }: { agents?: string[] | null; tries?: number } = {},
  ): Promise<Report> {
    const client = connect({ url: loci.url })
    const report = new Report(url)
    const server = new V1Server({ url, token: null, tries, pause_ms: 1, idle_ms: 2_000 })
    try {
      report.version = await server.version()
      await pull({
        server,
        target: new Target(client, report),
        report,
        only: null,
        agents,
        show: () => undefined,
        addProvider: () => Promise.resolve(),
        knownProviders: () => Promise.resolve(new Set(['shown', 'hidden-key'])),
      })
      return report
    } finally {
      await client.close()
    }
  }
  const outcomes = (report: Report, outcome: string) =>
    report.problems.filter((problem) => problem.outcome === outcome)
  const added = (report: Report) => Object.entries(report.counts).filter(([, c]) => c.new + c.changed > 0)

  it('is everything, and a second run brings nothing', async () => {
    const world = new World(SMALL)
    const v1 = await serve(world)
    const first = await migrate(v1.url)
    assert.deepEqual([first.whole, outcomes(first, 'refused')], [true, []])
    await assertMigrated(loci.url, world)
    const second = await migrate(v1.url)
    assert.deepEqual(
      [added(second), second.messages],
      [[], { added: 0, known: first.messages.added, refused: 0 }],
    )
    assert.equal(second.problems.filter(({ outcome }) => outcome !== 'note').length, 0)
  })

  it('is everything also when it is cut off at each of its requests', async function () {
    this.timeout(120_000)
    const world = new World({ agents: 2, messages: 24, passages: 3 })
    let allowed = 0
    const v1 = await serve(world, { fault: (n) => (n > allowed ? { status: 500 } : null) })
    let cut = 0
    for (let stage = 1; ; stage++) {
      allowed = v1.requests.length + stage
      const ended = await migrate(v1.url, { tries: 1 }).then(
        () => true,
        (error: Error) => {
          assert.match(error.message, /answers 500 .*run the same command again/)
          return false
        },
      )
      if (ended) break
      cut++
    }
    assert.ok(cut > 40, `it was cut off at ${cut} requests`)
    await assertMigrated(loci.url, world)
  })

  it('is what came since in a later run, and what was changed here stays', async () => {
    const world = new World(SMALL)
    const v1 = await serve(world)
    await migrate(v1.url)
    const company = idOf('block', 0xffff, 1, 1)
    const human = idOf('block', 0, 1, 1)
    world.changed.set(company, { value: 'The zoo has moved.' })
    world.changed.set(human, { value: 'Changed there.' })
    world.changed.set(AGENT, { description: 'Changed there' })
    await loci.letta.blocks.update(human, { value: 'Changed here.' })
    await loci.letta.tools.delete(idOf('tool', 3, 2, 1))
    const other = idOf('agent', 1, 0, 0)
    world.changed.set(other, { description: 'Changed there' })
    await loci.letta.agents.update(other, { description: 'Changed here' })
    world.extra = 8
    const report = await migrate(v1.url)
    assert.deepEqual(
      outcomes(report, 'kept').map(({ kind, id }) => [kind, id]),
      [
        ['tool', idOf('tool', 3, 2, 1)],
        ['block', human],
        ['agent', other],
      ],
    )
    assert.equal((await loci.letta.blocks.retrieve(human)).value, 'Changed here.')
    assert.equal((await loci.letta.blocks.retrieve(company)).value, 'The zoo has moved.')
    assert.equal(report.messages.added, 16)
    const agent = (await readFrom(loci.url, `/v1/agents/${AGENT}`)) as Json
    assert.deepEqual(agent['message_ids'], world.agent(0)['message_ids'])
    assert.equal(agent['description'], 'Changed there')
    const kept = (await readFrom(loci.url, `/v1/agents/${other}`)) as Json
    assert.deepEqual(
      [kept['description'], kept['message_ids']],
      ['Changed here', world.agent(1)['message_ids']],
    )
    const again = await migrate(v1.url)
    assert.deepEqual(added(again), [])
  })

  it('goes into no conversation that somebody went on with here', async () => {
    const model = await startScriptedModel([{ reply: { text: 'Here.' } }])
    await loci.close()
    loci = await startLoci({ model_url: model.url })
    try {
      const world = new World(SMALL)
      const v1 = await serve(world)
      await migrate(v1.url)
      await loci.letta.agents.update(AGENT, { model: 'openai/test-model' })
      await loci.letta.agents.messages.create(AGENT, { input: 'Who is here?' })
      const before = await readFrom(loci.url, `/v1/agents/${AGENT}`)
      world.extra = 4
      const report = await migrate(v1.url)
      const kept = outcomes(report, 'kept')
      assert.equal(kept.length, 1)
      assert.match(kept[0]?.reason ?? '', /went on both here and at the old server/)
      const after = await readFrom(loci.url, `/v1/agents/${AGENT}`)
      assert.deepEqual((after as Json)['message_ids'], (before as Json)['message_ids'])
      assert.equal(report.messages.added, 4, 'the other agent has them')
    } finally {
      await model.close()
    }
  })

  it('comes from a server of 0.6 too: no conversations, sources, messages newest first', async () => {
    const world = new World({ agents: 2, messages: 730, passages: 5 })
    const v1 = await serve(world, { old: true, version: '0.6.50' })
    const report = await migrate(v1.url)
    assert.equal(report.whole, true)
    assert.equal(report.messages.added, 730 - 182 + 730)
    const agent = (await readFrom(loci.url, `/v1/agents/${AGENT}`)) as Json
    assert.equal((agent['message_ids'] as unknown[]).length, 13)
    const blocks = (await readFrom(loci.url, `/v1/agents/${AGENT}/core-memory/blocks`)) as Json[]
    assert.deepEqual(new Set(blocks.map(({ label }) => label)), new Set(['company', 'human']))
    const shown = await loci.letta.agents.messages.list(AGENT, {
      order: 'asc',
      limit: 1000,
      use_assistant_message: false,
    })
    const ids = [...new Set(shown.getPaginatedItems().map(({ id }) => id))]
    assert.deepEqual(
      ids,
      Array.from({ length: 548 }, (_, i) => i)
        // Of steps that failed, which are not shown.
        .filter((i) => i % 97 !== 3)
        .map((i) => idOf('message', 0, 0, i)),
    )
    const passages = await loci.letta.agents.passages.list(AGENT)
    assert.equal(passages.length, 5)
    assert.equal(((await readFrom(loci.url, '/v1/folders/')) as Json[]).length, 2)
    world.extra = 5
    assert.equal((await migrate(v1.url)).messages.added, 10)
  })

  it('comes from a server that cannot list the default conversation by itself, where there is no other', async () => {
    const world = new World(SMALL)
    const v1 = await serve(world, {
      answer: (path, query) =>
        path.endsWith('/messages') && query.get('conversation_id') === 'default' ? [] : undefined,
    })
    const report = await migrate(v1.url)
    assert.equal(report.messages.added, 7 + 30)
    const lost = report.problems.filter(({ reason }) =>
      /does not list the messages of its default/.test(reason),
    )
    assert.deepEqual([lost.map(({ id }) => id), report.whole], [[AGENT], false])
  })

  it('is one agent with what it needs, when only that is asked for', async () => {
    const v1 = await serve(new World(SMALL))
    const report = await migrate(v1.url, { agents: ['Keeper 1'] })
    assert.deepEqual([report.whole, report.counts['agent']?.new], [true, 1])
    const agents = (await readFrom(loci.url, '/v1/agents/')) as Json[]
    assert.deepEqual(
      agents.map(({ name }) => name),
      ['Keeper 1'],
    )
    const groups = (await readFrom(loci.url, '/v1/groups/')) as Json[]
    assert.deepEqual(
      groups.map(({ agent_ids }) => agent_ids),
      [[idOf('agent', 1, 0, 0)]],
    )
    assert.equal(((await readFrom(loci.url, '/v1/identities/')) as Json[]).length, 0)
    await assert.rejects(migrate(v1.url, { agents: ['Nobody'] }), /has no agent 'Nobody'. It has: Keeper 0/)
    const rest = await migrate(v1.url)
    assert.equal(rest.counts['group']?.changed, 1, 'the other agent joins it')
    await assertMigrated(loci.url, new World(SMALL))
  })

  it('leaves what has the same name here alone, and says so', async () => {
    const source =
      'def count_birds_0(x: str) -> str:\n    """Mine.\n\n    Args:\n        x: It.\n    """\n    return x\n'
    const mine = await loci.letta.tools.create({ source_code: source })
    await loci.letta.folders.create({ name: 'Folder 0' })
    const identity = { identifier_key: 'ada-1', name: 'Mine', identity_type: 'user' }
    assert.equal((await loci.http('POST', '/v1/identities/', identity)).status, 200)
    const v1 = await serve(new World(SMALL))
    const report = await migrate(v1.url)
    assert.deepEqual(
      outcomes(report, 'refused').map(({ kind }) => kind),
      ['tool', 'folder', 'identity'],
    )
    assert.equal(report.whole, false)
    for (const { reason } of outcomes(report, 'refused')) assert.match(reason, /taken|already|another/)
    assert.equal((await loci.letta.tools.retrieve(mine.id)).source_code, source)
    const agent = report.problems.find(
      ({ kind, reason }) => kind === 'agent' && /brought without/.test(reason),
    )
    assert.match(agent?.reason ?? '', /'count_birds_0' \(tool\)/)
    assert.equal(((await readFrom(loci.url, '/v1/agents/')) as Json[]).length, 2)
  })

  it('takes no id that is that of something else here', async () => {
    const v1 = await serve(new World(SMALL))
    await migrate(v1.url)
    await loci.letta.blocks.update(idOf('block', 0, 1, 1), { value: 'Mine.' })
    // As if none of it had come from there.
    const database = new DatabaseSync(join(loci.data, 'loci.db'))
    database.exec('DELETE FROM brought')
    database.close()
    const report = await migrate(v1.url)
    assert.deepEqual(
      outcomes(report, 'refused').map(({ kind, reason }) => [
        kind,
        /id .*something else|another agent here/.test(reason),
      ]),
      [
        ['block', true],
        ['agent', true],
        ['agent', true],
        ['group', true],
      ],
    )
    assert.equal((await loci.letta.blocks.retrieve(idOf('block', 0, 1, 1))).value, 'Mine.')
  })

  it('leaves out messages that cannot be told or stored, and brings the others', async function () {
    this.timeout(60_000)
    const world = new World(SMALL)
    const strange = (index: number, more: Json) => ({
      id: idOf('message', 0, 0, index),
      date: '2025-03-01T08:00:00+00:00',
      ...more,
    })
    const odd: Json[] = [
      strange(0, { message_type: 'system_message', content: 'You are.', new_field: { deep: [1] } }),
      strange(1, { message_type: 'telepathy_message', thought: '…' }),
      strange(2, { message_type: 'user_message', content: 'x'.repeat(31_000_000) }),
      { id: 'message-1', date: '2025-03-01T08:00:00+00:00', message_type: 'user_message', content: 'bad id' },
      strange(4, { message_type: 'user_message', content: 'No date', date: 'yesterday' }),
      strange(5, {
        message_type: 'user_message',
        content: [{ type: 'hologram' }, { type: 'text', text: 'Half' }],
      }),
      strange(6, { message_type: 'tool_call_message', tool_call: null, tool_calls: 'none' }),
      strange(7, { message_type: 'event_message', event_type: 'compaction', event_data: {} }),
      strange(8, { message_type: 'user_message', content: `Big ${'y'.repeat(3_000_000)}\u0000` }),
    ]
    const v1 = await serve(world, {
      answer: (path, query) => {
        if (path !== `/v1/agents/${AGENT}/messages`) return undefined
        const after = odd.findIndex(({ id }) => id === query.get('after'))
        return query.get('conversation_id') === 'default' ? odd.slice(after + 1) : []
      },
    })
    const report = await migrate(v1.url)
    const reasons = report.problems.filter(({ kind }) => kind === 'message').map(({ reason }) => reason)
    assert.equal(reasons.length, 4)
    for (const [i, pattern] of [
      /too large/,
      /telepathy_message' are not known/,
      /its id 'message-1'/,
      /no date/,
    ].entries())
      assert.match(reasons[i] ?? '', pattern)
    assert.equal(report.whole, false)
    const shown = await loci.letta.agents.messages.list(AGENT, {
      order: 'asc',
      limit: 100,
      conversation_id: 'default',
    })
    const texts = shown.getPaginatedItems().map((message) => JSON.stringify(message).length)
    assert.equal(texts.length, 3)
    assert.ok((texts[2] ?? 0) > 3_000_000)
  })

  it('ends at lists that repeat their pages or turn in circles, and says that they may not be whole', async () => {
    const world = new World(SMALL)
    const many = Array.from({ length: 200 }, (_, i) => world.tool(0x200 + i, `tool_${i}`, 'custom'))
    const v1 = await serve(world, {
      answer: (path, query) => {
        if (path === '/v1/tools/') return many.slice(0, 100)
        if (path !== '/v1/blocks/') return undefined
        const blocks = Array.from({ length: 3 }, (_, i) => world.block(0x300 + i, `b${i}`, ''))
        const next = {
          '': 0,
          [String(blocks[0]?.['id'])]: 1,
          [String(blocks[1]?.['id'])]: 2,
          [String(blocks[2]?.['id'])]: 0,
        }
        return blocks.slice(next[query.get('after') ?? ''], (next[query.get('after') ?? ''] ?? 0) + 1)
      },
    })
    const report = await migrate(v1.url)
    const reasons = outcomes(report, 'refused').map(({ reason }) => reason)
    assert.ok(
      reasons.some((reason) => /\/v1\/tools\/ gives the same page/.test(reason)),
      reasons.join(),
    )
    assert.ok(
      reasons.some((reason) => /\/v1\/blocks\/ turns in circles/.test(reason)),
      reasons.join(),
    )
    assert.equal(report.counts['tool']?.new, 100)
  })

  it('takes agents whose model, name, rules or time zone are not known here, and says what it left out', async () => {
    const world = new World({ agents: 1, messages: 4, passages: 0 })
    world.changed.set(AGENT, {
      name: 'Kéeper <1> / "x"',
      timezone: 'Moon/Crater',
      tool_rules: [
        { type: 'dance', tool_name: 'x' },
        { type: 'exit_loop', tool_name: 'send_message' },
      ],
      llm_config: { model: 'm', model_endpoint_type: 'quantum', context_window: 9000 },
      model: 'quantum/m',
      metadata: null,
      unknown_of_tomorrow: 1,
    })
    const v1 = await startV1(world)
    try {
      const report = await migrate(v1.url)
      assert.equal(report.whole, true)
      const agent = (await readFrom(loci.url, `/v1/agents/${AGENT}`)) as Json
      assert.deepEqual(
        [
          agent['name'],
          agent['timezone'],
          (agent['tool_rules'] as Json[]).length,
          (agent['llm_config'] as Json)['context_window'],
        ],
        ['Kéeper -1- - -x-', 'UTC', 1, 9000],
      )
      const notes = report.problems
        .filter(({ kind }) => kind === 'agent')
        .map(({ reason }) => reason)
        .join('\n')
      for (const pattern of [
        /'quantum\/m', which is not connected/,
        /'timezone'/,
        /'tool_rules'/,
        /characters/,
      ])
        assert.match(notes, pattern)
      assert.deepEqual(added(await migrate(v1.url)), [])
    } finally {
      await v1.close()
    }
  })

  it('comes from another Loci, with what it has', async () => {
    const other = await startLoci()
    try {
      const agent = await other.letta.agents.create({
        name: 'Ada',
        model: 'loci/demo',
        memory_blocks: [{ label: 'human', value: 'Kai' }],
      })
      await other.letta.agents.messages.create(agent.id, { input: 'Hello' })
      const report = await migrate(other.url)
      assert.deepEqual(outcomes(report, 'refused'), [])
      const [there, here] = await Promise.all(
        [other, loci].map((one) => one.letta.agents.messages.list(agent.id)),
      )
      assert.deepEqual(here?.getPaginatedItems(), there?.getPaginatedItems())
      const state = await loci.letta.agents.messages.create(agent.id, { input: 'And here?' })
      assert.equal(state.stop_reason.stop_reason, 'end_turn')
    } finally {
      await other.close()
    }
  })
})
