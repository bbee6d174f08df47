import { parse, type Expression, type File } from '@babel/parser'
import { SourceError } from './source-error.ts'

/** The parts of a source that derivation looks at; their types are the parser's own. */
export type { Expression }
export type Program = File['program']
export type Statement = Program['body'][number]
export type Comment = NonNullable<File['comments']>[number]
export type FunctionDeclaration = Extract<Statement, { type: 'FunctionDeclaration' }>
export type FunctionExpression = Extract<
  Expression,
  { type: 'FunctionExpression' | 'ArrowFunctionExpression' }
>
export type FunctionNode = FunctionDeclaration | FunctionExpression
export type CallExpression = Extract<Expression, { type: 'CallExpression' }>
export type ObjectExpression = Extract<Expression, { type: 'ObjectExpression' }>
export type Parameter = FunctionNode['params'][number]
export type TypeNode = Extract<Statement, { type: 'TSTypeAliasDeclaration' }>['typeAnnotation']
export type InterfaceNode = Extract<Statement, { type: 'TSInterfaceDeclaration' }>
export type TypeMember = InterfaceNode['body']['body'][number]
export type EnumNode = Extract<Statement, { type: 'TSEnumDeclaration' }>

/** Anything of the tree that has a place and comments. */
export interface Positioned {
  type: string
  start?: number | null | undefined
  end?: number | null | undefined
  loc?: { start: { line: number; column: number } } | null | undefined
  leadingComments?: Comment[] | null | undefined
}

/** The tree of a TypeScript source. Throws `SourceError` for the first place that is no TypeScript. */
export function parseTypeScript(source: string): File {
  try {
    return parse(source, { sourceType: 'module', plugins: ['typescript'], errorRecovery: false })
  } catch (error) {
    throw parseError(error)
  }
}

function parseError(error: unknown): unknown {
  if (error instanceof RangeError)
    return new SourceError('The source is nested too deeply: take it apart into functions.', {
      line: 1,
      column: 1,
    })
  if (!(error instanceof SyntaxError)) return error
  const { loc } = error as SyntaxError & { loc?: { line: number; column: number } }
  // The parser adds the place, counting columns from 0.
  const message = error.message.includes('experimental syntax')
    ? 'Node does not run this syntax.'
    : error.message.replace(/ \(\d+:\d+\)$/, '')
  return new SourceError(`This is no TypeScript: ${message}`, {
    line: loc?.line ?? 1,
    column: (loc?.column ?? 0) + 1,
  })
}

/** Where a node begins, counted from 1. */
export function placeOf(node: Positioned): { line: number; column: number } {
  return { line: node.loc?.start.line ?? 1, column: (node.loc?.start.column ?? 0) + 1 }
}

/** An error at a node; `message` says how to mend it. */
export function errorAt(node: Positioned, message: string): SourceError {
  return new SourceError(message, placeOf(node))
}

/** An expression without the TypeScript around it: parentheses, `as`, `satisfies`, `!`. */
export function unwrap(expression: Expression): Expression {
  let inner = expression
  while (
    inner.type === 'TSAsExpression' ||
    inner.type === 'TSSatisfiesExpression' ||
    inner.type === 'TSNonNullExpression' ||
    inner.type === 'TSTypeAssertion' ||
    inner.type === 'ParenthesizedExpression'
  )
    inner = inner.expression
  return inner
}

/** The children of a node, whatever it is. */
export function* childrenOf(node: object): Generator<Positioned> {
  for (const [key, value] of Object.entries(node)) {
    if (key === 'loc' || key.endsWith('Comments') || key === 'extra') continue
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value])
      if (typeof child === 'object' && child !== null && typeof (child as Positioned).type === 'string')
        yield child as Positioned
  }
}
