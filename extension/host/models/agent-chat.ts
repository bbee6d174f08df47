import type { LociClient } from '../../../shared/client/http.ts'
import {
  runTurn,
  sentenceOf,
  startConversation,
  type ClientTool,
  type TurnEnd,
  type TurnInput,
  type TurnPiece,
  type WaitingCall,
} from './agent-turn.ts'
import { chatKey, earlierTalk, keyOf, lastQuestion, newInput, type ChatMessage } from './chat-input.ts'

/** What a chat of the editor shows of an agent's turn. */
export type ChatOutput =
  | { type: 'text'; text: string }
  /** A tool of the editor's that the agent calls: the editor answers with its result. */
  | { type: 'tool_call'; id: string; name: string; input: object }

/** Which conversation of an agent a chat of the editor is, by `chatKey`. */
export interface ChatIndex {
  get(key: string): string | undefined
  set(key: string, conversation_id: string): void
}

export interface ChatRequest {
  agent_id: string
  messages: readonly ChatMessage[]
  /** Tools of the editor's. */
  tools: readonly ClientTool[]
}

/** Loci's own tools, as the editor lists them: through them an agent would ask itself. */
const OWN_TOOL = /^(?:loci_|mcp_loci_)/i

/** Conversations by the ids of calls that the editor was handed; lives as long as the window. */
const handed = new Map<string, string>()

/**
 * Lets an agent answer a chat of the editor. The agent has a memory of its own, so only what is new is told it: each chat is
 * a conversation of the agent, known again by its first exchange. What was said before it came to a chat is told once.
 * Throws what the client throws.
 */
export async function* answerChat(
  client: LociClient,
  { agent_id, messages, tools }: ChatRequest,
  chats: ChatIndex,
  signal: AbortSignal,
): AsyncGenerator<ChatOutput> {
  const input = newInput(messages)
  const key = chatKey(messages, agent_id)
  const called = input.results.map(({ id }) => handed.get(id)).find((id) => id !== undefined)
  const known = called ?? (key === null ? undefined : chats.get(key))
  const client_tools = tools.filter(({ name }) => !OWN_TOOL.test(name))
  const words = textOfInput(input)
  const start = () => startConversation(client, agent_id, lastQuestion(messages))
  let conversation_id = known ?? (await start())
  const first = toInput(input, called === undefined, known === undefined ? earlierTalk(messages) : null)
  const turn = await beginTurn(
    client,
    { conversation_id, messages: first, client_tools },
    words,
    signal,
  ).catch(async (error: unknown) => {
    // The conversation was deleted, or is of another server.
    if (known === undefined || (error as { status?: unknown }).status !== 404) throw error
    conversation_id = await start()
    const again = toInput(input, true, earlierTalk(messages))
    return beginTurn(client, { conversation_id, messages: again, client_tools }, words, signal)
  })
  let said = ''
  let step = await turn.next()
  for (; !step.done; step = await turn.next()) {
    const text = shown(step.value, client_tools)
    if (text === '') continue
    said += text
    yield { type: 'text', text }
  }
  const end = step.value
  const ours = end.waiting.filter(({ name }) => client_tools.some((tool) => tool.name === name))
  const closing = closingWords(end, ours)
  if (closing !== '') {
    said += closing
    yield { type: 'text', text: closing }
  }
  if (key !== null) chats.set(key, conversation_id)
  else if (said.trim() !== '') chats.set(keyOf(agent_id, lastQuestion(messages), said), conversation_id)
  for (const call of ours) {
    handed.set(call.id, conversation_id)
    yield { type: 'tool_call', id: call.id, name: call.name, input: inputOf(call) }
  }
}

type Turn = ReturnType<typeof runTurn>

/**
 * Begins a turn. Where calls of the conversation wait, what the user says now decides them: "approve" lets them run, all
 * else denies them with these words as the reason.
 */
export async function beginTurn(
  client: LociClient,
  turn: Parameters<typeof runTurn>[1],
  words: string,
  signal: AbortSignal,
): Promise<Turn> {
  const running = runTurn(client, turn, signal)
  try {
    const first = await running.next()
    return (async function* () {
      let step = first
      while (!step.done) {
        yield step.value
        step = await running.next()
      }
      return step.value
    })()
  } catch (error) {
    const request_id = pendingRequest(error)
    if (request_id === null || turn.messages.some((message) => 'approvals' in message)) throw error
    return runTurn(client, { ...turn, messages: [decision(request_id, words)] }, signal)
  }
}

/** The request for approval that keeps a conversation from going on; null for any other failure. */
export function pendingRequest(error: unknown): string | null {
  const { status, error: body } = error as { status?: unknown; error?: Record<string, unknown> | null }
  const id =
    body?.['pending_request_id'] ??
    (body?.['detail'] as Record<string, unknown> | null)?.['pending_request_id']
  return status === 409 && typeof id === 'string' ? id : null
}

/** What words decide about calls that wait. */
export function decision(approval_request_id: string, words: string): TurnInput {
  const approve = /^\s*(approve|approved|yes|ok(?:ay)?|allow)[.!]?\s*$/i.test(words)
  return { type: 'approval', approval_request_id, approve, ...(approve ? {} : { reason: words }) }
}

/** Calls that wait for a person, in words. */
export function waitingWords(calls: readonly WaitingCall[]): string {
  const list = calls.map((call) => `- \`${call.name}\` with \`${call.arguments}\``).join('\n')
  return `\n\n**Waiting for your approval:**\n${list}\n\nAnswer "approve", or say why not.\n`
}

function closingWords(end: TurnEnd, ours: readonly WaitingCall[]): string {
  const others = end.waiting.filter((call) => !ours.includes(call))
  if (others.length > 0) return waitingWords(others)
  const sentence = sentenceOf(end)
  return sentence === null ? '' : `\n\n${sentence}\n`
}

/** The editor shows its own tools itself. */
function shown(piece: TurnPiece, editor_tools: readonly ClientTool[]): string {
  if (piece.type === 'text') return piece.text
  if (piece.type === 'tool' || editor_tools.some(({ name }) => name === piece.name)) return ''
  const failed = piece.failed ? ' (failed)' : ''
  return `\n\n*Used \`${piece.name}\`${failed}*\n\n`
}

/** `foreign`: the calls that the results answer are not of this conversation, which is told what they were as text. */
function toInput(
  { parts, results }: ReturnType<typeof newInput>,
  foreign: boolean,
  earlier: string | null,
): TurnInput[] {
  const approvals = (foreign ? [] : results).map(({ id, text }) => ({
    type: 'tool' as const,
    tool_call_id: id,
    tool_return: text,
    status: 'success' as const,
  }))
  const content = parts.map((part) =>
    part.type === 'text'
      ? { type: 'text' as const, text: part.text }
      : {
          type: 'image' as const,
          source: {
            type: 'base64' as const,
            media_type: part.media_type,
            data: Buffer.from(part.bytes).toString('base64'),
          },
        },
  )
  if (foreign)
    for (const { text } of results)
      content.push({ type: 'text', text: `<tool_result>\n${text}\n</tool_result>` })
  if (earlier !== null) content.unshift({ type: 'text', text: earlier })
  if (content.length === 0 && approvals.length === 0) content.push({ type: 'text', text: 'Go on.' })
  return [
    ...(approvals.length > 0 ? [{ type: 'approval' as const, approvals }] : []),
    ...(content.length > 0 ? [{ role: 'user' as const, content }] : []),
  ]
}

function textOfInput({ parts }: ReturnType<typeof newInput>): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
}

function inputOf({ arguments: text }: WaitingCall): object {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // The tool says what is wrong with it.
  }
  return { arguments: text }
}
