import { messageOf } from '../../schema/errors.ts'
import {
  type Builtin,
  builtin,
  integerArgument,
  stringArgument,
  stringsArgument,
  success,
  valueError,
} from '../builtin.ts'

export interface WebOptions {
  /** Let `fetch_webpage` reach this machine and private networks. */
  allow_private: boolean
  /** Exa, which searches; without a key `web_search` says so. `base_url` null: Exa's own. */
  exa: { api_key: string | null; base_url: string | null }
}

const EXA_URL = 'https://api.exa.ai'
const TIMEOUT_MS = 30_000
const MAX_BYTES = 10 * 1024 * 1024
const MAX_RESULTS = 100
const NO_TEXT = '(There is no text on this page. What scripts put there is not seen.)'

/** `web_search` and `fetch_webpage` (reference 4.3). */
export function webTools(options: WebOptions): Builtin[] {
  return [searchTool(options), fetchTool(options)]
}

function searchTool({ exa }: WebOptions): Builtin {
  const text = (description: string) => ({ type: 'string', description })
  const list = (description: string) => ({ type: 'array', items: { type: 'string' }, description })
  return builtin({
    name: 'web_search',
    type: 'letta_builtin',
    parallel: true,
    description: 'Search the web. Answers titles, addresses and highlights of the pages found.',
    properties: {
      query: text('What to look for, in plain words.'),
      num_results: { type: 'integer', description: `Results, 1 to ${MAX_RESULTS} (default 10).` },
      category: text("A kind of page, for example 'news', 'research paper', 'github', 'pdf' or 'company'."),
      include_text: { type: 'boolean', description: 'Also answer the text of each page (default false).' },
      include_domains: list('Only pages of these domains.'),
      exclude_domains: list('No pages of these domains.'),
      start_published_date: text('Only pages published from this ISO 8601 day on.'),
      end_published_date: text('Only pages published up to this ISO 8601 day.'),
      user_location: text("The user's country as two letters, for example 'US'."),
    },
    required: ['query'],
    async run(call, { signal }) {
      const query = stringArgument(call, 'query')
      if (query.trim() === '') throw valueError('the query is empty')
      const count = integerArgument(call, 'num_results', 10)
      if (count < 1 || count > MAX_RESULTS) throw valueError(`num_results must be 1 to ${MAX_RESULTS}`)
      const api_key = (await call.secrets())['EXA_API_KEY'] || exa.api_key
      if (api_key === null)
        throw valueError(
          "web search needs a key of Exa: set EXA_API_KEY among the agent's secrets, or where Loci is started",
        )
      const optional = (name: string, as: string) => {
        const value = stringArgument(call, name, '')
        return value === '' ? {} : { [as]: value }
      }
      const domains = (name: string, as: string) => {
        const value = stringsArgument(call, name)
        return value.length === 0 ? {} : { [as]: value }
      }
      const answer = (await askExa('/search', { ...exa, api_key }, signal, {
        query,
        numResults: count,
        type: 'auto',
        ...optional('category', 'category'),
        ...optional('start_published_date', 'startPublishedDate'),
        ...optional('end_published_date', 'endPublishedDate'),
        ...optional('user_location', 'userLocation'),
        ...domains('include_domains', 'includeDomains'),
        ...domains('exclude_domains', 'excludeDomains'),
        contents: { highlights: true, ...(call.arguments['include_text'] === true ? { text: true } : {}) },
      })) as { results?: ExaResult[] }
      const results = (answer.results ?? []).map((found) => ({
        title: found.title ?? null,
        url: found.url ?? null,
        published_date: found.publishedDate ?? null,
        author: found.author ?? null,
        ...(found.text === undefined ? {} : { text: found.text }),
        ...(found.highlights === undefined ? {} : { highlights: found.highlights }),
        ...(found.summary === undefined ? {} : { summary: found.summary }),
      }))
      return success({ query, results })
    },
  })
}

interface ExaResult {
  title?: string | null
  url?: string
  publishedDate?: string | null
  author?: string | null
  text?: string
  highlights?: string[]
  summary?: string
}

async function askExa(
  path: string,
  exa: WebOptions['exa'],
  signal: AbortSignal,
  body: unknown,
): Promise<unknown> {
  const url = `${exa.base_url ?? EXA_URL}${path}`
  let response: Response
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': exa.api_key ?? '' },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    })
    if (response.ok) return await response.json()
  } catch (error) {
    signal.throwIfAborted()
    throw new Error(`the web search at ${url} did not answer: ${messageOf(error)}`, { cause: error })
  }
  const why = response.status === 401 || response.status === 403 ? '; check EXA_API_KEY' : ''
  throw new Error(`the web search at ${url} answered ${response.status}${why}`)
}

function fetchTool({ allow_private }: WebOptions): Builtin {
  return builtin({
    name: 'fetch_webpage',
    type: 'letta_builtin',
    parallel: true,
    description: 'Fetch a web page and answer its readable text as Markdown.',
    properties: { url: { type: 'string', description: 'Its http or https address.' } },
    required: ['url'],
    async run(call, { signal }) {
      const url = stringArgument(call, 'url').trim()
      const [{ download }, { readPage }] = await Promise.all([import('./download.ts'), import('./page.ts')])
      const found = await download(url, {
        allow_private,
        accept: 'text/html, text/*;q=0.9, application/json;q=0.9, */*;q=0.1',
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_BYTES,
        signal,
      }).catch((error: unknown) => {
        signal.throwIfAborted()
        throw valueError(`${url} could not be fetched: ${messageOf(error)}`)
      })
      const [type = '', ...parameters] = found.content_type.toLowerCase().split(';')
      const text = () => decode(found.bytes, parameters.join(';'))
      if (type === '' || /html|xhtml/.test(type)) {
        const page = await readPage({ html: text(), url: found.url }, { signal })
        const title = page.title === '' ? '' : `# ${page.title}\n\n`
        return success(`${title}${page.markdown || NO_TEXT}`)
      }
      if (/^text\/|json|xml|javascript|yaml/.test(type))
        return success(text().trim() === '' ? NO_TEXT : text())
      throw valueError(`${url} is ${type}, not a page that can be read as text`)
    },
  })
}

function decode(bytes: Buffer, parameters: string): string {
  const charset =
    /charset=["']?([\w.:-]+)/.exec(parameters)?.[1] ??
    /<meta[^>]+charset=["']?([\w.:-]+)/i.exec(bytes.toString('latin1', 0, 2048))?.[1] ??
    'utf-8'
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    // A charset that nobody knows: most of the web is UTF-8.
    return new TextDecoder().decode(bytes)
  }
}
