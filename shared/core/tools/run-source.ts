import type { CheckedTool, CheckTool, RunToolSource } from '../../schema/custom-tool.ts'
import { toolName } from '../../schema/custom-tool.ts'
import { AppError } from '../../schema/errors.ts'
import type { Actor } from '../ports/actor.ts'
import type { CustomToolResult, DerivedTool } from '../ports/custom-tools.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { isLanguage, merged } from '../ports/tool-code.ts'
import { customTools, deriveOptions, isBuiltinName } from './own-tools.ts'

/** Source that has code in it, as a request brings it. */
type Code = Pick<RunToolSource, 'source_code' | 'source_type' | 'json_schema' | 'args_json_schema'>

/**
 * Runs the code of a tool that is stored nowhere, for its developer: no agent, no secrets, only the variables that come
 * along. A failing tool is a result. Throws `invalid_argument` for a source that cannot be read.
 */
export async function runSource(
  deps: CoreDeps,
  actor: Actor,
  body: RunToolSource,
  options: { signal: AbortSignal },
): Promise<CustomToolResult & { name: string }> {
  const derived = await derive(deps, body)
  if (body.name != null && body.name !== derived.name)
    throw new AppError(
      'invalid_argument',
      `The source's tool is '${derived.name}', not '${body.name}': the last function of a source is its tool.`,
    )
  const result = await customTools(deps).run(
    {
      actor,
      name: derived.name,
      source: {
        source_type: derived.source_type,
        source_code: body.source_code,
        pip_requirements: merged(body.pip_requirements, derived.pip_requirements),
        npm_requirements: merged(body.npm_requirements, derived.npm_requirements),
      },
      permissions: derived.permissions,
      arguments: body.args,
      env: body.env_vars ?? {},
      agent: null,
      run_id: null,
    },
    options,
  )
  return { ...result, name: derived.name }
}

/** The schema that a source says. Throws `invalid_argument` with the line of what cannot be read. */
export async function schemaOfSource(deps: CoreDeps, body: Code): Promise<Record<string, unknown>> {
  return { ...(await derive(deps, body)).json_schema }
}

/** Looks at a source for an editor: what its tool would be, and all that is wrong or odd about it. */
export async function checkSource(deps: CoreDeps, body: CheckTool): Promise<CheckedTool> {
  const { source_type, source_code } = body
  if (!isLanguage(source_type)) throw withoutCode()
  const { tool, problems } = await customTools(deps).check({ source_type, source_code }, deriveOptions(body))
  const places = (wanted: 'error' | 'warning') =>
    problems
      .filter(({ severity }) => severity === wanted)
      .map(({ message, line, column }) => ({ message, line, column }))
  return {
    name: tool?.name ?? null,
    description: tool?.description ?? null,
    json_schema: tool ? { ...tool.json_schema } : null,
    permissions: tool?.permissions ?? null,
    pip_requirements: tool?.pip_requirements ?? [],
    npm_requirements: tool?.npm_requirements ?? [],
    warnings: places('warning'),
    errors: [...places('error'), ...(tool ? nameProblems(deps, tool.name) : [])],
  }
}

/** Why a tool of this name could not be stored. */
function nameProblems(deps: CoreDeps, name: string): CheckedTool['errors'] {
  const wrong = toolName.safeParse(name).error?.issues.map(({ message }) => message) ?? []
  if (isBuiltinName(deps, name)) wrong.push(`'${name}' is the name of a built-in tool; choose another`)
  return wrong.map((message) => ({ message, line: null, column: null }))
}

async function derive(
  deps: CoreDeps,
  body: Code,
): Promise<DerivedTool & { source_type: 'python' | 'typescript' }> {
  const { source_type, source_code } = body
  if (!isLanguage(source_type)) throw withoutCode()
  if (source_code.trim() === '')
    throw new AppError('validation', 'body.source_code: is empty; give the code of the tool')
  const derived = await customTools(deps).derive({ source_type, source_code }, deriveOptions(body))
  return { ...derived, source_type }
}

function withoutCode(): AppError {
  return new AppError(
    'invalid_argument',
    "A tool of source_type 'json' has no code that could be read or run; its client runs it.",
  )
}
