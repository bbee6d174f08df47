import type { CustomToolCall } from '../../core/ports/custom-tools.ts'
import type { Agent } from '../../schema/agent.ts'

/** What `loci_call.py` is told of a call, besides what each frame of its kind has. */
export interface PythonCall {
  name: string
  source: string
  /** The developer's own file, for a debugger; null: the source has none. */
  file: string | null
  arguments: Record<string, unknown>
  env: Readonly<Record<string, string>>
  agent_id: string | null
  /** Null for a tool that does not look at it. */
  agent: AgentFields | null
  network: boolean
}

type AgentFields = Omit<Agent, 'tools' | 'secrets' | 'pending_approval' | 'managed_group' | 'directories'> & {
  tools: Pick<Agent['tools'][number], 'id' | 'name' | 'description' | 'tags' | 'tool_type'>[]
}

/** A call as the process that makes it reads it. */
export function pythonCall({ name, source, permissions, agent, env, ...call }: CustomToolCall): PythonCall {
  return {
    name,
    source: source.source_code,
    file: null,
    arguments: call.arguments,
    env,
    agent_id: agent?.id ?? null,
    agent: agent && /\bagent_state\b/.test(source.source_code) ? agentFields(agent) : null,
    network: permissions.network,
  }
}

/** What a tool sees of the agent that calls it: no secrets, no code of other tools. */
function agentFields(agent: Agent): AgentFields {
  const { tools, ...fields } = agent
  delete fields.secrets
  delete fields.pending_approval
  delete fields.managed_group
  delete fields.directories
  return {
    ...fields,
    tools: tools.map(({ id, name, description, tags, tool_type }) => ({
      id,
      name,
      description,
      tags,
      tool_type,
    })),
  }
}

/** Packages that take long to import and that a source uses: they are imported once for all calls. */
export function heavyImports(source: string): string[] {
  const models = /\b(pydantic|BaseModel)\b/.test(source)
  const client = /\bclient\b/.test(source)
  return [...(models ? ['pydantic'] : []), ...(client ? ['letta_client'] : [])]
}
