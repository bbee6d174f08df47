import { AppError, isAppError } from '../../schema/errors.ts'
import { oldRun, oldStep } from '../../schema/old-server.ts'
import type { Run, Step } from '../../schema/run.ts'
import type { Migrated } from '../../schema/migration.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { idsHere, textOf } from './bring.ts'
import { type Raw, readLeniently } from './read.ts'
import { instantIn } from './times.ts'

/** Stores runs of agents that were brought; one that has not ended comes with a later call. */
export async function bringRuns(deps: CoreDeps, actor: Actor, raws: readonly Raw[]): Promise<Migrated[]> {
  const add = (runs: Run[]) => deps.store.migration.addRuns(actor, runs)
  return bringAll(deps, actor, 'run', raws, add, (raw) => {
    const read = readLeniently(oldRun, raw, [])
    if (read.status === 'created' || read.status === 'running')
      throw new AppError('conflict', 'It has not ended at the old server. Run this again when it has.')
    return {
      id: read.id,
      agent_id: read.agent_id,
      conversation_id: read.conversation_id ?? null,
      status: read.status,
      stop_reason: read.stop_reason ?? null,
      background: read.background ?? false,
      created_at: instantIn(raw['created_at']) ?? deps.clock.now().toISOString(),
      completed_at: instantIn(raw['completed_at']),
      metadata: read.metadata ?? null,
      request_config: read.request_config ?? null,
      base_template_id: read.base_template_id ?? null,
      // Whoever waited for it was told by the old server.
      callback_url: null,
      callback_sent_at: null,
      callback_status_code: null,
      callback_error: null,
      ttft_ns: read.ttft_ns ?? null,
      total_duration_ns: read.total_duration_ns ?? null,
    }
  })
}

/** Stores steps of agents that were brought. */
export async function bringSteps(deps: CoreDeps, actor: Actor, raws: readonly Raw[]): Promise<Migrated[]> {
  const add = (steps: Omit<Step, 'created_at'>[]) => deps.store.migration.addSteps(actor, steps)
  return bringAll(deps, actor, 'step', raws, add, (raw) => {
    const read = readLeniently(oldStep, raw, [])
    return {
      id: read.id,
      run_id: read.run_id,
      agent_id: read.agent_id,
      status: read.status ?? 'success',
      stop_reason: read.stop_reason ?? null,
      provider_name: read.provider_name ?? null,
      model: read.model ?? null,
      model_handle: read.model_handle ?? null,
      model_endpoint: read.model_endpoint ?? null,
      context_window_limit: read.context_window_limit ?? null,
      completion_tokens: read.completion_tokens ?? 0,
      prompt_tokens: read.prompt_tokens ?? 0,
      total_tokens: read.total_tokens ?? 0,
      cached_input_tokens: read.cached_input_tokens ?? null,
      cache_write_tokens: read.cache_write_tokens ?? null,
      reasoning_tokens: read.reasoning_tokens ?? null,
      error_type: read.error_type ?? null,
      error_data: read.error_data ?? null,
      feedback: read.feedback ?? null,
      tags: read.tags ?? [],
    }
  })
}

/** What has an agent that was brought is stored, in its order. */
async function bringAll<T extends { id: string; agent_id: string }>(
  deps: CoreDeps,
  actor: Actor,
  kind: 'run' | 'step',
  raws: readonly Raw[],
  add: (things: T[]) => Promise<string[]>,
  read: (raw: Raw) => T,
): Promise<Migrated[]> {
  const made: T[] = []
  const refused = new Map<Raw, string>()
  for (const raw of raws)
    try {
      made.push(read(raw))
    } catch (error) {
      if (!isAppError(error)) throw error
      refused.set(raw, error.message)
    }
  const agents = [...new Set(made.map(({ agent_id }) => agent_id))]
  const known = new Set((await idsHere(deps, actor, 'agent', agents)).here)
  const added = new Set(await add(made.filter(({ agent_id }) => known.has(agent_id))))
  return raws.map((raw) => {
    const id = textOf(raw['id'])
    const why = refused.get(raw) ?? (known.has(textOf(raw['agent_id'])) ? null : 'Its agent was not brought.')
    const told = { kind, id, name: id }
    if (why !== null) return { ...told, here: null, outcome: 'refused' as const, notes: [why] }
    return { ...told, here: id, outcome: added.has(id) ? ('new' as const) : ('same' as const), notes: [] }
  })
}
