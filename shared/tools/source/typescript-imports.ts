import { childrenOf, placeOf, type Positioned, type Program } from './ast.ts'
import type { SourceImport } from './imports.ts'

/** What a source imports, also with `import()` and `require()`, and that it uses the network without an import. */
export function importsOf(program: Program): SourceImport[] {
  const found: SourceImport[] = []
  const add = (name: string, node: Positioned) => found.push({ name, standard: null, ...placeOf(node) })
  const pending: Positioned[] = [...program.body]
  for (let node = pending.pop(); node; node = pending.pop()) {
    const name = importOf(node)
    if (name !== undefined) add(name, node)
    pending.push(...childrenOf(node))
  }
  return found.sort((a, b) => a.line - b.line || a.column - b.column)
}

interface Source {
  type: string
  value?: unknown
  name?: unknown
}

function importOf(node: Positioned): string | undefined {
  const { importKind, exportKind, source, callee } = node as Positioned & {
    importKind?: string
    exportKind?: string
    source?: Source | null
    callee?: Source
  }
  if (importKind === 'type' || exportKind === 'type') return undefined
  if (source && typeof source.value === 'string') return source.value
  if (node.type !== 'CallExpression' || !callee) return undefined
  const [first] = (node as Positioned & { arguments: Source[] }).arguments
  const given = typeof first?.value === 'string' ? first.value : undefined
  if (callee.type === 'Import' || callee.name === 'require') return given
  return callee.type === 'Identifier' && callee.name === 'fetch' ? 'fetch' : undefined
}
