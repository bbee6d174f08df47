import type { LociClient } from '../../../shared/client/http.ts'
import type { DebugRun, DebugTarget } from '../../../shared/schema/tool-debug.ts'
import { delay } from '../delay.ts'

/** How long to wait for the target of a call that has begun before looking again, in milliseconds. */
const LOOK_AGAIN = 100

/** What a debug run tells while it goes on. */
export interface DebugRunWatcher {
  /** An agent (or, with null, a developer) has called the tool. */
  called(agent_id: string | null): void
  /** The call waits for a debugger here. When this rejects the debug run is ended, and with it the call. */
  attach(target: DebugTarget): Promise<void>
}

/** Arms the next call of the tool; it runs in the file at `path`. Throws what the client throws. */
export async function armTool(client: LociClient, tool_id: string, path: string): Promise<DebugRun> {
  return (await client.letta.post(routeOf(tool_id), { body: { path }, maxRetries: 0 })) as DebugRun
}

/** Ends the debug run of the tool, and a call that is under way; does nothing when there is none. */
export async function endDebugRun(client: LociClient, tool_id: string): Promise<void> {
  try {
    await client.letta.delete(routeOf(tool_id))
  } catch (error) {
    if ((error as { status?: unknown }).status !== 404) throw error
  }
}

/**
 * Follows a debug run to its end and answers how it ended. An abort ends the debug run first. Throws what the client and
 * `attach` throw, after ending it.
 */
export async function followDebugRun(
  client: LociClient,
  armed: DebugRun,
  watcher: DebugRunWatcher,
  signal: AbortSignal,
): Promise<DebugRun> {
  const { tool_id } = armed
  let run = armed
  let told = false
  let attached = false
  try {
    while (run.state !== 'ended') {
      signal.throwIfAborted()
      if (run.state !== 'armed' && !told) {
        told = true
        watcher.called(run.agent_id)
      }
      if (run.target && !attached) {
        attached = true
        await watcher.attach(run.target)
      }
      // The target comes while the state stays; then only the state is waited for.
      const wait = attached || run.state === 'armed'
      if (!wait) await delay(LOOK_AGAIN, signal)
      run = (await client.letta.get(routeOf(tool_id), {
        query: wait ? { state: run.state } : {},
        signal,
      })) as DebugRun
    }
    return run
  } catch (error) {
    await endDebugRun(client, tool_id)
    if (!signal.aborted) throw error
    return { ...run, state: 'ended', outcome: 'cancelled' }
  }
}

function routeOf(tool_id: string): string {
  return `/v1/tools/${tool_id}/debug`
}
