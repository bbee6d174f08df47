import * as z from 'zod'
import { exportAgentFile, type ExportOptions } from '../../core/agent-files/export.ts'
import { importAgentFile } from '../../core/agent-files/import.ts'
import type { Actor } from '../../core/ports/actor.ts'
import { agentFile, exportRequest, importedAgents } from '../../schema/agent-file.ts'
import { idSchema } from '../../schema/ids.ts'
import { queryBoolean } from '../../schema/page.ts'
import { readImport } from '../agent-file-body.ts'
import type { ServerContext } from '../context.ts'
import { breather } from '../json-slices.ts'
import { route } from '../route.ts'

const params = z.object({ agent_id: idSchema('agent') })

/** Export and import of agents as agent files. */
export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/export',
    operation: 'export_agent',
    summary: 'Export an agent, with its messages, as an agent file',
    params,
    query: z.object({
      /** Of V1's older format, which is only read here. */
      max_steps: z.coerce.number().int().default(100),
      use_legacy_format: queryBoolean.default(false),
      conversation_id: z.string().optional(),
      scrub_messages: queryBoolean.default(false),
    }),
    answer: agentFile,
    handle: ({ actor, context, params, query }) => exported(context, actor, params.agent_id, query),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/export',
    operation: 'export_agent_with_skills',
    summary: 'Export an agent together with skills of the client',
    params,
    body: exportRequest,
    optional_body: true,
    answer: agentFile,
    handle: ({ actor, context, params, body }) => exported(context, actor, params.agent_id, body ?? {}),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/import',
    operation: 'import_agent',
    summary: 'Import the agents of an agent file: all of it, or nothing',
    answer: importedAgents,
    async handle({ actor, context, request }) {
      const breathe = breather()
      const { file, options } = await readImport(request, breathe)
      return importAgentFile(context.deps, actor, file, options, breathe)
    },
  }),
]

async function exported(
  context: ServerContext,
  actor: Actor,
  agent_id: string,
  options: ExportOptions,
): Promise<Response> {
  const pieces = await exportAgentFile(context.deps, actor, agent_id, options)
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await pieces.next()
      if (next.done) controller.close()
      else controller.enqueue(encoder.encode(next.value))
    },
    async cancel() {
      await pieces.return(undefined)
    },
  })
  return new Response(body, { headers: { 'content-type': 'application/json' } })
}
