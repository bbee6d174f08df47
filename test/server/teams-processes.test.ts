import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerProcess } from '../reliability/server-process.ts'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

/** Two `loci server` processes over one data directory, of which tests kill one while its agents speak to each other. */
describe('agents that speak to each other while their process is killed', function () {
  this.timeout(60_000)
  let data: string
  let model: ScriptedModel
  let doomed: ServerProcess
  let survivor: ServerProcess
  let here: Letta
  let there: Letta
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-teams-'))
    model = await startScriptedModel([])
    doomed = new ServerProcess(data, model.url)
    survivor = new ServerProcess(data, model.url)
    await Promise.all([doomed.start(), survivor.start()])
    here = new Letta({ baseURL: doomed.url, apiKey: null, maxRetries: 0 })
    there = new Letta({ baseURL: survivor.url, apiKey: null, maxRetries: 0 })
  })
  afterEach(async () => {
    await doomed.kill()
    await survivor.kill()
    await model.close()
    await rm(data, { recursive: true, force: true })
  })
  const { promise: never } = Promise.withResolvers<void>()
  const member = (more: object = {}) => {
    const body = { model: SCRIPTED, include_base_tools: false, include_multi_agent_tools: true, ...more }
    return here.agents.create(body)
  }
  const call = (name: string, other_agent_id: string) => ({
    tool_calls: [{ name, arguments: { message: 'hi', other_agent_id } }],
  })
  /** The runs of an agent once none is running, newest first. */
  const settled = (agent_id: string) =>
    eventually(`the runs of ${agent_id} have ended`, async () => {
      const { items } = await there.runs.list({ agent_id })
      return items.every((run) => run.status !== 'running' && run.status !== 'created') ? items : null
    })
  const lastText = async (agent_id: string) => {
    const [last] = (await there.agents.messages.list(agent_id, { limit: 1 })).items
    return last && 'content' in last ? last.content : null
  }

  it('leaves no run stuck: who waited and who was waited for are failed, and both go on', async () => {
    const [asker, other] = await Promise.all([member(), member()])
    model.add(
      { reply: call('send_message_to_agent_and_wait_for_reply', other.id) },
      { reply: { text: 'never said', hold: never } },
    )
    const answer = here.agents.messages.create(asker.id, { input: 'ask' }).catch((error: unknown) => error)
    await model.request(1)
    await doomed.kill()
    await answer
    for (const { id } of [asker, other])
      assert.deepEqual(
        (await settled(id)).map((run) => run.status),
        ['failed'],
      )
    model.add({ reply: call('send_message_to_agent_and_wait_for_reply', other.id) })
    model.add({ reply: { text: 'pong' } }, { reply: { text: 'it said pong' } })
    await there.agents.messages.create(asker.id, { input: 'again' })
    assert.equal(await lastText(asker.id), 'it said pong')
    await model.done()
  })

  it('goes on with a message that nobody waits for, in the other process', async () => {
    const [sender, other] = await Promise.all([member(), member()])
    model.add(
      { reply: call('send_message_to_agent_async', other.id) },
      // The sender is told that it was sent, and the other one begins, in whatever order.
      { reply: (body) => (isTold(body) ? { text: 'sent' } : { text: 'lost', hold: never }) },
      { reply: (body) => (isTold(body) ? { text: 'sent' } : { text: 'lost', hold: never }) },
    )
    await here.agents.messages.create(sender.id, { input: 'tell' })
    await model.request(2)
    model.add({ reply: { text: 'took over' } })
    await doomed.kill()
    const [run] = await settled(other.id)
    assert.deepEqual([run?.status, run?.background], ['completed', true])
    assert.equal(await lastText(other.id), 'took over')
    await model.done()
  })

  it('goes on with a companion at work', async () => {
    const main = await member({ enable_sleeptime: true, name: 'Main' })
    const group = main.managed_group
    await fetch(`${doomed.url}/v1/groups/${group?.id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ manager_config: { manager_type: 'sleeptime', sleeptime_agent_frequency: 1 } }),
    })
    model.add({ reply: { text: 'hello' } }, { reply: { text: 'lost', hold: never } })
    const { usage } = await here.agents.messages.create(main.id, { input: 'hi' })
    await model.request(1)
    model.add({ reply: { text: 'kept' } })
    await doomed.kill()
    const [run] = await settled(group?.agent_ids[0] ?? '')
    assert.deepEqual([run?.id, run?.status], [usage.run_ids?.[1], 'completed'])
    await model.done()
  })

  it('speaks to an agent that is busy in another process, and is cancelled from there', async () => {
    const [asker, other] = await Promise.all([member(), member()])
    const busy = Promise.withResolvers<void>()
    model.add({ reply: { text: 'first', hold: busy.promise } })
    const working = there.agents.messages.create(other.id, { input: 'work' })
    await model.request(0)
    model.add(
      { reply: call('send_message_to_agent_and_wait_for_reply', other.id) },
      { reply: { text: 'slow', hold: never } },
    )
    const answer = here.agents.messages.create(asker.id, { input: 'ask' })
    await model.request(1)
    busy.resolve()
    await working
    const inner = await model.request(2)
    await there.agents.messages.cancel(asker.id)
    assert.equal((await answer).stop_reason.stop_reason, 'cancelled')
    assert.equal(await inner.ended, 'aborted')
    assert.deepEqual((await settled(other.id)).map((run) => run.status).toSorted(), [
      'cancelled',
      'completed',
    ])
    await model.done()
  })
})

function isTold(body: { messages: { role?: unknown }[] }): boolean {
  return body.messages.at(-1)?.role === 'tool'
}
