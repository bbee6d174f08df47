import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { PlainOperation } from './plain.ts'

async function ask<T>(t: ContractTest, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await t.http(method, path, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as T
}

interface Named {
  id: string
  name: string
}

const aUser = (t: ContractTest) =>
  ask<Named & { organization_id: string }>(t, 'POST', '/v1/admin/users', { name: crypto.randomUUID() })

/** Organisations, users and keys. */
export const adminOperations: PlainOperation[] = [
  {
    name: 'POST /v1/admin/orgs',
    shows: 'an organisation made, listed, renamed and deleted',
    async run(t) {
      const { id } = await ask<Named>(t, 'POST', '/v1/admin/orgs', { name: 'team' })
      const listed = await ask<Named[]>(t, 'GET', '/v1/admin/orgs?limit=1000')
      assert.ok(listed.some((one) => one.id === id))
      const renamed = await ask<Named>(t, 'PATCH', `/v1/admin/orgs?org_id=${id}`, { name: 'crew' })
      assert.equal(renamed.name, 'crew')
      await ask(t, 'DELETE', `/v1/admin/orgs?org_id=${id}`)
      assert.equal((await t.http('DELETE', `/v1/admin/orgs?org_id=${id}`)).status, 404)
    },
  },
  {
    name: 'POST /v1/admin/users',
    shows: 'a user made, listed, read, changed in both spellings and deleted in both',
    async run(t) {
      const [ada, kai] = [await aUser(t), await aUser(t)]
      const listed = await ask<Named[]>(t, 'GET', '/v1/admin/users?limit=1000')
      assert.ok(listed.some(({ id }) => id === ada.id))
      await ask(t, 'PATCH', `/v1/admin/users/${ada.id}`, { role: 'reader' })
      await ask(t, 'PUT', '/v1/admin/users', { id: ada.id, name: 'Ada L.' })
      const now = await ask<Named & { role: string }>(t, 'GET', `/v1/admin/users/${ada.id}`)
      assert.deepEqual([now.name, now.role], ['Ada L.', 'reader'])
      await ask(t, 'DELETE', `/v1/admin/users/${ada.id}`)
      await ask(t, 'DELETE', `/v1/admin/users?user_id=${kai.id}`)
      assert.equal((await t.http('GET', `/v1/admin/users/${kai.id}`)).status, 404)
    },
  },
  {
    name: 'POST /v1/admin/users/{user_id}/keys',
    shows: 'a key made, listed without its text, rotated and revoked',
    async run(t) {
      const { id } = await aUser(t)
      const made = await ask<{ id: string; key: string }>(t, 'POST', `/v1/admin/users/${id}/keys`, {})
      const next = await ask<{ id: string; key: string }>(t, 'POST', `/v1/admin/keys/${made.id}/rotate`)
      await ask(t, 'DELETE', `/v1/admin/keys/${next.id}`)
      const listed = await ask<object[]>(t, 'GET', `/v1/admin/users/${id}/keys`)
      assert.equal(listed.length, 2)
      assert.ok(!JSON.stringify(listed).includes(made.key))
    },
  },
]
