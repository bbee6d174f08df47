import { inputRequired } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { defineTool } from '../tool.ts'

export const agentDelete = defineTool({
  name: 'agent_delete',
  title: 'Delete an agent',
  description: 'Deletes an agent with its history and memory, for good.',
  about: 'agents',
  input: {
    agent: z.string().min(1).describe('Agent name or id'),
    confirm: z.boolean().default(false).describe('True once the user has agreed, where the host cannot ask'),
  },
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  async run({ agent: nameOrId, confirm }, { client, signal, user }) {
    const agent = await client.findAgent(nameOrId, { signal })
    const what = `${agent.name} (${agent.id}), its history and its memory`
    if (user) {
      const view = user.answer('delete')
      if (view.kind !== 'elicit')
        return user.ask(
          {
            delete: inputRequired.elicit({
              message: `Delete ${what}? This cannot be undone.`,
              requestedSchema: {
                type: 'object',
                properties: { delete: { type: 'boolean', title: `Delete ${agent.name}` } },
                required: ['delete'],
              },
            }),
          },
          { agent_id: agent.id },
        )
      // The question was about this agent, whatever has the name by now.
      const asked = (user.state() as { agent_id?: unknown } | undefined)?.agent_id === agent.id
      if (view.action !== 'accept' || view.content?.['delete'] !== true || !asked)
        return `${agent.name} was not deleted: the user did not agree.`
    } else if (!confirm) {
      return {
        text: `This deletes ${what}, for good. Ask the user, then call agent_delete with confirm: true.`,
        failed: true,
      }
    }
    await client.letta.agents.delete(agent.id, { signal })
    return `Deleted ${agent.name} (${agent.id}). Blocks and folders that it shared are still there.`
  },
})
