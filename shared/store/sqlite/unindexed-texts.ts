import { DatabaseSync } from 'node:sqlite'
import { SqliteConnection } from './connection.ts'
import type { Match } from '../sql/ranking.ts'

/** A text that is not in the full-text index yet. */
export interface UnindexedText extends Match {
  owner: string
  text: string
}

/** Finds texts as the full-text index of messages would, without writing to the store. The caller closes it. */
export class UnindexedTexts {
  #memory: SqliteConnection | null = null

  /** For each of these queries (as `matchText` makes them) the texts that fit, newest first. */
  find(texts: readonly UnindexedText[], queries: readonly string[]): Match[][] {
    if (texts.length === 0) return queries.map(() => [])
    const memory = (this.#memory ??= openMemory())
    const bySeq = new Map(texts.map((text) => [text.seq, text]))
    memory.statement('BEGIN').run()
    try {
      const insert = memory.statement('INSERT INTO texts (rowid, owner, text) VALUES (?, ?, ?)')
      for (const { seq, owner, text } of texts) insert.run(seq, owner, text)
      const find = memory.statement('SELECT rowid AS seq FROM texts WHERE texts MATCH ? ORDER BY rowid DESC')
      return queries.map((query) => find.all(query).flatMap((row) => bySeq.get(Number(row['seq'])) ?? []))
    } finally {
      memory.statement('ROLLBACK').run()
    }
  }

  close(): void {
    this.#memory?.close()
    this.#memory = null
  }
}

/** Words are cut as in `messages_fts` (migrations/0001-first.ts). */
function openMemory(): SqliteConnection {
  const database = new DatabaseSync(':memory:')
  database.exec(
    "CREATE VIRTUAL TABLE texts USING fts5 (owner, text, content = '', contentless_delete = 1, tokenize = 'porter unicode61')",
  )
  return new SqliteConnection(database)
}
