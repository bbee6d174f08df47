import { errorAt, unwrap, type CallExpression, type Expression, type Positioned } from './ast.ts'
import {
  argument,
  argumentsOf,
  checkArgument,
  enumValues,
  fixed,
  list,
  notStatic,
  valueOf,
} from './zod-arguments.ts'
import { objectMethod } from './zod-objects.ts'
import {
  enumSchema,
  fixedValues,
  isObjectSchema,
  limited,
  objectSchema,
  tupleSchema,
  unionSchema,
  type Converted,
  type JsonSchema,
} from './json-schema.ts'
import { keyName, memberName, staticValue, type SourceModule } from './source-module.ts'
import { applyCheck, FORMATS, NOT_JSON } from './zod-checks.ts'

const MAX_DEPTH = 200
const MAX_SCHEMAS = 5000

interface Scope {
  module: SourceModule
  budget: { left: number }
  depth: number
  /** Constants that this schema stands in. */
  within: readonly string[]
}

/** Whether a name of the source stands for zod: `import * as z from 'zod'`, `import { z } from 'zod'`. */
export function isZodNamespace(name: string, module: SourceModule): boolean {
  const from = module.imports.get(name)
  return (
    from !== undefined && /^zod(?:\/v4)?$/.test(from.module) && ['*', 'z', 'default'].includes(from.imported)
  )
}

/** The schema that a zod expression makes. Throws `SourceError` for what cannot be known without running it. */
export function zodSchema(expression: Expression, module: SourceModule): Converted {
  return read(expression, { module, budget: { left: MAX_SCHEMAS }, depth: 0, within: [] })
}

function read(expression: Expression, outer: Scope): Converted {
  const scope = { ...outer, depth: outer.depth + 1 }
  const node = unwrap(expression)
  if (scope.depth > MAX_DEPTH || scope.budget.left-- <= 0)
    throw errorAt(
      node,
      'This schema is too large or nested too deeply: make it simpler, or give json_schema.',
    )
  if (node.type === 'Identifier') return constant(node, scope)
  if (node.type === 'MemberExpression') return member(node, scope)
  if (node.type !== 'CallExpression' || node.callee.type !== 'MemberExpression') throw notStatic(node)
  const { callee } = node
  const name = memberName(callee)
  if (name === undefined) throw notStatic(node)
  const { object } = callee
  if (object.type === 'Identifier' && isZodNamespace(object.name, scope.module))
    return made(name, node, scope)
  const space = namespaceOf(object, scope.module)
  const moment = space === 'iso' ? own(FORMATS, `iso.${name}`) : undefined
  if (moment) return plain(withOptions(moment, node, scope))
  if (space === 'coerce') return made(name, node, scope)
  if (space !== undefined) throw notStatic(node)
  if (object.type === 'Super') throw notStatic(node)
  return method(name, node, read(object, scope), scope)
}

/** What a table has under a name; nothing that objects bring along. */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

const plain = (schema: JsonSchema): Converted => ({ schema, optional: false })

/** `iso` for `z.iso`. */
function namespaceOf(node: Positioned, module: SourceModule): string | undefined {
  const inner = node as Expression
  if (inner.type !== 'MemberExpression' || inner.object.type !== 'Identifier') return undefined
  return isZodNamespace(inner.object.name, module) ? memberName(inner) : undefined
}

function constant(node: Extract<Expression, { type: 'Identifier' }>, scope: Scope): Converted {
  const { module, within } = scope
  const value = module.values.get(node.name)
  if (!value) {
    const from = module.imports.get(node.name)
    throw errorAt(
      node,
      from
        ? `What ${node.name} is stands in ${from.module}: write the schema in this file, or give json_schema.`
        : `${node.name} is no constant at the top of this source: write \`const ${node.name} = z.…\` there.`,
    )
  }
  if (within.includes(node.name))
    throw errorAt(
      node,
      `${node.name} contains itself, which its schema cannot: take a string of JSON, or give json_schema.`,
    )
  return read(value, { ...scope, within: [...within, node.name] })
}

/** `Schema.shape.city`, `List.element`. */
function member(node: Extract<Expression, { type: 'MemberExpression' }>, scope: Scope): Converted {
  const name = memberName(node)
  const owner = node.object
  if (name === undefined || owner.type === 'Super') throw notStatic(node)
  if (owner.type === 'MemberExpression' && memberName(owner) === 'shape' && owner.object.type !== 'Super') {
    const { schema } = read(owner.object, scope)
    const found = isObjectSchema(schema) ? schema.properties[name] : undefined
    if (isObjectSchema(schema) && found) return { schema: found, optional: !schema.required.includes(name) }
  }
  if (name === 'element') {
    const { schema } = read(owner, scope)
    if (schema['type'] === 'array') return plain(schema['items'] as JsonSchema)
  }
  throw notStatic(node)
}

/** What `z.NAME(…)` makes. */
function made(name: string, node: CallExpression, scope: Scope): Converted {
  const inner = (index = 0) => read(argument(node, index), scope)
  const wrong = own(NOT_JSON, name)
  if (wrong) throw errorAt(node, `z.${name}() has no JSON type: ${wrong}.`)
  const format = own(FORMATS, name)
  if (format) return plain(withOptions(format, node, scope))
  switch (name) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return plain(withOptions({ type: name }, node, scope))
    case 'any':
    case 'unknown':
    case 'json':
      return plain({})
    case 'int':
    case 'int32':
    case 'uint32':
      return plain({ type: 'integer', ...(name === 'uint32' ? { minimum: 0 } : {}) })
    case 'float32':
    case 'float64':
      return plain({ type: 'number' })
    case 'literal': {
      const value = valueOf(argument(node, 0), scope.module)
      return plain(enumSchema(fixed(Array.isArray(value) ? (value as unknown[]) : [value], node)))
    }
    case 'enum':
    case 'nativeEnum':
      return plain(enumSchema(fixed(enumValues(argument(node, 0), scope.module), node)))
    case 'array':
      return plain({ type: 'array', items: inner().schema })
    case 'object':
    case 'strictObject':
    case 'looseObject': {
      const schema = node.arguments.length > 0 ? shape(argument(node, 0), scope) : objectSchema()
      if (name === 'strictObject') schema['additionalProperties'] = false
      return plain(schema)
    }
    case 'record':
    case 'partialRecord':
      return plain(record(name, node, scope))
    case 'tuple':
      return plain(tuple(node, scope))
    case 'union':
    case 'xor':
      return union(list(argument(node, 0)), scope)
    case 'discriminatedUnion':
      return union(list(argument(node, 1)), scope)
    case 'intersection':
      return plain({ allOf: [inner(0).schema, inner(1).schema] })
    case 'optional':
      return { ...inner(), optional: true }
    case 'nullable':
      return nullable(inner())
    case 'nullish':
      return { ...nullable(inner()), optional: true }
    case 'readonly':
    case 'nonoptional':
      return { ...inner(), optional: name === 'readonly' && inner().optional }
    case 'preprocess':
      return inner(1)
    case 'lazy':
      throw errorAt(
        node,
        'A schema that contains itself cannot be given to a model: take a string of JSON, or give json_schema.',
      )
    default:
      throw errorAt(node, `z.${name}() cannot be read as a schema: choose another type, or give json_schema.`)
  }
}

/** A schema with what stands in the last argument: `z.string({ description })`. */
function withOptions(schema: JsonSchema | undefined, node: CallExpression, { module }: Scope): JsonSchema {
  const last = argumentsOf(node).at(-1)
  const options = last && staticValue(last, module)?.value
  const description = (options as { description?: unknown } | undefined)?.description
  return { ...schema, ...(typeof description === 'string' ? { description } : {}) }
}

function nullable({ schema, optional }: Converted): Converted {
  const { description, ...rest } = schema
  const result = unionSchema([rest, { type: 'null' }])
  return { schema: description === undefined ? result : { ...result, description }, optional }
}

function union(options: readonly Expression[], scope: Scope): Converted {
  const parts = options.map((option) => read(option, scope))
  return {
    schema: unionSchema(parts.map(({ schema }) => schema)),
    optional: parts.some(({ optional }) => optional),
  }
}

function tuple(node: CallExpression, scope: Scope): JsonSchema {
  const parts = list(argument(node, 0)).map((part) => read(part, scope))
  const rest = argumentsOf(node)[1]
  const isRest = rest && unwrap(rest).type !== 'NullLiteral' && unwrap(rest).type !== 'ObjectExpression'
  return tupleSchema(
    parts.map(({ schema }) => schema),
    parts.findLastIndex(({ optional }) => !optional) + 1,
    isRest ? read(rest, scope).schema : undefined,
  )
}

function record(name: string, node: CallExpression, scope: Scope): JsonSchema {
  const [first, second] = argumentsOf(node)
  if (!first) throw errorAt(node, 'Say what the keys and the values are: z.record(z.string(), z.number()).')
  // With one argument it is that of the values (zod 3).
  const keys = second ? read(first, scope).schema : { type: 'string' }
  const values = read(second ?? first, scope).schema
  const names = fixedValues(keys)?.map(String)
  if (names)
    return {
      ...objectSchema(
        Object.fromEntries(names.map((key) => [key, values])),
        name === 'partialRecord' ? [] : names,
      ),
      // zod takes no others.
      additionalProperties: false,
    }
  return Object.keys(values).length > 0
    ? { type: 'object', additionalProperties: values }
    : { type: 'object' }
}

/** The properties of `{ city: z.string(), … }`. */
function shape(expression: Expression, scope: Scope): ReturnType<typeof objectSchema> {
  const node = unwrap(expression)
  if (node.type === 'Identifier') {
    const value = scope.module.values.get(node.name)
    if (value && !scope.within.includes(node.name))
      return shape(value, { ...scope, within: [...scope.within, node.name] })
  }
  // `Other.shape`.
  if (node.type === 'MemberExpression' && memberName(node) === 'shape' && node.object.type !== 'Super') {
    const { schema } = read(node.object, scope)
    if (isObjectSchema(schema)) return objectSchema(schema.properties, schema.required)
  }
  if (node.type !== 'ObjectExpression') throw notStatic(node)
  const schema = objectSchema()
  const required = new Set<string>()
  for (const property of node.properties) {
    if (property.type === 'SpreadElement') {
      const more = shape(property.argument, scope)
      Object.assign(schema.properties, more.properties)
      for (const name of more.required) required.add(name)
      continue
    }
    const name = keyName(property)
    if (property.type !== 'ObjectProperty' || name === undefined) {
      const getter = property.type === 'ObjectMethod' && property.kind === 'get'
      throw getter
        ? errorAt(property, 'A getter makes a schema that contains itself, which cannot be given to a model.')
        : notStatic(property)
    }
    const { schema: value, optional } = read(property.value as Expression, scope)
    schema.properties[name] = value
    if (optional) required.delete(name)
    else required.add(name)
  }
  schema.required = [...required]
  return schema
}

/** What a method makes of the schema that it is called on. */
function method(name: string, node: CallExpression, on: Converted, scope: Scope): Converted {
  const { schema } = on
  const same = (changed: JsonSchema): Converted => ({ schema: changed, optional: on.optional })
  switch (name) {
    case 'describe':
      return same({ ...schema, description: String(valueOf(argument(node, 0), scope.module)) })
    case 'meta': {
      const { id: _id, ...more } = valueOf(argument(node, 0), scope.module) as Record<string, unknown>
      return same({ ...schema, ...more })
    }
    case 'default':
    case 'prefault':
    case 'catch': {
      const value = staticValue(argument(node, 0), scope.module)
      const known = value && name !== 'catch' && value.value !== undefined
      return { schema: known ? { ...schema, default: value.value } : schema, optional: true }
    }
    case 'optional':
    case 'exactOptional':
      return { schema, optional: true }
    case 'nonoptional':
      return { schema, optional: false }
    case 'nullable':
      return nullable(on)
    case 'nullish':
      return { ...nullable(on), optional: true }
    case 'array':
      return plain({ type: 'array', items: schema })
    case 'unwrap':
      return { schema: limited(schema), optional: false }
    case 'or':
      return same(unionSchema([schema, read(argument(node, 0), scope).schema]))
    case 'and':
      return same({ allOf: [schema, read(argument(node, 0), scope).schema] })
    // What they do to a value does not change what is given to it.
    case 'refine':
    case 'superRefine':
    case 'check':
    case 'transform':
    case 'overwrite':
    case 'pipe':
    case 'brand':
    case 'readonly':
    case 'register':
    case 'trim':
    case 'toLowerCase':
    case 'toUpperCase':
    case 'normalize':
    case 'finite':
    case 'safe':
      return on
    default:
  }
  if (isObjectSchema(schema)) {
    const changed = objectMethod(name, node, schema, {
      schema: (expression) => read(expression, scope).schema,
      shape: (expression) => shape(expression, scope),
      value: (expression) => valueOf(expression, scope.module),
    })
    if (changed) return same(changed)
  }
  const changed = applyCheck(name, schema, () =>
    argumentsOf(node).map((one) => checkArgument(one, scope.module)),
  )
  if (changed) return same(changed)
  throw errorAt(node, `.${name}() cannot be read as a schema: take it away, or give json_schema.`)
}
