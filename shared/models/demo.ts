/**
 * `loci/demo`: a script, not a language model. It needs no key and no network, sees exactly what a model would see
 * (prompt, conversation, tools), and really edits memory and searches history through the agent's own tools.
 */
import type { LanguageModel, ModelMessage, ModelRequest, ModelUsage } from '../core/ports/models.ts'
import { AppError } from '../schema/errors.ts'
import { unpackText } from '../schema/message-text.ts'

const INTRODUCTION = [
  'I am loci/demo, a script and not a language model: I only follow a few patterns.',
  'Tell me about yourself ("My name is Ada and I live in London") and I write it into the memory block \'human\';',
  'ask "What do you know about me?" and I read it back; say "Search for London" and I search our conversation.',
  'To talk with a real model, start Ollama or LM Studio on this machine, or set a key such as OPENAI_API_KEY,',
  'restart Loci, and choose one of the models it then lists for this agent.',
].join(' ')

/** Makes the demo model. Deterministic: equal requests get equal answers. Throws only `cancelled`. */
export function createDemoModel(): LanguageModel {
  return {
    async *generate(request, { signal, stream }) {
      const move = decide(request)
      const said = 'text' in move ? move.text : JSON.stringify(move.args)
      if ('text' in move) {
        for (const text of stream ? (said.match(/\s*\S+/g) ?? []) : [said]) {
          if (signal.aborted) throw new AppError('cancelled', 'The request to loci/demo was cancelled.')
          yield { type: 'text', text }
        }
      } else {
        const id = `call_demo_${request.messages.length}`
        yield { type: 'tool_call', index: 0, id, name: move.tool, arguments: said }
      }
      yield { type: 'finish', reason: 'text' in move ? 'stop' : 'tool_calls', usage: usageOf(request, said) }
    },
  }
}

type Call = { tool: string; args: Record<string, unknown> }
type Move = Call | { text: string }
/** With `single` a new value takes the place of the old one. */
type Kind = { key: string; single: boolean; tell: RegExp; ask: RegExp }
type Fact = { kind?: Kind; line: string }

const END = String.raw`(?=\s*(?:[.!?](?:\s|$)|[;\n]|,? and (?:i|i'm|my|call|you|please)\b|, (?:i|my|but)\b|$))`
const tell = (start: string) => new RegExp(String.raw`\b(?:${start})\s+(\S.{0,199}?)${END}`, 'gi')
const IS_NAME = /\b[Ii](?:'m| am) (\p{Lu}[\p{L}'-]+(?: \p{Lu}[\p{L}'-]+)?)(?=[.,!]|\s+and\b|$)/gu
const KINDS: Kind[] = [
  { key: 'Name', single: true, tell: tell("my name is|my name's|call me"), ask: /\bmy name\b|\bi called\b/i },
  { key: 'Name', single: true, tell: IS_NAME, ask: /(?!)/ },
  { key: 'Lives in', single: true, tell: tell("i live in|i(?:'ve)? moved to"), ask: /\bi live\b/i },
  { key: 'Works at', single: true, tell: tell('i work (?:at|for)'), ask: /\bi work\b|\bmy job\b/i },
  { key: 'Is', single: false, tell: tell("(?:i am|i'm)(?= an? )"), ask: /what am i\b|what do i do\b/i },
  { key: 'Likes', single: false, tell: tell('i (?:like|love|prefer)'), ask: /\bi (?:like|love|prefer)\b/i },
]
const NOTE = tell(String.raw`remember(?: that|:)?(?! (?:when|what|how|me|who|where)\b)`)
const SEARCHES = [
  /\bsearch\b(?:.*?\b(?:for|about)\b)?[\s:]+(.+)/i,
  /\bwhat (?:did|have) (?:i|we|you) (?:say|said|tell you|told you|talk|talked|mention|mentioned)(?: about)?\s+(.+)/i,
  /\bdo you remember (?:when|what|how|that|the)\s+(.+)/i,
  /\b(?:when did|did|have) i (?:ever )?(?:mention|mentioned|talk about|tell you about|told you about)\s+(.+)/i,
]
const QUESTION = /^(?:what|where|who|when|how|why|which|do|does|did|can|could|is|are|am|have|will|tell)\b/i
const ABOUT_USER = /\bwho am i\b|\b(?:know|remember|noted?|tell me)\b.*\b(?:me|i)\b|\bwhat(?:'s| is) my\b/i

function decide(request: ModelRequest): Move {
  // Heartbeats come between the steps of older agents: they say nothing new.
  const at = request.messages.findLastIndex(
    (message) => message.role === 'user' && unpackText(textOf(message))?.type !== 'heartbeat',
  )
  const said = unpack(textOf(request.messages[at])).slice(0, 4000).replaceAll('’', "'").trim()
  const turn = request.messages.slice(at + 1)
  const human = readBlock(request.messages)
  const calls = turn.flatMap((message) => (message.role === 'assistant' ? message.tool_calls : []))
  const results = turn.flatMap((message) => (message.role === 'tool' ? [textOf(message)] : []))
  const error = results.find((text) => /^Error|^\{\s*"status":\s*"(?:Failed|error)"/.test(text))
  if (error) return speak(`That did not work. The tool answered: ${unpack(error).slice(0, 500)}`, request)

  const query = SEARCHES.map((pattern) => pattern.exec(said)?.[1]).find(Boolean)
  const wanted = query?.replace(/^["']+|["'?.!\s]+$/g, '')
  if (wanted) {
    const done = calls.findIndex((call) => call.name === 'conversation_search')
    if (done >= 0) return speak(found(wanted, results[done] ?? ''), request)
    return use({ tool: 'conversation_search', args: { query: wanted } }, 'search our conversation', request)
  }
  const facts = factsIn(said)
  if (facts.length > 0) {
    const list = facts.map((fact) => fact.line).join('; ')
    if (human === null) return speak(`I cannot keep that (${list}): I have no memory block 'human'.`, request)
    const made = (move: Call) =>
      calls.some((call) => call.name === move.tool && call.arguments === JSON.stringify(move.args))
    const next = plan(facts, human)
      .map((move) => asOffered(move, request))
      .find((move) => !made(move))
    if (next) return use(next, `keep that (${list})`, request)
    return speak(`${calls.length > 0 ? 'Noted in my memory' : 'I know that already'}: ${list}.`, request)
  }
  // Another agent, or an MCP host, asks about the user in the third person.
  const mine = said.replace(/\b(?:the|your) user's\b/gi, 'my').replace(/\b(?:the|your) user\b/gi, 'me')
  const question = mine.replace(/\bdoes me\b/gi, 'do i').replace(/\bis me\b/gi, 'am i')
  const asked = QUESTION.test(question) ? KINDS.find(({ ask }) => ask.test(question)) : undefined
  return speak(asked || ABOUT_USER.test(question) ? recall(asked, human) : INTRODUCTION, request)
}

/** A call of the memory tools that this agent has: the older types have others. */
function asOffered(call: Call, request: ModelRequest): Call {
  const has = (name: string) => request.tools.some((tool) => tool.name === name)
  const { label, old_string, new_string } = call.args
  if (call.tool === 'memory_insert' && !has(call.tool) && has('core_memory_append'))
    return { tool: 'core_memory_append', args: { label, content: new_string } }
  if (call.tool === 'memory_replace' && !has(call.tool) && has('core_memory_replace'))
    return { tool: 'core_memory_replace', args: { label, old_content: old_string, new_content: new_string } }
  return call
}

/** The call, if its tool is offered. */
function use(call: Call, purpose: string, request: ModelRequest): Move {
  const offered = request.tool_choice !== 'none' && request.tools.some((tool) => tool.name === call.tool)
  return offered ? call : speak(`I cannot ${purpose}: this agent has no tool '${call.tool}'.`, request)
}

/** Text for the user: plain, or through `send_message` where the agent must answer with a tool. */
function speak(text: string, request: ModelRequest): Move {
  const must = request.tool_choice === 'required' || typeof request.tool_choice === 'object'
  const sends = must && request.tools.some((tool) => tool.name === 'send_message')
  return sends ? { tool: 'send_message', args: { message: text } } : { text }
}

function factsIn(said: string): Fact[] {
  return said.split(/(?<=[.!?])\s+|\n+/).flatMap((sentence): Fact[] => {
    if (QUESTION.test(sentence)) return []
    const facts = KINDS.flatMap((kind) =>
      [...sentence.matchAll(kind.tell)].map(([, value]) => ({ kind, line: `${kind.key}: ${value}` })),
    )
    if (facts.length > 0) return facts
    return [...sentence.matchAll(NOTE)].map(([, value]) => ({ line: `Note: ${value}` }))
  })
}

/** The calls that bring these facts into the block: one `memory_replace` a changed fact, one `memory_insert`. */
function plan(facts: Fact[], human: string): Call[] {
  const lines = human.split('\n').map((line) => line.trim())
  const fresh = new Set<string>()
  const calls: Call[] = []
  for (const { kind, line } of facts) {
    if (lines.includes(line)) continue
    const old = kind?.single ? lines.find((other) => other.startsWith(`${kind.key}: `)) : undefined
    if (!old || human.split(old).length !== 2) fresh.add(line)
    else calls.push({ tool: 'memory_replace', args: { label: 'human', old_string: old, new_string: line } })
  }
  if (fresh.size === 0) return calls
  const args = { label: 'human', new_string: [...fresh].join('\n'), insert_line: -1 }
  return [...calls, { tool: 'memory_insert', args }]
}

function recall(kind: Kind | undefined, human: string | null): string {
  if (human === null) return "I cannot know: this agent has no memory block 'human'."
  if (human.trim() === '') return 'I know nothing about you yet. Tell me, for example: "My name is Ada".'
  const own = human.split('\n').filter((line) => kind && line.startsWith(`${kind.key}: `))
  return own.length > 0 ? `From my memory: ${own.join('; ')}.` : `My memory says about you:\n${human.trim()}`
}

function found(query: string, result: string): string {
  const hits = parse(unpack(result))?.results
  if (!Array.isArray(hits)) return `I searched for "${query}" and got: ${unpack(result).slice(0, 1000)}`
  const lines = (hits as { role?: string; content?: string; timestamp?: string }[])
    .map(({ role, content, timestamp }) => ({ who: `${role}, ${timestamp}`, text: unpack(content ?? '') }))
    .filter(({ text }) => text.trim() !== '')
    .map(({ who, text }) => `\n- ${who}: ${text.slice(0, 300)}`)
  const list = lines.length > 0 ? `:${lines.slice(0, 5).join('')}` : ' nothing.'
  return `I searched our conversation for "${query}" and found${list}`
}

/** The value of the memory block `human` in the system prompt; null when there is none. */
function readBlock(messages: ModelMessage[]): string | null {
  const system = textOf(messages.find((message) => message.role === 'system'))
  const blocks = system.slice(Math.max(0, system.indexOf('<memory_blocks>')))
  const value = /<human>[^]*?<value>\n?([^]*?)\n?<\/value>\s*<\/human>/.exec(blocks)?.[1]
  return value?.replace(/^\d+→ /gm, '') ?? null
}

/** Takes the text out of V1's envelopes (`{"type": "user_message", "message": …}`, `{"status": …, "message": …}`). */
function unpack(text: string): string {
  const { message, results } = parse(text) ?? {}
  if (message === undefined || results !== undefined) return text
  return typeof message === 'string' ? message : JSON.stringify(message)
}

function parse(text: string): Record<string, unknown> | null {
  try {
    return text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function textOf(message: ModelMessage | undefined): string {
  if (!message) return ''
  const content = message.role === 'system' ? message.text : message.content
  if (typeof content === 'string') return content
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
}

function usageOf(request: ModelRequest, said: string): ModelUsage {
  const prompt = request.messages.map(textOf).join('') + JSON.stringify(request.tools)
  const [prompt_tokens, completion_tokens] = [Math.ceil(prompt.length / 4), Math.ceil(said.length / 4)]
  const unknown = { cached_input_tokens: null, cache_write_tokens: null, reasoning_tokens: null }
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, ...unknown }
}
