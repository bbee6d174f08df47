/** Two servers over one data directory behind a proxy that takes turns, as the tutorial's nginx: a name of its own, no key. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const HOST = 'chat.example.com'

describe('the simple API behind a proxy', () => {
  let data: string
  let model: ScriptedModel
  let servers: TestLoci[] = []
  let proxy: Server
  /** How many requests each server was passed. */
  const passed = [0, 0]
  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-balanced-'))
    await writeFile(join(data, 'config.json'), JSON.stringify({ server: { allowed_hosts: [HOST] } }))
    model = await startScriptedModel()
    for (let i = 0; i < 2; i++) servers.push(await startLoci({ model_url: model.url, data }))
    let next = 0
    proxy = createServer((incoming, outgoing) => {
      const index = next++ % 2
      passed[index]!++
      const headers = { ...incoming.headers, host: HOST, 'x-real-ip': '192.0.2.7' }
      const url = (servers[index]?.url ?? '') + incoming.url
      const through = httpRequest(url, { method: incoming.method ?? 'GET', headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      })
      incoming.pipe(through)
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  })
  after(async () => {
    await new Promise((resolve) => proxy.close(resolve))
    for (const server of servers.toReversed()) await server.close()
    await model.done()
    await model.close()
    await rm(data, { recursive: true, force: true })
    assert.deepEqual(
      servers.flatMap(({ failures }) => failures),
      [],
    )
  })

  const url = () => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const post = (path: string, body: object) =>
    fetch(url() + path, { method: 'POST', body: JSON.stringify(body) })

  it('is one agent with one conversation, whichever server answers', async () => {
    assert.equal((await post('/agents', { name: 'sam', persona: 'Kind.' })).status, 200)
    for (const [i, text] of ['One', 'Two', 'Three'].entries()) {
      model.add({
        expect: (body) => assert.equal(body.messages.filter(({ role }) => role === 'user').length, i + 1),
        reply: { text: `To ${text}.` },
      })
      const answer = await post('/agents/sam/messages', { message: text })
      assert.equal(answer.status, 200)
      assert.equal(((await answer.json()) as { content: string }).content, `To ${text}.`)
    }
    assert.deepEqual(passed, [2, 2])
  })

  it('keeps messages that come to both at once apart, and refuses none', async () => {
    model.add({ reply: { text: 'A.' } }, { reply: { text: 'B.' } })
    const answers = await Promise.all([
      post('/agents/sam/messages', { message: 'Four' }),
      post('/agents/sam/messages', { message: 'Five' }),
    ])
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200],
    )
    const said = await Promise.all(answers.map((answer) => answer.json()))
    assert.deepEqual((said as { content: string }[]).map(({ content }) => content).toSorted(), ['A.', 'B.'])
  })

  it('streams through it line by line', async () => {
    const gate = Promise.withResolvers<void>()
    // The model's first event has no text yet.
    model.add({ reply: { text: ['Once ', 'upon a time.'], hold: gate.promise, hold_after: 2 } })
    const answer = await post('/agents/sam/messages', { message: 'A story', stream: true })
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (!text.includes('Once ')) {
      const { value, done } = await reader.read()
      assert.ok(!done, text)
      text += value
    }
    assert.ok(!text.includes('upon'), 'before the model has said more')
    gate.resolve()
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value
    assert.match(text, /upon a time\.[^]*"type":"end"/)
  })
})
