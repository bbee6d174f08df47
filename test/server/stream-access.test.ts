/** Streams whose reader is no longer let in. */
import assert from 'node:assert/strict'
import type { User } from '../../shared/schema/user.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const OWNER = 'sesame'
const GONE = /the key of this stream is not known any more/

/** An answer that is read as it comes. */
interface Reading {
  readonly text: string
  /** Whether it has ended, for whatever reason. */
  readonly ended: boolean
  stop(): void
}

describe('a stream', () => {
  let t: TestLoci
  let model: ScriptedModel
  const readings: Reading[] = []
  before(async () => {
    model = await startScriptedModel([])
    t = await startLoci({ model_url: model.url, serve: { key: OWNER, recheck_ms: 200 } })
  })
  afterEach(() => {
    for (const reading of readings.splice(0)) reading.stop()
  })
  after(async () => {
    await t.close()
    await model.close()
    assert.deepEqual(t.failures, [])
  })

  const send = (key: string, method: string, path: string, body?: object, signal?: AbortSignal) =>
    fetch(t.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
    })
  const ok = async <T>(key: string, method: string, path: string, body?: object): Promise<T> => {
    const answer = await send(key, method, path, body)
    const text = await answer.text()
    assert.equal(answer.status, 200, text)
    return JSON.parse(text) as T
  }
  const read = async (key: string, method: string, path: string, body?: object): Promise<Reading> => {
    const abort = new AbortController()
    const answer = await send(key, method, path, body, abort.signal)
    assert.equal(answer.status, 200)
    const state = { text: '', ended: false, stop: () => abort.abort() }
    const all = async () => {
      for await (const piece of answer.body ?? []) state.text += Buffer.from(piece).toString()
    }
    void all()
      // A test that is over stops reading.
      .catch((error: unknown) => (state.text += String(error)))
      .finally(() => (state.ended = true))
    readings.push(state)
    return state
  }
  /** A user of an organisation of their own. */
  const newUser = async () => {
    const user = await ok<User>(OWNER, 'POST', '/v1/admin/users', { name: crypto.randomUUID() })
    const newKey = (more: object = {}) =>
      ok<{ key: string; id: string }>(OWNER, 'POST', `/v1/admin/users/${user.id}/keys`, {
        name: 'k',
        ...more,
      })
    return { user, newKey, key: await newKey() }
  }
  const ends = (reading: Reading) =>
    eventually('the end of the stream', () => (reading.ended ? reading.text : null))

  it('of events ends when its key is revoked or expires or its user is deleted; those of others go on', async () => {
    const [revoked, expiring, deleted] = [await newUser(), await newUser(), await newUser()]
    const short = await expiring.newKey({ expires_at: new Date(Date.now() + 1_000).toISOString() })
    const ending = await Promise.all(
      [revoked.key.key, short.key, deleted.key.key].map((key) => read(key, 'GET', '/v1/events')),
    )
    const lasting = await Promise.all(
      [(await revoked.newKey()).key, expiring.key.key, OWNER].map((key) => read(key, 'GET', '/v1/events')),
    )
    for (const { text } of ending) assert.doesNotMatch(text, GONE)
    await ok(OWNER, 'DELETE', `/v1/admin/keys/${revoked.key.id}`)
    await ok(OWNER, 'DELETE', `/v1/admin/users/${deleted.user.id}`)
    for (const text of await Promise.all(ending.map(ends))) {
      assert.match(text, /^event: ready\n/)
      const last = text.trimEnd().split('\n\n').at(-1)
      assert.match(last ?? '', /^event: error\ndata: \{"type":"error","error":\{"type":"unauthorized",/)
      assert.match(text, GONE)
    }
    for (const key of [expiring.key.key, OWNER])
      await ok(key, 'POST', '/v1/blocks/', { label: 'still', value: 'told' })
    for (const reading of lasting.slice(1))
      await eventually('what changed later', () => (/block\.created/.test(reading.text) ? true : null))
    assert.deepEqual(
      lasting.map(({ ended }) => ended),
      [false, false, false],
    )
  })

  for (const [name, path, wanted] of [
    ['of a turn', (id: string) => `/v1/agents/${id}/messages`, /event: error\ndata: \{"type":"error".*\n\n$/],
    [
      'of lines',
      (id: string) => `/agents/${id}/messages`,
      /\n\{"type":"error","error":\{"type":"unauthorized".*\n$/,
    ],
  ] as const)
    it(`${name} ends too, and the turn goes on`, async () => {
      const { key, newKey } = await newUser()
      const another = (await newKey()).key
      const agent = await ok<{ id: string }>(another, 'POST', '/v1/agents/', { model: SCRIPTED, name: 'sam' })
      const rest = Promise.withResolvers<void>()
      model.add({ reply: { text: ['well', ', then'], hold: rest.promise, hold_after: 2 } })
      const said = path(agent.id).startsWith('/v1') ? { input: 'hi', streaming: true } : { message: 'hi' }
      const reading = await read(key.key, 'POST', path(agent.id), {
        ...said,
        ...('input' in said ? { stream_tokens: true } : { stream: true }),
      })
      await eventually('the first words', () => (reading.text.includes('well') ? true : null))
      await ok(OWNER, 'DELETE', `/v1/admin/keys/${key.id}`)
      const text = await ends(reading)
      assert.match(text, wanted)
      assert.match(text, GONE)
      rest.resolve()
      await eventually('the answer in the history', async () => {
        const messages = await ok<object[]>(another, 'GET', `/v1/agents/${agent.id}/messages`)
        return JSON.stringify(messages).includes('well, then') ? true : null
      })
    })
})
