import type { StoredMessage } from '../../schema/message.ts'
import { textOf } from '../messages.ts'
import type { PastCall } from './tool-rules.ts'

/**
 * The calls that a turn has made before it goes on: those of its own run, and of the run before when it answers a
 * request for approval of that one.
 */
export function pastCalls(context: readonly StoredMessage[], run_id: string): PastCall[] {
  const calls: PastCall[] = []
  let run: string | null = run_id
  for (let i = context.length - 1; i >= 0; i--) {
    const message = context[i]
    if (!message) break
    if (message.run_id !== run) {
      if (message.run_id === null || !context[i + 1]?.approval) break
      run = message.run_id
    }
    const made = message.tool_returns.filter((result) => !result.not_made)
    calls.unshift(...made.map(({ name, func_response }) => ({ name, text: returned(func_response) })))
  }
  return calls
}

/** The text of what a tool returned. */
export function returned(func_response: StoredMessage['tool_returns'][number]['func_response']): string {
  return typeof func_response === 'string' ? func_response : textOf(func_response)
}
