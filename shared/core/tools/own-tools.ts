import type { CreateTool, GivenToolSchema, SourceType, UpdateTool } from '../../schema/custom-tool.ts'
import { toolName } from '../../schema/custom-tool.ts'
import { AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import { DEFAULT_RETURN_CHAR_LIMIT, type Tool, type ToolSchema } from '../../schema/tool.ts'
import type { Actor } from '../ports/actor.ts'
import type { CustomTools, DeriveOptions } from '../ports/custom-tools.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { FACTS, factsOf, isLanguage, withoutFacts } from '../ports/tool-code.ts'
import type { ToolPatch } from '../ports/tool-store.ts'

/** What a tool is made of. */
interface Source {
  source_type: SourceType
  source_code: string
  json_schema?: GivenToolSchema | null | undefined
  args_json_schema?: Record<string, unknown> | null | undefined
}

/** What a source says of its tool. */
interface ReadSource {
  json_schema: ToolSchema
  /** For `metadata_`. */
  facts: Record<string, unknown>
}

/**
 * Stores a tool under the name that its source, or `json_schema`, says; of the tool of one's own that has this name the
 * fields that are given are changed (reference 8.1). Throws `invalid_argument` for a source that cannot be read and for
 * the name of a tool of another kind.
 */
export async function upsertTool(deps: CoreDeps, actor: Actor, body: CreateTool): Promise<Tool> {
  const { source_type, source_code } = body
  const { json_schema, facts } = await readSource(deps, body)
  const { name } = json_schema
  refuseBuiltinName(deps, name)
  const [present] = await deps.store.tools.list(actor, { name }, { limit: 1, order: 'asc' })
  const patch = {
    ...givenFields(body),
    source_type,
    source_code,
    ...described(json_schema, body),
    metadata_: { ...withoutFacts(present?.metadata_), ...withoutFacts(body.metadata_), ...facts },
  }
  const made: Tool = {
    args_json_schema: null,
    return_char_limit: DEFAULT_RETURN_CHAR_LIMIT,
    pip_requirements: null,
    npm_requirements: null,
    default_requires_approval: null,
    enable_parallel_execution: false,
    ...patch,
    id: newId('tool'),
    tool_type: 'custom',
    name,
    tags: body.tags ?? [],
    project_id: null,
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
  }
  // As in V1 it takes no tags away.
  const tags = body.tags && body.tags.length > 0 ? { tags: body.tags } : {}
  return deps.store.tools.upsert(actor, made, { ...patch, ...tags })
}

/**
 * Changes what `body` names; null and absent leave a field as it is. A new source or schema is read again, and may give
 * the tool another name. Null when there is none. Throws `invalid_argument` as `upsertTool`, for a built-in tool, and for
 * a name that is not the one of source and schema.
 */
export async function updateTool(
  deps: CoreDeps,
  actor: Actor,
  tool_id: string,
  body: UpdateTool,
): Promise<Tool | null> {
  const present = await deps.store.tools.get(actor, tool_id)
  if (!present) return null
  refuseBuiltin(present, 'changed')
  // What the source says stands, and of a tool of an MCP server what leads to it.
  const facts =
    present.tool_type === 'custom'
      ? Object.fromEntries(Object.entries(present.metadata_ ?? {}).filter(([key]) => FACTS.includes(key)))
      : present.metadata_
  const patch: ToolPatch = {
    ...givenFields(body),
    ...(body.tags ? { tags: body.tags } : {}),
    ...(body.metadata_ ? { metadata_: { ...withoutFacts(body.metadata_), ...facts } } : {}),
  }
  const { source_code, source_type, json_schema, args_json_schema } = body
  if (source_code == null && source_type == null && json_schema == null && args_json_schema == null) {
    refuseOtherName(body.name, present.name)
    if (body.description != null) {
      patch.description = body.description
      if (present.json_schema) patch.json_schema = { ...present.json_schema, description: body.description }
    }
    return deps.store.tools.update(actor, tool_id, patch)
  }
  if (present.tool_type !== 'custom')
    throw new AppError(
      'invalid_argument',
      `The source and schema of '${present.name}' come from its MCP server; change them there and refresh the server.`,
    )
  const source: Source = {
    source_type: source_type ?? ((present.source_type ?? 'python') as SourceType),
    source_code: source_code ?? present.source_code ?? '',
    // A new source is read; with the same one its schema stays as it is.
    json_schema: json_schema ?? (source_code == null && args_json_schema == null ? schemaOf(present) : null),
    args_json_schema: args_json_schema ?? (json_schema == null ? present.args_json_schema : null),
  }
  const read = await readSource(deps, source)
  refuseOtherName(body.name, read.json_schema.name)
  if (read.json_schema.name !== present.name) refuseBuiltinName(deps, read.json_schema.name)
  return deps.store.tools.update(actor, tool_id, {
    ...patch,
    name: read.json_schema.name,
    source_type: source.source_type,
    source_code: source.source_code,
    ...described(read.json_schema, body),
    metadata_: { ...withoutFacts(body.metadata_ ?? present.metadata_), ...read.facts },
  })
}

/** Takes a tool away, from its agents too. False when there is none. Throws `invalid_argument` for a built-in one. */
export async function deleteTool(deps: CoreDeps, actor: Actor, tool_id: string): Promise<boolean> {
  const present = await deps.store.tools.get(actor, tool_id)
  if (!present) return false
  refuseBuiltin(present, 'deleted')
  return deps.store.tools.delete(actor, tool_id)
}

/** What reads and runs the code of tools. Throws `not_implemented` where there is none. */
export function customTools({ custom }: CoreDeps): CustomTools {
  if (custom) return custom
  throw new AppError('not_implemented', 'This Loci runs no tools of its users; run one that does.')
}

/** The schema, as a source is read with it: without what is left out in a request. */
export function deriveOptions({
  json_schema,
  args_json_schema,
  pip_requirements,
  npm_requirements,
}: Pick<Source, 'json_schema' | 'args_json_schema'> &
  Partial<Pick<UpdateTool, 'pip_requirements' | 'npm_requirements'>>) {
  return {
    ...(json_schema ? { json_schema: wholeSchema(json_schema) } : {}),
    ...(args_json_schema ? { args_json_schema } : {}),
    ...(pip_requirements ? { pip_requirements } : {}),
    ...(npm_requirements ? { npm_requirements } : {}),
  } satisfies DeriveOptions
}

/** Throws `invalid_argument` with the line of what cannot be read. */
async function readSource(deps: CoreDeps, source: Source): Promise<ReadSource> {
  const { source_type, source_code, json_schema } = source
  if (!isLanguage(source_type)) {
    if (!json_schema)
      throw new AppError(
        'validation',
        "body.json_schema: a tool of source_type 'json' has no code to read its schema from; give json_schema",
      )
    return { json_schema: wholeSchema(json_schema), facts: {} }
  }
  if (source_code.trim() === '')
    throw new AppError('validation', 'body.source_code: is empty; give the code of the tool')
  const derived = await customTools(deps).derive({ source_type, source_code }, deriveOptions(source))
  const name = toolName.safeParse(derived.name)
  if (!name.success)
    throw new AppError(
      'invalid_argument',
      `The tool cannot be named '${derived.name}': ${name.error.issues.map(({ message }) => message).join('; ')}.`,
    )
  return { json_schema: derived.json_schema, facts: { ...factsOf(derived) } }
}

function wholeSchema({ parameters, description, ...rest }: GivenToolSchema): ToolSchema {
  const { properties, required, ...more } = parameters ?? {}
  return {
    ...rest,
    description: description ?? '',
    parameters: { ...more, type: 'object', properties: properties ?? {}, required: required ?? [] },
  }
}

function schemaOf({ json_schema }: Tool): GivenToolSchema | null {
  return json_schema as GivenToolSchema | null
}

/** A description that is given is what the model reads too, unless the schema says its own. */
function described(
  json_schema: ToolSchema,
  body: Pick<UpdateTool, 'description' | 'json_schema'>,
): { description: string; json_schema: Record<string, unknown> } {
  const { description } = body
  if (description == null) return { description: json_schema.description, json_schema: { ...json_schema } }
  const own = body.json_schema?.description
  return { description, json_schema: { ...json_schema, description: own ?? description } }
}

function givenFields(body: UpdateTool): ToolPatch {
  const { return_char_limit, default_requires_approval, enable_parallel_execution } = body
  const { args_json_schema, pip_requirements, npm_requirements } = body
  const fields = {
    return_char_limit,
    default_requires_approval,
    enable_parallel_execution,
    args_json_schema,
    pip_requirements,
    npm_requirements,
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null))
}

/** Whether a built-in tool has this name. */
export function isBuiltinName({ tools }: CoreDeps, name: string): boolean {
  return tools.builtins.some((builtin) => builtin.name === name)
}

function refuseBuiltinName(deps: CoreDeps, name: string): void {
  if (isBuiltinName(deps, name))
    throw new AppError(
      'invalid_argument',
      `There cannot be a tool named '${name}': it is the name of a built-in tool. Choose another.`,
    )
}

function refuseOtherName(wanted: string | null | undefined, name: string): void {
  if (wanted != null && wanted !== name)
    throw new AppError(
      'invalid_argument',
      `The tool is named '${name}', as its source or schema says, and cannot be renamed to '${wanted}' by itself: rename ` +
        'its function, or give a json_schema with that name.',
    )
}

function refuseBuiltin({ name, tool_type }: Tool, what: string): void {
  if (tool_type.startsWith('letta_'))
    throw new AppError(
      'invalid_argument',
      `'${name}' is a built-in tool and cannot be ${what}; detach it from the agents that shall not have it, or make ` +
        'a tool of your own with another name.',
    )
}
