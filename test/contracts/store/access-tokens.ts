import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { StoredAccessToken } from '../../../shared/core/ports/access-token-store.ts'
import type { Actor } from '../../../shared/core/ports/actor.ts'
import { DEFAULT_ORGANIZATION_ID, DEFAULT_USER_ID, newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { anAgent, at } from './samples.ts'

const hash = (text: string) => createHash('sha256').update(text).digest()
const OWNER: Actor = { user_id: DEFAULT_USER_ID, organization_id: DEFAULT_ORGANIZATION_ID }
const page = { offset: 0, limit: 10 }

function aToken(agent_id: string, more: Partial<StoredAccessToken> = {}) {
  return {
    id: newId('access_token'),
    starts_with: 'loci',
    policy: [{ type: 'agent' as const, id: agent_id, access: ['read_agent' as const] }],
    hostname: 'https://app.example/chat',
    origin: 'https://app.example',
    created_at: at(0),
    expires_at: at(5),
    ...more,
  }
}

export function describeAccessTokens(subject: Subject): void {
  /** A user of an organisation of their own. */
  const someone = async (name: string): Promise<Actor> => {
    const { users } = subject.store
    const org = { id: newId('org'), name, created_at: at(0), privileged_tools: false }
    const actor = { user_id: newId('user'), organization_id: (await users.createOrganization(org)).id }
    await users.create(actor, {
      id: actor.user_id,
      organization_id: org.id,
      name,
      role: 'admin',
      limits: {},
      created_at: at(0),
      updated_at: at(0),
      is_deleted: false,
    })
    return actor
  }
  const make = (actor: Actor, text: string, token: ReturnType<typeof aToken>, forget = at(0)) =>
    subject.store.access_tokens.create(actor, token, { hash: hash(text), forget })

  describe('access tokens', () => {
    it('are found by the hash of their text, with who made them, and end when they are ended', async () => {
      const { agents, access_tokens, users } = subject.store
      const ada = await someone('Ada')
      const { id } = await agents.create(ada, anAgent('hers'))
      const made = await make(ada, 'one', aToken(id))
      const found = await access_tokens.holder(hash('one'))
      assert.deepEqual(found?.token, made)
      assert.deepEqual(found?.user, await users.find(ada.user_id))
      assert.equal(await access_tokens.holder(hash('two')), null)
      assert.deepEqual(
        [
          await access_tokens.hasOrigin('https://app.example', at(5)),
          await access_tokens.hasOrigin('https://app.example', at(6)),
          await access_tokens.hasOrigin('https://app', at(5)),
        ],
        [true, false, false],
      )
      assert.equal(await access_tokens.end(ada, { id: made.id }, at(2)), true)
      assert.equal(await access_tokens.end(ada, { id: made.id }, at(2)), false)
      assert.equal((await access_tokens.holder(hash('one')))?.token.expires_at, at(2))
      assert.deepEqual(await access_tokens.list(ada, { now: at(2) }, page), [])
      assert.equal(await access_tokens.hasOrigin('https://app.example', at(2)), true, 'its page can read why')
      assert.equal(await access_tokens.hasOrigin('https://app.example', at(3)), false)
      await make(ada, 'again', aToken(id), at(3))
      assert.equal(await access_tokens.holder(hash('one')), null, 'long ended: removed')
      assert.equal(await access_tokens.end(ada, { hash: hash('again') }, at(3)), true)
    })

    it('are listed newest first by the agents that they reach, as long as they last', async () => {
      const { agents, access_tokens } = subject.store
      const [one, two] = [await agents.create(OWNER, anAgent('1')), await agents.create(OWNER, anAgent('2'))]
      const first = await make(OWNER, 'a', aToken(one.id))
      const both = await make(OWNER, 'b', {
        ...aToken(one.id, { created_at: at(1), expires_at: at(9) }),
        policy: [one, two].map(({ id }) => ({ type: 'agent' as const, id, access: [] })),
      })
      const list = async (now: string, agent_id?: string, more = {}) =>
        (await access_tokens.list(OWNER, { agent_id, now }, { ...page, ...more })).map(({ id }) => id)
      assert.deepEqual(await list(at(1)), [both.id, first.id])
      assert.deepEqual(await list(at(1), two.id), [both.id])
      assert.deepEqual(await list(at(1), undefined, { offset: 1 }), [first.id])
      assert.deepEqual(await list(at(1), undefined, { limit: 1 }), [both.id])
      assert.deepEqual(await list(at(5)), [both.id], 'at its moment a token has expired')
      await make(OWNER, 'c', aToken(one.id, { expires_at: at(20) }), at(6))
      assert.equal(await access_tokens.holder(hash('a')), null, 'long expired: removed')
      assert.notEqual(await access_tokens.holder(hash('b')), null)
    })

    it('are of their organisation: no other names its agents, lists or deletes them, and they end with their maker', async () => {
      const { agents, access_tokens, users } = subject.store
      const [ada, eve] = [await someone('Ada'), await someone('Eve')]
      const { id } = await agents.create(ada, anAgent('hers'))
      await assert.rejects(make(eve, 'x', aToken(id)), { code: 'not_found' })
      const made = await make(ada, 'one', aToken(id))
      assert.deepEqual(await access_tokens.list(eve, { now: at(1) }, page), [])
      assert.equal(await access_tokens.end(eve, { id: made.id }, at(1)), false)
      assert.equal(await access_tokens.end(eve, { hash: hash('one') }, at(1)), false)
      await users.delete(ada, ada.user_id)
      assert.equal(await access_tokens.holder(hash('one')), null)
    })
  })
}
