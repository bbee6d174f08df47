import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

describe('traces', () => {
  let model: ScriptedModel
  let t: TestLoci
  let said = 0

  before(async () => {
    model = await startScriptedModel([], {
      loop: ({ messages }) => {
        const last = messages.at(-1)
        if (last?.role === 'user' && JSON.stringify(last.content).includes('remember'))
          return {
            tool_calls: [
              {
                name: 'memory_insert',
                arguments: { label: 'human', new_string: `fact ${said}`, insert_line: -1 },
              },
            ],
          }
        return { text: `answer ${++said}`, usage: { prompt_tokens: 10, completion_tokens: 2 } }
      },
    })
    t = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await t.close()
    await model.close()
    assert.deepEqual(t.failures, [])
  })

  const newAgent = (more: object = {}) =>
    t.letta.agents.create({ model: SCRIPTED, memory_blocks: [{ label: 'human', value: '' }], ...more })
  const traceOf = async (step_id: string) => {
    const { status, body } = await t.http('GET', `/v1/steps/${step_id}/trace`)
    assert.equal(status, 200, JSON.stringify(body))
    return body as { request_json: Record<string, unknown>; response_json: Record<string, unknown> } | null
  }
  /** Every trace so far gives the request as the model got it. */
  const checkAll = async (agent_id: string, first: number) => {
    const steps = (await t.letta.steps.list({ agent_id, order: 'asc', limit: 100 })).items
    const asked = model.requests.slice(first)
    assert.equal(steps.length, asked.length)
    for (const [i, step] of steps.entries())
      assert.deepEqual((await traceOf(step.id))?.request_json, asked[i]?.body, `step ${i}`)
    return steps
  }

  it('give back every request to the letter, over turns, tools, edits, rewinds and conversations', async () => {
    const first = model.requests.length
    const agent = await newAgent()
    const send = (input: string) => t.letta.agents.messages.create(agent.id, { input })
    await send('hello')
    const middle = await send('remember this')
    await send('and now?')
    await t.letta.agents.blocks.update('human', { agent_id: agent.id, value: 'edited by hand' })
    await send('what do you know?')
    const kept = middle.messages.at(-1)
    const rewound = await t.http('POST', `/v1/conversations/${agent.id}/rewind`, {
      message_id: kept && 'id' in kept ? kept.id : '',
    })
    assert.equal(rewound.status, 200, JSON.stringify(rewound.body))
    await send('once more')
    const other = await t.letta.conversations.create({ agent_id: agent.id })
    const stream = await t.letta.conversations.messages.create(other.id, { input: 'remember me elsewhere' })
    for await (const chunk of stream) assert.ok(chunk)
    await checkAll(agent.id, first)
  })

  it('survive a restart, after which chains begin anew', async () => {
    const first = model.requests.length
    const agent = await newAgent()
    await t.letta.agents.messages.create(agent.id, { input: 'hello' })
    const { data } = t
    const second = await startLoci({ model_url: model.url, data })
    await second.letta.agents.messages.create(agent.id, { input: 'remember that from the other process' })
    await second.close()
    await t.letta.agents.messages.create(agent.id, { input: 'and again here' })
    await checkAll(agent.id, first)
  })

  it('tell what came back, how long the parts took, and a failure', async () => {
    const agent = await newAgent()
    const { usage } = await t.letta.agents.messages.create(agent.id, { input: 'remember this' })
    const run_id = usage.run_ids?.[0] ?? ''
    const [asking, answering] = (await t.letta.runs.steps.list(run_id, { order: 'asc' })).items
    const called = (await traceOf(asking?.id ?? ''))?.response_json
    assert.equal(called?.['finish_reason'], 'tool_calls')
    const answer = (await t.letta.steps.trace.retrieve(answering?.id ?? ''))?.response_json
    assert.deepEqual(answer?.['content'], [{ type: 'text', text: `answer ${said}` }])
    assert.equal((answer?.['usage'] as { prompt_tokens: number } | undefined)?.prompt_tokens, 10)

    const { body } = await t.http('GET', `/v1/runs/${run_id}/trace`)
    const names = (body as { name: string }[]).map((span) => span.name)
    assert.deepEqual(names, [
      'agent_run',
      'time_to_first_token',
      'agent_step',
      'llm_request',
      'tool_execution',
      'agent_step',
      'llm_request',
    ])
  })

  it('tell what a step cost where the list of the provider has prices', async () => {
    const priced = await startScriptedModel(
      [
        {
          reply: {
            text: 'not free',
            usage: {
              prompt_tokens: 1000,
              completion_tokens: 10,
              prompt_tokens_details: { cached_tokens: 400 },
            },
          },
        },
      ],
      {
        models: [
          {
            id: 'priced',
            pricing: { prompt: '0.000002', completion: '0.00001', input_cache_read: '0.0000002' },
          },
        ],
      },
    )
    const other = await startLoci({ model_url: priced.url })
    try {
      const agent = await other.letta.agents.create({ model: 'openai/priced' })
      const { usage } = await other.letta.agents.messages.create(agent.id, { input: 'hello' })
      const [step] = (await other.letta.runs.steps.list(usage.run_ids?.[0] ?? '')).items
      const trace = await other.letta.steps.trace.retrieve(step?.id ?? '')
      const cost = Number(trace?.response_json['cost_usd'])
      assert.ok(Math.abs(cost - (600 * 2e-6 + 400 * 2e-7 + 10 * 1e-5)) < 1e-12, String(cost))
    } finally {
      await other.close()
      await priced.close()
    }
  })

  it('are not found for steps that are not there, and go with their run', async () => {
    const agent = await newAgent()
    const { usage } = await t.letta.agents.messages.create(agent.id, { input: 'hello' })
    const run_id = usage.run_ids?.[0] ?? ''
    const [step] = (await t.letta.runs.steps.list(run_id)).items
    assert.ok(await traceOf(step?.id ?? ''))
    await t.letta.agents.messages.create(agent.id, { input: 'more' })
    const [later] = (await t.letta.steps.list({ agent_id: agent.id, order: 'desc', limit: 1 })).items
    assert.equal((await t.http('DELETE', `/v1/runs/${run_id}`)).status, 200)
    assert.equal((await t.http('GET', `/v1/steps/${step?.id}/trace`)).status, 404)
    assert.ok(JSON.stringify((await traceOf(later?.id ?? ''))?.request_json).includes('hello'))
    assert.equal(
      (await t.http('GET', '/v1/steps/step-00000000-0000-4000-8000-000000000000/trace')).status,
      404,
    )
  })

  it('of many steps over a long prompt take the room of their differences', async () => {
    const agent = await newAgent({ memory_blocks: [{ label: 'human', value: 'x'.repeat(100_000) }] })
    const turns = 60
    for (let n = 0; n < turns; n++) await t.letta.agents.messages.create(agent.id, { input: `turn ${n}` })
    const db = new DatabaseSync(join(t.data, 'loci.db'), { readOnly: true })
    const { rows, bytes } = db
      .prepare(
        `SELECT count(*) AS rows, sum(length(added) + length(data)) AS bytes FROM traces
          WHERE step_id IN (SELECT id FROM steps WHERE agent_id = ?)`,
      )
      .get(agent.id) as { rows: number; bytes: number }
    const texts = db.prepare('SELECT count(*) AS n FROM trace_texts WHERE length(text) > 100000').get()
    db.close()
    assert.equal(rows, turns)
    assert.ok(bytes < turns * 1500, `${bytes} bytes for ${turns} traces`)
    assert.deepEqual({ ...texts }, { n: 1 })
  })
})
