import { AppError, isAppError } from '../../schema/errors.ts'
import type { Migrated, MigratedKind } from '../../schema/migration.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { Brought } from '../ports/migration-store.ts'
import { hashOf, type Raw } from './read.ts'

/** One thing as it is to be here. */
export interface Planned {
  /** Its id at the other server. */
  id: string
  name: string
  /** Its id here, when it is new. */
  here: string
  /** What counts as the same thing unchanged. */
  view: unknown
  notes: string[]
  add(): Promise<void>
  /** Null: what has changed at the other server is not brought. */
  change: ((here: string) => Promise<void>) | null
  /** Links with what came meanwhile; answers the ids of all that are linked by this. */
  link?(here: string, linked: readonly string[]): Promise<string[]>
}

/** How things of a kind are read and stored. */
export interface Kind {
  plan(deps: CoreDeps, actor: Actor, raw: Raw): Promise<Planned>
  /** The view of what is here under this id; null when there is nothing. */
  view(deps: CoreDeps, actor: Actor, here: string): Promise<unknown>
  /** The id of the same thing that is here already by another way. Throws `conflict` when something else has its name. */
  find?(deps: CoreDeps, actor: Actor, planned: Planned): Promise<string | null>
}

/**
 * Brings one thing, once: what is here is left alone unless it is as it was brought and changed at the other server
 * since. Never throws for what the thing is; throws what the store does.
 */
export async function bring(
  deps: CoreDeps,
  actor: Actor,
  kind: MigratedKind,
  how: Kind,
  raw: Raw,
): Promise<Migrated> {
  const given = { kind, id: textOf(raw['id']), name: nameOf(raw), here: null }
  try {
    return await bringPlanned(deps, actor, kind, how, await how.plan(deps, actor, raw))
  } catch (error) {
    if (!isAppError(error) || !REFUSALS.has(error.code)) throw error
    return { ...given, outcome: 'refused', notes: [error.message] }
  }
}

/** Failures that are the thing's own. */
const REFUSALS = new Set([
  'invalid_argument',
  'validation',
  'not_found',
  'conflict',
  'quota_exceeded',
  'forbidden',
])

async function bringPlanned(
  deps: CoreDeps,
  actor: Actor,
  kind: MigratedKind,
  how: Kind,
  planned: Planned,
): Promise<Migrated> {
  const { id, name, notes } = planned
  const { migration } = deps.store
  const [entry] = await migration.brought(actor, kind, [id])
  const said = await hashOf(planned.view)
  const told = (outcome: Migrated['outcome'], here: string | null, more: string[] = []): Migrated => ({
    kind,
    id,
    name,
    here,
    outcome,
    notes: [...notes, ...more],
  })
  const write = async (here: string, linked: readonly string[] = []) => {
    const stored = await hashOf(await how.view(deps, actor, here))
    const links = (await planned.link?.(here, linked)) ?? []
    await migration.note(actor, [{ kind, id, here, said, stored, linked: links } satisfies Brought])
  }
  if (entry) {
    const present = await how.view(deps, actor, entry.here)
    if (present === null)
      return told('kept', null, ['It was brought before and deleted here since; it stays deleted.'])
    if (entry.said === said) {
      const linked = (await planned.link?.(entry.here, entry.linked)) ?? entry.linked
      if (linked.length !== entry.linked.length) await migration.note(actor, [{ ...entry, linked }])
      return told('same', entry.here)
    }
    const now = await hashOf(present)
    if (now !== said) {
      if (now !== entry.stored) {
        await planned.link?.(entry.here, entry.linked)
        return told('kept', entry.here, [
          'It was changed both here and at the old server since it was brought; what is here stays. Copy by hand what you want of the other.',
        ])
      }
      if (planned.change === null)
        return told('kept', entry.here, [
          'It has changed at the old server since it was brought; what is here stays.',
        ])
      await planned.change(entry.here)
    }
    await write(entry.here, entry.linked)
    return told('changed', entry.here)
  }
  const present = await how.view(deps, actor, planned.here)
  if (present !== null) {
    // What a run that was killed has stored and not noted.
    if ((await hashOf(present)) !== said)
      throw new AppError(
        'conflict',
        `Its id '${planned.here}' is that of something else here, which stays. Delete or keep that; then run this again.`,
      )
    await write(planned.here)
    return told('same', planned.here)
  }
  const found = (await how.find?.(deps, actor, planned)) ?? null
  if (found === null) await planned.add()
  await write(found ?? planned.here)
  return told(found === null ? 'new' : 'same', found ?? planned.here)
}

/** Ids here of things that were brought, in their order; the others are `missing`. */
export async function idsHere(
  deps: CoreDeps,
  actor: Actor,
  kind: MigratedKind,
  ids: readonly string[],
): Promise<{ here: string[]; missing: string[] }> {
  const entries = await deps.store.migration.brought(actor, kind, ids)
  const known = new Map(entries.map((entry) => [entry.id, entry.here]))
  return {
    here: ids.flatMap((id) => known.get(id) ?? []),
    missing: ids.filter((id) => !known.has(id)),
  }
}

/** A text of the other server's; empty when it is none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** What people call a thing. */
export function nameOf(raw: Raw): string {
  for (const key of ['name', 'label', 'server_name', 'identifier_key', 'file_name', 'description', 'id'])
    if (typeof raw[key] === 'string' && raw[key] !== '') return raw[key].slice(0, 200)
  return ''
}
