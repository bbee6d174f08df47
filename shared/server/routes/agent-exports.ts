import * as z from 'zod'
import { exportAgentFile, type ExportOptions } from '../../core/agent-files/export.ts'
import { importAgentFile } from '../../core/agent-files/import.ts'
import type { Actor } from '../../core/ports/actor.ts'
import { agentFile, exportRequest, importedAgents, importOptions } from '../../schema/agent-file.ts'
import { AppError } from '../../schema/errors.ts'
import { idSchema } from '../../schema/ids.ts'
import { queryBoolean } from '../../schema/page.ts'
import { readImport } from '../agent-file-body.ts'
import type { ServerContext } from '../context.ts'
import { breather } from '../json-slices.ts'
import { jsonStream } from '../json-stream.ts'
import { route } from '../route.ts'

const params = z.object({ agent_id: idSchema('agent') })

/** Agent files (reference 9.6). */
export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/export',
    operation: 'export_agent',
    summary: 'Export an agent as an agent file',
    params,
    query: z.object({
      conversation_id: z.string().optional(),
      scrub_messages: queryBoolean.default(false),
      use_legacy_format: queryBoolean.default(false),
      /** Deprecated in V1, and without effect there. */
      max_steps: z.coerce.number().int().optional(),
    }),
    answer: agentFile,
    async handle({ actor, context, params, query }) {
      if (query.use_legacy_format)
        throw new AppError(
          'invalid_argument',
          'The older format of agent files is not written any more; leave out use_legacy_format.',
        )
      return exported(context, actor, params.agent_id, query)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/export',
    operation: 'export_agent_with_skills',
    summary: 'Export an agent as an agent file, with skills',
    params,
    body: exportRequest,
    optional_body: true,
    answer: agentFile,
    handle: async ({ actor, context, params, body }) => exported(context, actor, params.agent_id, body ?? {}),
  }),
  route({
    method: 'POST',
    path: '/v1/agents/import',
    operation: 'import_agent',
    summary: 'Import an agent file',
    form: importOptions,
    answer: importedAgents,
    async handle({ actor, context, request }) {
      const breathe = breather()
      const { file, options } = await readImport(request, breathe)
      const embedding = options.embedding ?? request.headers.get('x-override-embedding-model')
      return importAgentFile(context.deps, actor, file, { ...options, embedding }, breathe)
    },
  }),
]

/** The file, written as it is read: a long history is never held at once. */
async function exported(
  context: ServerContext,
  actor: Actor,
  agent_id: string,
  options: ExportOptions,
): Promise<Response> {
  const pieces = await exportAgentFile(context.deps, actor, agent_id, options)
  return jsonStream(pieces, (error) => context.onFailure(`exporting ${agent_id}`, error))
}
