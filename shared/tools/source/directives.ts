import type { Requirement, SourceLanguage, ToolPermissions } from '../../core/ports/custom-tools.ts'
import type { Problem } from './source-jobs.ts'

/** A comment of a source that begins with `loci:`. */
export interface DirectiveComment {
  text: string
  line: number
  column: number
}

/** What a source asks for. */
export interface Directives {
  permissions: ToolPermissions
  pip_requirements: Requirement[]
  npm_requirements: Requirement[]
  errors: Problem[]
}

/** What may stand behind `loci:`, each with an example. */
const EXAMPLES = {
  network: 'network',
  read: 'read ~/notes',
  write: 'write ~/notes/out',
  timeout: 'timeout 30s',
  memory: 'memory 512',
  'keep-state': 'keep-state',
  pip: 'pip requests==2.32.3',
  npm: 'npm lodash@4',
} as const
type Word = keyof typeof EXAMPLES

const MAX_CHARS = 1000
const MAX_TIMEOUT_MS = 60 * 60_000
/** An interpreter does not start with less. */
const MIN_MEMORY_MB = 64
const MAX_MEMORY_MB = 65_536

const PIP_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9._,-]+\])?/
/** `==2.32`, `>=2,<3`. */
const PIP_VERSION =
  /^(?:[<>=!~]=?|===)\s*[A-Za-z0-9][\w.*+!-]*(?:\s*,\s*(?:[<>=!~]=?|===)\s*[A-Za-z0-9][\w.*+!-]*)*$/
const NPM_NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~][a-z0-9._~-]*/
/** `@4`, `@^1.2`, `@>=4 <6`. */
const NPM_VERSION =
  /^@[<>=^~]{0,2}[A-Za-z0-9*][\w.*+-]*(?:(?:\s*\|\|\s*|\s+)[<>=^~]{0,2}[A-Za-z0-9*][\w.*+-]*)*$/

/** What the `loci:` comments of a source ask for, such as `loci: network` or `loci: read ~/notes`; nothing without any. */
export function readDirectives(comments: readonly DirectiveComment[], language: SourceLanguage): Directives {
  const asked: Directives = {
    permissions: {
      network: false,
      read: [],
      write: [],
      timeout_ms: null,
      memory_mb: null,
      keep_state: false,
    },
    pip_requirements: [],
    npm_requirements: [],
    errors: [],
  }
  for (const { text, line, column } of comments) {
    const directive = text.replace(/^loci:/, '').trim()
    const wrong =
      directive.length > MAX_CHARS
        ? `A \`loci:\` line has at most ${MAX_CHARS} characters.`
        : apply(directive, asked, language)
    if (wrong) asked.errors.push({ message: wrong, line, column })
  }
  return asked
}

/** Puts one directive into what is asked; the sentence that says what is wrong with it, if anything is. */
function apply(directive: string, asked: Directives, language: SourceLanguage): string | undefined {
  const [word = '', ...rest] = directive.split(/\s+/)
  const value = directive.slice(word.length).trim()
  if (!Object.hasOwn(EXAMPLES, word)) return unknown(word)
  const { permissions } = asked
  const example = `such as \`loci: ${EXAMPLES[word as Word]}\``
  switch (word as Word) {
    case 'network':
    case 'keep-state':
      if (rest.length > 0)
        return `Nothing stands behind \`loci: ${word}\`: write other directives on lines of their own.`
      permissions[word === 'network' ? 'network' : 'keep_state'] = true
      return undefined
    case 'read':
    case 'write': {
      const wrong = wrongPath(value)
      if (wrong) return `${wrong}, ${example}.`
      const list = permissions[word as 'read' | 'write']
      if (!list.includes(value)) list.push(value)
      return undefined
    }
    case 'timeout': {
      const ms = milliseconds(value)
      if (ms === null) return `How long it may take is a time from 1ms to 1h, ${example}.`
      permissions.timeout_ms = ms
      return undefined
    }
    case 'memory': {
      const mb = mebibytes(value)
      if (mb === null)
        return `How much memory it may take is a number of megabytes from ${MIN_MEMORY_MB} to ${MAX_MEMORY_MB}, ${example}.`
      permissions.memory_mb = mb
      return undefined
    }
    case 'pip':
    case 'npm':
      return requirement(word as 'pip' | 'npm', value, asked, language)
  }
}

function unknown(word: string): string {
  const list = Object.values(EXAMPLES).map((example) => `\`loci: ${example}\``)
  return `${word ? `There is no \`loci: ${word.slice(0, 40)}\`` : 'Nothing stands behind `loci:`'}. What there is: ${list.join(', ')}.`
}

function wrongPath(path: string): string | undefined {
  if (path === '') return 'Name a file or a folder'
  if (path.split(/[/\\]/).includes('..')) return 'Write the path without `..`'
  if (path === '~' || /^(?:~[/\\]|\/|[A-Za-z]:[/\\])/.test(path)) return undefined
  return 'Write the path from the root or from the home directory'
}

function milliseconds(text: string): number | null {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(text) ?? []
  if (number === undefined) return null
  const ms = Math.round(Number(number) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 1))
  return ms >= 1 && ms <= MAX_TIMEOUT_MS ? ms : null
}

function mebibytes(text: string): number | null {
  const [, number, unit = 'm'] = /^(\d+(?:\.\d+)?)\s*([mg])?i?b?$/i.exec(text) ?? []
  if (number === undefined) return null
  const mb = Math.round(Number(number) * (unit.toLowerCase() === 'g' ? 1024 : 1))
  return mb >= MIN_MEMORY_MB && mb <= MAX_MEMORY_MB ? mb : null
}

function requirement(
  word: 'pip' | 'npm',
  value: string,
  asked: Directives,
  language: SourceLanguage,
): string | undefined {
  if (word === 'pip' && language === 'typescript')
    return 'A TypeScript tool needs packages of npm: write `loci: npm`.'
  if (word === 'npm' && language === 'python')
    return 'A Python tool needs packages of pip: write `loci: pip`.'
  const name = (word === 'pip' ? PIP_NAME : NPM_NAME).exec(value)?.[0]
  const version = name === undefined ? '' : value.slice(name.length).trim()
  if (name === undefined || (version !== '' && !(word === 'pip' ? PIP_VERSION : NPM_VERSION).test(version)))
    return `\`loci: ${word}\` takes one package, with a version or without: \`loci: ${EXAMPLES[word]}\`.`
  // One version alone is written without a sign.
  const exact = /^(?:@|==)\s*([^=,][^,]*)$/.exec(version)?.[1]
  asked[`${word}_requirements`].push({ name, version: exact ?? (version || null) })
  return undefined
}
