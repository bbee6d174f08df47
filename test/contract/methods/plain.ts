import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'

/** An operation that the official client has no method for, called over plain HTTP. */
export interface PlainOperation {
  /** `METHOD path` as in golden/operations.json. */
  name: string
  shows: string
  run(t: ContractTest): Promise<void>
}

async function get(t: ContractTest, path: string): Promise<unknown> {
  const { status, body } = await t.http('GET', path)
  assert.equal(status, 200, JSON.stringify(body))
  return body
}

async function runOf(t: ContractTest, agent_id: string): Promise<string> {
  const [run] = (await t.letta.runs.list({ agent_id })).items
  return run?.id ?? ''
}

export const plainOperations: PlainOperation[] = [
  {
    name: 'GET /v1/ready',
    shows: 'that the store answers',
    async run(t) {
      assert.deepEqual(await get(t, '/v1/ready/'), await get(t, '/v1/health/'))
    },
  },
  {
    name: 'GET /v1/agents/count',
    shows: 'as many agents as the list has, with the same filters',
    async run(t) {
      const tag = crypto.randomUUID()
      for (const name of ['One', 'Two']) await t.newAgent({ name, tags: [tag] })
      assert.equal(await get(t, `/v1/agents/count?tags=${tag}`), 2)
      assert.equal(await get(t, `/v1/agents/count?tags=${tag}&name=One`), 1)
    },
  },
  {
    name: 'GET /v1/blocks/count',
    shows: 'as many blocks as the list has',
    async run(t) {
      const label = crypto.randomUUID()
      await t.letta.blocks.create({ label, value: '' })
      assert.equal(await get(t, `/v1/blocks/count?name=${label}`), await named(label))

      async function named(name: string) {
        return (await t.letta.blocks.list({ name })).items.length
      }
    },
  },
  {
    name: 'GET /v1/tools/count',
    shows: 'as many tools as the list has',
    async run(t) {
      const { items } = await t.letta.tools.list({ limit: 1000 })
      assert.equal(await get(t, '/v1/tools/count'), items.length)
      const own = items.filter(({ tool_type }) => !tool_type?.startsWith('letta_'))
      assert.equal(await get(t, '/v1/tools/count?exclude_letta_tools=true'), own.length)
    },
  },
  {
    name: 'GET /v1/agents/{agent_id}/core-memory',
    shows: 'the blocks as the older clients read them',
    async run(t) {
      const { id } = await t.newAgent()
      const memory = (await get(t, `/v1/agents/${id}/core-memory`)) as { blocks: { label: string }[] }
      assert.deepEqual(memory.blocks.map((b) => b.label).toSorted(), ['human', 'persona'])
    },
  },
  {
    name: 'POST /v1/agents/{agent_id}/system-prompt/recompile',
    shows: 'the same as /recompile',
    async run(t) {
      const { id } = await t.newAgent()
      const old = await t.http('POST', `/v1/agents/${id}/system-prompt/recompile?dry_run=true`)
      assert.equal(old.body, await t.letta.agents.recompile(id, { dry_run: true }))
    },
  },
  {
    name: 'PATCH /v1/agents/{agent_id}/messages/{message_id}',
    shows: '405: messages are never changed',
    async run(t) {
      const { id, message_ids } = await t.newAgent()
      const path = `/v1/agents/${id}/messages/${message_ids?.[0]}`
      const answer = await t.http('PATCH', path, { message_type: 'system_message', content: 'x' })
      assert.equal(answer.status, 405)
    },
  },
  {
    name: 'GET /v1/runs/active',
    shows: 'runs that are under way, and only those',
    async run(t) {
      const { id } = await t.newAgent()
      const gate = Promise.withResolvers<void>()
      const at = t.model.requests.length
      t.model.add({ reply: { text: 'Done.', hold: gate.promise } })
      const turn = t.letta.agents.messages.create(id, { input: 'Slowly' })
      await t.model.request(at)
      const active = (await get(t, `/v1/runs/active?agent_id=${id}`)) as { status: string }[]
      assert.deepEqual(
        active.map((run) => run.status),
        ['running'],
      )
      gate.resolve()
      await turn
      assert.deepEqual(await get(t, `/v1/runs/active?agent_id=${id}`), [])
    },
  },
  {
    name: 'GET /v1/runs/{run_id}/metrics',
    shows: 'the number of steps and the time',
    async run(t) {
      const { id } = await t.newAgent()
      await t.say(id, 'Hi', 'Hello.')
      const metrics = (await get(t, `/v1/runs/${await runOf(t, id)}/metrics`)) as Record<string, unknown>
      assert.deepEqual([metrics['agent_id'], metrics['num_steps']], [id, 1])
      assert.ok(Number(metrics['run_ns']) > 0)
    },
  },
  {
    name: 'DELETE /v1/runs/{run_id}',
    shows: 'a run that is gone; its messages stay',
    async run(t) {
      const { id } = await t.newAgent()
      await t.say(id, 'Hi', 'Hello.')
      const run = await runOf(t, id)
      const before = (await t.letta.agents.messages.list(id)).items.length
      assert.equal((await t.http('DELETE', `/v1/runs/${run}`)).status, 200)
      await assert.rejects(t.letta.runs.retrieve(run), { status: 404 })
      assert.equal((await t.letta.agents.messages.list(id)).items.length, before)
    },
  },
  {
    name: 'GET /v1/blocks/{block_id}/history',
    shows: 'every change of a block and who made it',
    async run(t) {
      const { id, blocks } = await t.newAgent()
      const human = blocks.find((b) => b.label === 'human')?.id ?? ''
      t.model.add({
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } }],
        },
      })
      await t.say(id, 'I like tea', 'Noted.')
      await t.letta.blocks.update(human, { value: 'Name: Bo' })
      const versions = (await get(t, `/v1/blocks/${human}/history`)) as Record<string, unknown>[]
      assert.deepEqual(
        versions.map((v) => [v['version'], v['before'], v['after'], v['agent_id']]),
        [
          [3, 'Name: Ada\nLikes tea.', 'Name: Bo', null],
          [2, 'Name: Ada', 'Name: Ada\nLikes tea.', id],
          [1, null, 'Name: Ada', null],
        ],
      )
    },
  },
  {
    name: 'POST /v1/blocks/{block_id}/history/{version}/restore',
    shows: 'the value of that version, as a new one',
    async run(t) {
      const { id } = await t.letta.blocks.create({ label: 'b', value: 'first' })
      await t.letta.blocks.update(id, { value: 'second' })
      const { body } = await t.http('POST', `/v1/blocks/${id}/history/1/restore`)
      assert.equal((body as { value: string }).value, 'first')
      assert.equal(((await get(t, `/v1/blocks/${id}/history`)) as unknown[]).length, 3)
    },
  },
  {
    name: 'POST /v1/agents/{agent_id}/core-memory/blocks/{block_label}/edit',
    shows: 'what is appended at once, none of it lost',
    async run(t) {
      const { id } = await t.newAgent()
      const path = `/v1/agents/${id}/core-memory/blocks/human/edit`
      const before = (await t.letta.agents.blocks.retrieve('human', { agent_id: id })).value
      const texts = ['one', 'two', 'three']
      await Promise.all(texts.map((text) => t.http('POST', path, { mode: 'append', text })))
      const { value } = await t.letta.agents.blocks.retrieve('human', { agent_id: id })
      assert.deepEqual(value.split('\n').sort(), [before, ...texts].sort())
    },
  },
]
