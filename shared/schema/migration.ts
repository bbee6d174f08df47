import * as z from 'zod'
import { jsonObject } from './page.ts'

/** What is brought from another server by itself. */
export const MIGRATED_KINDS = [
  'tool',
  'mcp_server',
  'block',
  'folder',
  'file',
  'archive',
  'passage',
  'agent',
  'run',
  'step',
  'group',
  'identity',
] as const
export const migratedKind = z.enum(MIGRATED_KINDS)
export type MigratedKind = z.infer<typeof migratedKind>

/** Body of `POST /v1/migration/objects`: things as V1's API answers them. */
export const migrateObjects = z.object({
  objects: z.array(z.object({ kind: migratedKind, value: jsonObject })).max(1000),
})

/** `new`, `changed` and `same` are here now; `kept`: what is here was changed since and stays; `refused` is not here. */
export const outcome = z.enum(['new', 'changed', 'same', 'kept', 'refused'])
export type Outcome = z.infer<typeof outcome>

/** What became of one thing. */
export const migrated = z.object({
  kind: migratedKind,
  /** Its id at the other server. */
  id: z.string(),
  name: z.string(),
  /** Its id here; null where it is not. */
  here: z.string().nullable(),
  outcome,
  /** What of it is not as it was, each a sentence that says what to do about it. */
  notes: z.array(z.string()),
})
export type Migrated = z.infer<typeof migrated>
export const migratedObjects = z.object({ results: z.array(migrated) })

/** Body of `POST /v1/migration/known`, and its answer: those of these ids that were brought before. */
export const askKnown = z.object({ kind: migratedKind, ids: z.array(z.string()).max(1000) })
export const knownObjects = z.object({ ids: z.array(z.string()) })

const agent_id = z.string().min(1).max(200)

/** Body of `POST /v1/migration/messages`: of one agent, each conversation's in the order they were written. */
export const migrateMessages = z.object({
  agent_id,
  messages: z
    .array(
      z.object({
        /** Null for the default one. */
        conversation_id: z.string().nullable(),
        /** The API messages that V1 shows one stored message as. */
        parts: z.array(jsonObject).min(1),
      }),
    )
    .max(1000),
})
/** How many were stored, how many were here already, and what could not be. */
export const migratedMessages = z.object({
  added: z.number().int(),
  known: z.number().int(),
  problems: z.array(z.object({ id: z.string(), reason: z.string() })),
})
export type MigratedMessages = z.infer<typeof migratedMessages>

/** Body of `POST /v1/migration/progress`. */
export const migrationProgress = z.object({ agent_id })
/** How far an agent has come. */
export const migratedProgress = z.object({
  /**
   * `complete`: it can be seen and used here. `taken`: its id is that of another agent here. `deleted`: it was brought and
   * deleted since.
   */
  state: z.enum(['new', 'started', 'complete', 'taken', 'deleted']),
  conversations: z.array(
    z.object({
      /** Null for the default one. */
      id: z.string().nullable(),
      /** The last message that was brought. */
      last_message_id: z.string(),
      /** How many came before it and are still here, it among them. */
      messages: z.number().int(),
      /** Whether somebody went on with it here: nothing more is brought into it. */
      went_on: z.boolean(),
    }),
  ),
})
export type MigratedProgress = z.infer<typeof migratedProgress>
