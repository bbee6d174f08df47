import assert from 'node:assert/strict'
import { randomOf } from '../reliability/random.ts'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import type { ChatBody } from '../support/model-wire.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const WINDOW = 4_000
const SEED = 20_261_122
const TURNS = 120

/** The provider's own count, and what is wrong with a request. */
const sizeOf = (body: ChatBody) => Math.ceil(JSON.stringify([body.messages, body.tools]).length / 3.6)

function orphansIn({ messages }: ChatBody): string[] {
  const problems: string[] = []
  let open: string[] = []
  for (const [i, message] of messages.entries()) {
    if (message.role === 'tool') {
      if (!open.includes(message.tool_call_id ?? '')) problems.push(`return without a call at ${i}`)
      open = open.filter((id) => id !== message.tool_call_id)
      continue
    }
    if (open.length > 0) problems.push(`calls without returns before ${i}`)
    open = message.tool_calls?.map((call) => call.id) ?? []
  }
  if (open.length > 0) problems.push('calls without returns at the end')
  return problems
}

describe('many turns in a small window of a provider that keeps to it', () => {
  let model: ScriptedModel
  let loci: TestLoci
  const random = randomOf(SEED)
  const problems: string[] = []
  let refused = 0
  let summaries = 0
  let turn = 0

  before(async () => {
    model = await startScriptedModel([], {
      models: [{ id: 'test-model', context_length: WINDOW }],
      forget: true,
      loop: (body, index) => {
        const size = sizeOf(body)
        if (size > WINDOW) {
          refused++
          const message = `This model's maximum context length is ${WINDOW} tokens, got ${size}`
          return { status: 400, body: { error: { code: 'context_length_exceeded', message } } }
        }
        problems.push(...orphansIn(body).map((problem) => `request ${index}: ${problem}`))
        const usage = { prompt_tokens: size, completion_tokens: 30, total_tokens: size + 30 }
        if (
          body.messages.at(-1)?.role === 'user' &&
          /<transcript>/.test(String(body.messages.at(-1)?.content))
        ) {
          summaries++
          // A summariser that fails now and then.
          return summaries % 4 === 0
            ? { status: 400, body: { error: { message: 'not today' } } }
            : { text: `Summary ${summaries}. ${'words '.repeat(Math.floor(random() * 300))}`, usage }
        }
        const calls = body.messages.at(-1)?.role === 'tool' ? 0 : Math.floor(random() * 3)
        if (calls > 0)
          return {
            usage,
            tool_calls: Array.from({ length: calls }, (_, i) => ({
              name: 'conversation_search',
              arguments: { query: `word${i} ${turn}` },
            })),
          }
        return { text: `Answer ${turn}. ${'word '.repeat(Math.floor(random() * 400))}`, usage }
      },
    })
    loci = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await loci.close()
    await model.close()
    assert.deepEqual(loci.failures, [])
  })

  it(`each is answered, no call is ever without its return (seed ${SEED})`, async function () {
    this.timeout(120_000)
    for (const mode of ['sliding_window', 'all'] as const) {
      const { id } = await loci.letta.agents.create({
        model: SCRIPTED,
        compaction_settings: { mode, model: SCRIPTED },
        parallel_tool_calls: true,
        memory_blocks: [{ label: 'human', value: 'Name: Ada' }],
      })
      let giants = 0
      for (turn = 1; turn <= TURNS / 2; turn++) {
        const giant = turn % 20 === 0
        const words = giant ? 6_000 : Math.floor(random() * 350)
        const input = `Question ${turn}: ${'thing '.repeat(words)}`
        const answer = loci.letta.agents.messages.create(id, { input })
        if (giant) {
          giants++
          await assert.rejects(answer, { status: 400 }, `turn ${turn}`)
        } else assert.equal((await answer).stop_reason.stop_reason, 'end_turn', `turn ${turn} of ${mode}`)
      }
      assert.deepEqual(problems, [])
      const records = (await loci.http('GET', `/v1/agents/${id}/compactions?limit=1000`)).body as {
        fallback: boolean
        context_tokens_after: number
      }[]
      assert.ok(records.length >= 5, `${records.length} compactions`)
      // Nothing is summarised for a message that cannot fit anyway.
      assert.ok(records.every((record) => record.context_tokens_after < 0.9 * WINDOW))
      const listed = await loci.letta.agents.messages.list(id, { limit: 1000, order: 'asc' })
      const asked = listed.items.filter(
        (m) =>
          m.message_type === 'user_message' &&
          typeof m.content === 'string' &&
          m.content.startsWith('Question '),
      )
      assert.equal(asked.length, TURNS / 2, 'no message is lost')
      const runs = await loci.letta.runs.list({ agent_id: id, active: true })
      assert.equal(runs.items.length, 0)
      assert.equal(giants, 3)
    }
    assert.ok(summaries > 10)
    console.log(`      ${summaries} summaries, ${refused} requests refused as too long`)
  })
})
