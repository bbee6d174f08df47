import { errorAt, type FunctionNode, type Parameter, type TypeNode } from './ast.ts'
import type { Binding } from './bindings.ts'

/** A parameter without its default. */
export type BareParameter = Extract<Parameter, { type: 'Identifier' | 'ObjectPattern' }>

/** Parameters that the runner fills. */
const FILLED = ['agent_state', 'agent_id', 'context'] as const

/** The parameters of a function; `this` is none when it runs. */
export function parametersOf(node: FunctionNode): Parameter[] {
  if (node.type !== 'ArrowFunctionExpression' && node.generator)
    throw errorAt(node, 'A tool returns what it has to say: write a function without `*`.')
  return node.params.filter(
    ({ type, ...rest }) => type !== 'Identifier' || (rest as { name?: string }).name !== 'this',
  )
}

/** A parameter without its default, if it has one. Throws `SourceError` for what a model cannot fill by name. */
export function bareParameter(parameter: Parameter): BareParameter {
  const bare = parameter.type === 'AssignmentPattern' ? parameter.left : parameter
  if (bare.type === 'Identifier' && bare.name === '__proto__')
    throw errorAt(parameter, 'A parameter cannot be called __proto__: name it otherwise.')
  if (bare.type === 'Identifier' || bare.type === 'ObjectPattern') return bare
  throw errorAt(
    parameter,
    parameter.type === 'RestElement'
      ? 'A tool has no rest parameter: take an array instead, such as `tags: string[]`.'
      : 'Give this parameter a name: a model fills parameters by their names.',
  )
}

/** Who fills a parameter. */
export function bindingOf(parameter: Parameter, index: number): Binding {
  const bare = bareParameter(parameter)
  if (bare.type === 'ObjectPattern') {
    const names = bare.properties.map((property) =>
      property.type === 'ObjectProperty' && property.key.type === 'Identifier' ? property.key.name : null,
    )
    return { from: 'properties', names: names.includes(null) ? null : (names as string[]) }
  }
  const filled = FILLED.find((name) => name === bare.name)
  // A first parameter of that name is an argument like any other.
  if (filled && (filled !== 'context' || index > 0)) return { from: filled }
  return isRequired(parameter)
    ? { from: 'argument', name: bare.name, required: true }
    : { from: 'argument', name: bare.name }
}

/** Whether a caller in TypeScript has to give it. Without a type nobody knows. */
function isRequired(parameter: Parameter): boolean {
  if (parameter.type !== 'Identifier' || parameter.optional) return false
  const annotation = parameter.typeAnnotation
  return annotation?.type === 'TSTypeAnnotation' && !takesUndefined(annotation.typeAnnotation)
}

/** What a name of another type stands for is not looked up: it may well be a union with undefined. */
function takesUndefined(node: TypeNode): boolean {
  if (node.type === 'TSUnionType') return node.types.some(takesUndefined)
  return [
    'TSUndefinedKeyword',
    'TSAnyKeyword',
    'TSUnknownKeyword',
    'TSVoidKeyword',
    'TSTypeReference',
  ].includes(node.type)
}

/** Who fills the parameters of a function, in their order. Throws as `bareParameter`. */
export function bindingsOf(node: FunctionNode): Binding[] {
  return parametersOf(node).map(bindingOf)
}
