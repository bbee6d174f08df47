import type { LociClient } from '../../../shared/client/http.ts'

type Letta = LociClient['letta']
type Body = Parameters<Letta['conversations']['messages']['create']>[1]
export type TurnInput = NonNullable<Body['messages']>[number]

/** A call of a tool that waits: for a yes or no, or for the client that has the tool. */
export interface WaitingCall {
  id: string
  name: string
  /** JSON as the model wrote it. */
  arguments: string
}

/** What happens in a turn, as a chat shows it. */
export type TurnPiece =
  | { type: 'text'; text: string }
  | { type: 'tool'; name: string }
  | { type: 'tool_result'; name: string; arguments: string; result: string; failed: boolean }

export interface TurnEnd {
  outcome: 'done' | 'waiting' | 'cancelled' | 'stopped'
  /** V1's reason, for `stopped`: too many steps and the like. */
  reason: string
  /** Of `waiting`. */
  waiting: WaitingCall[]
}

export interface ClientTool {
  name: string
  description?: string | null
  parameters?: Record<string, unknown> | null
}

/** Characters of what was said first that name a conversation. */
const TITLE = 100

/** A new conversation of an agent, named after what is said in it first. Answers its id; throws what the client throws. */
export async function startConversation(
  { letta }: LociClient,
  agent_id: string,
  words: string,
): Promise<string> {
  const summary = words.replaceAll(/\s+/g, ' ').trim().slice(0, TITLE)
  return (await letta.conversations.create({ agent_id, ...(summary === '' ? {} : { summary }) })).id
}

/** How long a cancelled turn may take to end by itself, in milliseconds. */
const CANCEL_LIMIT = 5_000

/**
 * A turn of an agent in one conversation, streamed. When `signal` aborts, the turn is cancelled on the server, and this
 * ends once that is done. Throws what the client throws.
 */
export async function* runTurn(
  { letta }: LociClient,
  turn: { conversation_id: string; messages: TurnInput[]; client_tools?: ClientTool[] },
  signal: AbortSignal,
): AsyncGenerator<TurnPiece, TurnEnd> {
  const gone = new AbortController()
  let limit: NodeJS.Timeout | undefined
  let known = false
  const cancel = () => {
    limit ??= setTimeout(() => gone.abort(), CANCEL_LIMIT)
    // Before the stream begins there is nothing to cancel: its first item says that there is.
    if (known) letta.conversations.cancel(turn.conversation_id).catch(() => gone.abort())
  }
  signal.addEventListener('abort', cancel)
  const calls = new Map<string, { name: string; arguments: string }>()
  const waiting = new Map<string, WaitingCall>()
  let reason: string | null = null
  try {
    const { messages, client_tools = [] } = turn
    signal.throwIfAborted()
    const stream = await letta.conversations.messages.create(
      turn.conversation_id,
      { messages, streaming: true, stream_tokens: true, client_tools },
      { signal: gone.signal, maxRetries: 0 },
    )
    for await (const item of stream) {
      if (!known) {
        known = true
        if (signal.aborted) cancel()
      }
      switch (item.message_type) {
        case 'assistant_message': {
          const text = textOf(item.content)
          if (text !== '') yield { type: 'text', text }
          break
        }
        case 'tool_call_message': {
          const { tool_call_id, name, arguments: text } = item.tool_call
          const id = tool_call_id ?? item.id
          const call = calls.get(id)
          if (call) call.arguments += text ?? ''
          else {
            calls.set(id, { name: name ?? '', arguments: text ?? '' })
            yield { type: 'tool', name: name ?? '' }
          }
          break
        }
        case 'tool_return_message': {
          const { tool_call_id, status, tool_return } = item
          const call = calls.get(tool_call_id) ?? waiting.get(tool_call_id)
          waiting.delete(tool_call_id)
          yield {
            type: 'tool_result',
            name: item.name ?? call?.name ?? '',
            arguments: call?.arguments ?? '',
            result: textOf(tool_return),
            failed: status === 'error',
          }
          break
        }
        case 'approval_request_message': {
          const asked = Array.isArray(item.tool_calls) ? item.tool_calls : [item.tool_calls ?? item.tool_call]
          for (const { tool_call_id: id, name, arguments: text } of asked) {
            if (!id) continue
            const call = waiting.get(id)
            if (call) call.arguments += text ?? ''
            else waiting.set(id, { id, name: name ?? '', arguments: text ?? '' })
          }
          break
        }
        case 'stop_reason':
          reason = item.stop_reason
          break
        default:
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
    reason = 'cancelled'
  } finally {
    clearTimeout(limit)
    signal.removeEventListener('abort', cancel)
    gone.abort()
  }
  return endOf(reason, [...waiting.values()])
}

function endOf(reason: string | null, waiting: WaitingCall[]): TurnEnd {
  switch (reason) {
    case 'requires_approval':
      return { outcome: 'waiting', reason, waiting }
    case 'cancelled':
      return { outcome: 'cancelled', reason, waiting: [] }
    case 'end_turn':
    case 'tool_rule':
      return { outcome: 'done', reason, waiting: [] }
    default:
      return { outcome: 'stopped', reason: reason ?? 'the stream broke off', waiting: [] }
  }
}

/** The text of a message's content. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part: { type?: unknown; text?: unknown } | null) =>
      part?.type === 'text' && typeof part.text === 'string' ? part.text : '',
    )
    .join('')
}

/** What kept a turn from its end, in a sentence for the chat; null where it came to one. */
export function sentenceOf({ outcome, reason }: TurnEnd): string | null {
  if (outcome !== 'stopped') return null
  if (reason === 'max_steps')
    return 'The agent took as many steps as it may for one message. Write "go on" to let it continue.'
  if (reason === 'max_tokens_exceeded')
    return 'The answer was cut: it reached the most tokens that the model may write.'
  return `The agent stopped: ${reason.replaceAll('_', ' ')}.`
}
