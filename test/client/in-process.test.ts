import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describeFailure, type FeedItem, type LociClient } from '../../shared/client/http.ts'
import { abortable, openInProcess } from '../../shared/client/in-process.ts'
import { cleanEnvironment, temporaryFolder, withDeadline } from '../support/cli-process.ts'

const memory_blocks = [
  { label: 'human', value: '' },
  { label: 'persona', value: 'I help.' },
]

describe('openInProcess', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let client: LociClient

  before(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    client = await openInProcess({ env })
  })
  after(async () => {
    await client?.close()
    await folder.remove()
  })

  it('opens the directory that the environment names, and answers health', async () => {
    assert.equal(client.url, `in-process:${join(folder.path, 'loci')}`)
    assert.match((await client.health()).version, /^\d+\.\d+\.\d+$/)
  })

  it('runs the official client without a socket, streams included', async () => {
    const agent = await client.letta.agents.create({ name: 'Ada', model: 'loci/demo', memory_blocks })
    const kinds: string[] = []
    let text = ''
    const stream = await client.letta.agents.messages.create(agent.id, {
      messages: [{ role: 'user', content: 'My name is Ada.' }],
      streaming: true,
      stream_tokens: true,
    })
    for await (const item of stream) {
      if (kinds.at(-1) !== item.message_type) kinds.push(item.message_type ?? '')
      if (item.message_type === 'assistant_message' && typeof item.content === 'string') text += item.content
    }
    assert.deepEqual(
      kinds.filter((kind) => kind !== 'ping'),
      ['tool_call_message', 'tool_return_message', 'assistant_message', 'stop_reason', 'usage_statistics'],
    )
    assert.match(text, /Ada/)
    const block = await client.letta.agents.blocks.retrieve('human', { agent_id: agent.id })
    assert.equal(block.value, 'Name: Ada')
  })

  it('follows what another instance on the same directory changes', async () => {
    const other = await openInProcess({ data: join(folder.path, 'loci'), env })
    const stop = new AbortController()
    try {
      const feed = client.events(undefined, { signal: stop.signal })
      const ready = await withDeadline(feed.next(), 'ready')
      assert.equal((ready.value as FeedItem).type, 'ready')
      const block = await other.letta.blocks.create({ label: 'shared', value: 'one' })
      const created = await withDeadline(feed.next(), 'the change')
      assert.partialDeepStrictEqual(created.value, { type: 'block.created', object_id: block.id })
      await other.letta.blocks.update(block.id, { value: 'two' })
      const updated = await withDeadline(feed.next(), 'the second change')
      assert.partialDeepStrictEqual(updated.value, { type: 'block.updated', object_id: block.id })
      const pending = feed.next()
      stop.abort()
      assert.equal((await withDeadline(pending, 'end of the feed')).done, true)
      const missed = client.events((created.value as FeedItem).id, { signal: new AbortController().signal })
      assert.equal(((await missed.next()).value as FeedItem).type, 'ready')
      assert.deepEqual((await withDeadline(missed.next(), 'the missed change')).value, updated.value)
      await missed.return()
    } finally {
      await other.close()
    }
  })

  it('finds agents by name or id, and names near ones', async () => {
    const bob = await client.letta.agents.create({ name: 'Bob Ross', model: 'loci/demo', memory_blocks })
    assert.equal((await client.findAgent('Bob Ross')).id, bob.id)
    assert.equal((await client.findAgent(bob.id)).name, 'Bob Ross')
    const cases: [string, string][] = [
      ['Bbo Ross', "There is no agent 'Bbo Ross'. Did you mean 'Bob Ross'?"],
      ['bob', "There is no agent 'bob'. Did you mean 'Bob Ross'?"],
      ['Zoe', "There is no agent 'Zoe'. There are: 'Bob Ross', 'Ada'."],
    ]
    for (const [name, message] of cases) {
      await assert.rejects(client.findAgent(name), { code: 'not_found', message })
    }
    const twin = await client.letta.agents.create({ name: 'Bob Ross', model: 'loci/demo', memory_blocks })
    await assert.rejects(client.findAgent('Bob Ross'), (error: Error) => {
      assert.match(error.message, /Several agents are named 'Bob Ross'/)
      return error.message.includes(bob.id) && error.message.includes(twin.id)
    })
  })

  it("describes a refused request with the server's sentence", async () => {
    const failure = await client.letta.agents
      .create({ name: 'x', model: 'no/such', memory_blocks })
      .catch((error: unknown) => error)
    assert.match(describeFailure(failure, client.url), /no\/such/)
  })

  it('closes once, however often it is asked', async () => {
    const other = await openInProcess({ data: join(folder.path, 'second'), env })
    await Promise.all([other.close(), other.close()])
    await other.close()
    await assert.rejects(other.health())
  })
})

describe('abortable', () => {
  it('rejects at once although the app does not answer, which sees its request aborted', async () => {
    const late = Promise.withResolvers<Response>()
    let seen: AbortSignal | null = null
    const fetch = abortable((request) => {
      seen = request.signal
      return late.promise
    })
    const stop = new AbortController()
    const answer = fetch('http://127.0.0.1/', { signal: stop.signal })
    stop.abort()
    await assert.rejects(answer, { name: 'AbortError' })
    assert.equal((seen as AbortSignal | null)?.aborted, true)
    const cancelled = Promise.withResolvers<void>()
    late.resolve(new Response(new ReadableStream({ cancel: () => cancelled.resolve() })))
    await cancelled.promise
  })

  it('does not ask the app when it is aborted before', async () => {
    const fetch = abortable(() => Promise.reject(new Error('asked')))
    await assert.rejects(fetch('http://127.0.0.1/', { signal: AbortSignal.abort() }), { name: 'AbortError' })
  })

  it('fails a stream in mid-body and cancels its source', async () => {
    const cancelled = Promise.withResolvers<void>()
    const source = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('data: 1\n\n')),
      cancel: () => cancelled.resolve(),
    })
    const headers = { 'content-type': 'text/event-stream' }
    const stop = new AbortController()
    const fetch = abortable(() => Promise.resolve(new Response(source, { headers, status: 201 })))
    const response = await fetch('http://127.0.0.1/', { signal: stop.signal })
    assert.equal(response.status, 201)
    const reader = response.body!.getReader()
    assert.equal(new TextDecoder().decode((await reader.read()).value), 'data: 1\n\n')
    const pending = reader.read()
    stop.abort()
    await assert.rejects(pending, { name: 'AbortError' })
    await cancelled.promise
  })

  it('aborts a stream that has outlived everything but its reader', async () => {
    const source = new ReadableStream<Uint8Array>({ start: () => undefined })
    const headers = { 'content-type': 'text/event-stream' }
    const stop = new AbortController()
    const fetch = abortable(() => Promise.resolve(new Response(source, { headers })))
    const reader = (await fetch('http://127.0.0.1/', { signal: stop.signal })).body!.getReader()
    const pending = reader.read()
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    for (let i = 0; i < 5; i++) {
      await new Promise(setImmediate)
      collect()
    }
    stop.abort()
    await withDeadline(assert.rejects(pending, { name: 'AbortError' }), 'the abort')
  })

  it('passes the end, a failure and a cancel of the reader on', async () => {
    const headers = { 'content-type': 'text/event-stream' }
    const bodies = {
      end: new Blob(['data: 1\n\n']).stream(),
      failure: new ReadableStream({ start: (c) => c.error(new Error('broken')) }),
    }
    const fetch = abortable((request) =>
      Promise.resolve(new Response(bodies[new URL(request.url).pathname.slice(1) as 'end'], { headers })),
    )
    assert.equal(await (await fetch('http://127.0.0.1/end')).text(), 'data: 1\n\n')
    await assert.rejects((await fetch('http://127.0.0.1/failure')).text(), /broken/)
    const cancelled = Promise.withResolvers<unknown>()
    const leave = abortable(() =>
      Promise.resolve(
        new Response(new ReadableStream({ cancel: (why) => cancelled.resolve(why) }), { headers }),
      ),
    )
    await (await leave('http://127.0.0.1/')).body!.cancel('enough')
    assert.equal(await cancelled.promise, 'enough')
  })
})
