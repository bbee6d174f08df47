/**
 * V1's contract as its OpenAPI document says it: operations by method and path, and validators of their answers.
 * The document is not part of this repository: it is read from `../shared/letta/openapi.json` beside it.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** Where the document is looked for. */
export const CONTRACT_FILE = join(ROOT, '..', 'shared', 'letta', 'openapi.json')

/** A JSON schema of the document, as far as these tests look into it. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  default?: unknown
  [keyword: string]: unknown
}

export interface Operation {
  method: string
  /** Template without a trailing slash, for example `/v1/agents/{agent_id}`. */
  path: string
  /** `METHOD path`, which names the operation in lists and messages. */
  name: string
  /** `operationId`, which generated clients name their methods after. */
  id: string
  /** The template as it is written: roots of nouns end in a slash. */
  written: string
  deprecated: boolean
  query: { name: string; required: boolean; default: unknown }[]
  /** Schema of the JSON body, and whether one must be sent. */
  body: { schema: Schema; required: boolean } | null
  /** Schema of the JSON answer for each status; null where the document has none. */
  answers: Map<number, Schema | null>
}

export interface Contract {
  operations: Operation[]
  /** The operation that serves this method and path; literal segments win over parameters. */
  find(method: string, pathname: string): Operation | null
  /** What is wrong with an answer, one readable line each; null when the document has no schema for it. */
  check(operation: Operation, status: number, body: unknown): string[] | null
  /** What is wrong with a value that should be of a component's schema. */
  checkSchema(name: string, value: unknown): string[]
  /** A component's schema, with `$ref`s left in. */
  schema(name: string): Schema
  /** Follows a `$ref`. */
  resolve(schema: Schema): Schema
}

/** The parts of an OpenAPI document that are read here. */
export interface OpenApiDocument {
  paths: Record<string, Record<string, RawOperation>>
  components: { schemas: Record<string, Schema> }
}
interface RawOperation {
  operationId?: string
  deprecated?: boolean
  parameters?: { name: string; in: string; required?: boolean; schema?: Schema }[]
  requestBody?: { required?: boolean; content?: Record<string, { schema?: Schema }> }
  responses?: Record<string, { content?: Record<string, { schema?: Schema }> }>
}

let loaded: Contract | null | undefined

/** The contract, or null when its file is not there. Throws when the file cannot be read as what it should be. */
export function loadContract(): Contract | null {
  if (loaded === undefined) {
    const text = readIfThere(CONTRACT_FILE)
    loaded = text === null ? null : createContract(JSON.parse(text) as OpenApiDocument)
  }
  return loaded
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Operations of an OpenAPI document, as `Contract.operations`. */
export function operationsOf(document: Pick<OpenApiDocument, 'paths'>): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]) => operationOf(method.toUpperCase(), path, raw)),
  )
}

function operationOf(method: string, template: string, raw: RawOperation): Operation {
  const path = withoutSlash(template)
  const body = raw.requestBody?.content?.['application/json']?.schema
  return {
    method,
    path,
    name: `${method} ${path}`,
    id: raw.operationId ?? '',
    written: template,
    deprecated: raw.deprecated ?? false,
    query: (raw.parameters ?? [])
      .filter((p) => p.in === 'query')
      .map((p) => ({ name: p.name, required: p.required ?? false, default: p.schema?.default })),
    body: body ? { schema: body, required: raw.requestBody?.required ?? false } : null,
    answers: new Map(
      Object.entries(raw.responses ?? {}).map(([status, response]) => {
        const written = response.content?.['application/json']?.schema
        // An agent file is answered as the object that it is; V1's document says that it is a string.
        const isFile = written?.type === 'string' && raw.operationId?.startsWith('export_agent')
        const schema = isFile ? { $ref: '#/components/schemas/AgentFileSchema' } : written
        return [Number(status), schema && Object.keys(schema).length > 0 ? schema : null]
      }),
    ),
  }
}

/** A contract from any OpenAPI document, also from our own. */
export function createContract(document: OpenApiDocument): Contract {
  const operations = operationsOf(document)
  const schemas = document.components.schemas
  const ajv = new Ajv2020({ strict: false, allErrors: true, verbose: true })
  // Published as CommonJS: the function is the module or its `default`, as the loader has it.
  const formats = addFormats as unknown as typeof addFormats.default | { default: typeof addFormats.default }
  ;(typeof formats === 'function' ? formats : formats.default)(ajv)
  ajv.addSchema({ $id: 'contract', components: { schemas: forAjv(schemas) } })
  const compiled = new Map<Schema, ValidateFunction>()
  const errorsOf = (schema: Schema, value: unknown): string[] => {
    let validate = compiled.get(schema)
    if (!validate) compiled.set(schema, (validate = ajv.compile(forAjv(schema) as object)))
    if (validate(value)) return []
    const errors = (validate.errors ?? []).filter((e) => e.keyword !== 'if')
    const lines = errors.map((e) => {
      const extra = e.params['additionalProperty'] ?? e.params['allowedValue'] ?? e.params['allowedValues']
      const more = extra === undefined ? '' : ` (${JSON.stringify(extra)})`
      const got = JSON.stringify(e.data)?.slice(0, 80)
      return `${e.instancePath === '' ? 'the answer' : e.instancePath} ${e.message}${more}; it is ${got}`
    })
    return [...new Set(lines)]
  }
  const named = (name: string): Schema => {
    const schema = schemas[name]
    if (!schema) throw new Error(`the contract has no schema '${name}'`)
    return schema
  }
  return {
    operations,
    find: (method, pathname) => findOperation(operations, method, pathname),
    check(operation, status, body) {
      const schema = operation.answers.get(status)
      if (schema) return errorsOf(schema, body)
      if (status !== 204 || !operation.answers.has(status)) return null
      return body === null ? [] : ['the answer must be empty']
    },
    checkSchema: (name, value) => errorsOf(named(name), value),
    schema: named,
    resolve: (schema) => (schema.$ref === undefined ? schema : named(schema.$ref.split('/').at(-1) ?? '')),
  }
}

/** The operation whose template fits; of several, the one with the fewest parameters. */
export function findOperation(
  operations: readonly Operation[],
  method: string,
  pathname: string,
): Operation | null {
  const segments = withoutSlash(pathname).split('/')
  const parameters = (operation: Operation) => operation.path.split('{').length
  const fitting = operations.filter((operation) => {
    const template = operation.path.split('/')
    return (
      operation.method === method &&
      template.length === segments.length &&
      template.every((part, i) => (part.startsWith('{') ? segments[i] !== '' : part === segments[i]))
    )
  })
  return fitting.toSorted((a, b) => parameters(a) - parameters(b))[0] ?? null
}

/** A path as both spellings of it are known here. */
export function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

/**
 * The document in the dialect ajv speaks: absolute `$ref`s, and a discriminated union as conditions on its property,
 * so that a wrong field is reported for the one alternative that was meant.
 */
function forAjv(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(forAjv)
  if (typeof value !== 'object' || value === null) return value
  const { discriminator, oneOf, ...rest } = value as Schema & {
    discriminator?: { propertyName: string; mapping?: Record<string, string> }
  }
  const out: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(rest)) {
    if (key === '$ref' && typeof inner === 'string') out[key] = inner.replace(/^#/, 'contract#')
    // The older dialect of the hosted routes: "or null" beside a list that does not name it.
    else if (key === 'enum' && (value as Schema & { nullable?: boolean }).nullable === true)
      out[key] = [...(inner as unknown[]), null]
    else if (key !== 'example' && key !== 'examples') out[key] = forAjv(inner)
  }
  const { properties, required } = rest
  // V1 requires a property that its own schema forbids (`organization_id` of an archive): nothing could keep that.
  if (rest['additionalProperties'] === false && properties && required)
    out['required'] = required.filter((name) => Object.hasOwn(properties, name))
  if (oneOf === undefined) return out
  if (!discriminator?.mapping) return { ...out, oneOf: oneOf.map(forAjv) }
  const { propertyName, mapping } = discriminator
  return {
    ...out,
    type: 'object',
    required: [propertyName],
    properties: { [propertyName]: { enum: Object.keys(mapping) } },
    allOf: Object.entries(mapping).map(([name, $ref]) => ({
      if: { properties: { [propertyName]: { const: name } }, required: [propertyName] },
      // oxlint-disable-next-line unicorn/no-thenable -- `then` is a keyword of JSON Schema
      then: { $ref: $ref.replace(/^#/, 'contract#') },
    })),
  }
}
