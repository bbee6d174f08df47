import type { Agent } from '../../schema/agent.ts'
import { AppError } from '../../schema/errors.ts'
import { toolPermissions } from '../../schema/custom-tool.ts'
import { requirement, type Tool, type ToolSchema } from '../../schema/tool.ts'
import {
  type CustomToolCall,
  type CustomTools,
  type DerivedTool,
  type Requirement,
  SOURCE_LANGUAGES,
  type SourceLanguage,
  type ToolPermissions,
  type ToolSource,
} from './custom-tools.ts'

/** What a tool keeps of its source beside the code, under these keys of `metadata_`; written anew with each source. */
export interface SourceFacts {
  permissions: ToolPermissions
  /** What the source itself asks for. */
  pip_requirements?: Requirement[]
  npm_requirements?: Requirement[]
}

/** The keys of `SourceFacts`. */
export const FACTS: readonly string[] = ['permissions', 'pip_requirements', 'npm_requirements']

/** Metadata without what a source says. */
export function withoutFacts(
  metadata: Readonly<Record<string, unknown>> | null | undefined,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(metadata ?? {}).filter(([key]) => !FACTS.includes(key)))
}

/** What is kept in `metadata_` of a tool with this source. */
export function factsOf({ permissions, pip_requirements, npm_requirements }: DerivedTool): SourceFacts {
  return {
    permissions,
    ...(pip_requirements.length > 0 ? { pip_requirements } : {}),
    ...(npm_requirements.length > 0 ? { npm_requirements } : {}),
  }
}

/** Whether this is a language that tools are written in. */
export function isLanguage(source_type: string | null): source_type is SourceLanguage {
  return SOURCE_LANGUAGES.some((language) => language === source_type)
}

/** The code of a tool and the packages it needs; null for a tool without code that could be run. */
export function sourceOf(tool: Tool): ToolSource | null {
  const { source_code, metadata_ } = tool
  // Of V1's older tools nothing says that they are Python.
  const source_type = tool.source_type ?? 'python'
  if (source_code === null || source_code.trim() === '' || !isLanguage(source_type)) return null
  return {
    source_type,
    source_code,
    pip_requirements: merged(tool.pip_requirements, metadata_?.['pip_requirements']),
    npm_requirements: merged(tool.npm_requirements, metadata_?.['npm_requirements']),
  }
}

/** The packages of two lists; of one that is in both, what the first says. */
export function merged(first: readonly Requirement[] | null | undefined, second: unknown): Requirement[] {
  const own = first ?? []
  const more = requirement.array().safeParse(second).data ?? []
  return [...own, ...more.filter(({ name }) => !own.some((one) => one.name === name))]
}

/** Runs the code of a tool for an agent, with its blocks as they are now. Throws `tool_error` for one without code. */
export async function callCode(
  custom: CustomTools,
  tool: Tool,
  call: Pick<CustomToolCall, 'actor' | 'arguments' | 'run_id'> & {
    agent: Agent
    secrets: Readonly<Record<string, string>>
  },
  options: Parameters<CustomTools['run']>[1],
): ReturnType<CustomTools['run']> {
  const source = sourceOf(tool)
  if (!source)
    throw new AppError('tool_error', `tool '${tool.name}' has no code in a language that is run here`)
  const { secrets, ...rest } = call
  const permissions = await permissionsOf(custom, tool, source)
  const env = environmentOf(secrets, tool, call.agent)
  return custom.run({ ...rest, tool_id: tool.id, name: tool.name, source, permissions, env }, options)
}

/** As they were when the source was stored, or read from it now: tools of an older Loci have none. */
async function permissionsOf(custom: CustomTools, tool: Tool, source: ToolSource): Promise<ToolPermissions> {
  const kept = toolPermissions.safeParse(tool.metadata_?.['permissions'])
  if (kept.success) return kept.data
  const json_schema = tool.json_schema as ToolSchema | null
  return (await custom.derive(source, json_schema ? { json_schema } : {})).permissions
}

/** What the code of a tool finds in its environment: the agent's secrets, then who calls (reference 8.3). */
function environmentOf(
  secrets: Readonly<Record<string, string>>,
  tool: Tool,
  agent: Agent,
): Record<string, string> {
  return {
    ...secrets,
    LETTA_AGENT_ID: agent.id,
    LETTA_TOOL_ID: tool.id,
    ...(agent.project_id === null ? {} : { LETTA_PROJECT_ID: agent.project_id }),
  }
}
