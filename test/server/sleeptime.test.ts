import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import type { ChatBody, ScriptedAnswer } from '../support/model-wire.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

describe('sleep-time companions over the official client', () => {
  let t: TestLoci
  let model: ScriptedModel
  /** What companions do, by the last message they are shown. */
  let companion: (body: ChatBody) => ScriptedAnswer & { hold?: Promise<unknown> }
  let main: (body: ChatBody) => ScriptedAnswer
  before(async () => {
    model = await startScriptedModel([], {
      loop: (body) => (isCompanion(body) ? companion(body) : main(body)),
    })
    t = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await t.close()
    await model.done()
    await model.close()
    assert.deepEqual(t.failures, [])
  })
  beforeEach(() => {
    companion = () => ({ text: 'nothing to do' })
    main = (body) => ({ text: `you said ${textOf(body.messages.at(-1))}` })
  })

  const newAgent = (more: object = {}) =>
    t.letta.agents.create({
      name: 'Ada',
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'Nobody yet.' }],
      enable_sleeptime: true,
      ...more,
    })
  const send = (agent_id: string, input: string) => t.letta.agents.messages.create(agent_id, { input })
  const groupOf = async (agent_id: string) => {
    const { managed_group } = await t.letta.agents.retrieve(agent_id, { include: ['agent.managed_group'] })
    return managed_group ?? assert.fail('the agent leads no group')
  }
  const every = (group_id: string, sleeptime_agent_frequency: number) =>
    t.http('PATCH', `/v1/groups/${group_id}`, {
      manager_config: { manager_type: 'sleeptime', sleeptime_agent_frequency },
    })
  const ended = (run_id: string) =>
    eventually(`run ${run_id} has ended`, async () => {
      const run = await t.letta.runs.retrieve(run_id)
      return run.status === 'running' || run.status === 'created' ? null : run
    })
  const labels = async (agent_id: string) =>
    (await t.letta.agents.blocks.list(agent_id)).items.map((block) => block.label ?? '').toSorted()

  it('are made with their agent: type, tools, blocks and group', async () => {
    const agent = await newAgent()
    assert.equal(agent.enable_sleeptime, true)
    assert.deepEqual(agent.tools.map((tool) => tool.name).toSorted(), [
      'archival_memory_search',
      'conversation_search',
    ])
    const group = agent.managed_group
    assert.deepEqual(agent.multi_agent_group, group)
    assert.equal(group?.manager_type, 'sleeptime')
    assert.deepEqual([group?.manager_agent_id, group?.sleeptime_agent_frequency], [agent.id, 5])
    const [id = ''] = group?.agent_ids ?? []
    const made = await t.letta.agents.retrieve(id, { include: ['agent.blocks', 'agent.tools'] })
    assert.deepEqual([made.name, made.agent_type, made.model], ['Ada-sleeptime', 'sleeptime_agent', SCRIPTED])
    assert.deepEqual(made.tools.map((tool) => tool.name).toSorted(), [
      'memory_finish_edits',
      'memory_insert',
      'memory_replace',
      'memory_rethink',
    ])
    assert.deepEqual(made.blocks.map((block) => block.label).toSorted(), ['human', 'memory_persona'])
    const shared = made.blocks.find((block) => block.label === 'human')
    assert.equal(shared?.id, agent.blocks.find((block) => block.label === 'human')?.id)
    const without = await t.letta.agents.retrieve(agent.id)
    assert.equal(without.managed_group ?? null, null)
  })

  it('are at work every fifth turn, see what was said since, and what they write is in the next prompt', async () => {
    const agent = await newAgent()
    const seen: string[] = []
    companion = (body) => {
      const last = body.messages.at(-1)
      if (last?.role === 'tool') return { text: 'done' }
      seen.push(textOf(last))
      return {
        tool_calls: [
          {
            name: 'memory_replace',
            arguments: { label: 'human', old_string: 'Nobody yet.', new_string: 'She likes tea.' },
          },
        ],
      }
    }
    const runs: string[][] = []
    for (let i = 1; i <= 5; i++) {
      const { usage } = await send(agent.id, `message ${i}`)
      runs.push(usage.run_ids ?? [])
    }
    assert.deepEqual(
      runs.map((ids) => ids.length),
      [1, 1, 1, 1, 2],
    )
    const run = await ended(runs[4]?.[1] ?? '')
    assert.deepEqual([run.status, run.background], ['completed', true])
    const group = await groupOf(agent.id)
    assert.equal(run.agent_id, group.agent_ids[0])
    assert.equal(group.turns_counter, 5)
    for (let i = 1; i <= 5; i++)
      assert.match(seen[0] ?? '', new RegExp(`user: message ${i}\\nassistant: you`))
    assert.match(seen[0] ?? '', /You are not the assistant/)
    const newest = (await t.letta.agents.messages.list(agent.id, { limit: 1 })).items[0] as { id: string }
    assert.equal(group.last_processed_message_id, newest.id)
    await send(agent.id, 'next')
    const prompt = textOf(model.requests.at(-1)?.body.messages[0])
    assert.match(prompt, /She likes tea\./)
    // Only what is new.
    await every(group.id, 7)
    companion = (body) => (seen.push(textOf(body.messages.at(-1))), { text: 'ok' })
    const { usage } = await send(agent.id, 'seventh')
    await ended(usage.run_ids?.[1] ?? '')
    assert.match(seen.at(-1) ?? '', /user: next[^]*user: seventh/)
    assert.doesNotMatch(seen.at(-1) ?? '', /message 5/)
  })

  it('that are busy are told the next time, of everything', async () => {
    const agent = await newAgent()
    const { id, agent_ids } = await groupOf(agent.id)
    await every(id, 1)
    const { promise: hold, resolve: free } = Promise.withResolvers<void>()
    companion = () => ({ text: 'slow', hold })
    const first = (await send(agent.id, 'one')).usage.run_ids ?? []
    assert.equal(first.length, 2)
    assert.equal((await send(agent.id, 'two')).usage.run_ids?.length, 1)
    free()
    await ended(first[1] ?? '')
    const asked: string[] = []
    companion = (body) => (asked.push(textOf(body.messages.at(-1))), { text: 'ok' })
    const third = (await send(agent.id, 'three')).usage.run_ids ?? []
    await ended(third[1] ?? '')
    assert.match(asked[0] ?? '', /user: two[^]*user: three/)
    assert.doesNotMatch(asked[0] ?? '', /user: one/)
    const listed = await t.http('GET', `/v1/agents/${agent_ids[0]}/messages?group_id=${id}`)
    assert.ok((listed.body as unknown[]).length > 0)
  })

  it('rest when their agent is cancelled, waits for an approval or fails, and when they are turned off', async () => {
    const agent = await newAgent({
      tool_rules: [{ type: 'requires_approval', tool_name: 'conversation_search' }],
    })
    const { id } = await groupOf(agent.id)
    await every(id, 1)
    main = () => ({ tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] })
    const { usage, stop_reason } = await send(agent.id, 'look')
    assert.deepEqual([stop_reason.stop_reason, usage.run_ids?.length], ['requires_approval', 1])
    await t.letta.agents.messages.reset(agent.id, { add_default_initial_messages: false })
    main = () => ({ text: 'fine' })
    await t.letta.agents.update(agent.id, { enable_sleeptime: false })
    assert.equal((await send(agent.id, 'hi')).usage.run_ids?.length, 1)
    await t.letta.agents.update(agent.id, { enable_sleeptime: true })
    assert.equal((await groupOf(agent.id)).id, id, 'the same group')
    const again = (await send(agent.id, 'hi')).usage.run_ids ?? []
    assert.equal(again.length, 2)
    await ended(again[1] ?? '')
  })

  it('are made when they are turned on later, and get every block that their agent gets', async () => {
    const agent = await newAgent({ enable_sleeptime: false })
    const updated = await t.letta.agents.update(agent.id, { enable_sleeptime: true, name: 'Grace' })
    const [id = ''] = updated.managed_group?.agent_ids ?? []
    assert.equal((await t.letta.agents.retrieve(id)).name, 'Grace-sleeptime')
    assert.deepEqual(await labels(id), ['human', 'memory_persona'])
    const [plan, own] = await Promise.all(
      ['plan', 'memory_persona'].map((label) => t.letta.blocks.create({ label, value: 'x' })),
    )
    await t.letta.agents.blocks.attach(plan!.id, { agent_id: agent.id })
    assert.deepEqual(await labels(id), ['human', 'memory_persona', 'plan'])
    await t.letta.agents.blocks.attach(own!.id, { agent_id: agent.id })
    assert.deepEqual(await labels(id), ['human', 'memory_persona', 'plan'], 'its own of that label stays')
    await t.letta.agents.blocks.detach(plan!.id, { agent_id: agent.id })
    assert.deepEqual(await labels(id), ['human', 'memory_persona'])
    await t.letta.agents.update(agent.id, { block_ids: [plan!.id] })
    assert.deepEqual(await labels(id), ['memory_persona', 'plan'])
  })

  it('get a block that their agent makes with a tool', async () => {
    const agent = await newAgent({ tools: ['memory_rethink'] })
    const { agent_ids } = await groupOf(agent.id)
    main = (body) =>
      body.messages.at(-1)?.role === 'tool'
        ? { text: 'made' }
        : { tool_calls: [{ name: 'memory_rethink', arguments: { label: 'ideas', new_memory: 'tea' } }] }
    await send(agent.id, 'note it')
    assert.deepEqual(await labels(agent_ids[0] ?? ''), ['human', 'ideas', 'memory_persona'])
  })

  it('go with their agent, which goes on alone without them', async () => {
    const one = await newAgent()
    const { id: first, agent_ids } = await groupOf(one.id)
    const [id = ''] = agent_ids
    await every(first, 1)
    const { promise: hold } = Promise.withResolvers<void>()
    companion = () => ({ text: 'at work', hold })
    const before = model.requests.length
    await send(one.id, 'hi')
    const working = await model.request(before + 1)
    await t.letta.agents.delete(one.id)
    assert.equal(await working.ended, 'aborted')
    assert.equal((await t.http('GET', `/v1/agents/${id}`)).status, 404)
    const two = await newAgent()
    const group = await groupOf(two.id)
    await t.letta.agents.delete(group.agent_ids[0] ?? '')
    const alone = await t.letta.agents.retrieve(two.id, { include: ['agent.managed_group'] })
    assert.deepEqual([alone.enable_sleeptime, alone.managed_group ?? null], [false, null])
    assert.equal((await t.http('GET', `/v1/groups/${group.id}`)).status, 404)
    assert.equal((await send(two.id, 'hi')).usage.run_ids?.length, 1)
  })

  it('do not set each other off without end', async () => {
    const agent = await newAgent()
    const group = await groupOf(agent.id)
    await every(group.id, 1)
    const [id = ''] = group.agent_ids
    const tools = (await t.letta.tools.list({ name: 'send_message_to_agent_async' })).items
    await t.letta.agents.tools.attach(tools[0]?.id ?? '', { agent_id: id })
    let woken = 0
    companion = (body) => {
      if (body.messages.at(-1)?.role === 'tool') return { text: 'told' }
      woken++
      return {
        tool_calls: [
          { name: 'send_message_to_agent_async', arguments: { message: 'go on', other_agent_id: agent.id } },
        ],
      }
    }
    await send(agent.id, 'hi')
    // Between two runs nothing is active either.
    await eventually('they wake each other', () => (woken > 1 ? true : null))
    await eventually('everything rests', async () => {
      const { body } = await t.http('GET', '/v1/runs/?active=true')
      return (body as unknown[]).length === 0 ? true : null
    })
    assert.ok(woken > 1 && woken <= 14, `${woken} times`)
  })
})

function isCompanion(body: ChatBody): boolean {
  return textOf(body.messages[0]).includes('memory_persona')
}

function textOf(message: ChatBody['messages'][number] | undefined): string {
  const content: unknown = message?.content
  return typeof content === 'string' ? content : JSON.stringify(content ?? '')
}
