/** A yes or no to one call of a tool. */
export interface Decision {
  tool_call_id: string
  approve: boolean
  reason?: string | undefined
}

/**
 * Decisions on calls of one message of which others are undecided: a server takes them only all at once. By conversation,
 * in this process; what is forgotten when it ends is asked again.
 */
export class Decisions {
  readonly #made = new Map<string, Map<string, Decision>>()

  /** Adds a decision; answers all that there are when none of `waiting` is undecided, else null. */
  add(conversation: string, decision: Decision, waiting: readonly string[]): Decision[] | null {
    const made = this.#made.get(conversation) ?? new Map<string, Decision>()
    made.set(decision.tool_call_id, decision)
    // What waits no more belongs to an earlier message.
    for (const id of made.keys()) if (!waiting.includes(id)) made.delete(id)
    if (waiting.every((id) => made.has(id))) {
      this.#made.delete(conversation)
      return waiting.flatMap((id) => made.get(id) ?? [])
    }
    this.#made.set(conversation, made)
    return null
  }

  /** Ids of the calls of `waiting` that nobody has decided. */
  undecided(conversation: string, waiting: readonly string[]): string[] {
    const made = this.#made.get(conversation)
    return waiting.filter((id) => !made?.has(id))
  }
}
