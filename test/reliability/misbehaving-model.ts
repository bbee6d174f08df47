/** A model that does what the user's message tells it to, mostly something that no model should do. */
import type { ChatBody } from '../support/model-wire.ts'
import { startScriptedModel } from '../support/scripted-model.ts'

/** Ways to answer; `answered` ones end in an answer that says `re <message>`. */
export const WAYS = {
  plain: { answered: true, weight: 30 },
  tool: { answered: true, weight: 20 },
  no_usage: { answered: true, weight: 3 },
  unknown_tool: { answered: true, weight: 3 },
  half_json: { answered: true, weight: 3 },
  same_id: { answered: true, weight: 3 },
  many_calls: { answered: true, weight: 2 },
  too_long_once: { answered: false, weight: 2 },
  nothing: { answered: false, weight: 2 },
  cut_off: { answered: false, weight: 2 },
  half_stream: { answered: false, weight: 3 },
  garbage: { answered: false, weight: 2 },
  error_500: { answered: false, weight: 2 },
  error_429: { answered: false, weight: 2 },
  flood: { answered: false, weight: 1 },
  hang: { answered: false, weight: 4 },
} as const
export type Way = keyof typeof WAYS

/** A message that asks for an answer of this kind; `name` makes it unlike all others. */
export function messageFor(way: Way, name: string): string {
  return `<${way}> ${name}`
}

/** Picks a way by its weight. */
export function pickWay(random: () => number): Way {
  const ways = Object.entries(WAYS) as [Way, { weight: number }][]
  let left = random() * ways.reduce((sum, [, { weight }]) => sum + weight, 0)
  for (const [way, { weight }] of ways) if ((left -= weight) < 0) return way
  return 'plain'
}

/** Ways that begin with a call. */
const CALLS = new Set<Way>(['tool', 'unknown_tool', 'half_json', 'same_id', 'many_calls'])

/** Megabytes of one answer of the way `flood`. */
const FLOOD_MB = 100

/** Starts it; the caller closes it. */
export async function startMisbehavingModel() {
  const seen = new Set<string>()
  const never = new Promise<never>(() => undefined)
  const flood = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x'.repeat(64 * 1024) } }] })}\n\n`
  return startScriptedModel([], {
    forget: true,
    loop(body) {
      const asked = lastAsked(body)
      const way = (/<(\w+)> /.exec(asked)?.[1] ?? 'plain') as Way
      const first = !seen.has(asked)
      seen.add(asked)
      // A heartbeat after a tool is a message of the user's too.
      if (body.messages.at(-1)?.role !== 'user' || (!first && CALLS.has(way)))
        return speak(body, `re ${asked}`)
      const call = (name: string, args: Record<string, unknown> | string, id?: string) => ({
        name,
        arguments: args,
        ...(id ? { id } : {}),
      })
      const insert = (line: string) => ({
        label: 'notes',
        new_string: line,
        insert_line: -1,
        request_heartbeat: true,
      })
      switch (way) {
        case 'tool':
          return { tool_calls: [call('memory_insert', insert(`line of ${asked}`))] }
        case 'no_usage':
          return { ...speak(body, `re ${asked}`), usage: null }
        case 'unknown_tool':
          return { tool_calls: [call('rm_rf', { path: '/', request_heartbeat: true })] }
        case 'half_json':
          return { tool_calls: [call('memory_insert', '{"label": "notes", "new_str')] }
        case 'same_id':
          return {
            tool_calls: [1, 2].map((n) =>
              call('memory_insert', insert(`same ${n} of ${asked}`), 'call_same'),
            ),
          }
        case 'many_calls':
          return {
            tool_calls: Array.from({ length: 40 }, () => call('conversation_search', { query: 'line' })),
          }
        case 'too_long_once':
          if (!first) return speak(body, `re ${asked}`)
          return {
            status: 400,
            body: {
              error: { code: 'context_length_exceeded', message: 'maximum context length is 10 tokens' },
            },
          }
        case 'nothing':
          return { finish_reason: null, usage: null }
        case 'cut_off':
          return { text: 'half a sen', finish_reason: 'length' }
        case 'half_stream':
          return { text: ['one', 'two', 'three'], cut_after: 2 }
        case 'garbage':
          return { raw: ['data: {"choices": [{]\n\n', ': \u0000\n', 'data: 7\n\n'] }
        case 'error_500':
          return { status: 500, body: { error: { message: 'a bad day' } } }
        case 'error_429':
          return { status: 429, headers: { 'retry-after-ms': '1' }, body: { error: { message: 'too fast' } } }
        case 'flood':
          return {
            raw: Array.from({ length: FLOOD_MB * 16 }, () => flood),
            content_type: 'text/event-stream',
          }
        case 'hang':
          return first ? { text: ['thinking', ' …'], hold: never, hold_after: 1 } : speak(body, `re ${asked}`)
        case 'plain':
          return speak(body, `re ${asked}`)
      }
    },
  })
}

/** Agents of the older types speak through a tool, when they are offered one. */
function speak({ tools }: ChatBody, text: string) {
  return tools?.some((tool) => tool.function.name === 'send_message')
    ? { tool_calls: [{ name: 'send_message', arguments: { message: text } }] }
    : { text }
}

/** The text of the newest message that carries a way; heartbeats and summaries carry none. */
function lastAsked({ messages }: ChatBody): string {
  for (const { role, content } of messages.toReversed()) {
    if (role !== 'user') continue
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    // A summary names many; the last is what is to be answered.
    const found = [...text.matchAll(/<\w+> [\w-]+/g)].at(-1)
    if (found) return found[0]
  }
  return 'nobody'
}
