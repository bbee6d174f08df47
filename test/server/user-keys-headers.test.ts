/** The key of a user, in each header that a client may send it in. */
import Anthropic, { AuthenticationError } from '@anthropic-ai/sdk'
import assert from 'node:assert/strict'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { openSocket } from '../support/web-socket.ts'

const KEY = 'the-server-s-own-key'
const HEADERS = [
  (key: string) => ({ authorization: `Bearer ${key}` }),
  (key: string) => ({ 'x-bare-password': `password ${key}` }),
  (key: string) => ({ 'x-api-key': key }),
] satisfies ((key: string) => Record<string, string>)[]

for (const [where, serve] of [
  ['with --auth', { key: KEY }],
  ['without --auth', {}],
] as const)
  describe(`the key of a user on a server ${where}`, () => {
    let loci: TestLoci
    let ada: { id: string; key: string; key_id: string }

    beforeEach(async () => {
      loci = await startLoci({ serve })
      const { id } = await owner<{ id: string }>('POST', '/v1/admin/users', { name: 'ada' })
      const made = await owner<{ id: string; key: string }>('POST', `/v1/admin/users/${id}/keys`, {})
      ada = { id, key: made.key, key_id: made.id }
      await owner('POST', '/v1/agents/', { name: 'theirs', model: 'loci/demo' })
      const sam = { name: 'sam', model: 'loci/demo' }
      await owner('POST', '/v1/agents/', sam, { user_id: id })
    })
    afterEach(async () => {
      const { failures } = loci
      await loci.close()
      assert.deepEqual(failures, [])
    })

    async function ask(path: string, headers: object, method = 'GET', body?: unknown) {
      const response = await fetch(loci.url + path, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: await response.json() }
    }
    async function owner<T>(method: string, path: string, body: unknown, more: object = {}): Promise<T> {
      const answer = await ask(path, { ...('key' in serve ? HEADERS[2]?.(KEY) : {}), ...more }, method, body)
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
      return answer.body as T
    }

    it('stands for that user in every header, and for nobody once it is revoked', async () => {
      for (const header of HEADERS)
        for (const path of ['/v1/agents/', '/agents']) {
          const { status, body } = await ask(path, header(ada.key))
          assert.equal(status, 200, JSON.stringify(header(path)))
          const names = (body as { name: string }[]).map(({ name }) => name)
          assert.deepEqual(names, ['sam'], JSON.stringify(header(path)))
        }
      await owner('DELETE', `/v1/admin/keys/${ada.key_id}`, undefined)
      for (const header of HEADERS) {
        const { status, body } = await ask('/v1/agents/', header(ada.key))
        assert.deepEqual([status, body], [401, { detail: 'Unauthorized' }], JSON.stringify(header('')))
      }
    })

    it("works in Anthropic's own client", async () => {
      const client = (apiKey: string) =>
        new Anthropic({ baseURL: `${loci.url}/anthropic`, apiKey, authToken: null, maxRetries: 0 })
      const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'Hi' }]
      const answer = await client(ada.key).messages.create({ model: 'sam', max_tokens: 100, messages })
      assert.equal(answer.stop_reason, 'end_turn')
      const wrong = client(`${ada.key}x`).messages.create({ model: 'sam', max_tokens: 100, messages })
      await assert.rejects(wrong, AuthenticationError)
    })

    it('opens a WebSocket in every header, and a wrong one does not', async () => {
      for (const header of HEADERS) {
        const socket = await openSocket(loci.url, { headers: header(ada.key) })
        await socket.frame('ready', ({ type }) => type === 'ready')
        await socket.close()
        await assert.rejects(openSocket(loci.url, { headers: header(`${ada.key}x`) }), /^Error: 401 /)
      }
    })
  })
