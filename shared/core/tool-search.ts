import { AppError } from '../schema/errors.ts'
import type { Tool, ToolSearch, ToolSearchResult } from '../schema/tool.ts'
import type { Actor } from './ports/actor.ts'
import type { CoreDeps } from './ports/deps.ts'

/** Tools that are read at once. */
const BATCH = 500

/** What rank counts for in the fusion of ranked lists, as everywhere in V1. */
const RANK_OFFSET = 60

/**
 * Tools by the words of their name, description, arguments and tags, the best first; without a query the newest. Text
 * alone: tools are not embedded, so `hybrid` is the same, and `vector` throws `invalid_argument`.
 */
export async function searchTools(
  deps: CoreDeps,
  actor: Actor,
  { query, search_mode, tool_types, tags, limit }: ToolSearch,
): Promise<ToolSearchResult[]> {
  if (search_mode === 'vector')
    throw new AppError(
      'invalid_argument',
      'tools are not embedded, so they cannot be searched by vector; use search_mode fts or hybrid',
    )
  const words = queryWords(query ?? '')
  if (words.length === 0 && (query ?? '').trim() !== '') return []
  const tools = (await allTools(deps, actor, tool_types ?? undefined)).filter(
    (tool) => !tags?.length || tags.some((tag) => tool.tags.includes(tag)),
  )
  const scores = scoresOf(tools.map(entryOf), words)
  const found = tools
    .map((tool) => ({ tool, score: scores.get(tool) ?? 0 }))
    .filter(({ score }) => words.length === 0 || score > 0)
    .toSorted((a, b) => b.score - a.score)
  return found.slice(0, limit).map(({ tool }, index) => ({
    tool,
    embedded_text: null,
    fts_rank: words.length === 0 ? null : index + 1,
    vector_rank: null,
    combined_score: 1 / (RANK_OFFSET + index + 1),
  }))
}

async function allTools(deps: CoreDeps, actor: Actor, tool_types: ToolSearch['tool_types']): Promise<Tool[]> {
  const tools: Tool[] = []
  for (;;) {
    const page = { limit: BATCH, order: 'desc' as const, after: tools.at(-1)?.id }
    const next = await deps.store.tools.list(actor, { tool_types: tool_types ?? undefined }, page)
    tools.push(...next)
    if (next.length < BATCH) return tools
  }
}

/** What a search looks at, and how much a word counts there. */
interface Entry {
  tool: Tool
  places: { weight: number; words: ReadonlySet<string> }[]
}

function entryOf(tool: Tool): Entry {
  const places = [
    { weight: 8, text: tool.name },
    { weight: 4, text: tool.tags.join(' ') },
    { weight: 2, text: tool.description ?? '' },
    { weight: 1, text: Object.keys(argumentsOf(tool)).join(' ') },
  ]
  return { tool, places: places.map(({ weight, text }) => ({ weight, words: new Set(wordsOf(text)) })) }
}

/**
 * What each tool has of the words. A word that few tools have counts for more; one that only begins like it, or means the
 * same, for half.
 */
function scoresOf(entries: readonly Entry[], words: readonly string[]): Map<Tool, number> {
  const scores = new Map<Tool, number>()
  for (const word of words) {
    const alike = [...sameMeaning(word)]
    const found = entries.flatMap(({ tool, places }) => {
      let score = 0
      for (const { weight, words: there } of places) {
        if (there.has(word)) score += weight
        else if ([word, ...alike].some((other) => begins(there, other))) score += weight / 2
      }
      return score === 0 ? [] : [{ tool, score }]
    })
    const rarity = Math.log(1 + entries.length / Math.max(found.length, 1))
    for (const { tool, score } of found) scores.set(tool, (scores.get(tool) ?? 0) + rarity * score)
  }
  return scores
}

function begins(words: ReadonlySet<string>, word: string): boolean {
  if (words.has(word)) return true
  return word.length > 2 && [...words].some((other) => other.startsWith(word))
}

function argumentsOf({ json_schema }: Tool): object {
  const { parameters } = (json_schema ?? {}) as { parameters?: { properties?: object } }
  return parameters?.properties ?? {}
}

/** Words that say nothing of what a tool does, unless there is nothing else. */
const EMPTY = new Set(
  (
    'a an and any are as at be been by can could do does for from get has have how i if in into is it its let like me my ' +
    'need needs of on or our out please should so some something that the their them then there these they this to tool ' +
    'tools use uses using want was we what when where which who will with would you your'
  ).split(' '),
)

/** Words for one thing, as people say it and as tools are named. */
const MEANINGS = [
  'web internet online website browse browser url',
  'memory remember memorize memorise recall note fact',
  'search find lookup query look',
  'file document attachment',
  'message chat talk tell write say send',
  'conversation history chat past',
  'delete remove erase forget',
  'create add insert make',
  'change edit update replace modify',
  'execute run script program code',
].map((group) => group.split(' ').map(stemOf))

function sameMeaning(word: string): Set<string> {
  return new Set(MEANINGS.filter((group) => group.includes(word)).flat())
}

/** The words of a query that say something; all of them when none does. */
function queryWords(query: string): string[] {
  const all = split(query)
  const telling = all.filter((word) => !EMPTY.has(word))
  return [...new Set((telling.length > 0 ? telling : all).map(stemOf))]
}

function wordsOf(text: string): string[] {
  return split(text).map(stemOf)
}

/** The words of a text; those of names in snake_case and camelCase too. */
function split(text: string): string[] {
  const apart = text.replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
  return apart.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

/** A word without its English ending. */
function stemOf(word: string): string {
  const stem = word.length > 3 ? word.replace(/(ing|ies|es|ed|s|e|y)$/, '') : word
  return stem.length > 2 ? stem : word
}
