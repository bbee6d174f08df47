import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { ActiveRun } from '../core/active-runs.ts'
import type { TurnResult } from '../core/events.ts'
import type { Actor } from '../core/ports/actor.ts'
import { messageOf } from '../schema/errors.ts'
import type { LettaResponse } from '../schema/message.ts'
import type { ServerContext } from './context.ts'

/** How long the receiver of a callback may take, in milliseconds. */
const TIMEOUT_MS = 10_000

/**
 * Tells `url` how a run ended, once it has, and keeps with the run how that went. Sent once; redirects are not
 * followed. Returns at once; the server waits for it when it closes.
 */
export function callBack(...args: Parameters<typeof tell>): void {
  const { tasks } = args[0]
  const task = tell(...args)
  tasks.add(task)
  void task.finally(() => tasks.delete(task))
}

async function tell(
  context: ServerContext,
  actor: Actor,
  run: ActiveRun,
  url: string,
  answer: (result: TurnResult) => LettaResponse,
): Promise<void> {
  const result = await run.done
  const { error } = result
  const sent = new Date().toISOString()
  let callback_status_code: number | null = null
  let callback_error: string | null = null
  try {
    callback_status_code = await post(url, {
      run_id: run.run.id,
      status: result.status,
      completed_at: sent,
      metadata: error
        ? { error: { type: error.type, message: error.message, detail: error.detail } }
        : { result: answer(result) },
    })
  } catch (failure) {
    callback_error = `the callback to ${url} failed: ${messageOf(failure)}`
  }
  try {
    const outcome = { callback_sent_at: sent, callback_status_code, callback_error }
    await context.deps.store.turns.saveCallback(actor, run.run.id, outcome)
  } catch (failure) {
    context.onFailure(`keeping the callback of run ${run.run.id}`, failure)
  }
}

function post(url: string, body: unknown): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? requestHttps : requestHttp
    const outgoing = request(
      url,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
    outgoing.on('error', (error) =>
      reject(error.name === 'TimeoutError' ? new Error(`no answer within ${TIMEOUT_MS / 1000} s`) : error),
    )
    outgoing.end(JSON.stringify(body))
  })
}
