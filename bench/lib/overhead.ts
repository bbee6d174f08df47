import type { Conversation, Double } from './servers.ts'
import { sum } from './stats.ts'

/**
 * Sends messages one after another and gives what each took without the time in the model, in milliseconds. Each must ask
 * the model `calls` times, and nothing else may ask it meanwhile.
 */
export async function overheads(
  double: Double,
  conversation: Conversation,
  texts: readonly string[],
  calls = 1,
): Promise<number[]> {
  await double.held()
  const took: number[] = []
  for (const text of texts) {
    const from = performance.now()
    await conversation.send(text)
    took.push(performance.now() - from)
  }
  const held = await double.held()
  if (held.length !== took.length * calls)
    throw new Error(`${took.length} messages asked the model ${held.length} times: expected ${calls} each`)
  return took.map((ms, i) => ms - sum(held.slice(i * calls, (i + 1) * calls)))
}

/** `count` short user messages, no two alike; one in 25 has the word that the double's tool call searches for. */
export function texts(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => {
    const place = (from + i) % 25 === 7 ? 'lighthouse' : 'harbour'
    return `Note ${from + i}: the ${place} has ${((from + i) * 37) % 101} boats.`
  })
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
