import type { Agent, AgentRelation, AgentState } from '../schema/agent.ts'
import { AGENT_RELATIONS } from '../schema/agent.ts'
import { approvalRequest } from './approval-messages.ts'

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

/**
 * Which relations an agent read loads (reference 1.3, 2.1): clients from 1.0 on get only what `include` names, older
 * ones everything. Asking for blocks also loads tags.
 */
export function relationsFor(
  request: Request,
  include: readonly AgentRelation[] | undefined,
): AgentRelation[] {
  if (include && include.length > 0)
    return include.includes('agent.blocks') ? [...include, 'agent.tags'] : [...include]
  return isModernClient(request.headers) ? [] : [...AGENT_RELATIONS]
}

/** V1's rule for "a client of version 1.0 or later" (reference 1.3). */
export function isModernClient(headers: Headers): boolean {
  if (headers.has('x-stainless-package-version')) return true
  const agent = headers.get('user-agent')
  if (agent === null || agent === '') return true
  const version = /^(?:@letta-ai\/)?letta-client\/(\d+)\./.exec(agent)?.[1]
  return version !== undefined && Number(version) >= 1
}
