import assert from 'node:assert/strict'
import type { ContextSnapshot } from '../../extension/context-protocol.ts'
import { ContextSession } from '../../extension/host/context/context-session.ts'
import { connect, type LociClient } from '../../shared/client/http.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'

describe('the context of an agent', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let client: LociClient
  let session: ContextSession
  let feed: AbortController
  let agent_id: string
  const told: ContextSnapshot[] = []
  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    client = connect({ url: loci.url })
  })
  beforeEach(async () => {
    const agent = await loci.letta.agents.create({
      name: 'Scout',
      model: SCRIPTED,
      context_window_limit: 16_000,
      memory_blocks: [
        { label: 'human', value: 'Name: Ada' },
        { label: 'notes', value: 'As <human>\n<description> would say.' },
      ],
    })
    agent_id = agent.id
    told.length = 0
    session = new ContextSession(
      agent_id,
      { client: () => Promise.resolve(client) },
      (snapshot) => void told.push(snapshot),
    )
    feed = new AbortController()
    const ready = Promise.withResolvers<void>()
    void (async () => {
      for await (const item of client.events(undefined, { signal: feed.signal })) {
        if (item.type === 'ready') ready.resolve()
        else session.changed([item])
      }
    })()
    await ready.promise
  })
  afterEach(() => {
    session.close()
    feed.abort()
  })
  after(async () => {
    await client.close()
    await loci.close()
    await model.close()
    await model.done()
  })
  const say = async (content: string, ...replies: Parameters<ScriptedModel['add']>) => {
    model.add(...replies)
    await loci.letta.agents.messages.create(agent_id, { messages: [{ role: 'user', content }] })
  }
  const partOf = (snapshot: ContextSnapshot, kind: string) =>
    snapshot.parts.find((part) => part.kind === kind)
  const shown = (label: string, probe: (snapshot: ContextSnapshot) => boolean) =>
    eventually(label, () => told.findLast(probe) ?? null)

  it('has parts that add up to what fills the window, each down to the text that the model sees', async () => {
    await say('Hello there', { reply: { text: 'Hello Ada.' } })
    const snapshot = await session.open(null)
    const sum = snapshot.parts.reduce((all, { tokens }) => all + tokens, 0)
    assert.equal(snapshot.window.used, sum)
    assert.equal(snapshot.window.limit, 16_000)
    assert.deepEqual(
      snapshot.parts.map(({ kind }) => kind),
      ['system', 'blocks', 'metadata', 'tools', 'messages'],
    )
    const blocks = partOf(snapshot, 'blocks')
    assert.deepEqual(
      blocks?.items.map(({ title, detail }) => [title, detail]),
      [
        ['human', '9 of 100,000 characters'],
        ['notes', '35 of 100,000 characters'],
      ],
    )
    assert.match(session.text('blocks', 'human'), /^<human>\n[^]*Name: Ada\n<\/value>\n<\/human>$/)
    assert.match(session.text('blocks', 'notes'), /^<notes>\n[^]*would say\.\n<\/value>\n<\/notes>$/)
    const items = partOf(snapshot, 'messages')?.items ?? []
    assert.deepEqual(
      items.slice(-2).map(({ title, detail }) => [title, detail]),
      [
        ['You', 'Hello there'],
        ['Agent', 'Hello Ada.'],
      ],
    )
    assert.equal(session.text('messages', items.at(-1)?.key ?? ''), 'Hello Ada.')
    assert.match(session.text('tools', 'memory_insert'), /"parameters"/)
    assert.throws(() => session.text('messages', 'message-none'), { message: /not in the context any more/ })
  })

  it('tells how much the model itself reads', async () => {
    await session.open(null)
    const snapshot = await shown('the window of the model', ({ window }) => window.model !== null)
    assert.equal(snapshot.window.model, 128_000)
  })

  it('follows what anybody changes', async () => {
    await session.open(null)
    await loci.letta.agents.blocks.update('human', { agent_id, value: 'Name: Grace' })
    await shown('the edited block', (snapshot) =>
      (partOf(snapshot, 'blocks')?.items[0]?.detail ?? '').startsWith('11 of'),
    )
    assert.match(session.text('blocks', 'human'), /Name: Grace/)
    await loci.letta.agents.update(agent_id, { name: 'Ranger' })
    await shown('the new name', ({ agent }) => agent?.name === 'Ranger')
    await loci.letta.agents.delete(agent_id)
    await shown('nothing', ({ agent }) => agent === null)
  })

  it('shows each step of a run while it goes on', async () => {
    await session.open(null)
    const rest = Promise.withResolvers<void>()
    model.add(
      {
        reply: { tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Tea.' } }] },
      },
      { reply: { text: 'Noted.', hold: rest.promise } },
    )
    const turn = loci.letta.agents.messages.create(agent_id, {
      messages: [{ role: 'user', content: 'I like tea' }],
    })
    const during = await shown('the first step', (snapshot) =>
      (partOf(snapshot, 'messages')?.items ?? []).some(({ title }) => title.startsWith('Tool')),
    )
    assert.equal(during.runs[0]?.status, 'running')
    rest.resolve()
    await turn
    const done = await shown('its end', ({ runs }) => runs[0]?.status === 'completed')
    assert.equal(done.runs[0]?.about, 'I like tea')
  })

  it('reads nothing while nobody looks, and what was missed when somebody does', async () => {
    await session.open(null)
    session.setVisible(false)
    const before = told.length
    await loci.letta.agents.update(agent_id, { name: 'Ranger' })
    const other = new ContextSession(agent_id, { client: () => Promise.resolve(client) }, () => undefined)
    assert.equal((await other.open(null)).agent?.name, 'Ranger')
    assert.equal(told.slice(before).filter(({ agent }) => agent?.name === 'Ranger').length, 0)
    session.setVisible(true)
    await shown('the new name', ({ agent }) => agent?.name === 'Ranger')
  })

  it('compacts, says that it does, and has the record with its summary', async () => {
    for (const i of [1, 2, 3]) await say(`Question ${i}?`, { reply: { text: `Answer ${i}.` } })
    await session.open(null)
    model.add({ reply: { text: 'Three questions, answered.' } })
    const outcome = await session.compact('all')
    assert.ok(told.some(({ compacting }) => compacting !== null))
    assert.equal(outcome?.summary, 'Three questions, answered.')
    const last = told.at(-1)
    assert.equal(last?.compacting, null)
    assert.equal(last?.compactions.length, 1)
    assert.equal(last?.compactions[0]?.trigger, 'manual')
    assert.ok(partOf(last, 'summary'))
    const summary = await session.summary(last?.compactions[0]?.summary_message_id ?? '')
    assert.match(summary, /Three questions, answered\.$/)
    assert.doesNotMatch(summary, /system_alert/)
    await assert.rejects(session.compact('all'), { status: 400 })
    assert.equal(told.at(-1)?.compacting, null)
  })

  it('cancels a compaction, and nothing is changed', async () => {
    for (const i of [1, 2, 3]) await say(`Question ${i}?`, { reply: { text: `Answer ${i}.` } })
    await session.open(null)
    model.add({ reply: { text: 'never', hold: new Promise(() => undefined) } })
    const asked = model.requests.length
    const compaction = session.compact('all')
    await model.request(asked)
    await assert.rejects(session.compact('all'), { message: /under way already/ })
    session.cancel()
    assert.equal(await compaction, null)
    const snapshot = await session.open(null)
    assert.deepEqual([snapshot.compactions, snapshot.compacting], [[], null])
  })

  it('has what each step of a run sent to the provider and got, with times and tokens', async () => {
    await say(
      'I like tea',
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } }],
        },
      },
      { reply: { text: 'Noted.' } },
    )
    const { runs } = await session.open(null)
    const steps = await session.steps(runs[0]?.id ?? '')
    assert.equal(steps.length, 2)
    const [first, second] = steps
    assert.ok(first && second && first.model_ms !== null && first.tools_ms !== null)
    assert.ok(second.start_ms >= first.start_ms && first.prompt_tokens > 0)
    assert.equal(first.model, SCRIPTED)
    const trace = await session.trace(second.id)
    assert.match(trace?.request ?? '', /"model": "test-model"[^]*I like tea[^]*Likes tea\./)
    assert.match(trace?.response ?? '', /Noted\./)
  })

  it('says why a step failed', async () => {
    model.add({ reply: { status: 401, body: { error: { message: 'Incorrect API key' } } } })
    await assert.rejects(
      loci.letta.agents.messages.create(agent_id, { messages: [{ role: 'user', content: 'Hi' }] }),
    )
    const { runs } = await session.open(null)
    assert.equal(runs[0]?.status, 'failed')
    const [step] = await session.steps(runs[0]?.id ?? '')
    assert.match(step?.error ?? '', /Incorrect API key/)
  })

  it('shows one conversation of several, and that one is gone', async () => {
    await say('In the main one', { reply: { text: 'Yes.' } })
    const { id } = await loci.letta.conversations.create({ agent_id, summary: 'Tea' })
    const snapshot = await session.open(id)
    assert.deepEqual(
      snapshot.conversations.map(({ title }) => title),
      ['Main conversation', 'Tea'],
    )
    assert.deepEqual([snapshot.messages, snapshot.runs], [0, []])
    await loci.letta.conversations.delete(id)
    await shown('nothing', ({ agent }) => agent === null)
    const main = await session.open(null)
    assert.equal(main.messages, partOf(main, 'messages')?.items.length)
    assert.equal(main.messages, 2)
  })
})
