import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createBackoff } from '../../extension/host/backoff.ts'
import { followEvents } from '../../extension/host/event-feed.ts'
import { connect, type LociClient } from '../../shared/client/http.ts'
import type { Event } from '../../shared/schema/event.ts'
import { eventually } from '../support/loci.ts'

const change = (id: number): Event => ({
  id,
  type: 'agent.updated',
  object_id: `agent-${id}`,
  agent_id: null,
  date: '2026-11-01T10:00:00.000Z',
})

describe('following the changes of a server', () => {
  const asked: (string | null)[] = []
  let open: ServerResponse | null = null
  /** What a connection gets; by default it is told the newest id. */
  let serve: (response: ServerResponse) => void
  let client: LociClient
  let abort: AbortController
  let following: Promise<void>
  const seen: (string | number[])[] = []

  const server = createServer((request, response) => {
    asked.push(new URL(request.url ?? '/', 'http://x').searchParams.get('after'))
    serve(response)
  })
  const ready = (response: ServerResponse, id: number) => {
    open = response
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`event: ready\ndata: {"id":${id}}\n\n`)
  }
  const send = (...ids: number[]) =>
    open?.write(ids.map((id) => `data: ${JSON.stringify(change(id))}\n\n`).join(''))
  const follow = () => {
    abort = new AbortController()
    following = followEvents(
      client,
      {
        ready: (resumed) => void seen.push(resumed ? 'resumed' : 'ready'),
        changed: (events) => void seen.push(events.map((event) => event.id)),
        lost: () => void seen.push('lost'),
        none: () => void seen.push('none'),
      },
      { signal: abort.signal, backoff: createBackoff(1, 10) },
    )
  }
  const until = (label: string, ...expected: (string | number[])[]) =>
    eventually(label, () => (seen.length >= expected.length ? true : null)).then(() =>
      assert.deepEqual(seen, expected),
    )

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    client = connect({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  })
  beforeEach(() => {
    asked.length = 0
    seen.length = 0
    serve = (response) => ready(response, 7)
  })
  afterEach(async () => {
    abort.abort()
    await following
  })
  after(async () => {
    await client.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('hands over a burst at once and later changes apart', async () => {
    follow()
    await until('the feed is ready', 'ready')
    send(8, 9)
    send(10)
    await until('the burst', 'ready', [8, 9, 10])
    send(11)
    await until('the next change', 'ready', [8, 9, 10], [11])
  })

  it('goes on where it stopped when the connection is lost', async () => {
    follow()
    await until('the feed is ready', 'ready')
    send(8)
    await until('a change', 'ready', [8])
    serve = (response) => {
      ready(response, 12)
      send(9, 10)
    }
    open?.destroy()
    await until('the missed changes', 'ready', [8], 'lost', 'resumed', [9, 10])
    assert.deepEqual(asked, [null, '8'])
  })

  it('begins anew when the server does not know where it stopped', async () => {
    follow()
    await until('the feed is ready', 'ready')
    send(8)
    await until('a change', 'ready', [8])
    serve = (response) => {
      open = response
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: ready\ndata: {"id":3,"reset":true}\n\n')
      send(4)
    }
    open?.destroy()
    await until('what is new since the restore', 'ready', [8], 'lost', 'ready', [4])
    open?.destroy()
    await until('the feed is there', 'ready', [8], 'lost', 'ready', [4], 'lost', 'ready', [4])
    assert.deepEqual(asked, [null, '8', '4'])
  })

  it('keeps trying while it is refused, and does not claim to have missed nothing', async () => {
    let refusals = 3
    serve = (response) => {
      if (refusals-- > 0) response.writeHead(503).end()
      else ready(response, 7)
    }
    follow()
    await until('the feed is there', 'lost', 'lost', 'lost', 'ready')
    assert.deepEqual(asked, [null, null, null, null])
  })

  it('ends at once, without a word, when it is no longer wanted', async () => {
    follow()
    await until('the feed is ready', 'ready')
    send(8)
    abort.abort()
    await following
    assert.deepEqual(seen, ['ready'])
  })

  it('ends where the server has none, as other V1 servers', async () => {
    serve = (response) =>
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Not Found"}')
    follow()
    await following
    assert.deepEqual(seen, ['none'])
    assert.equal(asked.length, 1)
  })
})
