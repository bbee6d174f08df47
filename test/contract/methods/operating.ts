import assert from 'node:assert/strict'
import { SCRIPTED } from '../../support/loci.ts'
import type { PlainOperation } from './plain.ts'

/** What whoever runs the server looks at. */
export const operatingOperations: PlainOperation[] = [
  {
    name: 'GET /v1/usage',
    shows: 'what an agent used, by model and day',
    async run(t) {
      const agent = await t.newAgent()
      await t.say(agent.id, 'Hi', 'Hello.')
      const query = `agent_id=${agent.id}&group_by=agent,model&interval=day`
      const { status, body } = await t.http('GET', `/v1/usage?${query}`)
      assert.equal(status, 200, JSON.stringify(body))
      const { total, groups, series } = body as Report
      assert.deepEqual([total.runs, total.steps], [1, 1])
      assert.deepEqual(
        groups.map((group) => [group.agent_id, group.model]),
        [[agent.id, SCRIPTED]],
      )
      assert.equal(series.length, 1)
    },
  },
  {
    name: 'POST /v1/admin/retention',
    shows: 'that nothing goes where no rule is set, before and after',
    async run(t) {
      for (const method of ['GET', 'POST']) {
        const { status, body } = await t.http(method, '/v1/admin/retention')
        assert.equal(status, 200, JSON.stringify(body))
        const { rules } = body as { rules: { days: number | null; count: number }[] }
        assert.ok(rules.length > 0)
        assert.ok(rules.every(({ days, count }) => days === null && count === 0))
      }
    },
  },
  {
    name: 'GET /metrics',
    shows: 'how it is switched on, as it is off',
    async run(t) {
      const { status, body } = await t.http('GET', '/metrics')
      assert.equal(status, 404)
      assert.match(JSON.stringify(body), /loci config set server\.metrics true/)
    },
  },
  {
    name: 'GET /v1/models/overview',
    shows: 'the models that there are',
    async run(t) {
      const { status, body } = await t.http('GET', '/v1/models/overview')
      assert.equal(status, 200, JSON.stringify(body))
      const { models } = body as { models: { handle: string }[] }
      assert.ok(models.some(({ handle }) => handle === SCRIPTED))
    },
  },
]

interface Report {
  total: { runs: number; steps: number }
  groups: { agent_id: string; model: string }[]
  series: object[]
}
