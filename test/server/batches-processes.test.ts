import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Batch, type BatchItem } from '../../shared/schema/batch.ts'
import { ServerProcess } from '../reliability/server-process.ts'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

/** Two `loci server` processes over one data directory, of which the test kills one. */
describe('a batch whose process is killed', function () {
  this.timeout(60_000)
  let data: string
  let model: ScriptedModel
  let doomed: ServerProcess
  let survivor: ServerProcess
  const open = Promise.withResolvers<void>()
  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-batch-killed-'))
    model = await startScriptedModel([], { loop: () => ({ text: 'Done.', hold: open.promise }) })
    doomed = new ServerProcess(data, model.url)
    survivor = new ServerProcess(data, model.url)
  })
  after(async () => {
    open.resolve()
    await doomed.kill()
    await survivor.kill()
    await model.close()
    await rm(data, { recursive: true, force: true })
  })

  it('is done by another one: four at once of both, each request once', async () => {
    await doomed.start()
    const letta = new Letta({ baseURL: doomed.url, apiKey: null, maxRetries: 0 })
    const agents = []
    for (let n = 0; n < 6; n++) agents.push(await letta.agents.create({ model: SCRIPTED, memory_blocks: [] }))
    const requests = agents.flatMap(({ id }) => [1, 2].map((n) => ({ agent_id: id, input: `Request ${n}` })))
    const batch = await letta.post<Batch>('/v1/messages/batches', { body: { requests } })
    await eventually('four are asked', () => (model.requests.length >= 4 ? true : null))
    await survivor.start()
    const other = new Letta({ baseURL: survivor.url, apiKey: null, maxRetries: 0 })
    const read = () => other.get<Batch>(`/v1/messages/batches/${batch.id}`)
    assert.equal((await read()).metadata.requests.running, 4)
    assert.equal(model.requests.length, 4)
    await doomed.kill()
    open.resolve()
    const end = await eventually(
      'the batch has ended',
      async () => {
        const now = await read()
        return now.completed_at === null ? null : now
      },
      40_000,
    )
    assert.deepEqual([end.status, end.metadata.requests.completed], ['completed', 12])
    const items = await other.get<BatchItem[]>(`/v1/messages/batches/${batch.id}/items`)
    assert.equal(new Set(items.map(({ run_id }) => run_id)).size, 12)
    for (const { id } of agents) {
      const { items } = await other.agents.messages.list(id, { order: 'asc' })
      const said = items.flatMap((m) => (m.message_type === 'user_message' ? [m.content] : []))
      assert.deepEqual(said.slice(-2), ['Request 1', 'Request 2'])
      assert.equal(items.filter((m) => m.message_type === 'assistant_message').length, 2)
    }
  })
})
