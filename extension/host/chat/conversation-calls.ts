import type { LociClient } from '../../../shared/client/http.ts'
import type { LettaMessage, StreamItem } from '../../../shared/schema/message.ts'
import type { Decision, UserContent } from '../../protocol.ts'

type Letta = LociClient['letta']

/** The conversation that a chat shows; null is the agent's main one. */
export interface ChatTarget {
  agent_id: string
  conversation_id: string | null
}

/** A message in a request for a turn. */
export type TurnInput =
  | { role: 'user'; content: UserContent; otid: string }
  | { type: 'approval'; approvals: ({ type: 'approval' } & Decision)[]; otid?: string }

/** What of a conversation the chat needs to know. */
export interface ConversationState {
  summary: string | null
  in_context_message_ids: string[]
  pending_request_id: string | null
}

/** A run that failed; `message` and `detail` are as in the error of its stream. */
export interface FailedRun {
  id: string
  stop_reason: string
  message: unknown
  detail: unknown
}

/** What the chat asks of the server about one conversation. Each rejects with what the client throws. */
export function conversationCalls(target: ChatTarget) {
  const { agent_id } = target
  const ref = target.conversation_id ?? 'default'
  const whose = target.conversation_id === null ? { agent_id } : {}
  const path = `/v1/conversations/${ref}`
  // In the background: its stream is stored, so that it can be followed again after a reload or a restart.
  const streamed = {
    streaming: true,
    stream_tokens: true,
    background: true,
    include_compaction_messages: true,
  }
  const items = (stream: unknown) => stream as AsyncIterable<StreamItem>

  return {
    async read(letta: Letta): Promise<ConversationState> {
      return (await letta.get(path, { query: whose })) as ConversationState
    },
    /** Oldest first: the newest ones, or those before a message. */
    async messages(letta: Letta, limit: number, before: string | undefined): Promise<LettaMessage[]> {
      const page = await letta.conversations.messages.list(ref, {
        ...whose,
        limit,
        order: 'desc',
        ...(before === undefined ? {} : { before }),
      })
      return (page.getPaginatedItems() as unknown as LettaMessage[]).toReversed()
    },
    /** Begins a turn. */
    async send(letta: Letta, messages: TurnInput[], signal: AbortSignal) {
      const body = { ...whose, messages, ...streamed }
      return items(await letta.post(`${path}/messages`, { body, stream: true, signal, maxRetries: 0 }))
    },
    /** Begins a turn in the place of a message of the user and of all that followed it. */
    async edit(letta: Letta, message_id: string, input: TurnInput | null, signal: AbortSignal) {
      const body = { ...whose, ...(input ? { messages: [input] } : {}), ...streamed }
      const place = `${path}/messages/${message_id}/edit-and-resend`
      return items(await letta.post(place, { body, stream: true, signal, maxRetries: 0 }))
    },
    /** Follows a turn again, from behind the chunk with this number on. */
    async follow(
      letta: Letta,
      run: { run_id: string } | { otid: string },
      starting_after: number,
      signal: AbortSignal,
    ) {
      const body = { ...whose, ...run, starting_after }
      return items(await letta.post(`${path}/stream`, { body, stream: true, signal, maxRetries: 0 }))
    },
    /** The run that is under way, by anyone; `background` when it can be followed. */
    async activeRun(letta: Letta): Promise<{ id: string; background: boolean } | null> {
      const query = { agent_id, conversation_id: ref, active: true, limit: 1 }
      const page = await letta.runs.list(query)
      const [run] = page.getPaginatedItems()
      return run ? { id: run.id, background: run.background === true } : null
    },
    /** The newest run when it has failed: of anyone, also before this window was opened. */
    async failedRun(letta: Letta): Promise<FailedRun | null> {
      const query = { agent_id, conversation_id: ref, order: 'desc' as const, limit: 1 }
      const [run] = (await letta.runs.list(query)).getPaginatedItems()
      if (run?.status !== 'failed') return null
      const { message, detail } = (run.metadata?.['error'] ?? {}) as { message?: unknown; detail?: unknown }
      return { id: run.id, stop_reason: run.stop_reason ?? 'error', message, detail }
    },
    /** Ends the turn of the conversation, or that run. */
    async cancel(letta: Letta, run_id: string | null): Promise<void> {
      if (run_id === null) await letta.post(`${path}/cancel`, { body: whose, maxRetries: 0 })
      else await letta.agents.messages.cancel(agent_id, { run_ids: [run_id] })
    },
    async compact(letta: Letta): Promise<void> {
      await letta.post(`${path}/compact`, { body: whose, maxRetries: 0 })
    },
    /** The id of the new conversation. */
    async fork(letta: Letta, message_id: string): Promise<string> {
      const made = await letta.post(`${path}/fork`, { body: { ...whose, message_id } })
      return (made as { id: string }).id
    },
    async rewind(letta: Letta, message_id: string): Promise<void> {
      await letta.post(`${path}/rewind`, { body: { ...whose, message_id } })
    },
  }
}
