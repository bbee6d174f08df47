import type { StoredMessage } from '../../schema/message.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import type { Actor } from './actor.ts'
import type { ModelRequest } from './models.ts'

/** What a request says besides its messages and tools. */
export type TraceSettings = Omit<ModelRequest, 'messages' | 'tools'> & { stream: boolean }

/** How the stored messages were shown to the model: with it, and with them, the request can be made again. */
export interface TraceView {
  timezone: string
  max_return_chars: number
  older?: { thoughts: 'argument' | 'text' } | undefined
}

/** What went to the model in one step and what came back, as JSON values. Keys and headers are never part of it. */
export interface NewTrace {
  /** The stored messages of the request in order, the system message first; kept as references to them. */
  context: readonly StoredMessage[]
  /** The system message as it was sent. */
  system: string
  tools: readonly ToolSchema[]
  settings: TraceSettings
  view: TraceView
  /** Handle of the model that was asked. */
  model: string
  /** Null when the model did not answer. */
  response: Record<string, unknown> | null
}

export interface Trace extends Omit<NewTrace, 'tools'> {
  step_id: string
  tools: ToolSchema[]
  /** Messages of the request that have been deleted since. */
  missing: string[]
}

export interface TraceStore {
  /** Null when the step left no trace, or its trace has been pruned. */
  get(actor: Actor, step_id: string): Promise<Trace | null>
  /** Drops the traces of days before that of this moment, in short transactions. */
  prune(before: Date): Promise<void>
}
