import type { ToolFile } from '../../../shared/client/tool-files.ts'

/** Where the function of a tool stands in its source; line and column from 0. */
export interface ToolPlace {
  name: string
  line: number
  column: number
}

/** One test in a file, with the suites that it stands in; the line from 0. */
export interface TestPlace {
  name: string[]
  line: number
}

/** At the start of a line, best first: what is the tool in a TypeScript file. */
const TYPESCRIPT = [
  /^export\s+default\s+(?:async\s+)?function\s*\*?\s*([\w$]+)/,
  /^export\s+default\s+(tool)\s*\(/,
  /^export\s+default\s+([\w$]+)\s*;?\s*$/,
  /^export\s+(?:async\s+)?function\s+([\w$]+)/,
  /^export\s+const\s+([\w$]+)\s*(?::[^=]+)?=\s*(?:async\b|\(|function\b|tool\s*\()/,
  /^(?:async\s+)?function\s+([\w$]+)/,
  /^const\s+([\w$]+)\s*(?::[^=]+)?=\s*(?:async\b|\(|function\b|tool\s*\()/,
]

/**
 * The function that is the tool, found by its look and without a server, for what is shown above it: the source may be
 * half written. Which function it is in truth the server's check says.
 */
export function findTool(source: string, language: ToolFile['source_type']): ToolPlace | null {
  const lines = source.split('\n')
  if (language === 'python') {
    const found = lines.flatMap((text, line) => placeOf(/^(?:async\s+)?def\s+(\w+)/.exec(text), line))
    return found.at(-1) ?? null
  }
  for (const pattern of TYPESCRIPT) {
    const [first] = lines.flatMap((text, line) => placeOf(pattern.exec(text), line))
    if (!first) continue
    if (pattern === TYPESCRIPT[1]) return { ...first, name: givenName(source) ?? first.name }
    // `export default weather` means what stands elsewhere.
    if (pattern === TYPESCRIPT[2]) return declared(lines, first.name) ?? first
    return first
  }
  return null
}

function placeOf(match: RegExpExecArray | null, line: number): ToolPlace[] {
  const name = match?.[1]
  return match && name !== undefined ? [{ name, line, column: match[0].lastIndexOf(name) }] : []
}

function declared(lines: readonly string[], name: string): ToolPlace | null {
  const escaped = name.replaceAll('$', '\\$')
  const pattern = new RegExp(`^(?:export\\s+)?(?:(?:async\\s+)?function\\s*|const\\s+)(${escaped})(?![\\w$])`)
  return lines.flatMap((text, line) => placeOf(pattern.exec(text), line))[0] ?? null
}

/** What `tool({ name: '…' })` says. */
function givenName(source: string): string | null {
  return /\btool\s*\(\s*\{[^}]*?\bname\s*:\s*(['"`])([\w-]+)\1/.exec(source)?.[2] ?? null
}

/** The tests in a file of unit tests, in their order, by their look: nothing runs. */
export function findTests(source: string, language: ToolFile['source_type']): TestPlace[] {
  const lines = source.split('\n')
  return language === 'python' ? pythonTests(lines) : typescriptTests(lines)
}

function pythonTests(lines: readonly string[]): TestPlace[] {
  const found: TestPlace[] = []
  let suite: string | null = null
  for (const [line, text] of lines.entries()) {
    const opened = /^class\s+(\w+)/.exec(text)
    if (opened) suite = opened[1] ?? null
    const test = /^\s+(?:async\s+)?def\s+(test\w*)/.exec(text)?.[1]
    if (suite !== null && test !== undefined) found.push({ name: [suite, test], line })
  }
  return found
}

function typescriptTests(lines: readonly string[]): TestPlace[] {
  const found: TestPlace[] = []
  const suites: { name: string; indent: number }[] = []
  for (const [line, text] of lines.entries()) {
    const call = /^(\s*)(describe|suite|test|it)(?:\.\w+)?\s*\(\s*(['"`])((?:\\.|(?!\3).)*)\3/.exec(text)
    if (!call) continue
    const [, space = '', kind, , quoted = ''] = call
    const name = quoted.replaceAll(/\\(.)/g, '$1')
    while ((suites.at(-1)?.indent ?? -1) >= space.length) suites.pop()
    if (kind === 'describe' || kind === 'suite') suites.push({ name, indent: space.length })
    else found.push({ name: [...suites.map((suite) => suite.name), name], line })
  }
  return found
}
