import type { Actor } from '../../core/ports/actor.ts'
import type { OpenTurn } from '../../core/ports/turn-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { ConversationRow } from './conversation-rows.ts'
import type { Connection } from './query.ts'
import { readRun } from './runs.ts'

/** How long an answer can be asked for again whose client may well have got it, in milliseconds. */
const ANSWERED_MS = 10_000
/** The same for a turn that failed: what its client was told may have been that it try again. */
const FAILED_MS = 60_000
/** The same for messages that have names of their client, which says nothing else under them. */
const NAMED_MS = 10 * 60_000

/**
 * Throws `already_started` when the last run of a conversation was begun by the request that asks for a turn now: one
 * that comes to another process than the first, or to the one that was started after it. Only what a client says to be a
 * repetition is one, or what has names of its own and meets its run while it runs.
 */
export async function refuseRepeated(
  connection: Connection,
  actor: Actor,
  conversation: Pick<ConversationRow, 'last_run_id' | 'last_request'>,
  request: NonNullable<OpenTurn['request']>,
  now: Date,
): Promise<void> {
  const { last_run_id, last_request } = conversation
  if (last_run_id === null || last_request !== request.key || !(request.again || request.named)) return
  const run = await readRun(connection, actor, last_run_id)
  if (!run) return
  if (run.completed_at !== null) {
    const kept = request.named ? NAMED_MS : run.status === 'completed' ? ANSWERED_MS : FAILED_MS
    if (!request.again || now.getTime() - Date.parse(run.completed_at) > kept) return
  }
  throw new AppError('already_started', `This message was sent before: run '${run.id}' answers it.`, {
    data: { run_id: run.id },
  })
}
