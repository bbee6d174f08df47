import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import type { LociClient } from '../../shared/client/http.ts'
import { defineTool } from '../tool.ts'
import { findTool } from './tool-find.ts'

export const agentCreate = defineTool({
  name: 'agent_create',
  title: 'Create an agent',
  description: 'Creates an agent with memory of its own, in the blocks `persona` and `human`.',
  about: 'agents',
  input: {
    name: z.string().trim().min(1).max(200),
    description: z.string().optional().describe('What it is for, in a sentence'),
    persona: z.string().default('').describe('Who it is and how it behaves, in its own words'),
    human: z.string().default('').describe('What it knows about its user'),
    model: z.string().optional().describe('provider/model; default: the configured one'),
    tools: z.array(z.string()).optional().describe('Names of tools besides the usual ones'),
  },
  output: z.object({ name: z.string(), id: z.string(), model: z.string() }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  async run({ name, description, persona, human, model, tools }, { client, signal }) {
    const taken = (await client.letta.agents.list({ name, limit: 1 }, { signal })).items[0]
    if (taken)
      throw new AppError(
        'conflict',
        `There is an agent '${name}' already (${taken.id}). Use it, or choose another name.`,
      )
    if (model !== undefined) await checkModel(client, model, signal)
    for (const tool of tools ?? []) await findTool(client, tool, signal)
    const agent = await client.letta.agents.create(
      {
        name,
        memory_blocks: [
          { label: 'persona', value: persona },
          { label: 'human', value: human },
        ],
        ...(description === undefined ? {} : { description }),
        ...(model === undefined ? {} : { model }),
        ...(tools === undefined ? {} : { tools }),
      },
      { signal, maxRetries: 0 },
    )
    const handle = agent.model ?? agent.llm_config?.handle ?? ''
    return {
      text: `Created ${agent.name} (${agent.id}) on ${handle}. Talk to it with agent_send_message.`,
      structured: { name: agent.name, id: agent.id, model: handle },
    }
  },
})

/** Throws `model_not_found` with near handles for a model that the server does not list. */
export async function checkModel(client: LociClient, model: string, signal: AbortSignal): Promise<void> {
  const handles = (await client.letta.models.list({}, { signal })).map((known) => known.handle ?? known.name)
  // What a provider does not list it may serve all the same: only a handle of an unknown provider is refused.
  const provider = model.split('/')[0] ?? ''
  if (model.includes('/') && handles.some((handle) => handle.startsWith(`${provider}/`))) return
  throw new AppError(
    'model_not_found',
    `There is no model '${model}' here. ${didYouMean(model, handles, 'Connect a provider with `loci connect`.')}`,
  )
}
