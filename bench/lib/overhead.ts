import type { Conversation, Double } from './servers.ts'

/**
 * Sends messages one after another and gives what each took without the time in the model, in milliseconds. Plain
 * messages only: one model request each. Nothing else may ask the double meanwhile.
 */
export async function overheads(
  double: Double,
  conversation: Conversation,
  texts: readonly string[],
): Promise<number[]> {
  await double.held()
  const took: number[] = []
  for (const text of texts) {
    const from = performance.now()
    await conversation.send(text)
    took.push(performance.now() - from)
  }
  const held = await double.held()
  if (held.length !== took.length)
    throw new Error(`${took.length} messages asked the model ${held.length} times: expected once each`)
  return took.map((ms, i) => ms - (held[i] ?? 0))
}

/** `count` short user messages, no two alike. */
export function texts(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `Note ${from + i}: the harbour has ${(i * 37) % 101} boats.`)
}

/** Lets several take turns in batches, so that what else the machine does falls on all alike. */
export async function alternate<T>(
  total: number,
  batch: number,
  sides: readonly ((texts: string[]) => Promise<T[]>)[],
): Promise<T[][]> {
  const results: T[][] = sides.map(() => [])
  for (let from = 0; from < total; from += batch) {
    const some = texts(Math.min(batch, total - from), from)
    for (const [i, side] of sides.entries()) results[i]!.push(...(await side(some)))
  }
  return results
}
