import { createHash } from 'node:crypto'

/** A part of a message of the editor's chat. */
export type ChatPart =
  | { type: 'text'; text: string }
  | { type: 'image'; media_type: string; bytes: Uint8Array }
  | { type: 'tool_call'; id: string }
  | { type: 'tool_result'; id: string; text: string }

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant'
  parts: ChatPart[]
}

/** What is new in a request: everything else has been told the agent before. */
export interface NewInput {
  /** What the user says now. */
  parts: Exclude<ChatPart, { type: 'tool_call' | 'tool_result' }>[]
  /** What tools of the editor returned. */
  results: { id: string; text: string }[]
}

/** Of an earlier talk with others, as many characters are told. */
const EARLIER = 8_000

/**
 * The newest of the messages: results of tools since the agent last spoke, and the user's last message. VS Code puts reminders
 * for its own models around what the user wrote, which are not told.
 */
export function newInput(messages: readonly ChatMessage[]): NewInput {
  const last = messages.findLastIndex(({ role }) => role === 'assistant')
  const news = messages.slice(last + 1).filter(({ role }) => role === 'user')
  const results = news.flatMap(({ parts }) => parts.filter((part) => part.type === 'tool_result'))
  const said = news.findLast(({ parts }) => parts.some(({ type }) => type === 'text' || type === 'image'))
  // With results there is something of the user's only when it comes after them.
  const isNew = results.length === 0 || said === news.at(-1)
  const parts = (isNew ? (said?.parts ?? []) : []).flatMap((part): NewInput['parts'] => {
    if (part.type === 'image') return [part]
    if (part.type !== 'text') return []
    const text = results.length === 0 ? ownWords(part.text) : part.text.trim()
    return text === '' ? [] : [{ type: 'text', text }]
  })
  return { parts, results: results.map(({ id, text }) => ({ id, text })) }
}

/** A user's message without what the editor's own chat adds for its models. */
export function ownWords(text: string): string {
  return text
    .replaceAll(/<(reminderInstructions|reminder|environment_info|workspace_info)>[^]*?<\/\1>/g, '')
    .replaceAll(/<\/?(?:userRequest|user_query|prompt)>/g, '')
    .trim()
}

/**
 * Names a chat: by the first question and the first answer in it, which stay as they are. Null in a chat that has no
 * answer yet.
 */
export function chatKey(messages: readonly ChatMessage[], agent_id: string): string | null {
  const at = messages.findIndex((message) => message.role === 'assistant' && textIn(message) !== '')
  const first = messages[at]
  if (!first) return null
  return keyOf(agent_id, lastQuestion(messages.slice(0, at)), textIn(first))
}

/** The key of a chat that has just had its first answer. */
export function keyOf(agent_id: string, question: string, answer: string): string {
  const text = JSON.stringify([agent_id, question, answer].map((part) => part.replaceAll(/\s+/g, ' ').trim()))
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

/** What the user last asked, without the context that the editor adds, which is another one in each request. */
export function lastQuestion(messages: readonly ChatMessage[]): string {
  const message = messages.findLast((message) => message.role === 'user' && textIn(message) !== '')
  const text = message ? textIn(message) : ''
  const asked = /<userRequest>([^]*?)<\/userRequest>/.exec(text)?.[1]
  return asked ?? text.replaceAll(/<([A-Za-z_]+)>[^]*?<\/\1>/g, '')
}

/** What was said before in a chat that the agent was not part of; null when there is nothing. */
export function earlierTalk(messages: readonly ChatMessage[]): string | null {
  const last = messages.findLastIndex(({ role }) => role === 'assistant')
  const lines = messages.slice(0, last + 1).flatMap((message) => {
    const text = message.role === 'user' ? ownWords(textIn(message)) : textIn(message)
    return message.role === 'system' || text === '' ? [] : [`${message.role}: ${text}`]
  })
  if (last < 0 || lines.length === 0) return null
  const text = lines.join('\n\n')
  const shown = text.length > EARLIER ? `…${text.slice(-EARLIER)}` : text
  return `<earlier_in_this_chat>\n${shown}\n</earlier_in_this_chat>`
}

/** The text of a message. */
export function textIn({ parts }: ChatMessage): string {
  return parts
    .map((part) => (part.type === 'text' ? part.text : ''))
    .join('')
    .trim()
}
