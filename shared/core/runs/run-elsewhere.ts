import { AppError } from '../../schema/errors.ts'
import type { Run } from '../../schema/run.ts'
import type { AgentEvent, TurnResult } from '../events.ts'
import type { Actor } from '../ports/actor.ts'
import type { ActiveRun } from './active-run.ts'
import type { StreamPart } from './follow.ts'
import { brokenResult } from './new-run.ts'

/** A run as a request sees it that has joined it. */
export type JoinedRun = Pick<ActiveRun, 'run' | 'actor' | 'recording' | 'handedOver' | 'follow' | 'done'>

/**
 * A run of another process, or one that has ended: it tells whole messages, all of them when it has ended. `parts` are
 * those of `followRun`, of which only the end counts; `resultOf` reads how it ended.
 */
export function runElsewhere(
  actor: Actor,
  run: Run,
  parts: AsyncIterable<StreamPart>,
  resultOf: (ended: Run) => Promise<TurnResult | null>,
): JoinedRun {
  const done = wait()
  return { run, actor, recording: null, handedOver: () => false, follow, done }

  async function wait(): Promise<TurnResult> {
    try {
      for await (const part of parts) {
        if (part.type === 'gone') throw new AppError('not_found', `The agent of run ${run.id} was deleted.`)
        if (part.type === 'left')
          throw new AppError(
            'store_unavailable',
            `this server is shutting down; run ${run.id} goes on without it: send the message again in a moment`,
            { data: { run_id: run.id, ends: true } },
          )
        const result = part.type === 'end' ? await resultOf(part.run) : null
        if (result) return result
      }
      throw new AppError('cancelled', 'the client has left')
    } catch (error) {
      return brokenResult(run.id, error)
    }
  }

  async function* follow(): AsyncGenerator<readonly AgentEvent[]> {
    yield [{ type: 'run_start', run }]
    const result = await done
    for (const message of result.messages) yield [{ type: 'message', message }]
    yield [{ type: 'run_end', result }]
  }
}
