import { errorAt, type FunctionNode, type Parameter } from './ast.ts'
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
  // A first parameter of that name is an argument like any other, unless its type says more.
  if (filled && (filled !== 'context' || index > 0 || isToolContext(bare))) return { from: filled }
  return { from: 'argument', name: bare.name }
}

function isToolContext({ typeAnnotation: annotation }: BareParameter): boolean {
  const type = annotation?.type === 'TSTypeAnnotation' ? annotation.typeAnnotation : undefined
  if (type?.type !== 'TSTypeReference') return false
  return type.typeName.type === 'Identifier' && type.typeName.name === 'ToolContext'
}

/** Who fills the parameters of a function, in their order. Throws as `bareParameter`. */
export function bindingsOf(node: FunctionNode): Binding[] {
  return parametersOf(node).map(bindingOf)
}
