import { parse } from '@babel/parser'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')
/** The bundle of the extension's texts that VS Code looks translations up by. */
export const BUNDLE = join(ROOT, 'l10n', 'bundle.l10n.json')

interface Node {
  type: string
  [key: string]: unknown
}

/** The texts of the extension's host: what `t` and `plural` of `extension/host/l10n.ts` are called with, sorted. */
export function hostTexts(): string[] {
  const folder = join(ROOT, 'extension', 'host')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  const texts = files
    // Where texts are looked up, whichever they are.
    .filter((file) => file !== 'l10n.ts' && file !== 'extension.ts')
    .flatMap((file) => textsOf(readFileSync(join(folder, file), 'utf8'), file))
  return [...new Set(texts)].sort()
}

/** The bundle's contents for these texts: each is its own key. */
export function bundleOf(texts: readonly string[]): string {
  return `${JSON.stringify(Object.fromEntries(texts.map((text) => [text, text])), null, 2)}\n`
}

/** The texts of one file. Throws for one that is not written out where it is used. */
export function textsOf(source: string, file: string): string[] {
  const { program } = parse(source, { sourceType: 'module', plugins: ['typescript'] })
  const found: string[] = []
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit)
    if (typeof value !== 'object' || value === null || !('type' in value)) return
    const node = value as Node
    if (node.type === 'CallExpression') found.push(...textsOfCall(node, file))
    for (const [key, child] of Object.entries(node)) if (key !== 'loc') visit(child)
  }
  visit(program)
  return found
}

function textsOfCall(call: Node, file: string): string[] {
  const { callee, arguments: args } = call as Node & { callee: Node; arguments: Node[] }
  const name = callee.type === 'Identifier' ? callee['name'] : nameOfMember(callee)
  const given = name === 't' ? args.slice(0, 1) : name === 'plural' ? args.slice(1, 3) : []
  return given.map((node) => {
    const text = written(node)
    if (text !== null) return text
    const { line } = (node['loc'] as { start: { line: number } }).start
    throw new Error(`extension/host/${file}:${line}: a text is written out where ${String(name)} is called`)
  })
}

/** `t` for `l10n.t`, which is VS Code's own. */
function nameOfMember(callee: Node): string | null {
  const { object, property } = callee as Node & { object?: Node; property?: Node }
  const of = object?.['name'] ?? (object?.['property'] as Node | undefined)?.['name']
  return callee.type === 'MemberExpression' && of === 'l10n' ? String(property?.['name']) : null
}

function written(node: Node): string | null {
  if (node.type === 'StringLiteral') return String(node['value'])
  if (node.type === 'TemplateLiteral') {
    const quasis = node['quasis'] as { value: { cooked: string } }[]
    return quasis.length === 1 ? (quasis[0]?.value.cooked ?? null) : null
  }
  if (node.type !== 'BinaryExpression' || node['operator'] !== '+') return null
  const [left, right] = [written(node['left'] as Node), written(node['right'] as Node)]
  return left === null || right === null ? null : left + right
}

if (import.meta.main) writeFileSync(BUNDLE, bundleOf(hostTexts()))
