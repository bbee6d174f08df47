import { AppError } from '../../schema/errors.ts'
import type { Connection } from './query.ts'
import type { CopiedTable } from './copied-tables.ts'
import type { Row } from './copy-rows.ts'

/** A store that is copied, or copied to: nobody else changes it, or what is read of it stays of one moment. */
export interface CopySide {
  /** What it is, for people: a directory, or host and database; never a password. */
  readonly place: string
  /** The same for one and the same store, however it is named. */
  readonly identity: string
  /** Says in words what it is refused. */
  readonly connection: Connection
  /** Whether its vectors are in pgvector's type. */
  readonly pgvector: boolean
  /** The last number that each numbered table has given. */
  numbers(tables: readonly CopiedTable[]): Promise<Record<string, number>>
  close(): Promise<void>
}

/** How a database is waited for. */
export interface Patience {
  /** Its abort ends what is under way at once: it fails with the reason. */
  signal?: AbortSignal | undefined
  /** Hears every second or so for how many seconds a database has answered nothing. */
  onWaiting?: ((place: string, seconds: number) => void) | undefined
  /** After so many milliseconds without an answer one looks whether the database is still there; 15,000 by default. */
  silent_ms?: number | undefined
}

/** What a store is opened for; `other` is the identity of the other side, which it must not be. */
export interface Purpose extends Patience {
  todo: 'copy' | 'compare'
  other: string | null
}

/** A store that a copy is written to, by this process alone. */
export interface CopyTarget extends CopySide {
  /** One transaction: all of it is committed or nothing. */
  write(work: () => Promise<void>): Promise<void>
  insert(table: string, columns: readonly string[], rows: readonly Row[]): Promise<void>
  /** Texts enter the full-text index; `text` is cut by `indexText`. */
  index(index: 'messages_fts' | 'passages_fts', texts: readonly IndexedText[]): Promise<void>
  /** From these numbers on it goes on counting. */
  setNumbers(tables: readonly CopiedTable[], numbers: Record<string, number>): Promise<void>
  /** Names the key of its secrets for servers on other machines; a directory has it in a file. */
  setKey(key_id: string | null): Promise<void>
  /** All rows are here: what makes it as quick as one that has grown. */
  complete(): Promise<void>
  /** Removes everything that a copy has brought: rows, their entries in indexes, and uploads. */
  empty(tables: readonly string[]): Promise<void>
}

/** A text for the full-text index, under the number of its row. */
export interface IndexedText {
  rowid: number
  owner: string
  text: string
}

/** Source and target are one store. */
export function ontoItself(place: string): AppError {
  return new AppError('invalid_argument', `${place} would be copied onto itself: give two different places.`)
}
