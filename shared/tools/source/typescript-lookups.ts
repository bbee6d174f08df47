import { errorAt, type TypeNode } from './ast.ts'
import { enumSchema, fixedValues, isObjectSchema, unionSchema, type JsonSchema } from './json-schema.ts'
import { enumMembers, staticValue, type SourceModule } from './source-module.ts'
import type { TypeReading } from './typescript-utilities.ts'

/** The names of the properties of a type, or of a constant object. */
export function keysOf(node: TypeNode, module: SourceModule, read: TypeReading): JsonSchema {
  if (node.type === 'TSTypeQuery') return enumSchema(Object.keys(constant(node, module)))
  const schema = read.value(node)
  if (!isObjectSchema(schema)) throw errorAt(node, '`keyof` takes an object type here.')
  return enumSchema(Object.keys(schema.properties))
}

/** The constant of `typeof NAME`: a list or an object. */
function constant(node: Extract<TypeNode, { type: 'TSTypeQuery' }>, module: SourceModule): object {
  const name = node.exprName.type === 'Identifier' ? node.exprName.name : undefined
  const members = name === undefined ? undefined : module.enums.get(name)
  if (members) return Object.fromEntries(enumMembers(members, module))
  const value = name === undefined ? undefined : module.values.get(name)
  const found = value && staticValue(value, module)?.value
  if (typeof found === 'object' && found !== null) return found
  throw errorAt(node, `${name ?? 'This'} is no constant list or object of this source.`)
}

/** `(typeof LIST)[number]`, `(typeof MAP)[keyof typeof MAP]`, `Type['property']`. */
export function indexed(
  node: Extract<TypeNode, { type: 'TSIndexedAccessType' }>,
  module: SourceModule,
  read: TypeReading,
): JsonSchema {
  const { indexType } = node
  const object = bare(node.objectType)
  if (object.type === 'TSTypeQuery') {
    const owner = constant(object, module)
    const all = indexType.type === 'TSNumberKeyword' && Array.isArray(owner)
    const names = all ? Object.keys(owner) : (fixedValues(read.value(indexType)) ?? [])
    const values = names.map((name) => (owner as Record<string, unknown>)[String(name)])
    if (values.length === 0 || values.some((value) => typeof value === 'object' || value === undefined))
      throw errorAt(node, 'Its values are not all strings, numbers or booleans: write the type out.')
    return enumSchema(values as string[])
  }
  const schema = read.value(object)
  if (schema['type'] === 'array' && indexType.type === 'TSNumberKeyword') return schema['items'] as JsonSchema
  const names = fixedValues(read.value(indexType))
  const found = isObjectSchema(schema) ? (names ?? []).map((name) => schema.properties[String(name)]) : []
  if (found.length === 0 || found.includes(undefined))
    throw errorAt(node, 'There is no such property in this type.')
  return unionSchema(found as JsonSchema[])
}

function bare(node: TypeNode): TypeNode {
  return node.type === 'TSParenthesizedType' ? bare(node.typeAnnotation) : node
}
