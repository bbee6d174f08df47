import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

interface Identity {
  id: string
  name: string
  identifier_key: string
  agent_ids: string[]
  block_ids: string[]
  properties: { key: string; value: unknown }[]
}

async function ask<T>(t: ContractTest, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await t.http(method, path, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as T
}

function create(t: ContractTest, more: object = {}): Promise<Identity> {
  const key = `key-${crypto.randomUUID()}`
  return ask(t, 'POST', '/v1/identities/', {
    identifier_key: key,
    name: 'Ada',
    identity_type: 'user',
    ...more,
  })
}

export const identityMethods: Method[] = [
  {
    name: 'agents.identities.attach',
    shows: 'an agent that is found by its identity',
    async run(t) {
      const { id, identifier_key } = await create(t)
      const agent = await t.newAgent()
      await t.letta.agents.identities.attach(id, { agent_id: agent.id })
      for (const query of [{ identity_id: id }, { identifier_keys: [identifier_key] }])
        assert.deepEqual(
          (await t.letta.agents.list(query)).items.map((found) => found.id),
          [agent.id],
        )
      const read = await t.letta.agents.retrieve(agent.id, { include: ['agent.identities'] })
      assert.deepEqual(
        [read.identity_ids, read.identities?.map((one) => one.identifier_key)],
        [[id], [identifier_key]],
      )
    },
  },
  {
    name: 'agents.identities.detach',
    shows: 'an agent that is found by it no longer',
    async run(t) {
      const agent = await t.newAgent()
      const { id, agent_ids } = await create(t, { agent_ids: [agent.id] })
      assert.deepEqual(agent_ids, [agent.id])
      await t.letta.agents.identities.detach(id, { agent_id: agent.id })
      assert.deepEqual((await t.letta.agents.list({ identity_id: id })).items, [])
    },
  },
]

export const identityOperations: PlainOperation[] = [
  {
    name: 'POST /v1/identities',
    shows: 'an identity with what it was given',
    async run(t) {
      const block = await t.letta.blocks.create({ label: 'of-ada', value: '' })
      const properties = [
        { key: 'age', value: 36, type: 'number' },
        { key: 'langs', value: { best: 'en' }, type: 'json' },
      ]
      const made = await create(t, { block_ids: [block.id], properties })
      assert.match(made.id, /^identity-[0-9a-f-]{36}$/)
      assert.deepEqual([made.block_ids, made.properties], [[block.id], properties])
    },
  },
  {
    name: 'PUT /v1/identities',
    shows: 'the same identity with its lists replaced',
    async run(t) {
      const properties = [{ key: 'a', value: '1', type: 'string' }]
      const { id, identifier_key } = await create(t, { properties })
      const changed = await ask<Identity>(t, 'PUT', '/v1/identities/', {
        identifier_key,
        name: 'Bo',
        identity_type: 'other',
        properties: [{ key: 'b', value: true, type: 'boolean' }],
      })
      assert.deepEqual([changed.id, changed.name, changed.properties.map((p) => p.key)], [id, 'Bo', ['b']])
    },
  },
  {
    name: 'GET /v1/identities',
    shows: 'newest first, by name, key and type, paged',
    async run(t) {
      const mark = crypto.randomUUID()
      const one = await create(t, { name: `One ${mark}` })
      const two = await create(t, { name: `Two ${mark}`, identity_type: 'org' })
      const ids = async (query: string) =>
        (await ask<Identity[]>(t, 'GET', `/v1/identities/?${query}`)).map(({ id }) => id)
      assert.deepEqual(await ids(`name=${mark}`), [two.id, one.id])
      assert.deepEqual(await ids(`name=${mark}&after=${two.id}`), [one.id])
      assert.deepEqual(await ids(`name=${mark}&after=${one.id}`), [])
      assert.deepEqual(await ids(`name=${mark}&identity_type=org`), [two.id])
      assert.deepEqual(await ids(`identifier_key=${one.identifier_key}`), [one.id])
    },
  },
  {
    name: 'GET /v1/identities/count',
    shows: 'one more after a creation',
    async run(t) {
      const before = await ask<number>(t, 'GET', '/v1/identities/count')
      await create(t)
      assert.equal(await ask<number>(t, 'GET', '/v1/identities/count'), before + 1)
    },
  },
  {
    name: 'GET /v1/identities/{identity_id}',
    shows: 'the identity',
    async run(t) {
      const made = await create(t)
      assert.deepEqual(await ask(t, 'GET', `/v1/identities/${made.id}`), made)
    },
  },
  {
    name: 'PATCH /v1/identities/{identity_id}',
    shows: 'what was given added, the rest as it was',
    async run(t) {
      const made = await create(t, { properties: [{ key: 'a', value: '1', type: 'string' }] })
      const { id } = await t.newAgent()
      const changed = await ask<Identity>(t, 'PATCH', `/v1/identities/${made.id}`, {
        agent_ids: [id],
        properties: [{ key: 'b', value: 2, type: 'number' }],
      })
      assert.deepEqual(
        [changed.name, changed.agent_ids, changed.properties.map((p) => p.key)],
        ['Ada', [id], ['a', 'b']],
      )
    },
  },
  {
    name: 'PUT /v1/identities/{identity_id}/properties',
    shows: 'properties changed by their keys',
    async run(t) {
      const { id } = await create(t, { properties: [{ key: 'a', value: '1', type: 'string' }] })
      const changed = await ask<Identity>(t, 'PUT', `/v1/identities/${id}/properties`, [
        { key: 'a', value: '2', type: 'string' },
      ])
      assert.deepEqual(changed.properties, [{ key: 'a', value: '2', type: 'string' }])
    },
  },
  {
    name: 'GET /v1/identities/{identity_id}/agents',
    shows: 'its agents',
    async run(t) {
      const { id } = await create(t)
      const agent = await t.newAgent({ identity_ids: [id] })
      assert.deepEqual(agent.identity_ids, [id])
      const agents = await ask<{ id: string }[]>(t, 'GET', `/v1/identities/${id}/agents`)
      assert.deepEqual(
        agents.map((found) => found.id),
        [agent.id],
      )
    },
  },
  {
    name: 'GET /v1/identities/{identity_id}/blocks',
    shows: 'its blocks',
    async run(t) {
      const block = await t.letta.blocks.create({ label: 'own', value: '' })
      const { id } = await create(t, { block_ids: [block.id] })
      const blocks = await ask<{ id: string }[]>(t, 'GET', `/v1/identities/${id}/blocks`)
      assert.deepEqual(
        blocks.map((found) => found.id),
        [block.id],
      )
    },
  },
  {
    name: 'DELETE /v1/identities/{identity_id}',
    shows: 'an identity that is gone; its agents stay',
    async run(t) {
      const agent = await t.newAgent()
      const { id } = await create(t, { agent_ids: [agent.id] })
      assert.equal(await ask(t, 'DELETE', `/v1/identities/${id}`), null)
      assert.equal((await t.http('GET', `/v1/identities/${id}`)).status, 404)
      const read = await t.letta.agents.retrieve(agent.id, { include: ['agent.identities'] })
      assert.deepEqual(read.identity_ids, [])
    },
  },
  {
    name: 'PATCH /v1/blocks/{block_id}/identities/attach/{identity_id}',
    shows: 'a block that is found by its identity',
    async run(t) {
      const { id, identifier_key } = await create(t)
      const block = await t.letta.blocks.create({ label: 'given', value: '' })
      await ask(t, 'PATCH', `/v1/blocks/${block.id}/identities/attach/${id}`)
      for (const query of [{ identity_id: id }, { identifier_keys: [identifier_key] }])
        assert.deepEqual(
          (await t.letta.blocks.list(query)).items.map((found) => found.id),
          [block.id],
        )
    },
  },
  {
    name: 'PATCH /v1/blocks/{block_id}/identities/detach/{identity_id}',
    shows: 'a block that is found by it no longer',
    async run(t) {
      const block = await t.letta.blocks.create({ label: 'taken', value: '' })
      const { id } = await create(t, { block_ids: [block.id] })
      await ask(t, 'PATCH', `/v1/blocks/${block.id}/identities/detach/${id}`)
      assert.deepEqual((await t.letta.blocks.list({ identity_id: id })).items, [])
    },
  },
]
