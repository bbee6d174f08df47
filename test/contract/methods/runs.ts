import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'

/** A turn of two steps, and its run. */
async function turn(t: ContractTest) {
  t.model.add(
    {
      reply: {
        tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'In London.' } }],
      },
    },
    { reply: { text: 'Noted.' } },
  )
  const agent = await t.newAgent()
  const answer = await t.letta.agents.messages.create(agent.id, { input: 'I am in London' })
  const run_id = answer.messages.flatMap((m) => ('run_id' in m && m.run_id ? [m.run_id] : []))[0] ?? ''
  assert.match(run_id, /^run-/)
  return { agent, answer, run_id }
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}

/** A background run, and what its client was sent. */
async function backgroundRun(t: ContractTest) {
  t.model.add({ reply: { text: ['Good ', 'morning.'] } })
  const agent = await t.newAgent()
  const live = await t.letta.agents.messages.create(agent.id, {
    input: 'Hello',
    streaming: true,
    stream_tokens: true,
    background: true,
    include_pings: false,
  })
  const chunks = await all(live)
  const run_id = chunks.flatMap((chunk) => ('run_id' in chunk && chunk.run_id ? [chunk.run_id] : []))[0] ?? ''
  return { agent, chunks, run_id }
}

export const runMethods: Method[] = [
  {
    name: 'runs.messages.stream',
    shows: 'the stream of a background run once more, from any chunk on',
    async run(t) {
      const { chunks, run_id } = await backgroundRun(t)
      const again = async (starting_after: number) =>
        all(await t.letta.runs.messages.stream(run_id, { starting_after, include_pings: false }))
      assert.ok(chunks.length >= 4)
      assert.deepEqual(await again(0), chunks)
      assert.deepEqual(await again(1), chunks.slice(1))
      await assert.rejects(t.letta.runs.messages.stream(`run-${crypto.randomUUID()}`), { status: 404 })
    },
  },
  {
    name: 'conversations.messages.stream',
    shows: 'the stream of a run of a conversation, which may be named by its agent',
    async run(t) {
      const { agent, chunks, run_id } = await backgroundRun(t)
      for (const id of [agent.id, 'default']) {
        const body = { run_id, agent_id: agent.id, include_pings: false }
        const again = await t.letta.conversations.messages.stream(id, body)
        assert.deepEqual(await all(again), chunks)
      }
      await assert.rejects(t.letta.conversations.messages.stream(agent.id), { status: 400 })
    },
  },
  {
    name: 'runs.list',
    shows: 'runs by agent, status, stop reason and activity',
    async run(t) {
      const { agent, run_id } = await turn(t)
      await t.say(agent.id, 'Again', 'Yes.')
      const ids = async (query: Parameters<typeof t.letta.runs.list>[0]) =>
        (await t.letta.runs.list({ agent_id: agent.id, ...query })).items.map((r) => r.id)
      const all = await ids({})
      assert.equal(all.length, 2)
      assert.equal(all[1], run_id, 'newest first')
      assert.deepEqual(await ids({ order: 'asc' }), all.toReversed())
      assert.deepEqual(await ids({ statuses: ['failed'] }), [])
      assert.deepEqual(await ids({ statuses: ['failed', 'completed'] }), all)
      assert.deepEqual(await ids({ stop_reason: 'end_turn' }), all)
      assert.deepEqual(await ids({ active: true }), [])
      assert.deepEqual(await ids({ background: true }), [])
    },
  },
  {
    name: 'runs.retrieve',
    shows: 'a finished run',
    async run(t) {
      const { agent, run_id } = await turn(t)
      const run = await t.letta.runs.retrieve(run_id)
      assert.deepEqual([run.agent_id, run.status, run.stop_reason], [agent.id, 'completed', 'end_turn'])
      assert.ok(run.completed_at != null && run.total_duration_ns != null)
      await assert.rejects(t.letta.runs.retrieve(`run-${crypto.randomUUID()}`), { status: 404 })
    },
  },
  {
    name: 'runs.messages.list',
    shows: 'oldest first, with the input',
    async run(t) {
      const { run_id } = await turn(t)
      const { items } = await t.letta.runs.messages.list(run_id)
      assert.deepEqual(
        items.map((m) => m.message_type),
        ['user_message', 'tool_call_message', 'tool_return_message', 'assistant_message'],
      )
    },
  },
  {
    name: 'runs.usage.retrieve',
    shows: "the sum over the run's steps",
    async run(t) {
      const { answer, run_id } = await turn(t)
      const usage = await t.letta.runs.usage.retrieve(run_id)
      assert.equal(usage.total_tokens, answer.usage.total_tokens)
      assert.equal(usage.prompt_tokens, answer.usage.prompt_tokens)
      assert.equal(usage.completion_tokens, answer.usage.completion_tokens)
    },
  },
  {
    name: 'runs.steps.list',
    shows: 'one step for each model call',
    async run(t) {
      const { run_id } = await turn(t)
      const { items } = await t.letta.runs.steps.list(run_id)
      assert.deepEqual(
        items.map((s) => [s.run_id, s.status]),
        [
          [run_id, 'success'],
          [run_id, 'success'],
        ],
      )
    },
  },
  {
    name: 'steps.list',
    shows: 'steps by agent and model',
    async run(t) {
      const { agent } = await turn(t)
      const { items } = await t.letta.steps.list({ agent_id: agent.id })
      assert.equal(items.length, 2)
      assert.ok(items.every((s) => s.agent_id === agent.id))
      const none = await t.letta.steps.list({ agent_id: agent.id, model: 'another' })
      assert.deepEqual(none.items, [])
    },
  },
  {
    name: 'steps.retrieve',
    shows: 'a step and its tokens',
    async run(t) {
      const { run_id } = await turn(t)
      const [step] = (await t.letta.runs.steps.list(run_id)).items
      assert.deepEqual(await t.letta.steps.retrieve(step?.id ?? ''), step)
      assert.ok((step?.total_tokens ?? 0) > 0)
      await assert.rejects(t.letta.steps.retrieve(`step-${crypto.randomUUID()}`), { status: 404 })
    },
  },
  {
    name: 'steps.messages.list',
    shows: 'the messages of one step',
    async run(t) {
      const { run_id } = await turn(t)
      const { items } = await t.letta.runs.steps.list(run_id, { order: 'asc' })
      const { items: messages } = await t.letta.steps.messages.list(items[1]?.id ?? '')
      assert.deepEqual(
        messages.map((m) => m.message_type),
        ['assistant_message'],
      )
    },
  },
  {
    name: 'steps.metrics.retrieve',
    shows: 'times of a step',
    async run(t) {
      const { run_id } = await turn(t)
      const [step] = (await t.letta.runs.steps.list(run_id)).items
      const metrics = await t.letta.steps.metrics.retrieve(step?.id ?? '')
      assert.equal(metrics.id, step?.id)
    },
  },
  {
    name: 'steps.trace.retrieve',
    shows: 'what went to the model and what came back',
    async run(t) {
      const { run_id } = await turn(t)
      const [step] = (await t.letta.runs.steps.list(run_id)).items
      const trace = await t.letta.steps.trace.retrieve(step?.id ?? '')
      assert.equal(trace?.step_id, step?.id)
      assert.ok(Array.isArray(trace?.request_json['messages']))
      assert.equal((await t.http('GET', `/v1/telemetry/${step?.id}`)).status, 200)
    },
  },
  {
    name: 'runs.trace.retrieve',
    shows: 'spans of the run',
    async run(t) {
      const { run_id } = await turn(t)
      const spans = await t.letta.runs.trace.retrieve(run_id)
      assert.equal(spans[0]?.['name'], 'agent_run')
      assert.equal((await t.letta.runs.trace.retrieve(run_id, { limit: 1 })).length, 1)
    },
  },
  {
    name: 'steps.feedback.create',
    shows: 'a step with its feedback',
    async run(t) {
      const { run_id } = await turn(t)
      const [step] = (await t.letta.runs.steps.list(run_id)).items
      await t.letta.steps.feedback.create(step?.id ?? '', { feedback: 'positive' })
      assert.equal((await t.letta.steps.retrieve(step?.id ?? '')).feedback, 'positive')
    },
  },
]
