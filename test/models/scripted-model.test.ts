import assert from 'node:assert/strict'
import { collect, failureOf, modelAt, request } from '../support/model-fixtures.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import type { ScriptedModel, ScriptedModelOptions, ScriptedStep } from '../support/scripted-model.ts'

describe('the scripted model of the tests', () => {
  let server: ScriptedModel
  const start = async (steps: ScriptedStep[], options?: ScriptedModelOptions) =>
    (server = await startScriptedModel(steps, options))
  afterEach(() => server.close())
  const ask = (said = 'Hi') => collect(modelAt(server.url), request(said))

  it('refuses a call too many, once, and does not forget it', async () => {
    await start([{ reply: { text: 'only' } }])
    await ask()
    await server.done()
    const error = await failureOf(ask('again'))
    assert.match(
      error.message,
      /scripted model: unexpected call 1, the script has 1 steps; last message: .*again/,
    )
    assert.equal(server.requests.length, 2)
    await assert.rejects(server.done(), /unexpected call 1/)
  })

  it('does not forget steps that nobody used', async () => {
    await start([{ reply: { text: 'a' } }, { reply: { text: 'b' } }])
    await ask()
    await assert.rejects(server.done(), /1 of 2 steps were not used/)
  })

  const wrong: [string, ScriptedStep['expect'], RegExp][] = [
    ['a part of the body', { model: 'other' }, /'model' is "test-model", expected "other"/],
    ['a function that throws', () => assert.fail('not this one'), /not this one/],
    ['a function that says why', () => 'too early', /too early/],
    ['a function that returns false', () => false, /returned false/],
  ]
  for (const [what, expect, said] of wrong) {
    it(`refuses a request that is not the one expected: ${what}`, async () => {
      await start([{ ...(expect ? { expect } : {}), reply: { text: 'a' } }])
      assert.match((await failureOf(ask())).message, said)
      await assert.rejects(server.done(), said)
    })
  }

  it('takes a request that is, answers by a function, and records bytes and body', async () => {
    await start([
      { expect: (body) => body.messages.length === 2, reply: (body) => ({ text: `to ${body.model}` }) },
    ])
    server.add({ reply: { text: 'added' } })
    const waiting = server.request(1)
    assert.equal((await ask()).text, 'to test-model')
    assert.equal((await ask('two')).text, 'added')
    const second = await waiting
    assert.equal(second.body.messages[1]?.content, 'two')
    assert.deepEqual(JSON.parse(second.bytes.toString('utf8')), second.body)
    assert.equal(await second.ended, 'answered')
    await server.done()
  })

  it('says which request did not come', async () => {
    await start([])
    await assert.rejects(server.request(0, 20), /request 0 did not come within 20 ms/)
  })

  it('answers without end in a loop', async () => {
    await start([{ reply: { text: 'scripted' } }], {
      loop: (_, index) => ({ text: `loop ${index}` }),
      forget: true,
    })
    assert.equal((await ask()).text, 'scripted')
    assert.equal((await ask()).text, 'loop 1')
    assert.equal((await ask()).text, 'loop 2')
    assert.deepEqual(server.requests, [])
    await server.done()
  })

  it('closes while an answer is held', async () => {
    await start([{ reply: { text: 'never', hold: new Promise(() => {}) } }])
    const asked = failureOf(collect(modelAt(server.url, {}, { tries: 1 }), request('Hi')))
    await server.request(0)
    await server.close()
    assert.equal((await asked).code, 'llm_connection')
    server = await startScriptedModel()
  })
})
