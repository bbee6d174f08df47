import type { Actor } from '../core/ports/actor.ts'
import type { Agent, AgentRelation, AgentState } from '../schema/agent.ts'
import { AGENT_RELATIONS } from '../schema/agent.ts'
import { isAppError } from '../schema/errors.ts'
import type { Access } from './access.ts'
import { approvalRequest } from './approval-messages.ts'
import type { ServerContext } from './context.ts'
import { notFound } from './errors.ts'

/** The stored agent with the deprecated fields that V1's clients still read. */
export function toAgentState(agent: Agent): AgentState {
  const { directories: _, ...shown } = agent
  return {
    ...shown,
    memory: {
      agent_type: agent.agent_type,
      git_enabled: false,
      blocks: agent.blocks,
      file_blocks: [],
      prompt_template: '',
    },
    sources: agent.sources ?? [],
    secrets: agent.secrets ?? [],
    tool_exec_environment_variables: agent.secrets ?? [],
    identities: agent.identities ?? [],
    pending_approval: (agent.pending_approval && approvalRequest(agent.pending_approval)[0]) ?? null,
    managed_group: agent.managed_group ?? null,
    multi_agent_group: agent.managed_group ?? null,
  }
}

/** An agent as an access token sees it: without its secrets, the source of its tools, and the people it belongs to. */
export function shownTo(access: Access, agent: Agent): Agent {
  if (!access.scope) return agent
  const tools = agent.tools.map((tool) => ({ ...tool, source_code: null }))
  return { ...agent, tools, secrets: [], identities: [], identity_ids: [] }
}

/**
 * Which relations an agent read loads (reference 1.3, 2.1): clients from 1.0 on get only what `include` names, older
 * ones everything. Asking for blocks also loads tags.
 */
function relationsFor(request: Request, include: readonly AgentRelation[] | undefined): AgentRelation[] {
  if (include && include.length > 0)
    return include.includes('agent.blocks') ? [...include, 'agent.tags'] : [...include]
  return isModernClient(request.headers) ? [] : [...AGENT_RELATIONS]
}

/** Who reads agents, and where. */
interface Reader {
  actor: Actor
  context: Pick<ServerContext, 'deps'>
}

/**
 * Reads agents with the relations that a request wants. Secrets whose key is not here are an error for who asks for
 * them; a client that gets everything unasked gets them without their values.
 */
export async function readRelations<T extends Agent | null | Agent[]>(
  reader: Reader,
  request: Request,
  include: readonly AgentRelation[] | undefined,
  read: (relations: readonly AgentRelation[]) => Promise<T>,
): Promise<T> {
  if (include?.includes('agent.secrets')) return read(relationsFor(request, include))
  return readAll(reader, read, relationsFor(request, include))
}

/** Reads agents with all relations, but without the values of secrets whose key is not here. */
export async function readAll<T extends Agent | null | Agent[]>(
  { actor, context }: Reader,
  read: (relations: readonly AgentRelation[]) => Promise<T>,
  relations: readonly AgentRelation[] = AGENT_RELATIONS,
): Promise<T> {
  try {
    return await read(relations)
  } catch (error) {
    if (!isAppError(error, 'secrets_unreadable')) throw error
    const found = await read(relations.filter((relation) => relation !== 'agent.secrets'))
    const { secrets } = context.deps.store
    for (const agent of Array.isArray(found) ? found : [found])
      if (agent) agent.secrets = await secrets.unread(actor, agent.id)
    return found
  }
}

const WITHOUT_SECRETS = AGENT_RELATIONS.filter((relation) => relation !== 'agent.secrets')

/** The whole agent but for its secrets: answers to messages are logged and passed on. Throws `not_found`. */
export async function wholeAgent(
  { deps }: Pick<ServerContext, 'deps'>,
  actor: Actor,
  agent_id: string,
): Promise<AgentState> {
  const agent = await deps.store.agents.get(actor, agent_id, WITHOUT_SECRETS)
  if (!agent) throw notFound('Agent', agent_id)
  return toAgentState(agent)
}

/** V1's rule for "a client of version 1.0 or later" (reference 1.3). */
export function isModernClient(headers: Headers): boolean {
  if (headers.has('x-stainless-package-version')) return true
  const agent = headers.get('user-agent')
  if (agent === null || agent === '') return true
  const version = /^(?:@letta-ai\/)?letta-client\/(\d+)\./.exec(agent)?.[1]
  return version !== undefined && Number(version) >= 1
}
