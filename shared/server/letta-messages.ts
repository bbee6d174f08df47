import type {
  LettaMessage,
  MessageRole,
  MessageType,
  StoredMessage,
  StoredToolReturn,
} from '../schema/message.ts'
import { spokenText, unpackText } from '../schema/message-text.ts'
import type { Page } from '../schema/page.ts'
import { approvalRequest, approvalResponse } from './approval-messages.ts'
import { compactionMessages } from './compaction-messages.ts'
import { commonFields, partOtid, returnText } from './message-fields.ts'
import type { Run } from '../schema/run.ts'

/** How agents of the older types speak: through a tool, whose calls are shown as what they say (reference 5.2). */
export interface SpeakingTool {
  use_assistant_message: boolean
  assistant_message_tool_name: string
  assistant_message_tool_kwarg: string
  /** Show summaries of what left the context as such, not as the user messages that the model sees. */
  include_compaction_messages?: boolean | undefined
}

const SEND_MESSAGE: SpeakingTool = {
  use_assistant_message: true,
  assistant_message_tool_name: 'send_message',
  assistant_message_tool_kwarg: 'message',
}

/** How the request that began a run wants its messages shown. */
export function speakingOf(run: Pick<Run, 'request_config'>): SpeakingTool {
  const config = run.request_config ?? {}
  const use = config['use_assistant_message']
  const name = config['assistant_message_tool_name']
  const kwarg = config['assistant_message_tool_kwarg']
  return {
    use_assistant_message: typeof use === 'boolean' ? use : SEND_MESSAGE.use_assistant_message,
    assistant_message_tool_name: typeof name === 'string' ? name : SEND_MESSAGE.assistant_message_tool_name,
    assistant_message_tool_kwarg:
      typeof kwarg === 'string' ? kwarg : SEND_MESSAGE.assistant_message_tool_kwarg,
    include_compaction_messages: config['include_compaction_messages'] === true,
  }
}

/** One stored message as the API shows it: reasoning, then text, then tool calls (reference 5.2). */
export function toLettaMessages(
  message: StoredMessage,
  speaking: SpeakingTool = SEND_MESSAGE,
): LettaMessage[] {
  switch (message.role) {
    case 'system':
      return [
        {
          ...commonFields(message, message.otid),
          message_type: 'system_message',
          content: plainText(message),
        },
      ]
    case 'summary':
      return speaking.include_compaction_messages
        ? compactionMessages(message, commonFields(message, partOtid(message.id, 0)))
        : [asUserMessage(message)]
    case 'user':
      return [asUserMessage(message)]
    case 'assistant':
      return assistantParts(message, speaking)
    case 'tool':
      return message.tool_returns
        .filter((result) => !isSent(speaking, result))
        .map((result, i) => ({
          ...commonFields(message, partOtid(message.id, i)),
          ...toolReturnFields([result]),
        }))
    case 'approval':
      return message.approval ? approvalResponse(message) : approvalRequest(message)
  }
}

function asUserMessage(message: StoredMessage): LettaMessage {
  return {
    ...commonFields(message, message.otid),
    message_type: 'user_message',
    content: userContent(message),
  }
}

/** The fields of a tool_return_message for one or several returns; the legacy ones, and `name`, are those of the first. */
export function toolReturnFields(returns: readonly StoredToolReturn[]) {
  const tool_returns = returns.map((result) => ({
    type: 'tool' as const,
    tool_call_id: result.tool_call_id,
    tool_return: returnText(result.func_response),
    status: result.status,
    stdout: result.stdout ?? null,
    stderr: result.stderr ?? null,
  }))
  const first = tool_returns[0]
  return {
    message_type: 'tool_return_message' as const,
    name: returns[0]?.name ?? null,
    tool_return: first?.tool_return ?? '',
    status: first?.status ?? ('success' as const),
    tool_call_id: first?.tool_call_id ?? '',
    stdout: first?.stdout ?? null,
    stderr: first?.stderr ?? null,
    tool_returns,
  }
}

/** Messages for a list: flattened, in the order of the list, only the asked types. */
export function listMessages(
  stored: readonly StoredMessage[],
  options: {
    order: 'asc' | 'desc'
    types?: readonly MessageType[] | null | undefined
    speaking?: SpeakingTool
  },
): LettaMessage[] {
  const flat = stored.flatMap((message) => {
    const parts = toLettaMessages(message, options.speaking)
    return options.order === 'desc' ? parts.toReversed() : parts
  })
  return onlyTypes(flat, options.types)
}

const SHOWN_AS: Record<MessageType, readonly MessageRole[]> = {
  system_message: ['system'],
  user_message: ['user', 'summary'],
  assistant_message: ['assistant'],
  reasoning_message: ['assistant'],
  hidden_reasoning_message: ['assistant'],
  tool_call_message: ['assistant'],
  tool_return_message: ['tool'],
  approval_request_message: ['approval'],
  approval_response_message: ['approval'],
  summary_message: ['summary'],
  event_message: [],
}

/**
 * A page of API messages of the asked types. `read` is asked for the next page while one of stored messages holds
 * none of them: only the end of the list is an empty page, which ends the client's paging.
 */
export async function listShown(
  read: (page: Page, roles: MessageRole[] | undefined) => Promise<StoredMessage[]>,
  page: Page,
  options: { types?: readonly MessageType[] | undefined; speaking?: SpeakingTool },
): Promise<LettaMessage[]> {
  const roles = options.types?.flatMap((type) => SHOWN_AS[type])
  for (let at = page; ;) {
    const stored = await read(at, roles)
    const shown = listMessages(stored, { order: page.order, ...options })
    if (shown.length > 0 || stored.length < page.limit) return shown
    at = pageBeyond(at, stored)
  }
}

/** The page that follows, in the direction in which a list of messages was read (DESIGN decision 10). */
function pageBeyond(page: Page, stored: readonly StoredMessage[]): Page {
  const ascending = page.order === 'asc'
  const one = (page.after === undefined) !== (page.before === undefined)
  const upward = one ? page.after !== undefined : ascending
  const edge = (upward === ascending ? stored.at(-1) : stored[0])?.id
  return upward ? { ...page, after: edge } : { ...page, before: edge }
}

/** `include_return_message_types`: null or absent means all. */
export function onlyTypes<T extends { message_type: string }>(
  messages: T[],
  types: readonly MessageType[] | null | undefined,
): T[] {
  if (!types) return messages
  const wanted = new Set<string>(types)
  return messages.filter((message) => wanted.has(message.message_type))
}

/** Whether a tool of this name is shown as what it says. */
export function speaks(tool: SpeakingTool, name: string): boolean {
  return tool.use_assistant_message && name === tool.assistant_message_tool_name
}

/** Whether this return only says that a message was sent. That one was not is shown, as its call is. */
export function isSent(tool: SpeakingTool, result: StoredToolReturn): boolean {
  return result.status === 'success' && speaks(tool, result.name)
}

function assistantParts(message: StoredMessage, speaking: SpeakingTool): LettaMessage[] {
  const out: LettaMessage[] = []
  const common = () => commonFields(message, partOtid(message.id, out.length))
  for (const part of message.content) {
    if (part.type === 'reasoning')
      out.push({
        ...common(),
        message_type: 'reasoning_message',
        source: part.is_native ? 'reasoner_model' : 'non_reasoner_model',
        reasoning: part.reasoning,
        signature: part.signature ?? null,
      })
    if (part.type === 'redacted_reasoning')
      out.push({
        ...common(),
        message_type: 'hidden_reasoning_message',
        state: 'redacted',
        hidden_reasoning: part.data,
      })
    if (part.type === 'omitted_reasoning')
      out.push({
        ...common(),
        message_type: 'hidden_reasoning_message',
        state: 'omitted',
        hidden_reasoning: null,
      })
  }
  const text = plainText(message)
  if (text !== '') out.push({ ...common(), message_type: 'assistant_message', content: text })
  const silent = message.tool_calls.filter((call) => {
    const said = speaks(speaking, call.function.name)
      ? spokenText(call, speaking.assistant_message_tool_kwarg)
      : null
    if (said !== null) out.push({ ...common(), message_type: 'assistant_message', content: said })
    return said === null
  })
  const calls = silent.map((call) => ({
    name: call.function.name,
    arguments: call.function.arguments,
    tool_call_id: call.id,
  }))
  const first = calls[0]
  // The Vercel provider takes the tool's name from here.
  if (first)
    out.push({
      ...common(),
      name: first.name,
      message_type: 'tool_call_message',
      tool_call: first,
      tool_calls: calls,
    })
  return out
}

function plainText(message: StoredMessage): string {
  return message.content.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

function userContent(message: StoredMessage) {
  const parts = message.content.flatMap((part) =>
    part.type === 'text' || part.type === 'image' ? [part] : [],
  )
  if (parts.some((part) => part.type === 'image')) return parts
  const text = plainText(message)
  const packed = unpackText(text)
  return packed?.type === 'user_message' ? (packed.message ?? text) : text
}
