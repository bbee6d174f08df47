import assert from 'node:assert/strict'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }

describe('generate', () => {
  let model: ScriptedModel
  let t: TestLoci
  let id: string
  before(async () => {
    model = await startScriptedModel([])
    t = await startLoci({ model_url: model.url })
    id = (await t.letta.agents.create({ model: SCRIPTED })).id
  })
  after(async () => {
    await t.close()
    await model.done()
    await model.close()
    assert.deepEqual(t.failures, [])
  })

  const generate = (body: object, agent = id) => t.http('POST', `/v1/agents/${agent}/generate`, body)

  it('makes the model answer with an object of the schema, by a tool that it has to call', async () => {
    model.add({
      expect: ({ tools, tool_choice }) => {
        const [tool] = tools ?? []
        assert.deepEqual(
          (tool?.function.parameters as typeof SCHEMA | undefined)?.properties,
          SCHEMA.properties,
        )
        assert.deepEqual(tool_choice, { type: 'function', function: { name: tool?.function.name } })
        return true
      },
      reply: { tool_calls: [{ name: 'respond', arguments: { city: 'Oslo' } }] },
    })
    const { status, body } = await generate({ prompt: 'Which city?', response_schema: SCHEMA })
    assert.equal(status, 200)
    assert.equal((body as { content: string }).content, '{"city":"Oslo"}')
  })

  it('takes JSON that was said instead of called, and refuses anything else with 502', async () => {
    model.add({ reply: { text: '{ "city": "Rome" }' } })
    const said = await generate({ prompt: 'x', response_schema: SCHEMA })
    assert.equal((said.body as { content: string }).content, '{"city":"Rome"}')
    model.add({ reply: { text: 'Rome, I think.' } })
    const prose = await generate({ prompt: 'x', response_schema: SCHEMA })
    assert.equal(prose.status, 502)
    assert.match((prose.body as { detail: string }).detail, /response_schema/)
  })

  it('asks the model that is named instead of the agent’s', async () => {
    const { body } = await generate({ prompt: 'Hi', override_model: 'loci/demo' })
    assert.equal((body as { model: string }).model, 'loci/demo')
  })

  it('says what is wrong', async () => {
    for (const [body, status] of [
      [{ prompt: '' }, 422],
      [{ prompt: ' \n' }, 422],
      [{}, 422],
      [{ prompt: 'x', response_schema: { type: 'array' } }, 422],
      [{ prompt: 'x', response_schema: { properties: 3 } }, 422],
      [{ prompt: 'x', override_model: 'openai/none' }, 404],
      [{ prompt: 'x', override_model: 'none' }, 400],
    ] as const)
      assert.equal((await generate(body)).status, status, JSON.stringify(body))
    assert.equal((await generate({ prompt: 'x' }, `agent-${crypto.randomUUID()}`)).status, 404)
    model.add({ reply: { status: 400, body: { error: { message: 'no such field' } } } })
    const failed = await generate({ prompt: 'x' })
    assert.equal(failed.status, 502)
    assert.match((failed.body as { detail: string }).detail, /no such field/)
  })
})
