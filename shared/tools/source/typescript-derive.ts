import type { DeriveOptions } from '../../core/ports/custom-tools.ts'
import {
  errorAt,
  parseTypeScript,
  placeOf,
  type Comment,
  type ObjectExpression,
  type Positioned,
  type Program,
} from './ast.ts'
import { readDirectives, type DirectiveComment } from './directives.ts'
import { schemaOf } from './given-schema.ts'
import { importWarnings } from './imports.ts'
import { describing, docOf } from './jsdoc.ts'
import { isObjectSchema, type ObjectSchema } from './json-schema.ts'
import { wrongName } from './names.ts'
import { problemOf } from './source-error.ts'
import type { Problem, Reading } from './source-jobs.ts'
import { keyName, readModule, staticValue, type SourceModule } from './source-module.ts'
import { findEntry, type Entry } from './typescript-entry.ts'
import { importsOf } from './typescript-imports.ts'
import { readParameters } from './typescript-function.ts'
import { bindingsOf } from './typescript-parameters.ts'
import { zodSchema } from './zod-schema.ts'

/** What the function or the definition of a tool says. */
interface Found {
  /** Null: it has no name. */
  name: string | null
  description: string
  parameters: ObjectSchema | null
  at: Positioned
}

/** What the source of a TypeScript tool says about it. Throws `SourceError` for what is no TypeScript. */
export function deriveTypeScript(source: string, options: DeriveOptions): Reading {
  const { program, comments } = parseTypeScript(source)
  const asked = readDirectives((comments ?? []).flatMap(directivesIn), 'typescript')
  const imports = importsOf(program)
  const beside = imports.filter(({ name }) => /^[./]|^[a-z]+:\/\/|^(?:file|data):/.test(name))
  const errors = [
    ...asked.errors,
    ...beside.map(({ line, column }) => ({
      message: 'A tool is one file: it has nothing to import from beside it.',
      line,
      column,
    })),
  ]
  const warnings = importWarnings(
    imports.filter((one) => !beside.includes(one)),
    asked,
    'typescript',
    options.npm_requirements ?? [],
  )
  const reading: Reading = { tool: null, errors, warnings }
  try {
    const found = read(program, options, { errors, warnings })
    const name = options.json_schema?.name ?? found.name
    if (name === null)
      throw errorAt(
        found.at,
        'The function has no name, and so the tool has none: write `export default function name(…)`.',
      )
    const json_schema = schemaOf({ ...found, name }, options)
    const wrong = wrongName(json_schema.name)
    if (wrong) throw errorAt(found.at, wrong)
    if (!json_schema.description)
      warnings.push({
        message: `${name} has no description: say in a comment before it (/** … */) what it does and when to call it.`,
        ...placeOf(found.at),
      })
    const { permissions, pip_requirements, npm_requirements } = asked
    reading.tool = {
      name: json_schema.name,
      description: json_schema.description,
      json_schema,
      permissions,
      pip_requirements,
      npm_requirements,
    }
  } catch (error) {
    errors.push(problemOf(error))
  }
  return reading
}

function read(
  program: Program,
  options: DeriveOptions,
  said: { errors: Problem[]; warnings: Problem[] },
): Found {
  const entry = findEntry(program, options.json_schema?.name)
  if (!entry.exported)
    said.warnings.push({
      message: `${entry.export_name} is not exported: write \`export\` before it, so that a test can import it.`,
      ...placeOf(entry.statement),
    })
  const module = readModule(program)
  const wanted = !options.json_schema && !options.args_json_schema
  return entry.kind === 'tool'
    ? readTool(entry, module, options, said.warnings)
    : readFunction(entry, module, wanted, said)
}

function readFunction(
  entry: Extract<Entry, { kind: 'function' }>,
  module: SourceModule,
  wanted: boolean,
  said: { errors: Problem[]; warnings: Problem[] },
): Found {
  const { node, statement, name } = entry
  const doc = docOf(statement) ?? docOf(node)
  // What cannot be called is an error with any schema.
  bindingsOf(node)
  return {
    name,
    description: doc ? describing(doc) : '',
    parameters: wanted ? readParameters(node, doc, module, said) : null,
    at: statement,
  }
}

/** `tool({ name, description, input, run })`. */
function readTool(
  { node }: Extract<Entry, { kind: 'tool' }>,
  module: SourceModule,
  options: DeriveOptions,
  warnings: Problem[],
): Found {
  const [definition] = node.arguments
  if (definition?.type !== 'ObjectExpression')
    throw errorAt(node, '`tool` takes an object written out here: tool({ name, description, input, run }).')
  const name = options.json_schema ? null : text(definition, 'name', module)
  const description = options.json_schema ? '' : text(definition, 'description', module)
  if (!property(definition, 'run'))
    throw errorAt(definition, 'The tool has no `run`: write `run(input, context) { … }`.')
  const input = property(definition, 'input')
  if (options.json_schema || options.args_json_schema)
    return { name, description, parameters: null, at: node }
  if (input?.type !== 'ObjectProperty')
    throw errorAt(definition, 'The tool has no `input`: write `input: z.object({ … })`.')
  const { schema } = zodSchema(input.value as Parameters<typeof zodSchema>[0], module)
  if (!isObjectSchema(schema))
    throw errorAt(input, 'The input of a tool is an object with a name for each argument: z.object({ … }).')
  for (const [argument, { description }] of Object.entries(schema.properties))
    if (!description)
      warnings.push({
        message: `${argument} has no description: \`.describe('what it is')\` tells the model.`,
        ...placeOf(input),
      })
  return { name, description, parameters: schema, at: node }
}

function property(
  definition: ObjectExpression,
  name: string,
): ObjectExpression['properties'][number] | undefined {
  for (const one of definition.properties) {
    if (one.type === 'SpreadElement')
      throw errorAt(one, 'Write the properties of the tool out: a spread cannot be read without running it.')
    if (keyName(one) === name) return one
  }
  return undefined
}

function text(definition: ObjectExpression, name: string, module: SourceModule): string {
  const found = property(definition, name)
  const value =
    found?.type === 'ObjectProperty'
      ? staticValue(found.value as Parameters<typeof staticValue>[0], module)?.value
      : undefined
  if (typeof value === 'string' && value.trim()) return value.trim()
  throw errorAt(
    found ?? definition,
    found
      ? `The ${name} of the tool must be a text written out in this file: it is read, not run.`
      : `The tool has no \`${name}\`.`,
  )
}

/** The lines of a comment that speak to Loci. */
function directivesIn(comment: Comment): DirectiveComment[] {
  const start = comment.loc?.start ?? { line: 1, column: 0 }
  return comment.value.split(/\r?\n/).flatMap((raw, index) => {
    const content = raw.replace(/^[\s*]*/, '').trim()
    if (!content.startsWith('loci:')) return []
    return [{ text: content, line: start.line + index, column: index === 0 ? start.column + 1 : 1 }]
  })
}
