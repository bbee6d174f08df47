import assert from 'node:assert/strict'
import { DEFAULT_USER_ID } from '../../shared/schema/ids.ts'
import { type UsageReport, usageReport } from '../../shared/schema/usage.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const KEY = 'the-server-s-own-key'
const PRICED = 'openai/priced'
const FREE = 'openai/unpriced'

describe('GET /v1/usage', () => {
  let model: ScriptedModel
  let loci: TestLoci
  before(async () => {
    model = await startScriptedModel([], {
      models: [{ id: 'priced', pricing: { prompt: '0.001', completion: '0.01' } }, 'unpriced'],
      loop: () => ({ text: 'Yes.', usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 } }),
    })
    loci = await startLoci({ model_url: model.url, serve: { key: KEY } })
  })
  after(async () => {
    await loci.close()
    await model.close()
  })

  async function ask(key: string, method: string, path: string, body?: unknown) {
    const response = await fetch(loci.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      body: JSON.parse(text === '' ? 'null' : text) as Record<string, unknown>,
    }
  }
  async function ok(key: string, method: string, path: string, body?: unknown) {
    const { status, body: answer } = await ask(key, method, path, body)
    assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(answer)}`)
    return answer as Record<string, unknown> & { id: string }
  }
  async function usage(key: string, query = ''): Promise<UsageReport> {
    return usageReport.strict().parse(await ok(key, 'GET', `/v1/usage${query}`))
  }
  async function aUser(name: string, more: object = {}) {
    const { id } = await ok(KEY, 'POST', '/v1/admin/users', { name, ...more })
    return { id, key: String((await ok(KEY, 'POST', `/v1/admin/users/${id}/keys`))['key']) }
  }
  async function say(key: string, agent: string, times: number) {
    for (let i = 0; i < times; i++)
      await ok(key, 'POST', `/v1/agents/${agent}/messages`, {
        messages: [{ role: 'user', content: 'Well?' }],
      })
  }
  const anAgent = async (key: string, handle: string) =>
    (await ok(key, 'POST', '/v1/agents/', { model: handle, include_base_tools: false })).id

  it('adds up the steps of agents, users and models, with what they cost, and by the hour', async () => {
    const empty = await usage(KEY)
    assert.deepEqual([empty.total.steps, empty.total.cost_usd, empty.series], [0, null, []])
    const [dear, cheap] = [await anAgent(KEY, PRICED), await anAgent(KEY, FREE)]
    await say(KEY, dear, 2)
    await say(KEY, cheap, 1)
    const report = await usage(KEY, '?group_by=agent,model&interval=hour')
    const { runs, steps, total_tokens, cost_usd, steps_without_cost } = report.total
    assert.deepEqual([runs, steps, total_tokens, steps_without_cost], [3, 3, 330, 1])
    assert.ok(Math.abs((cost_usd ?? 0) - 0.4) < 1e-9, `${cost_usd}`)
    assert.deepEqual(
      report.groups.map((group) => [group.agent_id, group.model, group.runs, group.cost_usd === null]),
      [
        [dear, PRICED, 2, false],
        [cheap, FREE, 1, true],
      ],
    )
    const inSeries = report.series.flatMap(({ groups }) => groups ?? [])
    assert.equal(
      inSeries.reduce((sum, group) => sum + group.steps, 0),
      3,
    )
    assert.equal(
      report.series.reduce((sum, { steps }) => sum + steps, 0),
      3,
    )
    assert.deepEqual(
      (await usage(KEY, '?group_by=user')).groups.map((group) => group.user_id),
      [DEFAULT_USER_ID],
    )
    assert.equal((await usage(KEY, `?agent_id=${cheap}`)).total.steps, 1)
    assert.equal((await usage(KEY, `?model=${encodeURIComponent(PRICED)}`)).total.steps, 2)
    assert.equal((await usage(KEY, '?end=2020-01-01')).total.steps, 0)
    const largest = await usage(KEY, '?group_by=agent&limit=1')
    assert.deepEqual([largest.groups.map((group) => group.agent_id), largest.groups_left_out], [[dear], 1])
    assert.equal(largest.total.steps, 3)

    await ok(KEY, 'DELETE', `/v1/agents/${dear}`)
    assert.deepEqual(
      (await usage(KEY, `?agent_id=${dear}&group_by=agent`)).groups.map((group) => [
        group.agent_id,
        group.steps,
      ]),
      [[dear, 2]],
    )
  })

  it('shows members what they used themselves, admins what their organisation did, and nobody another', async () => {
    const boss = await aUser('Boss')
    const { organization_id } = await ok(KEY, 'GET', `/v1/admin/users/${boss.id}`)
    const member = await aUser('Member', { organization_id, role: 'member' })
    const eve = await aUser('Eve')
    const agent = await anAgent(boss.key, FREE)
    await say(boss.key, agent, 1)
    await say(member.key, agent, 2)
    const steps = async (key: string, query = '') => (await usage(key, query)).total.steps
    assert.equal(await steps(boss.key), 3)
    assert.equal(await steps(boss.key, `?user_id=${member.id}`), 2)
    assert.equal(await steps(member.key), 2)
    assert.equal(await steps(member.key, `?user_id=${member.id}`), 2)
    assert.deepEqual(
      (await usage(member.key, '?group_by=user')).groups.map((group) => group.user_id),
      [member.id],
    )
    const refused = await ask(member.key, 'GET', `/v1/usage?user_id=${boss.id}`)
    assert.equal(refused.status, 403)
    assert.match(String(refused.body['detail']), /shown to admins/)
    assert.equal(await steps(eve.key), 0)
    assert.equal(await steps(eve.key, `?agent_id=${agent}&user_id=${member.id}`), 0)
    assert.equal(await steps(eve.key, `?user_id=${DEFAULT_USER_ID}`), 0)
  })

  it('shows the owner what all organisations used, by user, and one of them by id', async () => {
    const [ada, kai] = [await aUser('Ada'), await aUser('Kai')]
    const [before, hers, his] = [
      (await usage(KEY)).total.steps,
      await anAgent(ada.key, PRICED),
      await anAgent(kai.key, FREE),
    ]
    await say(ada.key, hers, 2)
    await say(kai.key, his, 1)
    const report = await usage(KEY, '?group_by=user,agent,model&interval=hour')
    assert.equal(report.total.steps, before + 3)
    const rows = report.groups.map((group) => [group.user_id, group.agent_id, group.model, group.runs])
    for (const row of [
      [ada.id, hers, PRICED, 2],
      [kai.id, his, FREE, 1],
    ])
      assert.ok(
        rows.some((one) => JSON.stringify(one) === JSON.stringify(row)),
        JSON.stringify(rows),
      )
    assert.equal(
      report.series.reduce((sum, { steps }) => sum + steps, 0),
      report.total.steps,
    )
    assert.equal((await usage(KEY, `?user_id=${ada.id}`)).total.steps, 2)
    assert.equal((await usage(ada.key)).total.steps, 2, 'an admin sees their organisation alone')
    assert.equal((await usage(ada.key, `?user_id=${kai.id}`)).total.steps, 0)
  })

  it('refuses what it cannot answer with a reason', async () => {
    for (const [query, reason] of [
      ['?start=2026-02-01&end=2026-01-01', /start must be before end/],
      ['?start=yesterday', /expected a date/],
      ['?start=2020-01-01&interval=hour', /interval=day/],
      ['?group_by=colour', /group_by/],
      ['?interval=minute', /interval/],
      ['?limit=0', /limit/],
      ['?agent_id=x', /agent_id/],
    ] as const) {
      const { status, body } = await ask(KEY, 'GET', `/v1/usage${query}`)
      assert.ok(status === 400 || status === 422, `${query}: ${status}`)
      assert.match(JSON.stringify(body), reason)
    }
    assert.equal((await usage(KEY, '?start=0000-01-01')).series.length, 0)
  })
})
