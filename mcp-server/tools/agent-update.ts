import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { defineTool } from '../tool.ts'
import { checkModel } from './agent-create.ts'

export const agentUpdate = defineTool({
  name: 'agent_update',
  title: 'Change an agent',
  description: 'Changes what is given; its memory is changed with memory_edit.',
  about: 'agent',
  input: {
    name: z.string().min(1).max(200).optional().describe('A new name'),
    description: z.string().optional(),
    model: z.string().optional().describe('provider/model'),
    system: z.string().min(1).optional().describe('Its system prompt'),
    tags: z.array(z.string().min(1)).optional(),
  },
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  async run(input, call) {
    const { client, signal } = call
    // An agent argument is there too unless one is pinned.
    const { name, description, model, system, tags } = input
    const changes = Object.fromEntries(
      Object.entries({ name, description, model, system, tags }).filter(([, value]) => value !== undefined),
    )
    const changed = Object.keys(changes)
    if (changed.length === 0)
      throw new AppError(
        'invalid_argument',
        'Nothing to change is given: name, description, model, system or tags.',
      )
    const agent = await call.agent()
    if (model !== undefined) await checkModel(client, model, signal)
    if (name !== undefined && name !== agent.name) {
      const taken = (await client.letta.agents.list({ name, limit: 1 }, { signal })).items[0]
      if (taken)
        throw new AppError(
          'conflict',
          `There is an agent '${name}' already (${taken.id}); choose another name.`,
        )
    }
    const now = await client.letta.agents.update(agent.id, changes, { signal })
    return `Changed ${changed.join(', ')} of ${now.name} (${now.id}).`
  },
})
