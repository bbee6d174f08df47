import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { DEFAULT_ORGANIZATION_ID, DEFAULT_USER_ID, newId } from '../../../shared/schema/ids.ts'
import type { ApiKey, User } from '../../../shared/schema/user.ts'
import type { Subject } from '../store.contract.ts'
import { aBuiltin, anAgent, at } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const
const hash = (text: string) => createHash('sha256').update(text).digest()

export function describeUsers(subject: Subject): void {
  const organization = (name: string) =>
    subject.store.users.createOrganization({
      id: newId('org'),
      name,
      created_at: at(1),
      privileged_tools: false,
    })
  const actorOf = (organization_id: string) => ({ user_id: DEFAULT_USER_ID, organization_id })
  const user = (organization_id: string, name: string, more: Partial<User> = {}) =>
    subject.store.users.create(actorOf(organization_id), {
      id: newId('user'),
      organization_id,
      name,
      role: 'member',
      limits: {},
      created_at: at(2),
      updated_at: at(2),
      is_deleted: false,
      ...more,
    })
  const key = (of: User, text: string, more: Partial<ApiKey> = {}) =>
    subject.store.users.createKey(
      actorOf(of.organization_id),
      {
        id: newId('api_key'),
        user_id: of.id,
        organization_id: of.organization_id,
        name: 'laptop',
        starts_with: text.slice(0, 4),
        created_at: at(3),
        expires_at: null,
        last_used_at: null,
        revoked_at: null,
        ...more,
      },
      hash(text),
    )

  describe('organisations, users and keys', () => {
    it('are stored, listed with the default ones, changed and deleted', async () => {
      const { users } = subject.store
      const team = await organization('team')
      const names = (await users.listOrganizations(page)).map(({ name }) => name)
      assert.deepEqual(names, ['default', 'team'])
      const ada = await user(team.id, 'Ada', { limits: { agents: 3 } })
      const kai = await user(DEFAULT_ORGANIZATION_ID, 'Kai', { created_at: at(4) })
      assert.deepEqual(await users.find(ada.id), ada)
      assert.equal((await users.find(DEFAULT_USER_ID))?.role, 'admin')
      assert.deepEqual(await users.list(actorOf(team.id), page), [ada])
      assert.deepEqual(
        (await users.listAll(page)).map(({ id }) => id),
        [DEFAULT_USER_ID, ada.id, kai.id],
      )
      assert.deepEqual(
        (await users.listAll({ ...page, after: DEFAULT_USER_ID, limit: 1 })).map(({ id }) => id),
        [ada.id],
      )
      await assert.rejects(users.listAll({ ...page, after: newId('user') }), { code: 'not_found' })
      const changed = await users.update(actorOf(team.id), ada.id, {
        role: 'reader',
        limits: { tools: 1 },
      })
      assert.deepEqual([changed?.role, changed?.limits], ['reader', { agents: 3, tools: 1 }])
      await assert.rejects(users.deleteOrganization(team.id), { code: 'conflict' })
      assert.equal((await users.delete(actorOf(team.id), ada.id))?.is_deleted, true)
      assert.equal(await users.find(ada.id), null)
      assert.equal(await users.delete(actorOf(team.id), ada.id), null)
      assert.equal((await users.renameOrganization(team.id, 'crew'))?.name, 'crew')
      assert.equal(await users.deleteOrganization(team.id), true)
      assert.equal(await users.organization(team.id), null)
      await assert.rejects(users.deleteOrganization(DEFAULT_ORGANIZATION_ID), { code: 'conflict' })
      await assert.rejects(user(team.id, 'Late'), { code: 'not_found' })
    })

    it('have names of their own: organisations on the server, users in their organisation', async () => {
      const { users } = subject.store
      const [one, two] = [await organization('one'), await organization('two')]
      const taken = { code: 'conflict', message: new RegExp(`'one'.*${one.id}`) }
      await assert.rejects(organization('one'), taken)
      await assert.rejects(users.renameOrganization(two.id, 'one'), taken)
      await assert.rejects(organization('default'), { code: 'conflict' })
      assert.equal((await users.renameOrganization(one.id, 'one'))?.name, 'one')
      assert.equal((await users.listOrganizations(page)).length, 3)
      const ada = await user(one.id, 'Ada')
      const same = { code: 'conflict', message: new RegExp(`'Ada'.*${ada.id}`) }
      await assert.rejects(user(one.id, 'Ada'), same)
      const kai = await user(one.id, 'Kai')
      await assert.rejects(users.update(actorOf(one.id), kai.id, { name: 'Ada' }), same)
      assert.equal((await users.update(actorOf(one.id), ada.id, { name: 'Ada' }))?.name, 'Ada')
      await user(two.id, 'Ada')
      await assert.rejects(user(DEFAULT_ORGANIZATION_ID, 'default'), { code: 'conflict' })
      await users.delete(actorOf(one.id), ada.id)
      await user(one.id, 'Ada')
      const made = await Promise.allSettled(Array.from({ length: 5 }, () => user(two.id, 'Eve')))
      assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 1)
    })

    it("are nobody else's", async () => {
      const { users } = subject.store
      const [one, two] = [await organization('one'), await organization('two')]
      const ada = await user(one.id, 'Ada')
      const hers = await key(ada, 'loci_ada')
      const eve = actorOf(two.id)
      assert.equal(await users.get(eve, ada.id), null)
      assert.deepEqual(await users.list(eve, page), [])
      assert.equal(await users.update(eve, ada.id, { role: 'admin' }), null)
      assert.equal(await users.delete(eve, ada.id), null)
      assert.deepEqual(await users.listKeys(eve, ada.id), [])
      assert.equal(await users.revokeKey(eve, hers.id), null)
      await assert.rejects(users.createKey(eve, { ...hers, id: newId('api_key') }, hash('loci_eve')), {
        code: 'not_found',
      })
      assert.equal((await users.holder(hash('loci_ada')))?.user.id, ada.id)
    })

    it('let in who has a key, until it is revoked, has expired or its user is deleted', async () => {
      const { users } = subject.store
      const { id } = await organization('team')
      const ada = await user(id, 'Ada')
      const first = await key(ada, 'loci_first')
      await key(ada, 'loci_short', { expires_at: at(4) })
      const second = await key(ada, 'loci_second', { expires_at: '2999-01-01T00:00:00.000Z' })
      const held = await users.holder(hash('loci_first'))
      assert.deepEqual([held?.key.id, held?.user], [first.id, ada])
      assert.ok(Date.now() - Date.parse(held?.key.last_used_at ?? '') < 60_000)
      const [listed] = await users.listKeys(actorOf(id), ada.id)
      assert.equal(listed?.last_used_at, held?.key.last_used_at)
      assert.equal(await users.holder(hash('loci_short')), null)
      assert.equal(await users.holder(hash('loci_other')), null)
      assert.ok((await users.revokeKey(actorOf(id), first.id))?.revoked_at)
      assert.equal(await users.holder(hash('loci_first')), null)
      assert.ok(await users.revokeKey(actorOf(id), first.id))
      await assert.rejects(users.revokeKey(actorOf(id), first.id, { once: true }), { code: 'conflict' })
      assert.equal((await users.holder(hash('loci_second')))?.key.id, second.id)
      await users.delete(actorOf(id), ada.id)
      assert.equal(await users.holder(hash('loci_second')), null)
    })

    it('count requests by hour, also when many come at once', async () => {
      const { users } = subject.store
      const { id } = await user((await organization('team')).id, 'Ada')
      const counts = await Promise.all(Array.from({ length: 50 }, () => users.countRequest(id, 7)))
      assert.deepEqual(
        counts.toSorted((a, b) => a - b),
        Array.from({ length: 50 }, (_, i) => i + 1),
      )
      assert.equal(await users.countRequest(id, 8), 1)
      const again = await subject.reopen?.()
      if (!again) return
      assert.equal(await again.users.countRequest(id, 8), 2)
      await again.close()
    })

    it('have no more agents and tools than their quota, also when many are made at once', async () => {
      const { store } = subject
      const { id } = await organization('team')
      const ada = { user_id: newId('user'), organization_id: id, quota: { agents: 3, tools: 0 } }
      await store.tools.seed(ada, [aBuiltin('look')])
      const made = await Promise.allSettled(
        Array.from({ length: 10 }, (_, i) => store.agents.create(ada, anAgent(`a${i}`))),
      )
      const refused = made.flatMap((one) =>
        one.status === 'rejected' ? [one.reason as { code: string }] : [],
      )
      assert.deepEqual([made.length - refused.length, refused[0]?.code], [3, 'quota_exceeded'])
      assert.equal(await store.agents.count(ada, {}), 3)
      await store.agents.create({ ...ada, quota: { agents: null, tools: null } }, anAgent('more'))
    })
  })
}
