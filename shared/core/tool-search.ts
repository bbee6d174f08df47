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
  const words = [...new Set(wordsOf(query ?? ''))]
  if (words.length === 0 && (query ?? '').trim() !== '') return []
  const tools = (await allTools(deps, actor, tool_types ?? undefined)).filter(
    (tool) => !tags?.length || tags.some((tag) => tool.tags.includes(tag)),
  )
  const found = tools
    .map((tool) => ({ tool, score: scoreOf(tool, words) }))
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

/** A word counts most in the name; one that only begins like it counts half. */
function scoreOf(tool: Tool, words: readonly string[]): number {
  const places = [
    { weight: 8, words: wordsOf(tool.name) },
    { weight: 4, words: tool.tags.flatMap(wordsOf) },
    { weight: 2, words: wordsOf(tool.description ?? '') },
    { weight: 1, words: wordsOf(Object.keys(argumentsOf(tool)).join(' ')) },
  ]
  let score = 0
  for (const word of words)
    for (const place of places) {
      if (place.words.includes(word)) score += place.weight
      else if (place.words.some((other) => other.startsWith(word))) score += place.weight / 2
    }
  return score
}

function argumentsOf({ json_schema }: Tool): object {
  const { parameters } = (json_schema ?? {}) as { parameters?: { properties?: object } }
  return parameters?.properties ?? {}
}

/** The words of a text; those of names in snake_case and camelCase too. */
function wordsOf(text: string): string[] {
  const apart = text.replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
  return (apart.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).flatMap((word) => {
    const stem = word.length > 4 ? word.replace(/(ing|ies|es|ed|s)$/, '') : word
    return stem.length > 2 ? stem : word
  })
}
