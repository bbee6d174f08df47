import assert from 'node:assert/strict'
import type { ServerProcess } from '../reliability/server-process.ts'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { openSocket } from '../support/web-socket.ts'
import { type Cluster, startCluster } from './cluster.ts'

const DEADLINE_MS = 60_000

interface Answer {
  status: number
  run_id?: string
  detail?: string
  messages?: { id: string; message_type: string; content?: unknown }[]
}

describe('a request that the official client repeats on another instance', function () {
  this.timeout(120_000)
  let model: ScriptedModel
  let cluster: Cluster
  let one: ServerProcess
  let two: ServerProcess

  before(async () => {
    model = await startScriptedModel([])
    cluster = await startCluster({ model_url: model.url, env: [{}, {}] })
    const [first, second] = cluster.instances
    assert.ok(first && second)
    ;[one, two] = [first, second]
  })
  after(async () => {
    await cluster?.close()
    await model?.close()
  })
  afterEach(async () => {
    await model.done()
    if (!one.isRunning) await one.start()
  })

  const agentOf = async (more: object = {}) =>
    (await cluster.letta(two).agents.create({ model: SCRIPTED, include_base_tools: false, ...more })).id

  /** Asks as the official clients do, which count what they ask again. */
  function ask(
    instance: ServerProcess,
    agent_id: string,
    retries: number,
    body: object,
    signal: AbortSignal | null = null,
  ): Promise<Response> {
    return fetch(`${instance.url}/v1/agents/${agent_id}/messages`, {
      method: 'POST',
      signal,
      headers: { 'content-type': 'application/json', 'x-stainless-retry-count': String(retries) },
      body: JSON.stringify(body),
    })
  }
  const answerOf = async (response: Response): Promise<Answer> => ({
    status: response.status,
    ...((await response.json()) as object),
  })
  /** What the conversation has of users, and how many messages of the model. */
  async function history(agent_id: string) {
    const page = await cluster.letta(two).agents.messages.list(agent_id, { order: 'asc', limit: 100 })
    return page.items.map(({ message_type }) => message_type).filter((type) => type !== 'system_message')
  }
  /** An answer that begins when it is let go; resolves once the model was asked for it. */
  async function held(text = 'Once.') {
    const gate = Promise.withResolvers<void>()
    const asked = model.requests.length
    model.add({ reply: { text, hold: gate.promise } })
    return {
      letGo: gate.resolve,
      asked: () =>
        eventually('the model is asked', () => (model.requests.length > asked ? true : null), DEADLINE_MS),
    }
  }

  it('joins the turn of the first, and both have its answer', async () => {
    const agent_id = await agentOf()
    const answer = await held()
    const body = { input: 'go' }
    const first = ask(one, agent_id, 0, body)
    await answer.asked()
    const second = ask(two, agent_id, 1, body)
    answer.letGo()
    const [a, b] = await Promise.all([first.then(answerOf), second.then(answerOf)])
    assert.deepEqual([a.status, b.status], [200, 200])
    assert.ok(a.messages && a.messages.length > 0)
    assert.deepEqual(b, a)
    const again = await answerOf(await ask(two, agent_id, 2, body))
    assert.deepEqual(again, a, 'also a moment later')
    assert.deepEqual(await history(agent_id), ['user_message', 'assistant_message'])
  })

  it('joins it in streams of every kind', async () => {
    const asked: [string, (agent_id: string, conversation: string) => object][] = [
      ['/v1/agents/:id/messages', () => ({ input: 'go', streaming: true, stream_tokens: true })],
      ['/agents/:id/messages', () => ({ message: 'go', stream: true })],
      ['/openai/v1/responses', (model, conversation) => ({ model, conversation, input: 'go', stream: true })],
    ]
    for (const [path, bodyOf] of asked) {
      const agent_id = await agentOf()
      const conversation = await cluster.letta(two).conversations.create({ agent_id })
      const answer = await held('Streamed once.')
      const post = (instance: ServerProcess, retries: number) =>
        fetch(instance.url + path.replace(':id', agent_id), {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-stainless-retry-count': String(retries) },
          body: JSON.stringify(bodyOf(agent_id, conversation.id)),
        }).then(async (response) => ({ status: response.status, text: await response.text() }))
      const first = post(one, 0)
      await answer.asked()
      const second = post(two, 1)
      answer.letGo()
      for (const { status, text } of await Promise.all([first, second])) {
        assert.equal(status, 200, `${path}: ${text}`)
        const said = [...text.matchAll(/"(?:content|delta)":"([^"]*)"/g)].map((match) => match[1]).join('')
        assert.match(said, /^Streamed once\./, `${path}: ${text}`)
        assert.equal(said.split('once').length, 2, `${path} says it once: ${text}`)
      }
    }
  })

  it('is told that its message is kept when the first one’s instance has died', async () => {
    const agent_id = await agentOf()
    const answer = await held()
    const body = { input: 'go' }
    const first = ask(one, agent_id, 0, body).catch(() => null)
    await answer.asked()
    await one.kill()
    await first
    const [run] = (await cluster.letta(two).runs.list({ agent_id })).items
    const told = await answerOf(await ask(two, agent_id, 1, body))
    answer.letGo()
    assert.equal(told.status, 503)
    assert.equal(told.run_id, run?.id)
    assert.match(told.detail ?? '', /stopped before the turn was finished.* is kept/)
    assert.deepEqual(await answerOf(await ask(two, agent_id, 2, body)), told, 'however often')
    assert.deepEqual(await history(agent_id), ['user_message'])
    model.add({ reply: { text: 'Free.' } })
    assert.equal((await ask(two, agent_id, 0, body)).status, 200, 'what is new begins a turn')
    assert.deepEqual(await history(agent_id), ['user_message', 'user_message', 'assistant_message'])
  })

  it('is the only one that begins a turn when the first is read late, by an instance that stood still', async () => {
    for (const streaming of [false, true]) {
      const agent_id = await agentOf()
      const body = { input: 'go', streaming }
      await cluster.letta(one).agents.retrieve(agent_id)
      one.signal('SIGSTOP')
      const patience = new AbortController()
      const late = ask(one, agent_id, 0, body, patience.signal).catch(() => null)
      // It is in the buffer of a socket by then, of a client that then leaves.
      setTimeout(() => patience.abort(), 500)
      await late
      model.add({ reply: { text: 'Once.' } })
      const answer = await ask(two, agent_id, 1, body)
      assert.equal(answer.status, 200)
      await answer.text()
      one.signal('SIGCONT')
      const logged = () => (one.output.includes(`/v1/agents/${agent_id}/messages`) ? true : null)
      await eventually('the late one is read', logged, DEADLINE_MS)
      assert.deepEqual(await history(agent_id), ['user_message', 'assistant_message'])
    }
  })

  it('has the same failure as the first', async () => {
    const agent_id = await agentOf()
    model.add({ reply: { status: 401, body: { error: { message: 'no such key' } } } })
    const body = { input: 'go' }
    const first = await answerOf(await ask(one, agent_id, 0, body))
    const second = await answerOf(await ask(two, agent_id, 1, body))
    assert.equal(first.status, 401)
    assert.deepEqual([second.status, second.detail], [first.status, first.detail])
    assert.deepEqual(await history(agent_id), ['user_message'])
  })

  it('joins nothing when its client says that it is new', async () => {
    const agent_id = await agentOf()
    for (const instance of [one, two]) {
      model.add({ reply: { text: 'Hi.' } })
      assert.equal((await ask(instance, agent_id, 0, { input: 'hi' })).status, 200)
    }
    assert.equal((await history(agent_id)).length, 4)
  })

  it('is joined by the names of its messages, on sockets too', async () => {
    const agent_id = await agentOf()
    const answer = await held('Named.')
    const messages = [{ role: 'user', content: 'go', otid: crypto.randomUUID() }]
    const body = { messages, streaming: true }
    // Their headers come when they have begun, or joined.
    const first = await ask(one, agent_id, 0, body)
    await answer.asked()
    const second = await ask(two, agent_id, 0, body)
    answer.letGo()
    for (const stream of [first, second]) assert.match(await stream.text(), /"content":"Named\."/)

    model.add({ reply: { text: 'By socket.' } })
    const named = [{ role: 'user', content: 'more', otid: crypto.randomUUID() }]
    const bodies: unknown[] = []
    for (const instance of [one, two]) {
      const socket = await openSocket(instance.url)
      try {
        socket.send({ type: 'send', id: 'm', agent_id, messages: named })
        const frames = await socket.ended('m')
        bodies.push(frames.find(({ type }) => type === 'result')?.body)
      } finally {
        await socket.close()
      }
    }
    assert.ok(bodies[0])
    assert.deepEqual(bodies[1], bodies[0])
    assert.equal((await history(agent_id)).length, 4)
  })
})
