import * as nodeModule from 'node:module'
import { childrenOf, parseTypeScript, type Positioned, type Program } from './ast.ts'
import type { ToolEntry } from './bindings.ts'
import { SourceError } from './source-error.ts'
import { findEntry } from './typescript-entry.ts'
import { argumentTypes } from './typescript-function.ts'
import { bindingsOf } from './typescript-parameters.ts'

/** A TypeScript tool as JavaScript. */
export interface CompiledTool {
  /** An ES module, with its source map inline (of the source `tool.ts`): every line stays where it was, but for enums. */
  code: string
  /** The source map, as JSON. */
  map: string
  /** Every column, too, is where it was in the source. */
  in_place: boolean
  entry: ToolEntry
  /** What it imports, as written, each once: built-in modules, `zod`, `loci/tool`, packages. */
  imports: string[]
}

// Not every build of Node has it; a name that is missing would keep the whole module from loading.
const { stripTypeScriptTypes } = nodeModule

/** Runs in the worker: types away, positions kept. Throws `SourceError`. */
export function compile(source: string, name?: string): CompiledTool {
  if (typeof stripTypeScriptTypes !== 'function')
    throw new Error(
      `Node ${process.versions.node} cannot read TypeScript: run Loci on the Node that it brings, or 22.16 and later`,
    )
  const { program } = parseTypeScript(source)
  const entry = findEntry(program, name)
  const used = namesUsed(program)
  const text = withoutTypeImports(source, program, used)
  const { code, map, in_place } = stripped(text)
  return {
    // Nothing moves: what is added stands behind all of it.
    code: `${code}${entry.exported ? '' : `\nexport { ${entry.export_name} }`}\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString('base64')}\n`,
    map,
    in_place,
    entry: {
      kind: entry.kind,
      export_name: entry.export_name,
      ...(entry.kind === 'function'
        ? { parameters: bindingsOf(entry.node), types: argumentTypes(entry.node, program) }
        : { parameters: [] }),
    },
    imports: importsOf(program, used),
  }
}

function stripped(text: string): Pick<CompiledTool, 'code' | 'map' | 'in_place'> {
  try {
    return { code: stripTypeScriptTypes(text, { mode: 'strip' }), map: sameLines(text), in_place: true }
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX')
      throw new SourceError(`This is no TypeScript: ${(error as Error).message}`, {
        line: 1,
        column: 1,
      })
  }
  const code = stripTypeScriptTypes(text, { mode: 'transform', sourceMap: true, sourceUrl: 'tool.ts' })
  const at = code.lastIndexOf('\n//# sourceMappingURL=')
  const map = Buffer.from(code.slice(code.indexOf(',', at) + 1), 'base64').toString()
  return { code: code.slice(0, at), map: withSource(map, text), in_place: false }
}

/** A map that says that each line is its own. */
function sameLines(text: string): string {
  const lines = text.split('\n').length
  const mappings = ['AAAA', ...Array.from({ length: lines - 1 }, () => 'AACA')].join(';')
  return JSON.stringify({ version: 3, sources: ['tool.ts'], names: [], mappings })
}

function withSource(map: string, text: string): string {
  const { mappings, names } = JSON.parse(map) as { mappings: string; names: string[] }
  return JSON.stringify({ version: 3, sources: ['tool.ts'], sourcesContent: [text], names, mappings })
}

/**
 * Blanks what is imported for its type alone and does not say so: the import would fail when the module is loaded.
 * Nothing moves.
 */
function withoutTypeImports(source: string, program: Program, used: ReadonlySet<string>): string {
  const imports = program.body.filter((statement) => statement.type === 'ImportDeclaration')
  let text = source
  const blank = (start: number, end: number) => {
    text = text.slice(0, start) + text.slice(start, end).replace(/[^\r\n]/g, ' ') + text.slice(end)
  }
  for (const statement of imports) {
    if (statement.importKind === 'type' || statement.specifiers.length === 0) continue
    const unused = statement.specifiers.filter(({ local }) => !used.has(local.name))
    if (unused.length === 0) continue
    // Only named ones can be taken out one by one.
    if (unused.length === statement.specifiers.length) blank(statement.start ?? 0, statement.end ?? 0)
    else
      for (const { type, start, end } of unused) {
        if (type !== 'ImportSpecifier') continue
        const comma = /^[\s]*,/.exec(text.slice(end ?? 0))
        blank(start ?? 0, (end ?? 0) + (comma?.[0].length ?? 0))
      }
  }
  return text
}

/** Names that a module uses as values. */
function namesUsed(program: Program): Set<string> {
  const names = new Set<string>()
  const pending: Positioned[] = program.body.filter(({ type }) => type !== 'ImportDeclaration')
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (node.type === 'Identifier') names.add((node as Positioned & { name: string }).name)
    // Types stand in nodes of their own, all but those that wrap a value.
    for (const child of childrenOf(node)) if (!isType(child)) pending.push(child)
  }
  return names
}

const VALUES_OF_TYPESCRIPT = new Set([
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
  'TSTypeAssertion',
  'TSInstantiationExpression',
  'TSParameterProperty',
  'TSEnumDeclaration',
  'TSEnumBody',
  'TSEnumMember',
  'TSModuleDeclaration',
  'TSModuleBlock',
  'TSExportAssignment',
  'TSImportEqualsDeclaration',
])
const isType = ({ type }: Positioned) => type.startsWith('TS') && !VALUES_OF_TYPESCRIPT.has(type)

function importsOf(program: Program, used: ReadonlySet<string>): string[] {
  const names = new Set<string>()
  for (const statement of program.body) {
    if (statement.type === 'ImportDeclaration') {
      const { importKind, specifiers, source } = statement
      const needed = specifiers.length === 0 || specifiers.some(({ local }) => used.has(local.name))
      if (importKind !== 'type' && needed) names.add(source.value)
    } else if (statement.type === 'ExportAllDeclaration' || statement.type === 'ExportNamedDeclaration') {
      if (statement.source && statement.exportKind !== 'type') names.add(statement.source.value)
    }
  }
  return [...names]
}
