import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'

const hostname = 'https://app.example.com'

/** Asks as a page of the host with a token. */
const asPage = (t: ContractTest, token: string, path: string) =>
  fetch(t.letta.baseURL + path, { headers: { authorization: `Bearer ${token}`, origin: hostname } })

const tokenFor = (t: ContractTest, id: string) =>
  t.letta.accessTokens.create({ hostname, policy: [{ type: 'agent', id, access: ['read_agent'] }] })

/** Tokens by which web pages reach some agents. */
export const accessTokenMethods: Method[] = [
  {
    name: 'accessTokens.create',
    shows: 'a token with which a page reads the agent that it names, and no other',
    async run(t) {
      const [mine, other] = [await t.newAgent(), await t.newAgent()]
      const expires_at = new Date(Date.now() + 60_000).toISOString()
      const made = await t.letta.accessTokens.create({
        hostname,
        policy: [{ type: 'agent', id: mine.id, access: ['read_agent', 'read_messages'] }],
        expires_at,
      })
      assert.deepEqual([made.hostname, made.expiresAt], [hostname, expires_at])
      assert.deepEqual(made.policy, {
        version: '1',
        data: [{ type: 'agent', id: mine.id, access: ['read_agent', 'read_messages'] }],
      })
      assert.equal((await asPage(t, made.token, `/v1/agents/${mine.id}`)).status, 200)
      assert.equal((await asPage(t, made.token, `/v1/agents/${other.id}`)).status, 404)
      assert.equal((await asPage(t, made.token, '/v1/agents/')).status, 403)
    },
  },
  {
    name: 'accessTokens.list',
    shows: 'the tokens of an agent, page after page, without their texts',
    async run(t) {
      const [one, two] = [await t.newAgent(), await t.newAgent()]
      const made = [await tokenFor(t, one.id), await tokenFor(t, one.id), await tokenFor(t, two.id)]
      const first = await t.letta.accessTokens.list({ agentId: one.id, limit: 1 })
      const rest = await t.letta.accessTokens.list({ agentId: one.id, limit: 1, offset: 1 })
      assert.deepEqual([first.hasNextPage, rest.hasNextPage], [true, false])
      const tokens = [...first.tokens, ...rest.tokens]
      assert.deepEqual(
        tokens.map(({ policy }) => policy.data[0]?.id),
        [one.id, one.id],
      )
      for (const { token } of made) assert.ok(!JSON.stringify(tokens).includes(token))
    },
  },
  {
    name: 'accessTokens.delete',
    shows: 'tokens that are refused at once, deleted by text and by id',
    async run(t) {
      const { id } = await t.newAgent()
      const { token } = await tokenFor(t, id)
      assert.equal((await asPage(t, token, `/v1/agents/${id}`)).status, 200)
      await t.letta.accessTokens.delete(token)
      const other = await tokenFor(t, id)
      const [listed] = (await t.letta.accessTokens.list({ agentId: id })).tokens
      assert.equal((await asPage(t, token, `/v1/agents/${id}`)).status, 401)
      await t.letta.accessTokens.delete(listed?.token ?? '')
      assert.notEqual((await asPage(t, other.token, `/v1/agents/${id}`)).status, 200)
      await assert.rejects(t.letta.accessTokens.delete(token), { status: 404 })
    },
  },
]
