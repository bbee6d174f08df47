import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { findFiles } from '../../core/search/find.ts'
import { DEFAULT_MAX_FILES_OPEN, DEFAULT_VIEW_CHARS, viewText } from '../../core/ports/file-view.ts'
import type { AgentFile } from '../../core/ports/file-store.ts'
import { type Agent, agentState } from '../../schema/agent.ts'
import { AppError } from '../../schema/errors.ts'
import { agentFiles, type AgentFileAttachment, fileSearchResult, source } from '../../schema/folder.ts'
import { idSchema } from '../../schema/ids.ts'
import { pageQuery, queryBoolean } from '../../schema/page.ts'
import { readAll, toAgentState } from '../agent-state.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { route, type Route } from '../route.ts'
import { isAlone } from './files.ts'

const params = z.object({ agent_id: idSchema('agent') })
const fileParams = params.extend({ file_id: idSchema('file') })
const order_by = z.literal('created_at').optional()

async function agentOf(context: ServerContext, actor: Actor, agent_id: string): Promise<Agent> {
  const agent = await context.deps.store.agents.get(actor, agent_id, [])
  if (!agent) throw notFound('Agent', agent_id)
  return agent
}

/** Folders of an agent, and the same under their old name. */
function folderRoutes(noun: 'folders' | 'sources'): Route[] {
  const word = noun === 'folders' ? 'folder' : 'source'
  const linked = z
    .object({ agent_id: idSchema('agent'), [`${word}_id`]: idSchema('source') })
    .transform((path) => {
      const ids = path as Record<string, string>
      return { agent_id: ids['agent_id'] ?? '', folder_id: ids[`${word}_id`] ?? '' }
    })
  const change = (verb: 'attach' | 'detach') =>
    route({
      method: 'PATCH',
      path: `/v1/agents/:agent_id/${noun}/${verb}/:${word}_id`,
      operation: `${verb}_${word}_${verb === 'attach' ? 'to' : 'from'}_agent`,
      summary: verb === 'attach' ? `Give an agent a ${word} with its files` : `Take a ${word} from an agent`,
      params: linked,
      answer: agentState,
      async handle({ actor, context, params: { agent_id, folder_id } }) {
        const { agents, folders } = context.deps.store
        if (!(await folders.get(actor, folder_id))) throw notFound('Folder', folder_id)
        await folders[verb](actor, agent_id, folder_id)
        const agent = await readAll({ actor, context }, (relations) => agents.get(actor, agent_id, relations))
        if (!agent) throw notFound('Agent', agent_id)
        return toAgentState(agent)
      },
    })
  return [
    route({
      method: 'GET',
      path: `/v1/agents/:agent_id/${noun}`,
      operation: noun === 'folders' ? 'list_folders_for_agent' : 'list_agent_sources',
      summary: `List an agent's ${noun}`,
      params,
      query: z.object({ order_by, ...pageQuery({ limit: 100, order: 'desc' }) }),
      answer: z.array(source),
      async handle({ actor, context, params: { agent_id }, query }) {
        await agentOf(context, actor, agent_id)
        return context.deps.store.folders.list(actor, { agent_id }, query)
      },
    }),
    change('attach'),
    change('detach'),
  ]
}

export const routes: Route[] = [
  ...folderRoutes('folders'),
  ...folderRoutes('sources'),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/files',
    operation: 'list_files_for_agent',
    summary: "List an agent's files, with what it sees of those that are open",
    params,
    query: z.object({
      order_by,
      cursor: z.string().optional(),
      is_open: queryBoolean.optional(),
      ...pageQuery({ limit: 100, order: 'desc' }),
    }),
    answer: agentFiles,
    async handle({ actor, context, params: { agent_id }, query }) {
      const agent = await agentOf(context, actor, agent_id)
      const all = await context.deps.store.files.ofAgent(actor, agent_id)
      const listed = all
        .filter((file) => query.is_open === undefined || file.is_open === query.is_open)
        .toSorted((a, b) => (a.id < b.id ? -1 : 1) * (query.order === 'asc' ? 1 : -1))
      const place = (id: string | undefined) => {
        if (id === undefined) return null
        const at = listed.findIndex((file) => file.id === id || file.file_id === id)
        if (at < 0)
          throw new AppError('not_found', `No item '${id}' to page from; use an id that the list returned.`)
        return at
      }
      const after = place(query.after ?? query.cursor)
      const before = place(query.before)
      const window = listed.slice(after === null ? 0 : after + 1, before ?? undefined)
      const page =
        after === null && before !== null ? window.slice(-query.limit) : window.slice(0, query.limit)
      const has_more = page.length < window.length
      return {
        files: await Promise.all(page.map((file) => attachment(context, actor, agent, file))),
        next_cursor: has_more ? (page.at(-1)?.id ?? null) : null,
        has_more,
      }
    },
  }),
  ...(['attach', 'detach'] as const).map((change) =>
    route({
      method: 'PATCH',
      path: `/v1/agents/:agent_id/files/${change}/:file_id`,
      summary:
        change === 'attach'
          ? 'Give an agent a file that was uploaded by itself'
          : 'Take a file that was uploaded by itself from an agent',
      params: fileParams,
      answer: agentState,
      async handle({ actor, context, params: { agent_id, file_id } }) {
        const { agents, files, folders } = context.deps.store
        const file = await files.get(actor, file_id)
        if (!file) throw notFound('File', file_id)
        if (!(await isAlone(context, actor, file.source_id)))
          throw new AppError(
            'conflict',
            `file '${file_id}' is one of the files of folder '${file.source_id}', which agents have whole; ${change} ` +
              `the folder (PATCH /v1/agents/${agent_id}/folders/${change}/${file.source_id})`,
          )
        await folders[change](actor, agent_id, file.source_id)
        const agent = await readAll({ actor, context }, (relations) => agents.get(actor, agent_id, relations))
        if (!agent) throw notFound('Agent', agent_id)
        return toAgentState(agent)
      },
    }),
  ),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/files/search',
    summary: "Find parts of an agent's files, best first; how is told by the header X-Search-Mode",
    params,
    query: z.object({ query: z.string(), limit: z.coerce.number().int().min(1).max(1000).default(10) }),
    answer: z.array(fileSearchResult),
    async handle({ actor, context, params: { agent_id }, query }) {
      await agentOf(context, actor, agent_id)
      const { mode, matches } = await findFiles(context.deps, actor, { agent_id, ...query })
      const results = matches.map(({ file_id, path, text, first_line, last_line }) => ({
        file_id,
        file_name: path,
        text,
        start_line: first_line + 1,
        end_line: last_line + 1,
      }))
      return Response.json(results, { headers: { 'x-search-mode': mode } })
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/files/close-all',
    operation: 'close_all_files_for_agent',
    summary: "Close all of an agent's files",
    params,
    answer: z.array(z.string()),
    async handle({ actor, context, params: { agent_id } }) {
      await agentOf(context, actor, agent_id)
      return context.deps.store.files.close(actor, agent_id, 'all')
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/files/:file_id/open',
    operation: 'open_file_for_agent',
    summary: 'Open a file; answers those that were closed to make room',
    params: fileParams,
    answer: z.array(z.string()),
    async handle({ actor, context, params: { agent_id, file_id } }) {
      const agent = await agentOf(context, actor, agent_id)
      return context.deps.store.files.open(actor, agent_id, [{ file_id, start_line: 0, end_line: null }], {
        max_open: agent.max_files_open ?? DEFAULT_MAX_FILES_OPEN,
      })
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/files/:file_id/close',
    operation: 'close_file_for_agent',
    summary: 'Close a file',
    params: fileParams,
    answer: z.object({ message: z.string() }),
    async handle({ actor, context, params: { agent_id, file_id } }) {
      await agentOf(context, actor, agent_id)
      const files = await context.deps.store.files.ofAgent(actor, agent_id)
      if (!files.some((file) => file.file_id === file_id)) throw notFound('File', file_id)
      await context.deps.store.files.close(actor, agent_id, [file_id])
      return { message: `File id=${file_id} successfully closed` }
    },
  }),
]

async function attachment(
  context: ServerContext,
  actor: Actor,
  agent: Agent,
  file: AgentFile,
): Promise<AgentFileAttachment> {
  const { id, file_id, folder_id, folder_name, path, is_open, last_accessed_at } = file
  const view = is_open
    ? await context.deps.store.files.read(actor, file_id, {
        start_line: file.start_line ?? 0,
        end_line: file.end_line,
        max_chars: agent.per_file_view_window_char_limit ?? DEFAULT_VIEW_CHARS,
      })
    : null
  return {
    id,
    file_id,
    file_name: path,
    folder_id,
    folder_name,
    is_open,
    last_accessed_at,
    visible_content: view && file.status === 'completed' ? viewText(view, file.lines) : null,
    start_line: is_open && view ? view.first_line + 1 : null,
    end_line: is_open && view ? view.next_line : null,
  }
}
