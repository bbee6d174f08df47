import {
  errorAt,
  placeOf,
  type InterfaceNode,
  type Positioned,
  type TypeMember,
  type TypeNode,
} from './ast.ts'
import { docOf, oneLine, type Doc } from './jsdoc.ts'
import {
  applyTags,
  enumSchema,
  objectSchema,
  tupleSchema,
  unionSchema,
  type Converted,
  type JsonSchema,
  type ObjectSchema,
} from './json-schema.ts'
import { indexed, keysOf } from './typescript-lookups.ts'
import { unknownType, withoutSchema } from './typescript-refusals.ts'
import { utilityType, type TypeReading } from './typescript-utilities.ts'
import type { Problem } from './source-jobs.ts'
import { enumMembers, keyName, staticValue, type SourceModule } from './source-module.ts'
import { isZodNamespace, zodSchema } from './zod-schema.ts'

/** Where a type stands. */
export interface TypeScope {
  module: SourceModule
  /** What is said of it besides errors. */
  warnings: Problem[]
  /** Types that may still be looked at; a small source can name very many. */
  budget: { left: number }
  depth: number
  /** Declarations that this type stands in. */
  within: readonly string[]
  /** What the parameters of generic types stand for. */
  generics: ReadonlyMap<string, { node: TypeNode; scope: TypeScope }>
}

type Reference = Extract<TypeNode, { type: 'TSTypeReference' }>
type Arguments = Reference['typeArguments']
type EntityName = Reference['typeName']

const MAX_DEPTH = 40
const MAX_TYPES = 5000

export function typeScope(module: SourceModule, warnings: Problem[]): TypeScope {
  return { module, warnings, budget: { left: MAX_TYPES }, depth: 0, within: [], generics: new Map() }
}

/** The schema of a type. Throws `SourceError` for a type that JSON does not know, or that stands elsewhere. */
export function convertType(node: TypeNode, outer: TypeScope): Converted {
  const scope = { ...outer, depth: outer.depth + 1 }
  if (scope.depth > MAX_DEPTH || scope.budget.left-- <= 0)
    throw errorAt(node, 'This type is too large or nested too deeply: make it simpler, or give json_schema.')
  const plain = (schema: JsonSchema): Converted => ({ schema, optional: false })
  switch (node.type) {
    case 'TSStringKeyword':
      return plain({ type: 'string' })
    case 'TSNumberKeyword':
      return plain({ type: 'number' })
    case 'TSBooleanKeyword':
      return plain({ type: 'boolean' })
    case 'TSNullKeyword':
      return plain({ type: 'null' })
    case 'TSAnyKeyword':
    case 'TSUnknownKeyword':
      return plain({})
    case 'TSObjectKeyword':
      return plain({ type: 'object' })
    case 'TSUndefinedKeyword':
    case 'TSVoidKeyword':
      return { schema: { not: {} }, optional: true }
    case 'TSParenthesizedType':
      return convertType(node.typeAnnotation, scope)
    case 'TSLiteralType':
      return plain(literal(node, scope))
    case 'TSArrayType':
      return plain({ type: 'array', items: valueSchema(node.elementType, scope) })
    case 'TSTupleType':
      return plain(tuple(node, scope))
    case 'TSUnionType':
      return union(node.types, scope)
    case 'TSIntersectionType':
      return plain(merged(node.types, scope))
    case 'TSTypeLiteral':
      return plain(members(node.members, scope))
    case 'TSTypeReference':
      return reference(node.typeName, node.typeArguments, node, scope)
    case 'TSTypeOperator':
      if (node.operator === 'readonly') return convertType(node.typeAnnotation, scope)
      if (node.operator === 'keyof') return plain(keysOf(node.typeAnnotation, scope.module, readingOf(scope)))
      break
    case 'TSIndexedAccessType':
      return plain(indexed(node, scope.module, readingOf(scope)))
    default:
  }
  throw errorAt(node, withoutSchema(node))
}

function readingOf(scope: TypeScope): TypeReading {
  return { value: (type) => valueSchema(type, scope), any: (type) => convertType(type, scope) }
}

/** The schema of a value inside of another, where leaving it out is no choice. */
function valueSchema(node: TypeNode, scope: TypeScope): JsonSchema {
  const { schema, optional } = convertType(node, scope)
  if (optional) throw errorAt(node, '`undefined` is no value of JSON: use `null` here.')
  return schema
}

function literal(node: Extract<TypeNode, { type: 'TSLiteralType' }>, { module }: TypeScope): JsonSchema {
  const inner = node.literal
  if (inner.type === 'TemplateLiteral' && inner.expressions.length > 0)
    throw errorAt(
      node,
      'A template literal type cannot be read as a schema: take `string`, with `@pattern` in its comment.',
    )
  const found = staticValue(inner, module)?.value
  if (typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean')
    return enumSchema([found])
  throw errorAt(node, 'JSON has no bigint: take a number, or a string of digits.')
}

function tuple(node: Extract<TypeNode, { type: 'TSTupleType' }>, scope: TypeScope): JsonSchema {
  const prefix: JsonSchema[] = []
  let needed = 0
  let rest: JsonSchema | undefined
  for (const element of node.elementTypes) {
    const named = element.type === 'TSNamedTupleMember'
    const inner = named ? element.elementType : element
    if (inner.type === 'TSRestType' || rest) {
      const list = inner.type === 'TSRestType' ? inner.typeAnnotation : undefined
      const isList = list?.type === 'TSArrayType'
      if (!isList || rest || element !== node.elementTypes.at(-1))
        throw errorAt(element, 'Only the last element of a tuple may be a rest, such as `...string[]`.')
      rest = valueSchema(list.elementType, scope)
      continue
    }
    const optional = inner.type === 'TSOptionalType' || (named && element.optional)
    const type = inner.type === 'TSOptionalType' ? inner.typeAnnotation : inner
    const schema = valueSchema(type, scope)
    prefix.push(named ? { ...schema, title: element.label.name } : schema)
    if (!optional) needed = prefix.length
  }
  return tupleSchema(prefix, needed, rest)
}

function union(types: readonly TypeNode[], scope: TypeScope): Converted {
  const parts = types.map((type) => convertType(type, scope))
  const values = parts.filter(({ schema }) => !('not' in schema)).map(({ schema }) => schema)
  return {
    schema: values.length > 0 ? unionSchema(values) : { not: {} },
    optional: parts.some(({ optional }) => optional),
  }
}

/** All properties of several object types as one. */
function merged(types: readonly TypeNode[], scope: TypeScope): JsonSchema {
  return mergeObjects(
    types.map((type) => {
      const schema = valueSchema(type, scope)
      if (schema['type'] === 'object') return schema
      throw errorAt(type, 'Only object types can be joined with `&`: take one of the types alone.')
    }),
  )
}

function mergeObjects(parts: readonly JsonSchema[]): ObjectSchema {
  const properties: Record<string, JsonSchema> = {}
  const required = new Set<string>()
  let rest: JsonSchema = {}
  for (const { properties: more, required: needed, type: _type, ...others } of parts) {
    Object.assign(properties, more)
    for (const name of (needed as string[] | undefined) ?? []) required.add(name)
    rest = { ...rest, ...others }
  }
  return { ...rest, ...objectSchema(properties, [...required]) }
}

/** The schema of what stands between the braces of an object type or an interface. */
function members(list: readonly TypeMember[], scope: TypeScope): ObjectSchema {
  const schema = objectSchema()
  for (const member of list) {
    if (member.type === 'TSIndexSignature') {
      const values = member.typeAnnotation && valueSchema(member.typeAnnotation.typeAnnotation, scope)
      schema['additionalProperties'] = values && Object.keys(values).length > 0 ? values : true
      continue
    }
    if (member.type !== 'TSPropertySignature')
      throw errorAt(member, 'A model can give values only, no functions: take this member out of the type.')
    const name = keyName(member)
    if (name === undefined) throw errorAt(member, 'The name of this property is computed: write it out.')
    if (!member.typeAnnotation)
      throw errorAt(member, `${name} has no type: write one, such as \`${name}: string\`.`)
    const { schema: value, optional } = convertType(member.typeAnnotation.typeAnnotation, scope)
    schema.properties[name] = documented(value, docOf(member), member, scope)
    if (!optional && !member.optional) schema.required.push(name)
  }
  return schema
}

/** A schema with what a comment says of it. */
export function documented(
  schema: JsonSchema,
  doc: Doc | null,
  node: Positioned,
  { warnings }: TypeScope,
): JsonSchema {
  if (!doc) return schema
  const result = { ...schema }
  const description = oneLine(doc.description)
  if (description) result['description'] = description
  const examples = doc.tags.filter(({ name, text }) => name === 'example' && text).map(({ text }) => text)
  if (examples.length > 0) result['examples'] = examples
  for (const { message, line } of applyTags(result, doc.tags))
    warnings.push({ message, line, column: placeOf(node).column })
  return result
}

/** The schema of a named type. */
function reference(name: EntityName, given: Arguments, node: Positioned, scope: TypeScope): Converted {
  const { module } = scope
  const plain = (schema: JsonSchema): Converted => ({ schema, optional: false })
  if (name.type === 'TSQualifiedName') {
    if (name.left.type !== 'Identifier') throw errorAt(node, unknownType('This', module))
    const owner = name.left.name
    const members = module.enums.get(owner)
    if (members) {
      const value = enumMembers(members, module).get(name.right.name)
      if (value !== undefined) return plain(enumSchema([value]))
    }
    const [type] = given?.params ?? []
    const inferred = ['infer', 'input', 'output', 'TypeOf'].includes(name.right.name)
    if (isZodNamespace(owner, module) && inferred && type?.type === 'TSTypeQuery') {
      const { exprName } = type
      if (exprName.type === 'Identifier') return zodSchema(exprName, module)
    }
    throw errorAt(node, unknownType(`${owner}.${name.right.name}`, module))
  }
  if (name.type !== 'Identifier') throw errorAt(node, unknownType('This', module))
  const known = name.name
  const generic = scope.generics.get(known)
  if (generic) return convertType(generic.node, { ...generic.scope, depth: scope.depth })
  const declared = declaration(known, given, node, scope)
  if (declared) return declared
  const utility = utilityType(known, given?.params ?? [], node, readingOf(scope))
  if (utility) return utility
  throw errorAt(node, unknownType(known, module))
}

/** The schema of an interface, alias or enum of this source; undefined when there is none of that name. */
function declaration(
  name: string,
  given: Arguments,
  node: Positioned,
  scope: TypeScope,
): Converted | undefined {
  const { module } = scope
  const members = module.enums.get(name)
  if (members) {
    const values = [...enumMembers(members, module).values()]
    if (values.length === 0) throw errorAt(members, `${name} has no members.`)
    return { schema: enumSchema(values), optional: false }
  }
  const interfaces = module.interfaces.get(name)
  const alias = module.aliases.get(name)
  const parameters = (alias ?? interfaces?.[0])?.typeParameters?.params
  if (!interfaces && !alias) return undefined
  if (scope.within.includes(name))
    throw errorAt(
      node,
      `${name} contains itself, which its schema cannot: take a string of JSON, or give json_schema.`,
    )
  const generics = new Map<string, { node: TypeNode; scope: TypeScope }>()
  for (const [index, parameter] of (parameters ?? []).entries()) {
    const argument = given?.params[index] ?? parameter.default
    if (!argument)
      throw errorAt(node, `${name} has parameters of its own: write them, such as \`${name}<string>\`.`)
    generics.set(parameterName(parameter), { node: argument, scope })
  }
  const inner = { ...scope, within: [...scope.within, name], generics }
  const converted = alias
    ? convertType(alias.typeAnnotation, inner)
    : { schema: interfaceSchema(interfaces ?? [], inner), optional: false }
  const statement = module.statements.get(name)
  const doc = statement ? docOf(statement) : null
  return { ...converted, schema: documented(converted.schema, doc, node, scope) }
}

/** What a parameter of a generic type is called. */
export function parameterName(parameter: { name: unknown }): string {
  const { name } = parameter
  return typeof name === 'string' ? name : ((name as { name?: string } | null)?.name ?? '')
}

function interfaceSchema(interfaces: readonly InterfaceNode[], scope: TypeScope): JsonSchema {
  const parts: JsonSchema[] = []
  for (const one of interfaces) {
    for (const parent of one.extends ?? []) {
      const { expression } = parent
      if (expression.type !== 'Identifier') throw errorAt(parent, unknownType('This', scope.module))
      const { schema } = reference(expression, parent.typeArguments, parent, scope)
      if (schema['type'] !== 'object')
        throw errorAt(parent, `${expression.name} is no object type: an interface cannot extend it.`)
      // What it is for is said of the parent, not of this one.
      const { description: _description, ...rest } = schema
      parts.push(rest)
    }
    parts.push(members(one.body.body, scope))
  }
  return mergeObjects(parts)
}
