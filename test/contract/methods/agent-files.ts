import { toFile } from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

interface ExportedFile {
  agents: { name: string; messages: { role: string }[]; in_context_message_ids: string[] }[]
  skills: { name: string }[]
}

const exported = async (t: ContractTest, id: string) =>
  // The client's type says string, as V1's document does; what it answers is the object.
  (await t.letta.agents.exportFile(id)) as unknown as ExportedFile

export const agentFileMethods: Method[] = [
  {
    name: 'agents.exportFile',
    shows: 'the agent with its group, blocks, tools and messages, as an agent file',
    async run(t) {
      const { id } = await t.newAgent({ name: 'Filed', enable_sleeptime: true })
      await t.say(id, 'Hello', 'Hi!')
      const file = await exported(t, id)
      const [agent] = file.agents
      assert.equal(file.agents.length, 2, 'its companion comes along')
      assert.equal(agent?.name, 'Filed')
      assert.deepEqual(
        agent?.messages.map((message) => message.role),
        ['system', 'user', 'assistant'],
      )
      assert.deepEqual(agent?.in_context_message_ids, ['message-0', 'message-1', 'message-2'])
      const scrubbed = (await t.letta.agents.exportFile(id, {
        scrub_messages: true,
      })) as unknown as ExportedFile
      assert.deepEqual(scrubbed.agents[0]?.messages, [])
    },
  },
  {
    name: 'agents.importFile',
    shows: 'new agents that are what the file says',
    async run(t) {
      const { id } = await t.newAgent({ name: 'Filed' })
      await t.say(id, 'Hello', 'Hi!')
      const text = JSON.stringify(await exported(t, id))
      const { agent_ids } = await t.letta.agents.importFile({
        file: await toFile(Buffer.from(text), 'filed.af', { type: 'application/json' }),
      })
      assert.equal(agent_ids.length, 1)
      const agent = await t.letta.agents.retrieve(agent_ids[0] ?? '', { include: ['agent.blocks'] })
      assert.equal(agent.name, 'Filed_copy')
      assert.deepEqual(agent.blocks.map((block) => block.value).toSorted(), ['Kind.', 'Name: Ada'])
      const { items } = await t.letta.agents.messages.list(agent.id, { order: 'asc' })
      assert.deepEqual(
        items.map((message) => message.message_type),
        ['system_message', 'user_message', 'assistant_message'],
      )
    },
  },
]

/** Operations that no method of the client calls. */
export const agentFileOperations: PlainOperation[] = [
  {
    name: 'POST /v1/agents/{agent_id}/export',
    shows: 'the agent file with skills that the client brings',
    async run(t) {
      const { id } = await t.newAgent()
      const skills = [{ name: 'pdf', files: { 'SKILL.md': '# PDF' } }]
      const { status, body } = await t.http('POST', `/v1/agents/${id}/export`, { skills })
      assert.equal(status, 200)
      assert.deepEqual((body as ExportedFile).skills, skills)
    },
  },
]
