import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { withTwoLoci } from '../support/scripted-loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const never = () => new Promise<never>(() => undefined)

function gateway() {
  let open: () => void = () => undefined
  const hold = new Promise<void>((resolve) => {
    open = resolve
  })
  return { hold, open: () => open() }
}

describe('turns and the processes that run them', () => {
  let t: TestLoci
  let other: TestLoci
  let model: ScriptedModel
  withTwoLoci((started) => ({ t, other, model } = started))

  const newAgent = () =>
    t.letta.agents.create({ model: SCRIPTED, memory_blocks: [{ label: 'human', value: '' }] })
  const users = async (agent_id: string) =>
    (await t.letta.agents.messages.list(agent_id, { include_return_message_types: ['user_message'] })).items
  const runOf = async (agent_id: string) => {
    const [run] = (await t.letta.runs.list({ agent_id })).items
    assert.ok(run)
    return run
  }

  it('asks a model that is slower than the official client once, and answers', async () => {
    const agent = await newAgent()
    const { hold, open } = gateway()
    const asked = model.requests.length
    let attempts = 0
    const impatient = new Letta({
      baseURL: t.url,
      apiKey: null,
      timeout: 250,
      maxRetries: 2,
      fetch: (input, init) => {
        if (++attempts === 3) open()
        return fetch(input, init)
      },
    })
    model.add({ reply: { text: 'at last', hold } })
    const answer = await impatient.agents.messages.create(agent.id, { input: 'slow?' })
    assert.equal(attempts, 3)
    assert.equal(model.requests.length, asked + 1)
    const [said] = answer.messages
    assert.ok(said?.message_type === 'assistant_message' && said.content === 'at last')
    assert.equal((await users(agent.id)).length, 1)
  })

  it('gives a repeated request the answer that came while nobody listened, also as a stream', async () => {
    const agent = await newAgent()
    const send = async (path: string, retry: string, signal?: AbortSignal) =>
      fetch(`${t.url}/v1/agents/${agent.id}/messages${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-stainless-retry-count': retry },
        body: JSON.stringify({ input: `say ${path}` }),
        ...(signal ? { signal } : {}),
      })
    for (const path of ['', '/stream']) {
      const { hold, open } = gateway()
      const abort = new AbortController()
      const index = model.requests.length
      model.add({ reply: { text: `said ${path}`, hold } })
      const gone = send(path, '0', abort.signal).then(async (response) => response.text())
      await model.request(index)
      abort.abort()
      await assert.rejects(gone)
      open()
      await eventually('the turn ends', async () =>
        (await runOf(agent.id)).status === 'completed' ? true : null,
      )
      const again = await (await send(path, '1')).text()
      assert.ok(again.includes(`said ${path}`), again)
      assert.equal(model.requests.length, index + 1)
    }
  })

  it('still knows the run of a request when an impatient user said the same beside it', async () => {
    const agent = await newAgent()
    const { hold, open } = gateway()
    const index = model.requests.length
    const send = async (retry: string) =>
      fetch(`${t.url}/v1/agents/${agent.id}/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-stainless-retry-count': retry },
        body: '{"input":"once"}',
      })
    model.add({ reply: { text: 'one answer', hold } })
    const first = send('0')
    await model.request(index)
    assert.equal((await send('0')).status, 409)
    const again = send('1')
    open()
    assert.equal(await (await again).text(), await (await first).text())
  })

  it('begins a new turn for a first request that says the same', async () => {
    const agent = await newAgent()
    model.add({ reply: { text: 'one' } }, { reply: { text: 'two' } })
    await t.letta.agents.messages.create(agent.id, { input: 'hi' })
    const second = await t.letta.agents.messages.create(agent.id, { input: 'hi' })
    const [said] = second.messages
    assert.ok(said?.message_type === 'assistant_message' && said.content === 'two')
  })

  it('names the run that keeps a conversation busy in another process, and cancels it from here', async () => {
    const agent = await newAgent()
    const index = model.requests.length
    model.add({ reply: { text: ['half ', 'an answer'], hold: never(), hold_after: 2 } })
    const sent = other.letta.agents.messages.stream(agent.id, { input: 'slow', stream_tokens: true })
    await model.request(index)
    const run = await runOf(agent.id)
    assert.equal(run.status, 'running')
    const busy = await t.http('POST', `/v1/agents/${agent.id}/messages`, { input: 'me too' })
    assert.equal(busy.status, 409)
    assert.equal((busy.body as { run_id: string }).run_id, run.id)
    assert.equal(busy.headers.get('x-should-retry'), 'false')
    const reset = await t.http('PATCH', `/v1/agents/${agent.id}/reset-messages`)
    assert.equal(reset.status, 409)
    assert.equal((await t.http('DELETE', `/v1/runs/${run.id}`)).status, 409)
    const began = performance.now()
    assert.deepEqual(await t.letta.agents.messages.cancel(agent.id), { [run.id]: 'cancelled' })
    assert.ok(performance.now() - began < 5_000)
    const types: (string | undefined)[] = []
    for await (const item of await sent) types.push(item.message_type)
    assert.deepEqual(types, ['ping', 'assistant_message', 'stop_reason'])
    assert.equal((await runOf(agent.id)).stop_reason, 'cancelled')
    const [step] = (await t.letta.steps.list({ agent_id: agent.id })).items
    assert.equal(step?.status, 'cancelled')
    const [last] = (await t.letta.agents.messages.list(agent.id, { limit: 1 })).items
    assert.ok(last?.message_type === 'assistant_message' && last.content === 'half ')
    const nothing = await t.http('POST', `/v1/agents/${agent.id}/messages/cancel`)
    assert.equal(nothing.status, 409)
    const named = await t.http('POST', `/v1/agents/${agent.id}/messages/cancel`, { run_ids: [run.id] })
    assert.equal(named.status, 409)
  })

  for (const where of ['this', 'another'] as const)
    it(`ends the turn of an agent that is deleted in ${where} process, and frees the model`, async () => {
      const agent = await newAgent()
      const asked = model.requests.length
      model.add({ reply: { text: 'never', hold: never() } })
      const waiting = t.letta.agents.messages.create(agent.id, { input: 'slow' })
      const request = await model.request(asked)
      await (where === 'this' ? t : other).letta.agents.delete(agent.id)
      assert.equal(await request.ended, 'aborted')
      assert.equal((await waiting).stop_reason.stop_reason, 'cancelled')
    })

  it('answers an async message with its run at once, and calls back with the outcome', async () => {
    const calls: { path: string | undefined; body: unknown }[] = []
    const receiver = createServer((incoming: IncomingMessage, response) => {
      let text = ''
      incoming.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      incoming.on('end', () => {
        calls.push({ path: incoming.url, body: JSON.parse(text) })
        response.writeHead(202).end()
      })
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = receiver.address() as AddressInfo
      const agent = await newAgent()
      const { hold, open } = gateway()
      model.add({ reply: { text: 'later', hold } })
      const run = await t.letta.agents.messages.createAsync(agent.id, {
        input: 'go on without me',
        callback_url: `http://127.0.0.1:${port}/done?x=1`,
      })
      assert.deepEqual([run.status, run.background, run.agent_id], ['running', true, agent.id])
      open()
      const ended = await eventually('the callback is kept with the run', async () => {
        const now = await t.letta.runs.retrieve(run.id)
        return now.callback_sent_at ? now : null
      })
      assert.deepEqual(
        [ended.status, ended.callback_status_code, ended.callback_error],
        ['completed', 202, null],
      )
      const [call] = calls
      assert.equal(calls.length, 1)
      assert.equal(call?.path, '/done?x=1')
      const body = call?.body as {
        run_id: string
        status: string
        metadata: { result: { messages: unknown[] } }
      }
      assert.deepEqual(
        [body.run_id, body.status, body.metadata.result.messages.length],
        [run.id, 'completed', 1],
      )
      const messages = (await t.letta.runs.messages.list(run.id)).items
      assert.deepEqual(
        messages.map((m) => m.message_type),
        ['user_message', 'assistant_message'],
      )
    } finally {
      receiver.closeAllConnections()
      receiver.close()
    }
  })

  it('keeps why a callback failed', async () => {
    const agent = await newAgent()
    model.add({ reply: { text: 'done' } })
    const run = await t.letta.agents.messages.createAsync(agent.id, {
      input: 'x',
      callback_url: 'http://127.0.0.1:1/nobody',
    })
    const ended = await eventually('the failure is kept', async () => {
      const now = await t.letta.runs.retrieve(run.id)
      return now.callback_error ? now : null
    })
    assert.equal(ended.status, 'completed')
    assert.match(ended.callback_error ?? '', /127\.0\.0\.1:1\/nobody/)
    const bad = await t.http('POST', `/v1/agents/${agent.id}/messages/async`, {
      input: 'x',
      callback_url: 'file:///etc/passwd',
    })
    assert.equal(bad.status, 422)
  })

  it('finishes the turn of a reader that stalls', async () => {
    const agent = await newAgent()
    const text = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat(20_000)}`)
    // So many tokens would be summarised at once.
    const usage = { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 }
    model.add({ reply: { text, usage } })
    const body = JSON.stringify({ input: 'much', stream_tokens: true, streaming: true })
    const { hostname, port } = new URL(t.url)
    const socket = connect(Number(port), hostname)
    try {
      socket.pause()
      socket.write(
        `POST /v1/agents/${agent.id}/messages HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\n` +
          `Content-Length: ${body.length}\r\n\r\n${body}`,
      )
      await eventually('the turn ends', async () => {
        const [run] = (await t.letta.runs.list({ agent_id: agent.id })).items
        return run?.status === 'completed' ? run : null
      })
    } finally {
      socket.destroy()
    }
    const [last] = (await t.letta.agents.messages.list(agent.id, { limit: 1 })).items
    assert.ok(last?.message_type === 'assistant_message')
    assert.equal(last.content, text.join(''))
  })

  it('passes logprobs on and answers them', async () => {
    const agent = await newAgent()
    const token = { token: 'hi', logprob: -0.5, bytes: [104, 105], top_logprobs: [] }
    model.add({
      expect: { logprobs: true, top_logprobs: 2 },
      reply: {
        raw: JSON.stringify({
          object: 'chat.completion',
          choices: [
            {
              index: 0,
              message: { role: 'assistant', content: 'hi' },
              finish_reason: 'stop',
              logprobs: { content: [token], refusal: null },
            },
          ],
        }),
        content_type: 'application/json',
      },
    })
    const answer = await t.letta.agents.messages.create(agent.id, {
      input: 'hi',
      return_logprobs: true,
      top_logprobs: 2,
    })
    assert.deepEqual(answer.logprobs, { content: [token], refusal: null })
  })
})

describe('the end of a server', () => {
  it('lets a turn end within its grace, and begins no other', async () => {
    const model = await startScriptedModel([])
    const t = await startLoci({ model_url: model.url, serve: { grace_ms: 30_000 } })
    const { hold, open } = gateway()
    let closed: Promise<void> | null = null
    try {
      const agent = await t.letta.agents.create({ model: SCRIPTED })
      model.add({ reply: { text: 'in time', hold } })
      const feed = await fetch(`${t.url}/v1/events`)
      const sent = t.letta.agents.messages.create(agent.id, { input: 'x' })
      await model.request(0)
      closed = t.close()
      await feed.text()
      const late = await t.loci.fetch(
        new Request(`http://127.0.0.1/v1/agents/${agent.id}/messages`, {
          method: 'POST',
          body: '{"input":"late"}',
        }),
      )
      assert.equal(late.status, 503)
      assert.equal(late.headers.get('retry-after'), '1')
      const health = async (path: string) => (await fetch(`${t.url}/v1/${path}/`)).status
      assert.deepEqual([await health('health'), await health('ready')], [200, 503])
      open()
      const [said] = (await sent).messages
      assert.ok(said?.message_type === 'assistant_message' && said.content === 'in time')
      await closed
      await model.done()
    } finally {
      open()
      await (closed ?? t.close())
      await model.close()
    }
    assert.deepEqual(t.failures, [])
  })

  it('calls back before it closes its store', async () => {
    const model = await startScriptedModel([])
    const t = await startLoci({ model_url: model.url })
    const { hold: answered, open: answer } = gateway()
    const called = Promise.withResolvers<void>()
    const receiver = createServer((incoming, response) => {
      incoming.resume().on('end', () => {
        called.resolve()
        void answered.then(() => response.end())
      })
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    const reader = await startLoci({ model_url: model.url, data: t.data })
    try {
      const agent = await t.letta.agents.create({ model: SCRIPTED })
      model.add({ reply: { text: 'done' } })
      const { port } = receiver.address() as AddressInfo
      const callback_url = `http://127.0.0.1:${port}/`
      const run = await t.letta.agents.messages.createAsync(agent.id, { input: 'x', callback_url })
      await called.promise
      const closed = t.loci.close()
      answer()
      await closed
      const kept = await reader.letta.runs.retrieve(run.id)
      assert.deepEqual([kept.status, kept.callback_status_code], ['completed', 200])
      assert.deepEqual(t.failures, [])
    } finally {
      await reader.close()
      await t.close()
      await model.close()
      receiver.close()
    }
  })

  it('cancels what does not end in time, and leaves nothing running', async () => {
    const model = await startScriptedModel([])
    const t = await startLoci({ model_url: model.url, serve: { grace_ms: 50 } })
    const reader = await startLoci({ model_url: model.url, data: t.data })
    try {
      const agent = await t.letta.agents.create({ model: SCRIPTED })
      model.add({ reply: { text: 'never', hold: never() } })
      const sent = t.letta.agents.messages.create(agent.id, { input: 'x' })
      await model.request(0)
      const [answer] = await Promise.all([sent, t.loci.drain(50)])
      assert.equal(answer.stop_reason.stop_reason, 'cancelled')
      const [run] = (await reader.letta.runs.list({ agent_id: agent.id })).items
      assert.deepEqual([run?.status, run?.stop_reason], ['cancelled', 'cancelled'])
    } finally {
      await reader.close()
      await t.close()
      await model.close()
    }
  })
})
