import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DEFAULT_ACTOR } from '../../shared/server/context.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci, storeBeside } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

interface Call {
  run_id: string
  status: string
  metadata: { result?: { messages: unknown[]; usage: { step_count: number } } }
}

describe('callbacks of async runs', () => {
  let t: TestLoci
  let model: ScriptedModel
  let receiver: ReturnType<typeof createServer>
  let calls: Call[]
  /** How the receiver answers its next calls; 200 when there is none left. */
  let answers: ((response: ServerResponse) => void)[]
  let callback_url: string
  beforeEach(async () => {
    model = await startScriptedModel([])
    t = await startLoci({ model_url: model.url })
    calls = []
    answers = []
    receiver = createServer((incoming: IncomingMessage, response) => {
      let text = ''
      incoming.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      incoming.on('end', () => {
        calls.push(JSON.parse(text) as Call)
        const answer = answers.shift()
        if (answer) answer(response)
        else response.writeHead(200).end()
      })
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    callback_url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  })
  afterEach(async () => {
    receiver.closeAllConnections()
    receiver.close()
    await t.close()
    await model.done()
    await model.close()
    assert.deepEqual(t.failures, [])
  })
  async function run(url = callback_url) {
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    model.add({ reply: { text: 'done' } })
    return t.letta.agents.messages.createAsync(agent.id, { input: 'x', callback_url: url })
  }
  const kept = (
    run_id: string,
    label: string,
    isIt: (code: number | null, error: string | null) => boolean,
  ) =>
    eventually(label, async () => {
      const now = await t.letta.runs.retrieve(run_id)
      return isIt(now.callback_status_code ?? null, now.callback_error ?? null) ? now : null
    })

  it('are repeated while the receiver fails, and the last outcome is kept', async () => {
    answers.push((response) => void response.writeHead(503).end())
    const { id } = await run()
    const failed = await kept(id, 'the failure is kept meanwhile', (code) => code === 503)
    assert.match(failed.callback_error ?? '', /status 503/)
    const done = await kept(id, 'the second call is kept', (code) => code === 200)
    assert.equal(done.callback_error, null)
    assert.deepEqual(
      calls.map((call) => [call.run_id, call.status]),
      [
        [id, 'completed'],
        [id, 'completed'],
      ],
    )
  })

  it('are not repeated when the receiver refuses them', async () => {
    answers.push((response) => void response.writeHead(404).end())
    const { id } = await run()
    const refused = await kept(id, 'the refusal is kept', (code) => code === 404)
    assert.match(refused.callback_error ?? '', /status 404/)
    await t.loci.close()
    assert.equal(calls.length, 1)
  })

  it('that hang hold nothing: the conversation goes on, and the server closes', async function () {
    this.timeout(20_000)
    answers.push(() => undefined)
    const { id, agent_id } = await run()
    await eventually('the receiver was called', () => calls.length === 1 || null)
    model.add({ reply: { text: 'next' } })
    await t.letta.agents.messages.create(agent_id, { input: 'next' })
    await t.loci.close()
    const store = await storeBeside(t.data)
    try {
      const closed = await store.turns.getRun(DEFAULT_ACTOR, id)
      assert.match(closed?.callback_error ?? '', /no answer in time/)
    } finally {
      await store.close()
    }
  })

  it('never go to link-local, multicast or unspecified addresses', async () => {
    for (const url of [
      'http://169.254.169.254/latest',
      'http://[fe80::1]/',
      'http://0.0.0.0:1/',
      'http://224.0.0.1/',
    ]) {
      const { id } = await run(url)
      const refused = await kept(id, `${url} is refused`, (_, error) => error !== null)
      assert.match(refused.callback_error ?? '', /link-local, multicast or unspecified/)
    }
  })

  it('are made up for when the process died between the end of its run and the call', async () => {
    const { id } = await run()
    await kept(id, 'the call is kept', (code) => code === 200)
    // As a process leaves it that is killed before it calls.
    const gone = await storeBeside(t.data)
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    const ended = await gone.turns.getRun(DEFAULT_ACTOR, id)
    assert.ok(ended)
    const left = { ...ended, id: `run-${crypto.randomUUID()}`, agent_id: agent.id, callback_sent_at: null }
    const opened = await gone.turns.open(DEFAULT_ACTOR, {
      run: { ...left, callback_status_code: null, status: 'running', completed_at: null, stop_reason: null },
      conversation_id: agent.id,
      messages: [],
    })
    await gone.turns.commit(DEFAULT_ACTOR, {
      agent_id: agent.id,
      conversation_id: agent.id,
      run_id: left.id,
      epoch: opened.epoch,
      step: null,
      messages: [],
      block_edits: [],
      finish: {
        status: 'completed',
        stop_reason: 'end_turn',
        completed_at: new Date().toISOString(),
        ttft_ns: null,
        total_duration_ns: 1,
        metadata: null,
      },
    })
    await gone.close()
    await kept(left.id, 'another process called', (code) => code === 200)
    assert.deepEqual(
      calls.map((call) => call.run_id),
      [id, left.id],
    )
  })
})
