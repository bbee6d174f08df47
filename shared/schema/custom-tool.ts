import * as z from 'zod'
import { tag } from './names.ts'
import { jsonObject } from './page.ts'
import { MAX_TOOL_NAME, MAX_TOOL_SOURCE } from './tool-name.ts'
import { requirement } from './tool.ts'

/** Packages that one tool may ask for, of each language. */
const MAX_REQUIREMENTS = 50

/** What a tool may be called. */
export const toolName = z
  .string()
  .regex(
    /^[A-Za-z_][\w-]*$/,
    "a tool's name has letters, digits, '_' and '-', and does not begin with a digit",
  )
  .max(MAX_TOOL_NAME, `a tool's name has at most ${MAX_TOOL_NAME} characters`)

const packageVersion = z
  .string()
  .max(200)
  .regex(
    /^[\w.*+!^~<>=, |-]*$/,
    "expected a version such as '2.32.0' or '>=2,<3', not an address or an option",
  )
  .nullish()

function requirements(name: RegExp, example: string) {
  const item = z.object({
    name: z
      .string()
      .max(214)
      .regex(
        name,
        `expected the name of a package such as '${example}', not an address, a path or an option`,
      ),
    version: packageVersion,
  })
  return z.array(item).max(MAX_REQUIREMENTS, `a tool asks for at most ${MAX_REQUIREMENTS} packages`).nullish()
}

/** What a tool tells a model of itself, as a request gives it: OpenAI's function shape, other keys are kept. */
const givenSchema = z.looseObject({
  name: toolName,
  description: z.string().nullish(),
  parameters: z
    .looseObject({
      type: z.literal('object').optional(),
      properties: jsonObject.nullish(),
      required: z.array(z.string()).nullish(),
    })
    .nullish(),
})
export type GivenToolSchema = z.infer<typeof givenSchema>

/** What code is written in; `json` has none: its calls are put to the client. */
export const SOURCE_TYPES = ['python', 'typescript', 'json'] as const
const sourceType = z.enum(SOURCE_TYPES)
export type SourceType = z.infer<typeof sourceType>
const sourceCode = z
  .string()
  .max(MAX_TOOL_SOURCE, `the source of a tool has at most ${MAX_TOOL_SOURCE.toLocaleString('en')} characters`)

const source = {
  source_code: sourceCode,
  source_type: sourceType.nullish().transform((type) => type ?? 'python'),
  json_schema: givenSchema.nullish(),
  args_json_schema: jsonObject.nullish(),
  pip_requirements: requirements(/^[A-Za-z0-9][\w.-]*(\[[\w, .-]*\])?$/, 'requests'),
  npm_requirements: requirements(/^(@[a-z0-9~-][\w.~-]*\/)?[a-z0-9~][\w.~-]*$/i, 'zod'),
}

const settings = {
  description: z.string().nullish(),
  tags: z.array(tag).nullish(),
  return_char_limit: z.number().int().min(1).max(1_000_000).nullish(),
  default_requires_approval: z.boolean().nullish(),
  enable_parallel_execution: z.boolean().nullish(),
  metadata_: jsonObject.nullish(),
}

/** Body of `POST` and `PUT /v1/tools/`: a tool of one's own (V1 `ToolCreate`). */
export const createTool = z.object({ ...source, ...settings })
export type CreateTool = z.infer<typeof createTool>

/** Body of `PATCH /v1/tools/{id}`: null or absent leaves a field as it is. */
export const updateTool = z.object({
  ...source,
  ...settings,
  /** That of the source or the schema, as clients send it that give a whole tool back: no other is taken. */
  name: z.string().nullish(),
  source_code: sourceCode.nullish(),
  source_type: sourceType.nullish(),
})
export type UpdateTool = z.infer<typeof updateTool>

/** Body of `POST /v1/tools/run`. */
export const runToolSource = z.object({
  ...source,
  args: jsonObject,
  env_vars: z.record(z.string().min(1), z.string()).nullish(),
  name: z.string().nullish(),
})
export type RunToolSource = z.infer<typeof runToolSource>

/** Body of `POST /v1/tools/check`, ours. */
export const checkTool = z.object(source)

export type CheckTool = z.infer<typeof checkTool>

/** Body of `POST /v1/tools/generate-schema`. */
export const generateToolSchema = z.object({ code: sourceCode, source_type: source.source_type })

/** What the wall lets through for a tool, as its source declares it. */
export const toolPermissions = z.object({
  network: z.boolean(),
  read: z.array(z.string()),
  write: z.array(z.string()),
  timeout_ms: z.number().nullable(),
  memory_mb: z.number().nullable(),
  keep_state: z.boolean(),
})

/** What `POST /v1/tools/check` answers: `errors` is empty exactly when the tool could be stored. */
export const checkedTool = z.object({
  name: z.string().nullable(),
  description: z.string().nullable(),
  json_schema: jsonObject.nullable(),
  permissions: toolPermissions.nullable(),
  pip_requirements: z.array(requirement),
  npm_requirements: z.array(requirement),
  warnings: z.array(z.object({ message: z.string(), line: z.number().int(), column: z.number().int() })),
  errors: z.array(
    z.object({ message: z.string(), line: z.number().int().nullable(), column: z.number().int().nullable() }),
  ),
})
export type CheckedTool = z.infer<typeof checkedTool>

/** Body of `POST /v1/agents/{id}/tools/{name}/run`. */
export const runAgentTool = z.object({
  args: jsonObject.nullish().transform((args) => args ?? {}),
})

/** What became of a call outside of a turn (V1 `ToolExecutionResult`). */
export const toolExecutionResult = z.object({
  status: z.enum(['success', 'error']),
  func_return: z.unknown(),
  /** Of V1's older clients. */
  agent_state: z.null(),
  stdout: z.array(z.string()).nullable(),
  stderr: z.array(z.string()).nullable(),
  sandbox_config_fingerprint: z.string().nullable(),
})
export type ToolExecutionResult = z.infer<typeof toolExecutionResult>
