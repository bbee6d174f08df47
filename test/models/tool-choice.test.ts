import assert from 'node:assert/strict'
import { collect, failureOf, modelAt, request } from '../support/model-fixtures.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const TOOL = {
  name: 'look',
  description: '',
  parameters: { type: 'object' as const, properties: {}, required: [] },
}

describe('an endpoint that refuses to be told which tool to call', () => {
  let server: ScriptedModel
  afterEach(() => server.close())
  const refusal = (message: string) => ({ status: 400, body: { error: { message } } })
  const choices = () => server.requests.map(({ body }) => body['tool_choice'] ?? 'auto')

  for (const stream of [true, false])
    it(`is asked for less, and from then on for no more (stream: ${stream})`, async () => {
      server = await startScriptedModel([
        {
          reply: refusal("Invalid tool_choice type: 'object'. Supported string values: none, auto, required"),
        },
        { reply: refusal('deepseek-reasoner does not support this tool_choice') },
        { reply: { text: 'Hello.' } },
        { reply: { text: 'Again.' } },
        { reply: { text: 'And again.' } },
      ])
      const model = modelAt(server.url)
      const forced = { ...request('Hi'), tools: [TOOL], tool_choice: { name: 'look' } }
      assert.equal((await collect(model, forced, { stream })).text, 'Hello.')
      assert.equal((await collect(model, forced, { stream })).text, 'Again.')
      assert.equal((await collect(model, { ...forced, tool_choice: 'none' }, { stream })).text, 'And again.')
      const named = { type: 'function', function: { name: 'look' } }
      assert.deepEqual(choices(), [named, 'required', 'auto', 'auto', 'none'])
      await server.done()
    })

  it('is asked once when it refuses something else', async () => {
    server = await startScriptedModel([{ reply: refusal('temperature must be 1') }])
    const error = await failureOf(
      collect(modelAt(server.url), { ...request('Hi'), tools: [TOOL], tool_choice: 'required' }),
    )
    assert.equal(error.code, 'llm_bad_request')
    await server.done()
  })
})
