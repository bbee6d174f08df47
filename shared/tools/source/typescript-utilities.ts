import { errorAt, type Positioned, type TypeNode } from './ast.ts'
import {
  enumSchema,
  fixedValues,
  isObjectSchema,
  objectSchema,
  type Converted,
  type JsonSchema,
} from './json-schema.ts'

/** How the types inside are read. */
export interface TypeReading {
  /** The schema of a value. */
  value(node: TypeNode): JsonSchema
  any(node: TypeNode): Converted
}

/** The schema of a type that comes with the language; undefined when there is none of that name. */
export function utilityType(
  name: string,
  given: readonly TypeNode[],
  node: Positioned,
  read: TypeReading,
): Converted | undefined {
  const [first, second] = given
  const plain = (schema: JsonSchema): Converted => ({ schema, optional: false })
  const needed = (type: TypeNode | undefined): TypeNode => {
    if (type) return type
    throw errorAt(node, `${name} says of what between \`<\` and \`>\`: write it.`)
  }
  const object = () => {
    const schema = read.value(needed(first))
    if (isObjectSchema(schema)) return schema
    throw errorAt(node, `${name} takes an object type here.`)
  }
  const keys = (type: TypeNode | undefined) => {
    const values = fixedValues(read.value(needed(type)))
    if (values) return new Set(values.map(String))
    throw errorAt(node, `${name} takes the names of properties here, such as \`'a' | 'b'\`.`)
  }
  switch (name) {
    case 'Array':
    case 'ReadonlyArray':
      return plain({ type: 'array', items: read.value(needed(first)) })
    case 'String':
    case 'Number':
    case 'Boolean':
      return plain({ type: name.toLowerCase() })
    case 'Object':
      return plain({ type: 'object' })
    case 'Readonly':
      return read.any(needed(first))
    case 'NonNullable':
      return plain(withoutNull(read.any(needed(first)).schema))
    case 'Record':
      return plain(record(read.value(needed(first)), read.value(needed(second)), node))
    case 'Partial':
      return plain({ ...object(), required: [] })
    case 'Required': {
      const schema = object()
      return plain({ ...schema, required: Object.keys(schema.properties) })
    }
    case 'Pick':
    case 'Omit': {
      const schema = object()
      const named = keys(second)
      const kept = (key: string) => named.has(key) === (name === 'Pick')
      const properties = Object.entries(schema.properties).filter(([key]) => kept(key))
      return plain({
        ...schema,
        ...objectSchema(Object.fromEntries(properties), schema.required.filter(kept)),
      })
    }
    case 'Extract':
    case 'Exclude': {
      const named = keys(second)
      const values = fixedValues(read.value(needed(first)))
      if (!values) throw errorAt(node, `${name} takes fixed values here, such as \`'a' | 'b'\`.`)
      return plain(enumSchema(values.filter((value) => named.has(String(value)) === (name === 'Extract'))))
    }
    default:
      return undefined
  }
}

function record(keys: JsonSchema, values: JsonSchema, node: Positioned): JsonSchema {
  const names = fixedValues(keys)?.map(String)
  if (names) return objectSchema(Object.fromEntries(names.map((name) => [name, values])), names)
  if (keys['type'] !== 'string' && keys['type'] !== 'number')
    throw errorAt(node, 'The keys of a Record must be strings: JSON has no others.')
  return Object.keys(values).length > 0
    ? { type: 'object', additionalProperties: values }
    : { type: 'object' }
}

function withoutNull(schema: JsonSchema): JsonSchema {
  const parts = schema['anyOf'] as JsonSchema[] | undefined
  if (!parts) return schema
  const rest = parts.filter((part) => part['type'] !== 'null')
  const [only] = rest
  return rest.length === 1 && only ? only : { ...schema, anyOf: rest }
}
