import type { ArgumentTypes } from './argument-types.ts'
import {
  errorAt,
  placeOf,
  type Expression,
  type FunctionNode,
  type Parameter,
  type Program,
  type TypeNode,
} from './ast.ts'
import { docOf, oneLine, paramDocs, type Doc, type ParamDoc } from './jsdoc.ts'
import {
  applyTags,
  isObjectSchema,
  limited,
  objectSchema,
  type Converted,
  type JsonSchema,
  type ObjectSchema,
} from './json-schema.ts'
import type { Problem } from './source-jobs.ts'
import { isExpression, keyName, readModule, staticValue, type SourceModule } from './source-module.ts'
import { problemOf } from './source-error.ts'
import { bareParameter, bindingOf, parametersOf, type BareParameter } from './typescript-parameters.ts'
import { convertType, documented, parameterName, typeScope, type TypeScope } from './typescript-types.ts'

type Pattern = Extract<BareParameter, { type: 'ObjectPattern' }>

/**
 * The schema of a function's arguments: its types, its defaults, and what comments say of them. An error in one parameter
 * is told, and the others are read.
 */
export function readParameters(
  node: FunctionNode,
  doc: Doc | null,
  module: SourceModule,
  { errors, warnings }: { errors: Problem[]; warnings: Problem[] },
): ObjectSchema {
  const scope = genericScope(node, typeScope(module, warnings))
  const all = objectSchema()
  const destructured: ObjectSchema[] = []
  /** Parameters with a comment of their own, which is nearer than a line of the function's. */
  const commented = new Set<string>()
  const places = new Map<string, Parameter>()
  for (const [index, parameter] of parametersOf(node).entries()) {
    const binding = bindingOf(parameter, index)
    if (binding.from !== 'argument' && binding.from !== 'properties') continue
    if (binding.from === 'argument' && binding.name === 'context')
      warnings.push({
        message:
          'context is an argument for the model here, as the first parameter: the runner fills it where it is the second one, or of the type ToolContext.',
        ...placeOf(parameter),
      })
    try {
      const bare = bareParameter(parameter)
      if (bare.type === 'ObjectPattern') {
        const schema = patternSchema(bare, parameter, scope)
        destructured.push(schema)
        for (const name of Object.keys(schema.properties)) places.set(name, parameter)
        Object.assign(all.properties, schema.properties)
        all.required.push(...schema.required)
        if ('additionalProperties' in schema) all['additionalProperties'] = schema['additionalProperties']
      } else {
        const { schema, optional } = parameterSchema(bare, parameter, scope)
        const own = docOf(parameter) ?? docOf(bare)
        if (own?.description) commented.add(bare.name)
        places.set(bare.name, parameter)
        all.properties[bare.name] = documented(schema, own, parameter, scope)
        if (!optional) all.required.push(bare.name)
      }
    } catch (error) {
      errors.push(problemOf(error))
    }
  }
  describe(all, destructured.length > 0, doc ? paramDocs(doc) : [], commented, warnings)
  for (const [name, schema] of Object.entries(all.properties))
    if (!schema['description'])
      warnings.push({
        message: `${name} has no description: write \`@param ${name} - what it is\` in the comment before the function.`,
        ...placeOf(places.get(name) ?? node),
      })
  return all
}

/** What the function's own types say of its arguments, whatever the model is told; not of those that they leave open. */
export function argumentTypes(node: FunctionNode, program: Program): ArgumentTypes {
  const said = { errors: [], warnings: [] }
  const { properties, required } = readParameters(node, null, readModule(program), said)
  const known = Object.entries(properties).filter(([, schema]) => 'type' in schema || 'anyOf' in schema)
  const schemas = Object.fromEntries(known)
  return { schemas, required: required.filter((name) => Object.hasOwn(schemas, name)) }
}

/** A generic function takes whatever its parameters of types may be. */
function genericScope(node: FunctionNode, scope: TypeScope): TypeScope {
  const parameters =
    node.typeParameters?.type === 'TSTypeParameterDeclaration' ? node.typeParameters.params : []
  const generics = new Map(scope.generics)
  for (const parameter of parameters)
    generics.set(parameterName(parameter), { node: parameter.constraint ?? ANYTHING, scope })
  return { ...scope, generics }
}

const ANYTHING = { type: 'TSUnknownKeyword' } as TypeNode

function defaultOf(parameter: Parameter): Expression | undefined {
  return parameter.type === 'AssignmentPattern' ? parameter.right : undefined
}

function parameterSchema(
  bare: Extract<BareParameter, { type: 'Identifier' }>,
  parameter: Parameter,
  scope: TypeScope,
): Converted {
  const annotation =
    bare.typeAnnotation?.type === 'TSTypeAnnotation' ? bare.typeAnnotation.typeAnnotation : undefined
  const given = defaultOf(parameter)
  const value = given && staticValue(given, scope.module)
  if (!annotation) {
    const schema = inferred(value?.value)
    if (!schema)
      throw errorAt(parameter, `${bare.name} has no type: write one, such as \`${bare.name}: string\`.`)
    return { schema: { ...schema, default: value?.value }, optional: true }
  }
  const { schema, optional } = convertType(annotation, scope)
  return {
    schema: value ? { ...schema, default: value.value } : schema,
    optional: optional || given !== undefined || Boolean(bare.optional),
  }
}

/** The schema of what is taken apart: `{ city, days = 3 }: { city: string; days?: number }`. */
function patternSchema(pattern: Pattern, parameter: Parameter, scope: TypeScope): ObjectSchema {
  const annotation =
    pattern.typeAnnotation?.type === 'TSTypeAnnotation' ? pattern.typeAnnotation.typeAnnotation : undefined
  const typed = annotation && convertType(annotation, scope).schema
  if (typed && !isObjectSchema(typed))
    throw errorAt(parameter, 'What is taken apart here must have an object type with named properties.')
  const whole = defaultOf(parameter)
  if (whole && !(whole.type === 'ObjectExpression' && whole.properties.length === 0))
    throw errorAt(whole, "Write defaults inside of the braces, such as `{ city = 'Oslo' }`, and `= {}` here.")
  const schema: ObjectSchema = typed
    ? { ...typed, properties: { ...typed.properties }, required: [...typed.required] }
    : objectSchema()
  for (const property of pattern.properties) {
    if (property.type !== 'ObjectProperty') continue
    const name = keyName(property)
    if (name === undefined) throw errorAt(property, 'The name of this property is computed: write it out.')
    const given = property.value.type === 'AssignmentPattern' ? property.value.right : undefined
    const value = given && isExpression(given) ? staticValue(given, scope.module) : undefined
    const known = schema.properties[name] ?? inferred(value?.value)
    if (!known)
      throw errorAt(
        property,
        `${name} has no type: write one after the braces, such as \`: { ${name}: string }\`.`,
      )
    schema.properties[name] = value && value.value !== undefined ? { ...known, default: value.value } : known
    if (given) schema.required = schema.required.filter((other) => other !== name)
  }
  return schema
}

/** The schema of a value; undefined for one that does not say it. */
function inferred(value: unknown): JsonSchema | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return { type: typeof value }
  if (!Array.isArray(value) || value.length === 0) return undefined
  const items = inferred(value[0])
  return items && value.every((item) => typeof item === typeof value[0])
    ? { type: 'array', items }
    : undefined
}

/** Puts what `@param` lines say where it belongs. */
function describe(
  all: ObjectSchema,
  destructured: boolean,
  docs: readonly ParamDoc[],
  commented: ReadonlySet<string>,
  warnings: Problem[],
): void {
  for (const { path, description, tags, line } of docs) {
    const parts = path
      .replace(/\[\]/g, '')
      .split('.')
      .filter((part) => part !== '')
    const place = find(all, parts) ?? (destructured ? find(all, parts.slice(1)) : undefined)
    if (!place) {
      // What is taken apart has no name of its own to be found by.
      const isWhole = destructured && parts.length === 1
      if (!isWhole && !FILLED.has(parts[0] ?? ''))
        warnings.push({ message: `@param ${path} is no parameter of this function.`, line, column: 1 })
      continue
    }
    const schema = { ...place.owner[place.name] }
    const text = oneLine(description)
    if (text && !(parts.length === 1 && commented.has(place.name))) schema['description'] = text
    for (const wrong of applyTags(schema, tags)) warnings.push({ ...wrong, column: 1 })
    place.owner[place.name] = schema
  }
}

const FILLED = new Set(['agent_state', 'agent_id', 'context'])

interface Place {
  owner: Record<string, JsonSchema>
  name: string
}

/** Where a dotted path leads: through objects, and the items of lists. */
function find(from: ObjectSchema, parts: readonly string[]): Place | undefined {
  let schema: JsonSchema = from
  for (const [index, name] of parts.entries()) {
    let inner = limited(schema)
    while (inner['type'] === 'array') inner = limited((inner['items'] as JsonSchema | undefined) ?? {})
    if (!isObjectSchema(inner) || !Object.hasOwn(inner.properties, name)) return undefined
    if (index === parts.length - 1) return { owner: inner.properties, name }
    schema = inner.properties[name] ?? {}
  }
  return undefined
}
