import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import { startScriptedModel } from '../../support/scripted-model.ts'
import type { PlainOperation } from './plain.ts'

interface Provider {
  id: string
  name: string
  base_url: string
  last_synced: string | null
}

async function ask<T>(t: ContractTest, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await t.http(method, path, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as T
}

/** A provider on the scripted model of the test. */
function create(t: ContractTest): Promise<Provider> {
  return ask(t, 'POST', '/v1/providers/', {
    name: `own-${crypto.randomUUID()}`,
    provider_type: 'openai',
    api_key: 'sk-a-secret-that-nobody-sees',
    base_url: t.model.url,
  })
}

export const providerOperations: PlainOperation[] = [
  {
    name: 'POST /v1/providers',
    shows: 'models that can be used at once',
    async run(t) {
      const { name } = await create(t)
      const models = await t.letta.models.list({ provider_name: name, provider_category: ['byok'] })
      assert.ok(models.some(({ handle }) => handle === `${name}/test-model`))
      const agent = await t.newAgent({ model: `${name}/test-model` })
      const { messages } = await t.say(agent.id, 'Hi', 'Hello.')
      assert.equal(messages.length, 1)
    },
  },
  {
    name: 'GET /v1/providers',
    shows: 'those that were added, newest first, paged',
    async run(t) {
      const one = await create(t)
      const two = await create(t)
      const ids = async (query: string) =>
        (await ask<Provider[]>(t, 'GET', `/v1/providers/?${query}`)).map(({ id }) => id)
      assert.deepEqual((await ids('limit=2')).slice(0, 2), [two.id, one.id])
      assert.equal((await ids(`after=${two.id}`))[0], one.id)
      assert.deepEqual(await ids(`name=${one.name}`), [one.id])
      assert.deepEqual(await ids('name=openai'), [], 'those of the environment are not listed')
      assert.deepEqual(await ids('provider_type=anthropic'), [])
    },
  },
  {
    name: 'GET /v1/providers/{provider_id}',
    shows: 'the provider without its key',
    async run(t) {
      const made = await create(t)
      assert.deepEqual(await ask(t, 'GET', `/v1/providers/${made.id}`), made)
    },
  },
  {
    name: 'PATCH /v1/providers/{provider_id}',
    shows: 'another address, at which models are looked for at once',
    async run(t) {
      const made = await create(t)
      const other = await startScriptedModel([], { models: ['other-model'] })
      const body = { api_key: 'sk-another', base_url: other.url }
      const changed = await ask<Provider>(t, 'PATCH', `/v1/providers/${made.id}`, body)
      assert.deepEqual([changed.id, changed.base_url], [made.id, other.url])
      const models = await t.letta.models.list({ provider_name: made.name })
      assert.deepEqual(
        models.map(({ name }) => name),
        ['other-model'],
      )
      await other.close()
    },
  },
  {
    name: 'DELETE /v1/providers/{provider_id}',
    shows: 'a provider whose models are gone',
    async run(t) {
      const { id, name } = await create(t)
      await ask(t, 'DELETE', `/v1/providers/${id}`)
      assert.deepEqual(await t.letta.models.list({ provider_name: name }), [])
      assert.equal((await t.http('GET', `/v1/providers/${id}`)).status, 404)
    },
  },
  {
    name: 'POST /v1/providers/check',
    shows: 'whether a provider answers',
    async run(t) {
      const body = { provider_type: 'openai', api_key: 'k', base_url: t.model.url }
      await ask(t, 'POST', '/v1/providers/check', body)
    },
  },
  {
    name: 'POST /v1/providers/{provider_id}/check',
    shows: 'the same with the key that is kept',
    async run(t) {
      const { id } = await create(t)
      await ask(t, 'POST', `/v1/providers/${id}/check`)
    },
  },
  {
    name: 'PATCH /v1/providers/{provider_id}/refresh',
    shows: 'when the list was read',
    async run(t) {
      const made = await create(t)
      assert.equal(made.last_synced, null)
      const refreshed = await ask<Provider>(t, 'PATCH', `/v1/providers/${made.id}/refresh`)
      assert.ok(Date.now() - Date.parse(refreshed.last_synced ?? '') < 60_000)
    },
  },
]
