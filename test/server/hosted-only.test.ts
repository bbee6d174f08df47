import assert from 'node:assert/strict'
import { startLoci, type TestLoci } from '../support/loci.ts'

const AGENT = `agent-${crypto.randomUUID()}`

/** What V1's hosted service alone served: there is no route, in V1's words. */
const ROUTES = [
  'POST /v1/agents/search',
  'GET /v1/agents/search',
  'GET /v1/agents/search/count',
  `GET /v1/agents/${AGENT}/memory-files/directory`,
  'GET /v1/models/embeddings',
  'POST /v1/legacy-templates/name/migrates',
  'GET /v1/projects',
  'GET /v1/metadata/balance',
  'POST /v1/feeds',
  'GET /v1/pipelines',
  'GET /v1/environments',
  'POST /v1/sandboxes',
  'GET /v1/device-storage-key',
]

describe('what only the hosted service had', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci()
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })

  for (const name of ROUTES)
    it(`${name.replace(AGENT, '{agent_id}')} is not there`, async () => {
      const [method = '', path = ''] = name.split(' ')
      const { status, body } = await t.http(method, path, method === 'POST' ? {} : undefined)
      assert.equal(status, 404, JSON.stringify(body))
      assert.deepEqual(Object.keys(body as object), ['detail'])
      assert.match((body as { detail: string }).detail, new RegExp(`no route ${method} `))
    })

  it('the client says so as it says it of anything that is missing', async () => {
    await assert.rejects(t.letta.environments.list(), { status: 404 })
  })
})
