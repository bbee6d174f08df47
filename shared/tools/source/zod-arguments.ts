import { errorAt, unwrap, type CallExpression, type Expression, type Positioned } from './ast.ts'
import { enumMembers, staticValue, type SourceModule } from './source-module.ts'
import type { SourceError } from './source-error.ts'

/** The error for a part of a schema that only running it would tell. */
export function notStatic(node: Positioned): SourceError {
  return errorAt(
    node,
    'This part of the schema cannot be read without running it: write it out with zod in this file, or give json_schema.',
  )
}

/** The arguments of a call as expressions. */
export function argumentsOf(node: CallExpression): Expression[] {
  return node.arguments.map((argument) => {
    if (argument.type === 'SpreadElement' || argument.type === 'ArgumentPlaceholder')
      throw notStatic(argument)
    return argument
  })
}

/** One argument of a call; throws when it is not there. */
export function argument(node: CallExpression, index: number): Expression {
  const found = argumentsOf(node)[index]
  if (found) return found
  throw errorAt(node, 'Something is missing between these parentheses.')
}

/** The value of an argument; throws for one that is not written out. */
export function valueOf(expression: Expression, module: SourceModule): unknown {
  const found = staticValue(expression, module)
  if (found) return found.value
  throw errorAt(expression, 'This value must be written out: it is read, not run.')
}

/** Values that an enum may have; throws for others. */
export function fixed(values: readonly unknown[], node: Positioned): (string | number | boolean | null)[] {
  if (
    values.length > 0 &&
    values.every((value) => value === null || ['string', 'number', 'boolean'].includes(typeof value))
  )
    return values as (string | number | boolean | null)[]
  throw errorAt(node, 'Write the values out: strings, numbers, booleans or null.')
}

/** The values of an enum: of a list, an object, or an enum of the language. */
export function enumValues(expression: Expression, module: SourceModule): unknown[] {
  const node = unwrap(expression)
  const members = node.type === 'Identifier' ? module.enums.get(node.name) : undefined
  if (members) return [...enumMembers(members, module).values()]
  const value = staticValue(node, module)?.value
  if (Array.isArray(value)) return value
  if (typeof value === 'object' && value !== null) return Object.values(value)
  throw errorAt(node, 'The values of this enum must be written out in this file: they are read, not run.')
}

/** The items of a list. */
export function list(expression: Expression): Expression[] {
  const node = unwrap(expression)
  if (node.type !== 'ArrayExpression') throw notStatic(node)
  return node.elements.map((element) => {
    if (!element || element.type === 'SpreadElement') throw notStatic(node)
    return element
  })
}

/** A regular expression as its source; other values as they are, and undefined for what is not written out. */
export function checkArgument(expression: Expression, module: SourceModule): unknown {
  const node = unwrap(expression)
  if (node.type === 'RegExpLiteral') return new RegExp(node.pattern, node.flags.replace(/[^imsu]/g, ''))
  return staticValue(node, module)?.value
}
