import { createHash } from 'node:crypto'
import type { ModelEvent } from '../core/ports/models.ts'
import type { CallOutcome } from '../core/ports/provider-batches.ts'
import { isAppError } from '../schema/errors.ts'
import { type Json, object, text } from './json.ts'
import { garbageError, type Place } from './model-errors.ts'

/** Bytes of the results of one batch. */
export const MAX_RESULTS = 256 * 1024 * 1024

/** Once: what may have arrived is not sent again. */
export const ONCE = { tries: 1 }

/** A request of a batch, and what tells it from all others of this provider. */
export function prepared(place: Place, body: string): { body: string; request_hash: string } {
  const request_hash = createHash('sha256')
    .update(`${place.provider.name} ${place.url}\n${body}`)
    .digest('hex')
  return { body, request_hash }
}

/** The id that an answer of this kind has to have. */
export function idOf(place: Place, answer: unknown): string {
  const id = text(object(answer).id)
  if (id === '') throw garbageError(place, 'a batch or file without an id', JSON.stringify(answer))
  return id
}

/** Reads the lines of results into `outcomes`; `read` throws what a call failed with. */
export function readResults(
  place: Place,
  lines: string,
  outcomes: Map<string, CallOutcome>,
  read: (line: Json) => ModelEvent[],
): void {
  for (let from = 0; from < lines.length;) {
    const newline = lines.indexOf('\n', from)
    const end = newline < 0 ? lines.length : newline
    const line = lines.slice(from, end).trim()
    from = end + 1
    if (line === '') continue
    const result = lineOf(place, line)
    try {
      outcomes.set(text(result.custom_id), { events: read(result) })
    } catch (error) {
      if (!isAppError(error)) throw error
      outcomes.set(text(result.custom_id), { error })
    }
  }
}

function lineOf(place: Place, line: string): Json {
  try {
    return object(JSON.parse(line))
  } catch {
    throw garbageError(place, 'results that are no lines of JSON', line)
  }
}
