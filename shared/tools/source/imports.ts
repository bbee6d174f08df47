import { isBuiltin } from 'node:module'
import type { SourceLanguage } from '../../core/ports/custom-tools.ts'
import type { Directives } from './directives.ts'
import type { Problem } from './source-jobs.ts'

/** A module that a source imports, or a function of one that it uses. */
export interface SourceImport {
  name: string
  /** True: comes with the language, or is there all the same. Null: not known. */
  standard: boolean | null
  line: number
  column: number
}

/** What the wall refuses, whatever the source asks for: what it would be good for. */
const REFUSED: Record<SourceLanguage, Record<string, string>> = {
  typescript: {
    child_process: 'starts processes',
    cluster: 'starts processes',
    worker_threads: 'starts threads',
    inspector: 'debugs the process',
    sqlite: 'opens databases',
    wasi: 'opens files of its own accord',
  },
  python: {
    subprocess: 'starts processes',
    multiprocessing: 'starts processes',
    pty: 'starts processes',
    ctypes: 'calls the system directly',
    'os.system': 'starts processes',
    'os.popen': 'starts processes',
    'os.fork': 'starts processes',
    'os.forkpty': 'starts processes',
    'os.execv': 'starts processes',
    'os.execvp': 'starts processes',
    'os.kill': 'signals other processes',
  },
}

const NETWORK: Record<SourceLanguage, readonly string[]> = {
  typescript: [
    'fetch',
    'http',
    'https',
    'http2',
    'net',
    'tls',
    'dgram',
    'dns',
    'undici',
    'axios',
    'got',
    'node-fetch',
    'ws',
  ],
  python: [
    'socket',
    'http',
    'urllib.request',
    'ftplib',
    'smtplib',
    'imaplib',
    'requests',
    'httpx',
    'aiohttp',
    'urllib3',
  ],
}

/** What a tool has without asking. */
const GIVEN: Record<SourceLanguage, readonly string[]> = {
  typescript: ['zod', 'loci', 'fetch'],
  python: [],
}

/** What of its imports will not work when the tool runs, each with what to do about it. */
export function importWarnings(
  imports: readonly SourceImport[],
  asked: Directives,
  language: SourceLanguage,
  requirements: readonly { name: string }[],
): Problem[] {
  const needed = [...asked.pip_requirements, ...asked.npm_requirements, ...requirements]
  const installed = new Set(needed.map(({ name }) => distribution(name)))
  const used = new Set(imports.map(({ name }) => distribution(packageOf(name, language))))
  // On PyPI packages have other names than what is imported from them (`yaml` comes from pyyaml).
  const mayCome = language === 'python' && [...installed].some((name) => !used.has(name))
  const comment = language === 'python' ? '#' : '//'
  const word = language === 'python' ? 'pip' : 'npm'
  return imports.flatMap(({ name, standard, line, column }) => {
    const place = { line, column }
    const module = name.replace(/^node:/, '')
    const refused = Object.entries(REFUSED[language]).find(([known]) => within(module, known, language))
    if (refused)
      return [{ ...place, message: `${name} ${refused[1]}, which a tool may not: the call will fail.` }]
    const problems: Problem[] = []
    if (!asked.permissions.network && NETWORK[language].some((known) => within(module, known, language)))
      problems.push({
        ...place,
        message: `${name} needs the network, which this tool has not: write \`${comment} loci: network\`.`,
      })
    const own = packageOf(module, language)
    const comes = language === 'typescript' ? isBuiltin(name) : standard !== false
    const given = comes || GIVEN[language].includes(own) || installed.has(distribution(own))
    if (!given && !mayCome)
      problems.push({
        ...place,
        message: `${own} does not come with the language: write \`${comment} loci: ${word} ${own}\`, or list it in ${word}_requirements.`,
      })
    return problems
  })
}

function within(name: string, known: string, language: SourceLanguage): boolean {
  return name === known || name.startsWith(known + (language === 'python' ? '.' : '/'))
}

function packageOf(name: string, language: SourceLanguage): string {
  if (language === 'python') return name.split('.')[0] ?? name
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/')
}

/** A package's name as package indexes compare them; without extras. */
function distribution(name: string): string {
  return name
    .replace(/\[.*$/, '')
    .toLowerCase()
    .replace(/[-_.]+/g, '-')
}
