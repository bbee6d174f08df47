import type { StoredMessage } from '../../schema/message.ts'

/**
 * Where a context may be cut: at such an index, counted from the system message, everything before it can leave. It is
 * the beginning of what the agent did next (an answer or calls of its own), and no call before it has its return, or is
 * still without one, after it. Indices are in order and at least 2: the first message after the system message goes.
 */
export function cutPoints(context: readonly StoredMessage[]): number[] {
  const points: number[] = []
  const open = new Set<string>()
  for (const [i, message] of context.entries()) {
    const acts =
      message.role === 'assistant' || (message.role === 'approval' && message.tool_calls.length > 0)
    const sameStep = message.step_id !== null && message.step_id === context[i - 1]?.step_id
    if (i >= 2 && acts && open.size === 0 && !sameStep) points.push(i)
    for (const call of message.tool_calls) open.add(call.id)
    for (const result of message.tool_returns) open.delete(result.tool_call_id)
  }
  return points
}

/**
 * Where what must stay at the end of a context begins: calls that wait for an approval or a return, with all of their
 * step. The length of the context when nothing must.
 */
export function pendingFrom(context: readonly StoredMessage[]): number {
  const answered = new Set(context.flatMap((m) => m.tool_returns.map((r) => r.tool_call_id)))
  const first = context.findIndex((m) => m.tool_calls.some((call) => !answered.has(call.id)))
  if (first < 0) return context.length
  const step_id = context[first]?.step_id ?? null
  if (step_id === null) return first
  const outside = context.findLastIndex((m, i) => i < first && m.step_id !== step_id)
  return Math.max(1, outside + 1)
}

/**
 * Where the input that nobody has answered yet begins at the end of a context, of one run only when it is named; the
 * length of the context when there is none.
 */
export function unansweredFrom(context: readonly StoredMessage[], run_id: string | null = null): number {
  const last = context.findLastIndex(
    (message, i) =>
      i === 0 ||
      (message.role !== 'user' && message.role !== 'system') ||
      (run_id !== null && message.run_id !== run_id),
  )
  return last + 1
}
