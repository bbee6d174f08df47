import type { StoredMessage } from '../../schema/message.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import { countTokens } from './tokens.ts'

/** What role, separators and the like add to a message. */
const PER_MESSAGE = 4
/** The envelope of a tool return: status and time. */
const PER_RETURN = 30
/** Providers count 85 to some 1,600 by the size, which is not known here. */
const PER_IMAGE = 800

/** Stored messages never change, and the same objects come back turn after turn. */
const known = new WeakMap<StoredMessage, number>()

/** About how many tokens a message is as the model is shown it; `max_return_chars` is where its tool returns are cut. */
export function messageTokens(message: StoredMessage, max_return_chars = Infinity): number {
  let tokens = known.get(message)
  if (tokens === undefined) known.set(message, (tokens = count(message, max_return_chars)))
  return tokens
}

/** The sum over messages. */
export function tokensOf(messages: readonly StoredMessage[], max_return_chars = Infinity): number {
  let tokens = 0
  for (const message of messages) tokens += messageTokens(message, max_return_chars)
  return tokens
}

function count(message: StoredMessage, max_return_chars: number): number {
  let tokens = PER_MESSAGE
  for (const part of message.content) {
    if (part.type === 'text') tokens += countTokens(part.text)
    else if (part.type === 'reasoning') tokens += countTokens(part.reasoning)
    else if (part.type === 'image') tokens += PER_IMAGE
  }
  for (const call of message.tool_calls)
    tokens += 8 + countTokens(call.function.name) + countTokens(call.function.arguments)
  for (const { func_response } of message.tool_returns) {
    tokens += PER_RETURN
    const parts = typeof func_response === 'string' ? null : func_response
    const text = parts
      ? parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
      : (func_response as string)
    tokens += countTokens(text.length > max_return_chars ? text.slice(0, max_return_chars) : text)
    tokens += PER_IMAGE * (parts?.filter((part) => part.type === 'image').length ?? 0)
  }
  return tokens
}

/** Texts that come again and again: system prompts and tool schemas. The oldest is forgotten. */
const texts = new Map<string, number>()
const MAX_TEXTS = 500

/** `countTokens` for a text that is likely to be asked for again. */
export function repeatedTokens(text: string): number {
  const found = texts.get(text)
  if (found !== undefined) return found
  const tokens = countTokens(text)
  const [oldest] = texts.keys()
  if (texts.size >= MAX_TEXTS && oldest !== undefined) texts.delete(oldest)
  texts.set(text, tokens)
  return tokens
}

/** About how many tokens the definitions of these tools are. */
export function toolTokens(tools: readonly ToolSchema[]): number {
  let tokens = 0
  for (const { name, description, parameters } of tools)
    tokens += 8 + repeatedTokens(`${name} ${description} ${JSON.stringify(parameters)}`)
  return tokens
}
