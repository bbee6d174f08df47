import type { LociClient, TurnItem } from '../shared/client/http.ts'

type Letta = LociClient['letta']

/** Shapes of the official client, which only `shared/client` imports. */
export type AgentState = Awaited<ReturnType<LociClient['findAgent']>>
export type Message = Awaited<ReturnType<Letta['agents']['messages']['list']>>['items'][number]
export type Run = Awaited<ReturnType<Letta['runs']['retrieve']>>
export type Block = Awaited<ReturnType<Letta['blocks']['retrieve']>>
/** What an agent is sent. */
export type Input = NonNullable<
  Parameters<Letta['conversations']['messages']['create']>[1]['messages']
>[number]

export type ApprovalRequest = NonNullable<AgentState['pending_approval']>

/** A part of a turn: as it is streamed, or as it is kept. */
export type TurnPart = TurnItem | Message
