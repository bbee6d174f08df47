import { AppError } from '../schema/errors.ts'
import { type ClientTool, messageRequest, type MessageRequest } from '../schema/message.ts'
import type { ChatMessage, ChatRequest } from '../schema/openai.ts'

/** A message of a client's history, as OpenAI writes it; of what a tool returned also whether it failed. */
export type HistoryMessage = ChatMessage & { is_error?: boolean }

type Message = NonNullable<MessageRequest['messages']>[number]

/** The request of `/v1` that stands for one of OpenAI's. Throws `validation` for what is no message to an agent. */
export function turnBody(
  body: Pick<ChatRequest, 'logprobs' | 'top_logprobs'> & {
    tools?: readonly { function: ClientTool }[] | null | undefined
  },
  messages: Message[],
): MessageRequest {
  return messageRequest.parse({
    messages,
    client_tools: body.tools?.map((tool) => tool.function),
    stream_tokens: true,
    return_logprobs: body.logprobs ?? false,
    top_logprobs: body.top_logprobs,
  })
}

/**
 * What is new of a client's history: all that follows the last answer. The agent has the rest in its conversation, and
 * instructions of its own: those that a client puts before its first message are left out.
 */
export function newMessages(
  messages: readonly HistoryMessage[],
  sender_id: string | null,
  field = 'messages',
): Message[] {
  const last = messages.findLastIndex(({ role }) => role === 'assistant')
  const first = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer')
  const fresh = messages.slice(last >= 0 ? last + 1 : Math.max(0, first))
  if (first < 0 || fresh.length === 0)
    throw new AppError(
      'validation',
      `body.${field}: there is nothing to answer; the last one is of a user, or what a tool returned`,
    )
  const returns = fresh.flatMap((message) =>
    message.role === 'tool'
      ? [
          {
            type: 'tool' as const,
            tool_call_id: message.tool_call_id,
            tool_return: textOf(message.content),
            status: message.is_error ? ('error' as const) : ('success' as const),
          },
        ]
      : [],
  )
  const said = fresh.flatMap((message) => (message.role === 'tool' ? [] : [asMessage(message, sender_id)]))
  return returns.length > 0 ? [{ type: 'tool_return', tool_returns: returns }, ...said] : said
}

/** Whether a call is no more in a client's history: see `TurnRequest.abandons`. */
export function abandonedIn(messages: readonly HistoryMessage[]): (tool_call_id: string) => boolean {
  const open = new Set(
    messages.flatMap((message) =>
      message.role === 'assistant' ? (message.tool_calls ?? []).map(({ id }) => id) : [],
    ),
  )
  return (id) => !open.has(id)
}

/** A client's whole history, for an agent that has none. */
export function allMessages(
  messages: readonly HistoryMessage[],
  sender_id: string | null,
  field = 'messages',
): Message[] {
  return messages.map((message, index) => {
    if (message.role === 'tool' || (message.role === 'assistant' && message.tool_calls?.length))
      throw new AppError(
        'validation',
        `body.${field}.${index}: calls of tools need the conversation in which they were made; go on with it`,
      )
    return asMessage(message, sender_id)
  })
}

function asMessage(message: Exclude<ChatMessage, { role: 'tool' }>, sender_id: string | null): Message {
  if (message.role === 'assistant') return { role: 'assistant', content: textOf(message.content ?? '') }
  const name = message.name === undefined ? {} : { name: message.name }
  if (message.role !== 'user') return { role: 'system', content: textOf(message.content), ...name }
  const sender = sender_id === null ? {} : { sender_id }
  if (typeof message.content === 'string')
    return { role: 'user', content: message.content, ...name, ...sender }
  const content = message.content.map((part) =>
    part.type === 'text'
      ? part
      : { type: 'image' as const, source: { type: 'url' as const, url: part.image_url.url } },
  )
  return { role: 'user', content, ...name, ...sender }
}

function textOf(content: string | readonly { text: string }[]): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('\n')
}
