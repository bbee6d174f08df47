import assert from 'node:assert/strict'
import { eventually } from '../../support/loci.ts'
import type { Method } from './method.ts'

export const messageMethods: Method[] = [
  {
    name: 'agents.messages.create',
    shows: 'a turn with a tool step',
    async run(t) {
      t.model.add(
        {
          reply: {
            tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'In London.' } }],
          },
        },
        { reply: { reasoning: 'A city.', text: 'Noted.' } },
      )
      const { id } = await t.newAgent()
      const answer = await t.letta.agents.messages.create(id, { input: 'I am in London' })
      assert.deepEqual(
        answer.messages.map((m) => m.message_type),
        ['tool_call_message', 'tool_return_message', 'reasoning_message', 'assistant_message'],
      )
      assert.equal(answer.stop_reason.stop_reason, 'end_turn')
      assert.equal(answer.usage.step_count, 2)
      const only = await filtered()
      assert.deepEqual(only, ['assistant_message'])

      async function filtered() {
        t.model.add({ reply: { reasoning: 'Hm.', text: 'Yes.' } })
        const said = await t.letta.agents.messages.create(id, {
          messages: [{ role: 'user', content: [{ type: 'text', text: 'And?' }] }],
          include_return_message_types: ['assistant_message'],
        })
        return said.messages.map((m) => m.message_type)
      }
    },
  },
  {
    name: 'agents.messages.list',
    shows: 'newest first; the system message, what was said, and what was thought',
    async run(t) {
      const { id } = await t.newAgent()
      t.model.add({ reply: { reasoning: 'Polite.', text: 'Hello.' } })
      await t.letta.agents.messages.create(id, { input: 'Hi' })
      const { items } = await t.letta.agents.messages.list(id)
      assert.deepEqual(
        items.map((m) => m.message_type),
        ['assistant_message', 'reasoning_message', 'user_message', 'system_message'],
      )
      const some = await t.letta.agents.messages.list(id, { include_return_message_types: ['user_message'] })
      assert.deepEqual(
        some.items.map((m) => m.message_type),
        ['user_message'],
      )
    },
  },
  {
    name: 'agents.messages.stream',
    shows: 'the items of a turn as they happen',
    async run(t) {
      const { id } = await t.newAgent()
      t.model.add({ reply: { text: 'Hello.' } })
      const types: unknown[] = []
      for await (const item of await t.letta.agents.messages.stream(id, { input: 'Hi' }))
        types.push(item.message_type)
      assert.deepEqual(types, ['ping', 'assistant_message', 'stop_reason', 'usage_statistics'])
    },
  },
  {
    name: 'agents.messages.createAsync',
    shows: 'a run at once, which ends without its client',
    async run(t) {
      const { id } = await t.newAgent()
      t.model.add({ reply: { text: 'Done later.' } })
      const run = await t.letta.agents.messages.createAsync(id, { input: 'Do it' })
      assert.equal(run.agent_id, id)
      await eventually('the run has ended', async () =>
        (await t.letta.runs.retrieve(run.id)).status === 'completed' ? true : null,
      )
      const { items } = await t.letta.runs.messages.list(run.id)
      assert.equal(items.at(-1)?.message_type, 'assistant_message')
    },
  },
  {
    name: 'agents.messages.cancel',
    shows: 'a turn that ends as cancelled, and 409 when there is none',
    async run(t) {
      const { id } = await t.newAgent()
      await assert.rejects(t.letta.agents.messages.cancel(id), { status: 409 })
      const gate = Promise.withResolvers<void>()
      const at = t.model.requests.length
      t.model.add({ reply: { text: 'Never said.', hold: gate.promise } })
      const turn = t.letta.agents.messages.create(id, { input: 'Wait' })
      await t.model.request(at)
      const answer = await t.letta.agents.messages.cancel(id)
      assert.deepEqual(Object.values(answer), ['cancelled'])
      assert.equal((await turn).stop_reason.stop_reason, 'cancelled')
      gate.resolve()
      const [run] = Object.keys(answer)
      assert.equal((await t.letta.runs.retrieve(run ?? '')).status, 'cancelled')
    },
  },
  {
    name: 'agents.messages.reset',
    shows: 'null, and a history that begins again',
    async run(t) {
      const { id } = await t.newAgent()
      await t.say(id, 'Hi', 'Hello.')
      assert.equal(await t.letta.agents.messages.reset(id, { add_default_initial_messages: false }), null)
      const { items } = await t.letta.agents.messages.list(id)
      assert.deepEqual(
        items.map((m) => m.message_type),
        ['system_message'],
      )
      await t.say(id, 'Again', 'Hello again.')
    },
  },
  {
    name: 'messages.list',
    shows: 'messages of all agents, newest first',
    async run(t) {
      const one = await t.newAgent()
      const two = await t.newAgent()
      await t.say(one.id, 'first', 'one')
      await t.say(two.id, 'second', 'two')
      const items = await t.letta.messages.list({ include_return_message_types: ['assistant_message'] })
      const texts = items.map((m) => ('content' in m ? m.content : null))
      assert.deepEqual(texts.slice(0, 2), ['two', 'one'])
    },
  },
  {
    name: 'messages.retrieve',
    shows: 'every API message of one stored message',
    async run(t) {
      const { id } = await t.newAgent()
      t.model.add({ reply: { reasoning: 'Hm.', text: 'Hello.' } })
      const { messages } = await t.letta.agents.messages.create(id, { input: 'Hi' })
      const found = await t.letta.messages.retrieve(messages[0] && 'id' in messages[0] ? messages[0].id : '')
      assert.deepEqual(found, messages)
    },
  },
]
