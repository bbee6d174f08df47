import type { RE2JS } from 're2js'
import { DEFAULT_VIEW_CHARS, viewText } from '../core/ports/file-view.ts'
import type { AgentFile, OpenFileRequest } from '../core/ports/file-store.ts'
import type { SearchMode } from '../core/ports/passage-store.ts'
import type { ToolCallInput } from '../core/ports/tools.ts'
import { builtin, type Builtin, integerArgument, stringArgument, success, valueError } from './builtin.ts'

const MAX_PATTERN = 1000
const MAX_MATCHES = 1000
const PAGE = 20
const MAX_CONTEXT = 20
const MAX_SECONDS = 30
/** Characters: of a file that is searched, and of all. */
const MAX_FILE = 50_000_000
const MAX_ALL = 200_000_000
/** Characters read at once. */
const READ = 64_000
/** How long a search holds up everybody else, in milliseconds. */
const SLICE_MS = 8

const MAX_RESULTS = 50
/** How it was searched, for the model that reads the results. */
const HOW: Record<SearchMode, string> = {
  hybrid: '(searched by words and by meaning)',
  vector: '(searched by meaning)',
  fts: '(searched by words alone: these folders have no embeddings, or their model does not answer)',
}

/** How an agent reads the files of its folders (reference 4.4). */
export const fileTools: Builtin[] = [
  builtin({
    name: 'open_files',
    type: 'letta_files_core',
    description:
      'Open files of your folders, whole or from a line on. What is open stays in your prompt; this tool shows it at ' +
      'once. When too many are open, those used the longest ago are closed.',
    properties: {
      file_requests: {
        type: 'array',
        description: 'The files to open.',
        items: {
          type: 'object',
          properties: {
            file_name: { type: 'string', description: 'As your prompt names it: folder/file' },
            offset: { type: 'integer', description: 'Lines to leave out at the beginning (default 0).' },
            length: { type: 'integer', description: 'Lines to view (default: all that fit).' },
          },
          required: ['file_name'],
        },
      },
      close_all_others: { type: 'boolean', description: 'Close every other file first (default false).' },
    },
    required: ['file_requests'],
    async run(call) {
      const files = await call.files.list()
      const max = call.agent.max_files_open ?? 5
      const requests = requestsOf(call, files)
      if (requests.length > max)
        throw valueError(`${requests.length} files are asked for, and at most ${max} can be open at once`)
      const before = new Map(files.map((file) => [file.file_id, file]))
      const closed = await call.files.open(requests, {
        close_others: call.arguments['close_all_others'] === true,
      })
      const limit = call.agent.per_file_view_window_char_limit ?? DEFAULT_VIEW_CHARS
      const max_chars = Math.min(limit, Math.floor(call.tool.return_char_limit / requests.length) - 1000)
      const shown: string[] = []
      for (const request of requests) {
        const file = before.get(request.file_id)
        if (!file) continue
        const was = file.is_open ? ' (it was open before)' : ''
        const view = await call.files.read(request.file_id, {
          ...request,
          max_chars: Math.max(500, max_chars),
        })
        const none = { text: '', first_line: request.start_line, next_line: request.start_line }
        shown.push(`Opened ${file.path}${was}\n${statusText(file) ?? viewText(view ?? none, file.lines)}`)
      }
      if (closed.length > 0) shown.push(`Closed: ${closed.join(', ')}`)
      return success(shown.join('\n\n'))
    },
  }),
  builtin({
    name: 'grep_files',
    type: 'letta_files_core',
    description:
      'Search the text of your files for a regular expression. Answers with lines and their numbers; > marks those that ' +
      `match. ${PAGE} matches a page.`,
    properties: {
      pattern: {
        type: 'string',
        description:
          'A regular expression (RE2: no backreferences and no lookaround); (?i) at its beginning ignores case.',
      },
      include: { type: 'string', description: 'Only files whose name fits, for example *.md' },
      context_lines: { type: 'integer', description: 'Lines to show around each match (default 1).' },
      offset: { type: 'integer', description: 'Matches to leave out, for the next page (default 0).' },
    },
    required: ['pattern'],
    async run(call, { signal }) {
      const pattern = stringArgument(call, 'pattern')
      if (pattern === '') throw valueError('the pattern is empty')
      if (pattern.length > MAX_PATTERN)
        throw valueError(`the pattern has ${pattern.length} characters; at most ${MAX_PATTERN} are taken`)
      const include = stringArgument(call, 'include', '')
      const around = Math.min(Math.max(integerArgument(call, 'context_lines', 1), 0), MAX_CONTEXT)
      const offset = Math.max(integerArgument(call, 'offset', 0), 0)
      const fits = include === '' ? () => true : await globFilter(include)
      const files = (await call.files.list()).filter((file) => fits(file.path))
      const found = await grep(call, files, await compile(pattern), {
        context: around,
        wanted: offset + PAGE,
        signal,
      })
      await call.files.touch([...new Set(found.matches.map((match) => match.file.file_id))])
      const page = found.matches.slice(offset, offset + PAGE)
      const notes = found.notes.map((note) => `Note: ${note}`)
      if (page.length === 0)
        return success(
          [offset > 0 ? 'No more matches.' : `No matches in ${files.length} files.`, ...notes].join('\n'),
        )
      const texts = page.map(({ file, lines }) => `${file.path}\n${lines.join('\n')}`)
      const more =
        found.matches.length > offset + PAGE || found.stopped
          ? [`More matches may follow: call again with offset=${offset + page.length}.`]
          : []
      const head = `Matches ${offset + 1} to ${offset + page.length}:`
      return success([head, ...texts, ...more, ...notes].join('\n\n'))
    },
  }),
  builtin({
    name: 'semantic_search_files',
    type: 'letta_files_core',
    description: 'Find the parts of your files that fit a question or some words best.',
    parallel: true,
    properties: {
      query: { type: 'string', description: 'What to look for.' },
      limit: { type: 'integer', description: `Results at the most (default 5, up to ${MAX_RESULTS}).` },
    },
    required: ['query'],
    async run(call) {
      const query = stringArgument(call, 'query')
      if (query.trim() === '') throw valueError('the query is empty')
      const limit = Math.min(Math.max(integerArgument(call, 'limit', 5), 1), MAX_RESULTS)
      const { mode, matches: found } = await call.files.search(query, limit)
      if (found.length === 0) return success(`Nothing in your files fits; other words may.\n\n${HOW[mode]}`)
      await call.files.touch([...new Set(found.map((match) => match.file_id))])
      const byFile = Map.groupBy(found, (match) => match.path)
      const texts = [...byFile].map(([path, matches]) =>
        [path, ...matches.map((m) => `[lines ${m.first_line + 1} to ${m.last_line + 1}]\n${m.text}`)].join(
          '\n',
        ),
      )
      return success([...texts, HOW[mode]].join('\n\n'))
    },
  }),
]

function requestsOf(call: ToolCallInput, files: readonly AgentFile[]): OpenFileRequest[] {
  const given = call.arguments['file_requests']
  const list: unknown[] = Array.isArray(given) ? given : given === undefined || given === null ? [] : [given]
  if (list.length === 0) throw valueError('file_requests is empty; name at least one file')
  return list.map((item) => {
    const request = (typeof item === 'string' ? { file_name: item } : item) as Record<string, unknown> | null
    const name = request?.['file_name']
    if (typeof name !== 'string') throw new TypeError("each of file_requests needs a 'file_name'")
    const file = files.find(({ path }) => path === name) ?? onlyNamed(files, name)
    if (!file) {
      const names = files.slice(0, 50).map(({ path }) => path)
      throw valueError(`there is no file '${name}'; the files are: ${names.join(', ') || 'none'}`)
    }
    if (file.status === 'error')
      throw valueError(
        `'${name}' cannot be opened, since it could not be read: ${file.error_message ?? 'no reason is known'}`,
      )
    const offset = wholeNumber(request?.['offset'] ?? 0, 'offset')
    const length = request?.['length'] == null ? null : wholeNumber(request['length'], 'length')
    if (offset < 0) throw valueError(`offset ${offset} of '${name}' is less than 0`)
    if (length !== null && length < 1) throw valueError(`length ${length} of '${name}' is less than 1`)
    if (file.status === 'completed' && offset >= file.lines)
      throw valueError(`offset ${offset} is past the end of '${name}', which has ${file.lines} lines`)
    return { file_id: file.file_id, start_line: offset, end_line: length === null ? null : offset + length }
  })
}

/** Models leave the folder out now and then. */
function onlyNamed(files: readonly AgentFile[], name: string): AgentFile | undefined {
  const same = files.filter(({ path }) => path.endsWith(`/${name}`))
  return same.length === 1 ? same[0] : undefined
}

function wholeNumber(value: unknown, name: string): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number))
    throw new TypeError(`'${name}' must be a whole number`)
  return number
}

function statusText(file: AgentFile): string | null {
  if (file.status === 'completed') return null
  return '[This file is still being read; open it again in a while]'
}

interface Found {
  matches: { file: AgentFile; lines: string[] }[]
  stopped: boolean
  notes: string[]
}

/** Line by line, in linear time whatever the pattern is, giving way to others. */
async function grep(
  call: ToolCallInput,
  files: readonly AgentFile[],
  pattern: RE2JS,
  options: { context: number; wanted: number; signal: AbortSignal },
): Promise<Found> {
  const { context, wanted, signal } = options
  const found: Found = { matches: [], stopped: false, notes: [] }
  const end = performance.now() + MAX_SECONDS * 1000
  let slice = performance.now() + SLICE_MS
  let searched = 0
  for (const file of files) {
    if (file.status !== 'completed') continue
    if (file.characters > MAX_FILE) {
      found.notes.push(`${file.path} was left out: it is larger than ${MAX_FILE / 1e6} million characters`)
      continue
    }
    searched += file.characters
    if (searched > MAX_ALL) {
      found.notes.push(
        `only the first ${MAX_ALL / 1e6} million characters were searched; narrow it by include`,
      )
      return found
    }
    for (let line = 0; line < file.lines;) {
      const part = await call.files.read(file.file_id, { start_line: line, end_line: null, max_chars: READ })
      if (!part) break
      for (const [i, text] of part.text.split('\n').entries()) {
        if (performance.now() > slice) {
          await new Promise((resolve) => setImmediate(resolve))
          signal.throwIfAborted()
          slice = performance.now() + SLICE_MS
          if (slice > end) {
            found.notes.push(
              `the search took longer than ${MAX_SECONDS} s and was ended; narrow it by include`,
            )
            return found
          }
        }
        if (!pattern.matcher(text).find()) continue
        const at = line + i
        found.matches.push({ file, lines: await shown(call, file, at, context) })
        if (found.matches.length >= Math.min(wanted + 1, MAX_MATCHES)) {
          found.stopped = found.matches.length >= MAX_MATCHES
          if (found.stopped)
            found.notes.push(`there are more than ${MAX_MATCHES} matches; narrow the pattern`)
          return found
        }
      }
      line = part.next_line
    }
  }
  return found
}

async function shown(call: ToolCallInput, file: AgentFile, at: number, around: number): Promise<string[]> {
  const start_line = Math.max(0, at - around)
  const part = await call.files.read(file.file_id, {
    start_line,
    end_line: at + around + 1,
    max_chars: READ,
  })
  const lines = part?.text.split('\n') ?? []
  return lines.map((line, i) => {
    const number = start_line + i
    const text = line.length > 500 ? `${line.slice(0, 500)}…` : line
    return `${number === at ? '>' : ' '} ${number + 1}: ${text}`
  })
}

/** The engine is loaded with the first search: its tables of Unicode are large. */
const loadEngine = async () => (await import('re2js')).RE2JS

async function compile(pattern: string): Promise<RE2JS> {
  const engine = await loadEngine()
  try {
    return engine.compile(pattern)
  } catch (error) {
    throw valueError(
      `the pattern is not a regular expression of RE2: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** Files whose path, or whose name without its folder, fits `*` and `?`. */
async function globFilter(glob: string): Promise<(path: string) => boolean> {
  if (glob.length > MAX_PATTERN) throw valueError(`include has more than ${MAX_PATTERN} characters`)
  const source = glob
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll(/\*+/g, '.*')
    .replaceAll('?', '.')
  const engine = await loadEngine()
  const pattern = engine.compile(`(?is)^(?:${source})$`)
  return (path) => pattern.matcher(path).find() || pattern.matcher(path.slice(path.indexOf('/') + 1)).find()
}
