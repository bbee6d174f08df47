import assert from 'node:assert/strict'
import { startLoci, type TestLoci } from '../support/loci.ts'

const MODEL = 'loci/demo'

describe('identities', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci()
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })

  const body = (identifier_key: string, more: object = {}) => ({
    identifier_key,
    name: 'Ada',
    identity_type: 'user',
    ...more,
  })
  const refusal = async (method: string, path: string, given?: unknown) => {
    const { status, body: said } = await t.http(method, path, given)
    return { status, detail: (said as { detail: string }).detail }
  }

  it('names the key that is taken, and what to do', async () => {
    assert.equal((await t.http('POST', '/v1/identities/', body('taken'))).status, 200)
    const { status, detail } = await refusal('POST', '/v1/identities/', body('taken'))
    assert.equal(status, 409)
    assert.match(detail, /'taken'.*already.*PUT/)
  })

  it('refuses values that are not of the type that their property names', async () => {
    const wrong: [unknown, RegExp][] = [
      [{ key: 'age', value: '36', type: 'number' }, /properties\.0\.value: .*expected number/],
      [{ key: 'age', value: 36, type: 'string' }, /properties\.0\.value: .*expected string/],
      [{ key: 'ok', value: 'yes', type: 'boolean' }, /properties\.0\.value: .*expected boolean/],
      [{ key: 'j', value: [1], type: 'json' }, /properties\.0\.value/],
      [{ key: 'd', value: 'x', type: 'date' }, /properties\.0\.type/],
      [{ value: 'x', type: 'string' }, /properties\.0\.key/],
    ]
    for (const [property, expected] of wrong) {
      const { status, detail } = await refusal(
        'POST',
        '/v1/identities/',
        body('p', { properties: [property] }),
      )
      assert.equal(status, 422, detail)
      assert.match(detail, expected)
    }
    const twice = [1, 2].map((value) => ({ key: 'k', value, type: 'number' }))
    assert.equal((await refusal('POST', '/v1/identities/', body('p', { properties: twice }))).status, 422)
  })

  it('says of unknown ids that they are unknown', async () => {
    const unknown = `identity-${crypto.randomUUID()}`
    const agent = await t.letta.agents.create({ model: MODEL })
    for (const [method, path] of [
      ['GET', `/v1/identities/${unknown}`],
      ['PATCH', `/v1/identities/${unknown}`],
      ['DELETE', `/v1/identities/${unknown}`],
      ['GET', `/v1/identities/${unknown}/agents`],
      ['GET', `/v1/identities/${unknown}/blocks`],
      ['PATCH', `/v1/agents/${agent.id}/identities/attach/${unknown}`],
      ['PATCH', `/v1/agents/${agent.id}/identities/detach/${unknown}`],
    ] as const) {
      const { status, detail } = await refusal(method, path, method === 'PATCH' ? {} : undefined)
      assert.equal(status, 404, `${method} ${path}`)
      assert.match(detail, new RegExp(unknown))
    }
    await assert.rejects(t.letta.agents.create({ model: MODEL, identity_ids: [unknown] }), { status: 404 })
    await assert.rejects(t.letta.agents.update(agent.id, { identity_ids: [unknown] }), { status: 404 })
    assert.equal((await refusal('GET', '/v1/identities/identity-no')).status, 422)
    const nobody = body('k', { agent_ids: [`agent-${crypto.randomUUID()}`] })
    assert.equal((await refusal('POST', '/v1/identities/', nobody)).status, 404)
  })

  it('an agent that is not there cannot be given to anybody', async () => {
    const { id } = (await t.http('POST', '/v1/identities/', body('lonely'))).body as { id: string }
    const attach = t.letta.agents.identities.attach(id, { agent_id: `agent-${crypto.randomUUID()}` })
    await assert.rejects(attach, { status: 404 })
  })
})
