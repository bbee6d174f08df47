import {
  errorAt,
  unwrap,
  type CallExpression,
  type Expression,
  type FunctionNode,
  type Positioned,
  type Program,
  type Statement,
} from './ast.ts'
import { SourceError } from './source-error.ts'

interface EntryBase {
  /** Under which the module exports it. */
  export_name: string
  /** What the source calls it; null where it has no name. */
  name: string | null
  /** The statement whose comment describes it. */
  statement: Positioned
  /** False: the source exports nothing, and this is the function that must be meant. */
  exported: boolean
}

/** What a TypeScript source offers as the tool. */
export type Entry =
  | (EntryBase & { kind: 'function'; node: FunctionNode })
  | (EntryBase & { kind: 'tool'; node: CallExpression })

/** What a name of the module's own stands for, with the statement that declares it. */
interface Declared {
  node: FunctionNode | CallExpression
  statement: Positioned
  name: string | null
}

/**
 * What is the tool: the default export, else the only exported function or `tool({ … })`, else the one called `wanted`.
 * Where nothing is exported (V1's tools) it is the function called `wanted`, or the only one. Throws `SourceError` when
 * there is none, or no telling which.
 */
export function findEntry(program: Program, wanted?: string): Entry {
  const old = program.body.find(
    ({ type }) => type === 'TSImportEqualsDeclaration' || type === 'TSExportAssignment',
  )
  if (old) throw errorAt(old, 'Tools are ES modules: write `import name from …` and `export default …`.')
  const makers = toolMakers(program)
  const declared = new Map<string, Declared>()
  for (const statement of program.body)
    for (const found of declarations(statement, makers)) if (found.name) declared.set(found.name, found)
  const entries = program.body.flatMap((statement) => exported(statement, declared, makers))
  const [, second] = entries.filter(({ export_name }) => export_name === 'default')
  if (second) throw errorAt(second.statement, 'A module has one default export: take one of them away.')
  const entry =
    entries.find(({ export_name }) => export_name === 'default') ??
    (entries.length === 1 ? entries[0] : entries.find(({ export_name }) => export_name === wanted))
  if (entry) return entry
  if (entries.length > 1) {
    const names = entries.map((one) => `${one.export_name} (line ${one.statement.loc?.start.line ?? 1})`)
    throw errorAt(
      (entries[1] as Entry).statement,
      `The source exports ${entries.length} functions, and one of them must be the tool: ${names.join(', ')}. ` +
        'Write `export default` before it, or take `export` from the others.',
    )
  }
  const wrong = notTheTool(program)
  if (wrong) throw wrong
  const only = declared.size === 1 ? [...declared.values()][0] : undefined
  const meant = (wanted === undefined ? undefined : declared.get(wanted)) ?? only
  if (meant?.name) return { ...entryOf(meant.name, meant), exported: false }
  const last = [...declared.values()].at(-1)
  if (!last) throw new SourceError(`The source has no function. ${FIX}`, { line: 1, column: 1 })
  throw errorAt(
    last.statement,
    `The source exports nothing. Write \`export\` before ${last.name ?? 'the function'}.`,
  )
}

const FIX =
  "Write `export` before the function, or `import { tool } from 'loci/tool'` and `export default tool({ … })`."

/** What a source without a tool to call does instead. */
function notTheTool(program: Program): SourceError | undefined {
  const assigned = program.body.find(
    (statement) =>
      statement.type === 'ExpressionStatement' &&
      statement.expression.type === 'AssignmentExpression' &&
      statement.expression.left.type === 'MemberExpression',
  )
  if (assigned) return errorAt(assigned, `The source exports no function: tools are ES modules. ${FIX}`)
  const exportsSomething = program.body.find(
    (statement) =>
      statement.type.startsWith('Export') &&
      !(statement.type === 'ExportNamedDeclaration' && statement.exportKind === 'type'),
  )
  if (exportsSomething)
    return errorAt(
      exportsSomething,
      `What the source exports is neither a function nor \`tool({ … })\`. ${FIX}`,
    )
  return undefined
}

/** What `tool` of loci/tool is called here. */
function toolMakers(program: Program): Set<string> {
  const names = new Set<string>()
  for (const statement of program.body)
    if (statement.type === 'ImportDeclaration' && statement.source.value === 'loci/tool')
      for (const specifier of statement.specifiers)
        if (
          specifier.type === 'ImportSpecifier' &&
          specifier.imported.type === 'Identifier' &&
          specifier.imported.name === 'tool'
        )
          names.add(specifier.local.name)
  return names
}

/** Functions and tools that a statement declares, exported or not. */
function* declarations(statement: Statement, makers: ReadonlySet<string>): Generator<Declared> {
  const inner = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement
  if (inner?.type === 'FunctionDeclaration') {
    // Overloads have no body, and another type.
    yield { node: inner, statement, name: inner.id?.name ?? null }
  } else if (inner?.type === 'VariableDeclaration') {
    for (const { id, init } of inner.declarations) {
      const node = init && callable(init, makers)
      if (node && id.type === 'Identifier') yield { node, statement, name: id.name }
    }
  }
}

/** A function, or a call of `tool`; undefined for everything else. */
function callable(
  expression: Expression,
  makers: ReadonlySet<string>,
): FunctionNode | CallExpression | undefined {
  const inner = unwrap(expression)
  if (inner.type === 'FunctionExpression' || inner.type === 'ArrowFunctionExpression') return inner
  return isToolCall(inner, makers) ? inner : undefined
}

function isToolCall(expression: Expression, makers: ReadonlySet<string>): expression is CallExpression {
  return (
    expression.type === 'CallExpression' &&
    expression.callee.type === 'Identifier' &&
    makers.has(expression.callee.name)
  )
}

function exported(
  statement: Statement,
  declared: ReadonlyMap<string, Declared>,
  makers: ReadonlySet<string>,
): Entry[] {
  if (statement.type === 'ExportDefaultDeclaration') {
    const { declaration } = statement
    if (declaration.type === 'FunctionDeclaration')
      return [entryOf('default', { node: declaration, statement, name: declaration.id?.name ?? null })]
    if (declaration.type === 'Identifier') {
      const found = declared.get(declaration.name)
      return found ? [entryOf('default', found)] : []
    }
    const node = isExpression(declaration) ? callable(declaration, makers) : undefined
    return node ? [entryOf('default', { node, statement, name: ownName(node) })] : []
  }
  if (statement.type !== 'ExportNamedDeclaration' || statement.exportKind === 'type') return []
  if (statement.declaration)
    return [...declarations(statement, makers)].map((found) => entryOf(found.name ?? 'default', found))
  if (statement.source) return []
  return statement.specifiers.flatMap((specifier) => {
    if (specifier.type !== 'ExportSpecifier') return []
    const found = specifier.local.type === 'Identifier' ? declared.get(specifier.local.name) : undefined
    const name = specifier.exported.type === 'Identifier' ? specifier.exported.name : specifier.exported.value
    if (!found) return []
    return [entryOf(name, name === 'default' ? found : { ...found, name })]
  })
}

function ownName(node: FunctionNode | CallExpression): string | null {
  return node.type === 'FunctionExpression' ? (node.id?.name ?? null) : null
}

function isExpression(node: { type: string }): node is Expression {
  return !node.type.endsWith('Declaration') && node.type !== 'TSDeclareFunction'
}

function entryOf(export_name: string, { node, statement, name }: Declared): Entry {
  return node.type === 'CallExpression'
    ? { kind: 'tool', export_name, name, statement, node, exported: true }
    : { kind: 'function', export_name, name, statement, node, exported: true }
}
