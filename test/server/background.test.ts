import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

type Chunk = {
  message_type?: string
  id?: string
  content?: unknown
  seq_id?: number | null
  run_id?: string | null
  stop_reason?: string
}

describe('background runs over the official client', () => {
  let t: TestLoci
  let model: ScriptedModel
  before(async () => {
    model = await startScriptedModel([])
    t = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await t.close()
    await model.done()
    await model.close()
    assert.deepEqual(t.failures, [])
  })
  const newAgent = () => t.letta.agents.create({ model: SCRIPTED })
  const send = (agent_id: string, more: object = {}) =>
    t.letta.agents.messages.create(agent_id, {
      input: 'go',
      streaming: true,
      stream_tokens: true,
      background: true,
      ...more,
    })
  const words = (n: number) => Array.from({ length: n }, (_, i) => `w${i} `)

  it('numbers its chunks, stores them, and replays them byte for byte from any of them on', async () => {
    const agent = await newAgent()
    model.add(
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
      { reply: { text: words(50) } },
    )
    const live = await all(await send(agent.id, { include_pings: false }))
    assert.deepEqual(
      live.map((chunk) => chunk.seq_id),
      live.map((_, i) => i + 1),
    )
    const run_id = live[0]?.run_id ?? ''
    assert.ok(live.every((chunk) => chunk.run_id === run_id))
    assert.deepEqual(
      live.slice(-2).map((chunk) => chunk.message_type),
      ['stop_reason', 'usage_statistics'],
    )
    const again = async (starting_after: number) =>
      all(await t.letta.runs.messages.stream(run_id, { starting_after, include_pings: false }))
    assert.deepEqual(await again(0), live)
    assert.deepEqual(await again(7), live.slice(7))
    assert.deepEqual(
      (await again(live.length)).map((chunk) => chunk.message_type),
      ['stop_reason', 'usage_statistics'],
    )
    const run = await t.letta.runs.retrieve(run_id)
    assert.deepEqual([run.status, run.background], ['completed', true])
  })
})

async function all(stream: AsyncIterable<unknown>): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  for await (const chunk of stream) chunks.push(chunk as Chunk)
  return chunks
}
void eventually
