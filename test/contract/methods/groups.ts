import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { PlainOperation } from './plain.ts'

interface Group {
  id: string
  manager_type: string
  agent_ids: string[]
  shared_block_ids: string[]
  [key: string]: unknown
}

/** The official client of today has no methods for groups; older ones have. */
async function group(t: ContractTest, more: object = {}): Promise<Group> {
  const [a, b] = [await t.newAgent(), await t.newAgent()]
  const { status, body } = await t.http('POST', '/v1/groups/', {
    agent_ids: [a.id, b.id],
    description: 'Two of us.',
    ...more,
  })
  assert.equal(status, 200, JSON.stringify(body))
  return body as Group
}

async function sleeptime(t: ContractTest): Promise<Group> {
  const main = await t.newAgent()
  return group(t, { manager_config: { manager_type: 'sleeptime', manager_agent_id: main.id } })
}

async function groupNow(t: ContractTest, { id }: Group): Promise<Group> {
  return (await t.http('GET', `/v1/groups/${id}`)).body as Group
}

export const groupOperations: PlainOperation[] = [
  {
    name: 'POST /v1/groups',
    shows: 'a group of every kind, with what its kind has',
    async run(t) {
      const plain = await group(t)
      assert.deepEqual([plain.manager_type, plain.agent_ids.length], ['round_robin', 2])
      const { id: manager_agent_id } = await t.newAgent()
      const made = async (manager_config: object) => group(t, { manager_config })
      const dynamic = await made({ manager_type: 'dynamic', manager_agent_id, max_turns: 4 })
      assert.deepEqual([dynamic['termination_token'], dynamic['max_turns']], ['DONE!', 4])
      await made({ manager_type: 'supervisor', manager_agent_id })
      const voice = { manager_type: 'voice_sleeptime', manager_agent_id, max_message_buffer_length: 30 }
      assert.equal((await made(voice))['max_message_buffer_length'], 30)
      const { manager_type, manager_agent_id: lead } = await sleeptime(t)
      assert.equal(manager_type, 'sleeptime')
      const include = ['agent.managed_group' as const]
      const agent = await t.letta.agents.retrieve(String(lead), { include })
      assert.deepEqual([agent.enable_sleeptime, agent.managed_group?.agent_ids.length], [true, 2])
      const { body } = await t.http('POST', '/v1/agents/', {
        model: 'openai/test-model',
        enable_sleeptime: true,
      })
      assert.equal((body as { multi_agent_group: Group }).multi_agent_group.manager_type, 'sleeptime')
      const wrong = await t.http('POST', '/v1/groups/', { agent_ids: ['x'], description: '' })
      assert.equal(wrong.status, 422)
    },
  },
  {
    name: 'GET /v1/groups',
    shows: 'groups of one kind',
    async run(t) {
      const one = await sleeptime(t)
      const listed = (await t.http('GET', '/v1/groups/?manager_type=sleeptime&order=desc')).body as Group[]
      assert.equal(listed[0]?.id, one.id)
      assert.ok(listed.every((item) => item.manager_type === 'sleeptime'))
    },
  },
  {
    name: 'GET /v1/groups/count',
    shows: 'as many groups as the list has',
    async run(t) {
      await group(t)
      const { body } = await t.http('GET', '/v1/groups/?limit=1000')
      assert.equal((await t.http('GET', '/v1/groups/count')).body, (body as unknown[]).length)
    },
  },
  {
    name: 'GET /v1/groups/{group_id}',
    shows: 'the group as it was made; 404 for none',
    async run(t) {
      const made = await group(t)
      assert.deepEqual(await groupNow(t, made), made)
      assert.equal((await t.http('GET', `/v1/groups/group-${crypto.randomUUID()}`)).status, 404)
    },
  },
  {
    name: 'PATCH /v1/groups/{group_id}',
    shows: 'what was named changed, all else as it was; another kind refused',
    async run(t) {
      const made = await sleeptime(t)
      const path = `/v1/groups/${made.id}`
      const manager_config = { manager_type: 'sleeptime', sleeptime_agent_frequency: 2 }
      const { body } = await t.http('PATCH', path, { description: 'New.', manager_config })
      assert.deepEqual(body, { ...made, description: 'New.', sleeptime_agent_frequency: 2 })
      const other = await t.http('PATCH', path, { manager_config: { manager_type: 'round_robin' } })
      assert.equal(other.status, 400)
      const own = await t.http('PATCH', path, { agent_ids: [made['manager_agent_id']] })
      assert.equal(own.status, 400)
    },
  },
  {
    name: 'DELETE /v1/groups/{group_id}',
    shows: 'the group gone, its agents there',
    async run(t) {
      const made = await group(t)
      assert.equal((await t.http('DELETE', `/v1/groups/${made.id}`)).status, 200)
      assert.equal((await t.http('DELETE', `/v1/groups/${made.id}`)).status, 404)
      await t.letta.agents.retrieve(made.agent_ids[0] ?? '')
    },
  },
  {
    name: 'GET /v1/agents/{agent_id}/groups',
    shows: 'groups that it leads and belongs to',
    async run(t) {
      const made = await sleeptime(t)
      for (const id of [String(made['manager_agent_id']), made.agent_ids[0]]) {
        const { body } = await t.http('GET', `/v1/agents/${id}/groups`)
        assert.deepEqual(body, [made])
        const none = await t.http('GET', `/v1/agents/${id}/groups?manager_type=dynamic`)
        assert.deepEqual(none.body, [])
      }
    },
  },
  {
    name: 'GET /v1/groups/{group_id}/messages',
    shows: 'the messages of all of its agents',
    async run(t) {
      const { id, agent_ids } = await group(t)
      t.model.add({ reply: { text: 'here' } })
      await t.letta.agents.messages.create(agent_ids[1] ?? '', { input: 'anybody?' })
      const { body } = await t.http('GET', `/v1/groups/${id}/messages?order=asc&limit=100`)
      const contents = (body as { content?: unknown }[]).map((message) => message.content)
      assert.deepEqual(contents.slice(-2), ['anybody?', 'here'])
      const empty = await t.http('POST', '/v1/groups/', { agent_ids: [], description: '' })
      const none = await t.http('GET', `/v1/groups/${(empty.body as Group).id}/messages`)
      assert.deepEqual(none.body, [])
    },
  },
  {
    name: 'POST /v1/groups/{group_id}/messages',
    shows: 'the answer of the agent that leads a sleep-time group; a clear error for other kinds',
    async run(t) {
      const made = await sleeptime(t)
      t.model.add({ reply: { text: 'I lead' } })
      // Its companions rest for now.
      await t.http('PATCH', `/v1/groups/${made.id}`, {
        manager_config: { manager_type: 'sleeptime', sleeptime_agent_frequency: 9 },
      })
      const { status } = await t.http('POST', `/v1/groups/${made.id}/messages`, { input: 'hi' })
      assert.equal(status, 200)
      const plain = await group(t)
      const { status: refused, body } = await t.http('POST', `/v1/groups/${plain.id}/messages`, {
        input: 'hi',
      })
      assert.equal(refused, 400)
      assert.match((body as { detail: string }).detail, /round_robin, which is kept but not run/)
    },
  },
  {
    name: 'POST /v1/groups/{group_id}/messages/stream',
    shows: 'a clear error for kinds that are not run',
    async run(t) {
      const plain = await group(t)
      const { status } = await t.http('POST', `/v1/groups/${plain.id}/messages/stream`, { input: 'hi' })
      assert.equal(status, 400)
    },
  },
  {
    name: 'PATCH /v1/groups/{group_id}/messages/{message_id}',
    shows: 'always 405',
    async run(t) {
      const { id } = await group(t)
      const path = `/v1/groups/${id}/messages/message-${crypto.randomUUID()}`
      assert.equal((await t.http('PATCH', path, { message_type: 'user_message', content: 'x' })).status, 405)
    },
  },
  {
    name: 'PATCH /v1/groups/{group_id}/reset-messages',
    shows: 'agents that begin anew',
    async run(t) {
      const { id, agent_ids } = await group(t)
      t.model.add({ reply: { text: 'here' } })
      await t.letta.agents.messages.create(agent_ids[0] ?? '', { input: 'hi' })
      assert.equal((await t.http('PATCH', `/v1/groups/${id}/reset-messages`)).status, 200)
      const { message_ids } = await t.letta.agents.retrieve(agent_ids[0] ?? '')
      assert.equal(message_ids?.length, 1)
    },
  },
  {
    name: 'PATCH /v1/groups/{group_id}/blocks/attach/{block_id}',
    shows: 'the block on every agent',
    async run(t) {
      const made = await group(t)
      const block = await t.letta.blocks.create({ label: 'plan', value: '' })
      await t.http('PATCH', `/v1/groups/${made.id}/blocks/attach/${block.id}`)
      assert.deepEqual((await groupNow(t, made)).shared_block_ids, [block.id])
      for (const id of made.agent_ids) await t.letta.agents.blocks.retrieve('plan', { agent_id: id })
    },
  },
  {
    name: 'PATCH /v1/groups/{group_id}/blocks/detach/{block_id}',
    shows: 'the block on none of them',
    async run(t) {
      const block = await t.letta.blocks.create({ label: 'plan', value: '' })
      const made = await group(t, { shared_block_ids: [block.id] })
      await t.http('PATCH', `/v1/groups/${made.id}/blocks/detach/${block.id}`)
      assert.deepEqual((await groupNow(t, made)).shared_block_ids, [])
      const { items } = await t.letta.agents.blocks.list(made.agent_ids[0] ?? '')
      assert.ok(!items.some((item) => item.label === 'plan'))
    },
  },
]
