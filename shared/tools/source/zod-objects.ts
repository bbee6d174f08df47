import type { CallExpression, Expression } from './ast.ts'
import {
  enumSchema,
  isObjectSchema,
  objectSchema,
  type JsonSchema,
  type ObjectSchema,
} from './json-schema.ts'
import { argument, notStatic } from './zod-arguments.ts'

/** How the arguments of a method are read. */
interface Reading {
  schema(expression: Expression): JsonSchema
  /** The properties of `{ city: z.string() }`. */
  shape(expression: Expression): ObjectSchema
  value(expression: Expression): unknown
}

/** What a method of an object's schema makes of it; undefined for one that is not known. */
export function objectMethod(
  name: string,
  node: CallExpression,
  schema: ObjectSchema,
  read: Reading,
): JsonSchema | undefined {
  const named = () => Object.keys(read.value(argument(node, 0)) as object)
  const { properties, required } = schema
  const entries = Object.entries(properties)
  switch (name) {
    case 'extend':
    case 'safeExtend':
    case 'merge': {
      const given = argument(node, 0)
      const more = name === 'merge' ? read.schema(given) : read.shape(given)
      if (!isObjectSchema(more)) throw notStatic(node)
      const left = required.filter((key) => !Object.hasOwn(more.properties, key))
      return {
        ...schema,
        ...objectSchema({ ...properties, ...more.properties }, [...left, ...more.required]),
      }
    }
    case 'pick':
    case 'omit': {
      const names = new Set(named())
      const kept = (key: string) => names.has(key) === (name === 'pick')
      return {
        ...schema,
        ...objectSchema(Object.fromEntries(entries.filter(([key]) => kept(key))), required.filter(kept)),
      }
    }
    case 'partial': {
      const names = node.arguments.length > 0 ? new Set(named()) : null
      return { ...schema, required: names ? required.filter((key) => !names.has(key)) : [] }
    }
    case 'required': {
      const names = node.arguments.length > 0 ? named() : Object.keys(properties)
      return { ...schema, required: [...new Set([...required, ...names])] }
    }
    case 'strict':
      return { ...schema, additionalProperties: false }
    case 'passthrough':
    case 'loose':
    case 'strip':
      return schema
    case 'catchall':
      return { ...schema, additionalProperties: read.schema(argument(node, 0)) }
    case 'keyof':
      return enumSchema(Object.keys(properties))
    default:
      return undefined
  }
}
