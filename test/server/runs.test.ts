import assert from 'node:assert/strict'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('runs and steps over the official client', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))

  const usage = {
    prompt_tokens: 100,
    completion_tokens: 10,
    total_tokens: 110,
    prompt_tokens_details: { cached_tokens: 64 },
    completion_tokens_details: { reasoning_tokens: 4 },
  }
  const newAgent = (more = {}) =>
    t.letta.agents.create({ model: SCRIPTED, memory_blocks: [{ label: 'human', value: '' }], ...more })

  async function oneRun() {
    const agent = await newAgent()
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'x' } }],
          usage,
        },
      },
      { reply: { text: 'done', usage } },
    )
    const answer = await t.letta.agents.messages.create(agent.id, { input: 'go' })
    const [run_id = ''] = answer.usage.run_ids ?? []
    return { agent, answer, run_id }
  }

  it('serves a run with its messages, steps, usage and metrics', async () => {
    const { agent, run_id } = await oneRun()
    const run = await t.letta.runs.retrieve(run_id)
    assert.equal(run.status, 'completed')
    assert.equal(run.stop_reason, 'end_turn')
    assert.ok((run.total_duration_ns ?? 0) > 0 && (run.ttft_ns ?? 0) > 0)
    const messages = await t.letta.runs.messages.list(run_id)
    assert.deepEqual(
      messages.items.map((m) => m.message_type),
      ['user_message', 'tool_call_message', 'tool_return_message', 'assistant_message'],
    )
    const steps = (await t.letta.runs.steps.list(run_id, { order: 'asc' })).items
    assert.deepEqual(
      steps.map((s) => [s.status, s.stop_reason, s.total_tokens, s.model_handle]),
      [
        ['success', null, 110, SCRIPTED],
        ['success', 'end_turn', 110, SCRIPTED],
      ],
    )
    assert.deepEqual(steps[0]?.prompt_tokens_details, {
      cached_tokens: 64,
      cache_read_tokens: 64,
      cache_creation_tokens: null,
    })
    assert.deepEqual(await t.letta.runs.usage.retrieve(run_id), {
      completion_tokens: 20,
      prompt_tokens: 200,
      total_tokens: 220,
      prompt_tokens_details: { cached_tokens: 128, cache_read_tokens: 128, cache_creation_tokens: null },
      completion_tokens_details: { reasoning_tokens: 8 },
    })
    const metrics = (await t.http('GET', `/v1/runs/${run_id}/metrics`)).body as Record<string, unknown>
    const tool = (await t.letta.tools.list({ name: 'memory_insert' })).items[0]
    assert.deepEqual(
      [metrics['id'], metrics['agent_id'], metrics['num_steps'], metrics['tools_used']],
      [run_id, agent.id, 2, [tool?.id]],
    )
    assert.ok((metrics['run_ns'] as number) > 0)
  })

  it('lists runs by agent, agents, status, stop reason and cursor', async () => {
    const { agent, run_id } = await oneRun()
    model.add({ reply: { text: 'cut', finish_reason: 'length' } })
    await t.letta.agents.messages.create(agent.id, { input: 'long' })
    const all = (await t.letta.runs.list({ agent_id: agent.id })).items
    assert.deepEqual(
      all.map((run) => [run.status, run.stop_reason]),
      [
        ['failed', 'max_tokens_exceeded'],
        ['completed', 'end_turn'],
      ],
    )
    const ids = async (query: string) =>
      ((await t.http('GET', `/v1/runs/?${query}`)).body as { id: string }[]).map((run) => run.id)
    assert.deepEqual(await ids(`agent_ids=${agent.id}&agent_ids=agent-x&statuses=completed`), [run_id])
    assert.deepEqual(await ids(`agent_id=${agent.id}&stop_reason=end_turn`), [run_id])
    assert.deepEqual(await ids(`agent_id=${agent.id}&after=${all[0]?.id}`), [run_id])
    assert.deepEqual(await ids(`agent_id=${agent.id}&ascending=true&limit=1`), [run_id])
    assert.deepEqual(await ids(`agent_id=${agent.id}&background=true`), [])
    assert.deepEqual(await ids(`agent_id=${agent.id}&conversation_id=default&statuses=completed`), [run_id])
    assert.deepEqual(await ids(`agent_id=${agent.id}&active=true`), [])
    assert.deepEqual((await t.http('GET', `/v1/runs/active?agent_id=${agent.id}`)).body, [])
    assert.equal((await t.http('GET', '/v1/runs/?after=run-nope')).status, 404)
    assert.equal((await t.http('GET', '/v1/runs/?statuses=odd')).status, 422)
  })

  it('deletes a run with its steps and keeps its messages', async () => {
    const { agent, run_id } = await oneRun()
    const [step] = (await t.letta.runs.steps.list(run_id)).items
    assert.equal((await t.http('DELETE', `/v1/runs/${run_id}`)).body, null)
    assert.equal((await t.http('GET', `/v1/runs/${run_id}`)).status, 404)
    assert.equal((await t.http('GET', `/v1/steps/${step?.id}`)).status, 404)
    assert.equal((await t.http('DELETE', `/v1/runs/${run_id}`)).status, 404)
    assert.equal((await t.letta.agents.messages.list(agent.id)).items.length, 5)
  })

  it('keeps what a user thinks of a step, and finds steps by it', async () => {
    const { agent, run_id } = await oneRun()
    const [last, first] = (await t.letta.runs.steps.list(run_id)).items
    assert.ok(first && last)
    const praised = await t.letta.steps.feedback.create(first.id, {
      feedback: 'positive',
      tags: ['good/50%', '✓'],
    })
    assert.deepEqual([praised?.feedback, praised?.tags], ['positive', ['good/50%', '✓']])
    const ids = async (query: Parameters<typeof t.letta.steps.list>[0]) =>
      (await t.letta.steps.list({ agent_id: agent.id, ...query })).items.map((s) => s.id)
    assert.deepEqual(await ids({}), [last.id, first.id])
    assert.deepEqual(await ids({ feedback: 'positive' }), [first.id])
    assert.deepEqual(await ids({ feedback: 'negative' }), [])
    assert.deepEqual(await ids({ has_feedback: false }), [last.id])
    assert.deepEqual(await ids({ tags: ['✓', 'other'] }), [first.id])
    assert.deepEqual(await ids({ model: 'test-model', limit: 1 }), [last.id])
    assert.deepEqual(await ids({ model: 'another' }), [])
    assert.deepEqual(await ids({ start_date: '2999-01-01' }), [])
    assert.deepEqual(await ids({ end_date: '2999-01-01T00:00:00+02:00' }), [last.id, first.id])
    const metrics = await t.letta.steps.metrics.retrieve(first.id)
    assert.ok((metrics.llm_request_ns ?? 0) > 0 && (metrics.tool_execution_ns ?? -1) >= 0)
    assert.ok((metrics.step_ns ?? 0) >= (metrics.llm_request_ns ?? 0))
    assert.equal((await t.letta.steps.trace.retrieve(first.id))?.step_id, first.id)
    const messages = (await t.letta.steps.messages.list(first.id)).items
    assert.deepEqual(
      messages.map((m) => m.message_type),
      ['tool_call_message', 'tool_return_message'],
    )
    const taken = await t.http('PATCH', `/v1/steps/${first.id}/feedback`, { feedback: null })
    assert.equal((taken.body as { feedback: unknown }).feedback, null)
    assert.deepEqual((await t.letta.steps.retrieve(first.id)).tags, ['good/50%', '✓'])
    assert.equal((await t.http('GET', '/v1/steps/?start_date=yesterday')).status, 422)
    assert.equal((await t.http('GET', '/v1/steps/run-1')).status, 422)
  })

  it('keeps the step that failed, with its error', async () => {
    const agent = await newAgent()
    model.add({ reply: { status: 401, body: { error: { message: 'no' } } } })
    await assert.rejects(t.letta.agents.messages.create(agent.id, { input: 'hi' }))
    const [step] = (await t.letta.steps.list({ agent_id: agent.id })).items
    assert.deepEqual(
      [step?.status, step?.stop_reason, step?.error_type],
      ['failed', 'llm_api_error', 'llm_authentication'],
    )
    const poor = await newAgent()
    model.add({ reply: { status: 402, body: { error: { message: 'no credit' } } } })
    await assert.rejects(t.letta.agents.messages.create(poor.id, { input: 'hi' }))
    const [run] = (await t.letta.runs.list({ agent_id: poor.id })).items
    assert.deepEqual([run?.status, run?.stop_reason], ['failed', 'insufficient_credits'])
  })

  it('recompiles the system prompt: dry runs store nothing, the date changes only when asked', async () => {
    const agent = await newAgent()
    const text = async () => {
      const [message] = (await t.letta.agents.messages.list(agent.id, { order: 'asc', limit: 1 })).items
      assert.ok(message?.message_type === 'system_message')
      return message.content
    }
    const before = await text()
    const recompile = async (query = '') =>
      (await t.http('POST', `/v1/agents/${agent.id}/recompile?${query}`)).body as string
    assert.equal(await recompile(), before, 'nothing has changed')
    await t.letta.agents.blocks.update('human', { agent_id: agent.id, value: 'Name: Ada' })
    const dry = await recompile('dry_run=true')
    assert.match(dry, /Name: Ada/)
    const line = (s: string) => /- System prompt last recompiled: .*/.exec(s)?.[0]
    assert.equal(line(dry), line(before))
    assert.equal(await t.letta.agents.recompile(agent.id, { update_timestamp: true }), await text())
    assert.match(await text(), /Name: Ada/)
    const older = await t.http('POST', `/v1/agents/${agent.id}/system-prompt/recompile`)
    assert.equal(older.body, await text())
    const none = 'agent-00000000-0000-4000-8000-000000000000'
    assert.equal((await t.http('POST', `/v1/agents/${none}/recompile`)).status, 404)
  })

  it('resets messages to a fresh system message', async () => {
    const { agent } = await oneRun()
    const before = (await t.letta.agents.messages.list(agent.id)).items
    assert.equal(await t.letta.agents.messages.reset(agent.id, { add_default_initial_messages: false }), null)
    const [system, ...rest] = (await t.letta.agents.messages.list(agent.id)).items
    assert.ok(system?.message_type === 'system_message')
    assert.deepEqual(rest, [])
    assert.ok(!before.some((message) => message.id === system.id))
    model.add({ expect: (body) => assert.equal(body.messages.length, 2), reply: { text: 'new' } })
    await t.letta.agents.messages.create(agent.id, { input: 'again' })
    assert.equal((await t.letta.agents.retrieve(agent.id)).message_ids?.length, 3)
    const older = await fetch(`${t.url}/v1/agents/${agent.id}/reset-messages`, {
      method: 'PATCH',
      headers: { 'user-agent': 'letta-client/0.1.319' },
    })
    assert.equal(((await older.json()) as { id: string }).id, agent.id)
  })

  it('lets an agent with message_buffer_autoclear see only the new message', async () => {
    const agent = await newAgent({ message_buffer_autoclear: true })
    for (const input of ['one', 'two', 'three']) {
      model.add({
        expect: (body) =>
          assert.deepEqual(
            body.messages.map((m) => m.role),
            ['system', 'user'],
          ),
        reply: { text: `re ${input}` },
      })
      await t.letta.agents.messages.create(agent.id, { input })
    }
    assert.equal((await t.letta.agents.messages.list(agent.id)).items.length, 7, 'history keeps all')
    assert.equal((await t.letta.agents.retrieve(agent.id)).message_ids?.length, 3)
  })

  it('lists the tags of agents and blocks together', async () => {
    const tags = ['z/last', 'a%first', '✨emoji', 'both']
    await newAgent({ tags })
    await t.letta.blocks.create({ label: 'tagged', value: '', tags: ['both', 'block-only'] })
    const list = async (query = '') => (await t.http('GET', `/v1/tags/?${query}`)).body as string[]
    assert.deepEqual(await list(), ['a%first', 'block-only', 'both', 'z/last', '✨emoji'])
    assert.deepEqual(await t.letta.tags.list({ query_text: 'O' }), ['block-only', 'both', '✨emoji'])
    assert.deepEqual(await list('name=both'), ['both'])
    assert.deepEqual(await list('order=desc&limit=2'), ['✨emoji', 'z/last'])
    assert.deepEqual(await list('limit=2&after=both'), ['z/last', '✨emoji'])
    assert.deepEqual(await list('before=both'), ['a%first', 'block-only'])
  })

  it('answers 405 for a change of a message', async () => {
    const agent = await newAgent()
    const [message] = (await t.letta.agents.messages.list(agent.id)).items
    const answer = await t.http('PATCH', `/v1/agents/${agent.id}/messages/${message?.id}`, { content: 'x' })
    assert.equal(answer.status, 405)
  })
})
