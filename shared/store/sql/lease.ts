import { AppError } from '../../schema/errors.ts'
import type { Transaction } from './database.ts'
import type { Instance } from './instances.ts'
import { failRun } from './runs.ts'
import { canBeResumed } from './take-over.ts'

/**
 * Fails the run that holds a conversation if its process is gone; throws `conversation_busy` if it is not, or if another
 * one will go on with it.
 */
export async function takeOver(
  tx: Transaction,
  instance: Instance,
  { run_id, instance_id: holder }: { run_id: string | null; instance_id: string | null },
): Promise<void> {
  if (run_id === null) return
  const working =
    holder === instance.id
      ? instance.holds(run_id)
      : holder !== null && (await instance.stateOf(tx, holder)) === 'alive'
  if (working || (await canBeResumed(tx, run_id))) {
    throw new AppError(
      'conversation_busy',
      `Another message is being answered in this conversation (run '${run_id}'). Wait until it ends, or cancel it.`,
      { data: { run_id } },
    )
  }
  await failRun(tx, run_id, instance.ends.get(run_id))
}
