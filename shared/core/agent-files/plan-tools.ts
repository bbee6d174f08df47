import type { FileAgent, FileTool, ImportOptions } from '../../schema/agent-file.ts'
import { isAppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { Tool } from '../../schema/tool.ts'
import { baseToolNames } from '../agent-tools.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { factsOf, sourceOf, withoutFacts } from '../ports/tool-code.ts'
import { deriveOptions } from '../tools/own-tools.ts'
import { TOOL_IDS, toolFields } from './entity-fields.ts'
import { keep, type Kept } from './kept.ts'
import { nameOfTool, type ReadFile } from './read-file.ts'
import { refused } from './refused.ts'

/** Sources that are read at once, and of one file. The others are read when they are first called. */
const AT_ONCE = 4
const MAX_READ = 100

/** What became of a tool of the file. */
export interface PlannedTool {
  tool: Tool
  kept: Kept
}

/** What an import does about tools. */
interface ToolPlan {
  new_tools: Tool[]
  changed_tools: Tool[]
  warnings: string[]
}

/**
 * Decides what the tools of a file become, by their ids in the file; those that agents ask for by name and the file does
 * not have are under `name:…`. What a source declares is read from it anew, never taken from the file.
 */
export async function planTools(
  deps: CoreDeps,
  actor: Actor,
  file: ReadFile,
  options: ImportOptions,
  plan: ToolPlan,
): Promise<Map<string, PlannedTool>> {
  const planned = new Map<string, PlannedTool>()
  const asked = file.agents.flatMap(({ value }) => namesOf(value))
  const names = [...new Set([...file.tools.map(({ value }) => nameOfTool(value)), ...asked])]
  const existing = new Map<string, Tool>()
  if (names.length > 0)
    for (const tool of await deps.store.tools.list(actor, { names }, { limit: names.length, order: 'asc' }))
      existing.set(tool.name, tool)
  const read = await readSources(
    deps,
    file.tools.map(({ value }) => toolOf(actor, value)),
    plan,
  )
  for (const [i, { raw, value }] of file.tools.entries()) {
    const made = read[i] ?? toolOf(actor, value)
    if (value.name == null)
      plan.warnings.push(`tools[${i}] has no name; it is called '${made.name}', as in its schema.`)
    const present = existing.get(made.name)
    const tool = present ? decide(present, made, options, plan) : made
    if (!present) plan.new_tools.push(tool)
    if (!present && made.tool_type !== 'custom' && made.tool_type !== 'external_mcp')
      plan.warnings.push(
        `Tool '${made.name}' (${made.tool_type}) cannot be run here; it was stored as it is.`,
      )
    planned.set(value.id, { tool, kept: keep(raw, toolFields(tool), TOOL_IDS) })
  }
  const inFile = new Set(file.tools.map(({ value }) => nameOfTool(value)))
  for (const name of asked) {
    const tool = existing.get(name)
    if (tool && !inFile.has(name)) planned.set(`name:${name}`, { tool, kept: {} })
  }
  return planned
}

/** Names of tools that an agent asks for beside those of the file. */
export function namesOf(value: FileAgent): string[] {
  const base =
    value.include_base_tools && wasGiven(value)
      ? baseToolNames(value.agent_type ?? 'letta_v1_agent', { sleeptime: value.enable_sleeptime === true })
      : []
  return [...base, ...(value.tools ?? [])]
}

/** A tool that an agent asks for by name. Throws `invalid_argument` with the path when there is none. */
export function named(name: string, tools: ReadonlyMap<string, PlannedTool>, path: string): PlannedTool {
  const found = tools.get(`name:${name}`) ?? [...tools.values()].find(({ tool }) => tool.name === name)
  if (found) return found
  throw refused(path, `there is no tool named '${name}', neither in the file nor here`)
}

/** A file that names its tools by id has them all: V1 always writes those. */
function wasGiven(value: FileAgent): boolean {
  return value.tool_ids == null
}

/** Of a tool that is there already, which one the agent gets. */
function decide(present: Tool, made: Tool, options: ImportOptions, plan: ToolPlan): Tool {
  const same = toolFields(present)
  const wanted = { ...made, id: present.id }
  if (JSON.stringify(same) === JSON.stringify(toolFields(wanted))) return present
  if (present.tool_type.startsWith('letta_')) {
    if (made.tool_type === 'custom')
      plan.warnings.push(
        `The file has a tool '${made.name}' of its own; the built-in tool of that name was attached instead.`,
      )
    return present
  }
  if (!options.override_existing_tools) {
    plan.warnings.push(
      `Tool '${made.name}' was there already and stays as it is (override_existing_tools=false).`,
    )
    return present
  }
  plan.changed_tools.push(wanted)
  return wanted
}

function toolOf(actor: Actor, value: FileTool): Tool {
  return {
    id: newId('tool'),
    tool_type: value.tool_type,
    name: nameOfTool(value),
    description: value.description ?? null,
    source_type: value.source_type ?? null,
    source_code: value.source_code ?? null,
    json_schema: value.json_schema ?? null,
    args_json_schema: value.args_json_schema ?? null,
    tags: value.tags ?? [],
    return_char_limit: value.return_char_limit,
    pip_requirements: value.pip_requirements ?? null,
    npm_requirements: value.npm_requirements ?? null,
    default_requires_approval: value.default_requires_approval ?? null,
    enable_parallel_execution: value.enable_parallel_execution ?? null,
    metadata_: value.metadata_ ? withoutFacts(value.metadata_) : null,
    project_id: value.project_id ?? null,
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
  }
}

/** The tools with what their sources say; one that cannot be read is stored as it is, and warned of. */
async function readSources(deps: CoreDeps, tools: readonly Tool[], plan: ToolPlan): Promise<Tool[]> {
  const done: Tool[] = []
  for (let from = 0; from < tools.length; from += AT_ONCE) {
    const some = tools.slice(from, from + AT_ONCE)
    done.push(
      ...(await Promise.all(
        some.map(async (tool) => (from < MAX_READ ? readSource(deps, tool, plan) : tool)),
      )),
    )
  }
  return done
}

async function readSource({ custom }: CoreDeps, tool: Tool, plan: ToolPlan): Promise<Tool> {
  const source = tool.tool_type === 'custom' ? sourceOf(tool) : null
  if (!custom || !source) return tool
  const json_schema = tool.json_schema && { ...tool.json_schema, name: tool.name }
  const { args_json_schema } = tool
  try {
    const derived = await custom.derive(source, deriveOptions({ json_schema, args_json_schema }))
    return {
      ...tool,
      json_schema: tool.json_schema ?? { ...derived.json_schema, name: tool.name },
      description: tool.description ?? derived.description,
      metadata_: { ...tool.metadata_, ...factsOf(derived) },
    }
  } catch (error) {
    if (!isAppError(error)) throw error
    plan.warnings.push(`Tool '${tool.name}' was stored, but its source cannot be read: ${error.message}`)
    return tool
  }
}
