import { findEach, inPages, mapEach } from '../each.ts'
import { type Selectable, sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  AgentFile,
  CreatedFile,
  FileBatch,
  FileClaim,
  FileMatch,
  FileOutcome,
  FileSearch,
  FileStore,
  NewFile,
  OpenFileRequest,
} from '../../core/ports/file-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { DuplicateHandling, FileLines, FileMetadata } from '../../schema/folder.ts'
import type { Page } from '../../schema/page.ts'
import type { Passage } from '../../schema/passage.ts'
import type { Database, Transaction } from './database.ts'
import { clearFile, markDeleted, openIfRoom, putState, sweepFiles } from './file-links.ts'
import { metadataOf } from './file-metadata.ts'
import { insertText } from './file-parts.ts'
import { fileOfAgent, filesOfAgent, folderOfRow, openFilesOf, readFolderRow, readLines } from './file-rows.ts'
import { readFilePassages, searchFiles } from './file-search.ts'
import type { Instance } from './instances.ts'
import { windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { FileRow } from './tables.ts'
import { CLAIMS, unlessTaken } from './unless-taken.ts'
import type { VectorIndex } from './vector-index.ts'

/** Characters of a chunk where the folder does not say: about 300 tokens. */
const CHARS_PER_TOKEN = 4
const CHUNK_TOKENS = 300

/** Appended parts after which their segments of the index are merged. */
const MERGE_AFTER = 32

const WAITING = ['pending', 'parsing']

/** Waiting files that are looked at together: the first of them may all be others'. */
const LOOKED_AT = 100

const waiting = query<{ created_at: string; id: string }>()((p) =>
  db
    .selectFrom('files')
    .selectAll()
    .where(sql<boolean>`status in ('pending', 'parsing')`)
    .where(sql<boolean>`deleted = 0`)
    .where(sql<boolean>`(created_at, id) > (${p.created_at}, ${p.id})`)
    .orderBy('created_at')
    .orderBy('id')
    .limit(LOOKED_AT),
)
const freeFile = query<{ id: string; holder: string | null }>()((p) =>
  db
    .selectFrom('files')
    .selectAll()
    .where('id', '=', p.id)
    .where(sql<boolean>`status in ('pending', 'parsing')`)
    .where(sql<boolean>`deleted = 0`)
    .where('instance_id', 'is not distinct from', p.holder)
    .modifyEnd(unlessTaken),
)
const waitingSmall = query<{ max_size: number; size: number; id: string }>()((p) =>
  db
    .selectFrom('files')
    .selectAll()
    .where(sql<boolean>`status in ('pending', 'parsing')`)
    .where(sql<boolean>`deleted = 0`)
    .where('size', '<=', p.max_size)
    .where(sql<boolean>`(size, id) > (${p.size}, ${p.id})`)
    .orderBy('size')
    .orderBy('id')
    .limit(LOOKED_AT),
)

/** Files, their reading, and what agents see of them. */
export class SqlFiles implements FileStore {
  readonly #database: Database
  readonly #instance: Instance
  readonly #index: VectorIndex
  #unmerged = 0
  #claiming: Promise<unknown> = Promise.resolve()

  constructor(database: Database, instance: Instance, index: VectorIndex) {
    this.#database = database
    this.#instance = instance
    this.#index = index
  }

  async create(actor: Actor, file: NewFile, handling: DuplicateHandling): Promise<CreatedFile> {
    const created = await this.#database.write(async (tx) => await insertFile(tx, actor, file, handling))
    if (created.status === 'created' && created.replaced !== null) await this.sweep()
    return created
  }

  get(actor: Actor, file_id: string): Promise<FileMetadata | null> {
    return this.#database.read(async (c) => await readFile(c, actor, file_id))
  }

  list(actor: Actor, folder_id: string, page: Page): Promise<FileMetadata[]> {
    return this.#database.read(async (c) => {
      const window = await windowOf(c, actor.organization_id, { table: 'files', column: 'created_at' }, page)
      let rows = present(actor).where('files.folder_id', '=', folder_id)
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = await mapEach(
        await c.all(rows.orderBy(window.direction).limit(page.limit)),
        async (row) => await metadataOf(c, row),
      )
      return window.turned ? found.toReversed() : found
    })
  }

  async delete(actor: Actor, folder_id: string, file_id: string): Promise<boolean> {
    const deleted = await this.#database.write(async (tx) => {
      const marked = await markDeleted(
        tx,
        db
          .selectFrom('files')
          .select('id')
          .where('id', '=', file_id)
          .where('folder_id', '=', folder_id)
          .where('organization_id', '=', actor.organization_id)
          .where('deleted', '=', 0),
      )
      if (marked > 0) await tx.event(actor, 'file.deleted', file_id, null)
      return marked
    })
    if (deleted > 0) await this.sweep()
    return deleted > 0
  }

  passages(actor: Actor, folder_id: string, page: Page): Promise<Passage[]> {
    return this.#database.read(async (c) => await readFilePassages(c, actor, folder_id, page))
  }

  /** One at a time: of two that take the same lease the one that fails would give it back for both. */
  claim(options: Parameters<FileStore['claim']>[0]): Promise<FileClaim | null> {
    const mine = this.#claiming.then(() => this.#claim(options))
    this.#claiming = mine.catch(() => undefined)
    return mine
  }

  async #claim(options: Parameters<FileStore['claim']>[0]): Promise<FileClaim | null> {
    const { max_attempts, quick } = options
    /** The first that is free, and can be taken. */
    const find = async (
      c: Connection,
      take: (row: { id: string; holder: string | null }) => Promise<boolean>,
    ) => {
      const stateOf = this.#instance.states(c)
      const rows = inPages<Selectable<FileRow>>(LOOKED_AT, (last) =>
        quick
          ? waitingSmall.all(c, { max_size: quick.max_size, size: last?.size ?? -1, id: last?.id ?? '' })
          : waiting.all(c, { created_at: last?.created_at ?? '', id: last?.id ?? '' }),
      )
      return await findEach(
        rows,
        async ({ id, instance_id: holder }) =>
          !quick?.except.has(id) &&
          (holder === null ||
            (holder === this.#instance.id
              ? !this.#instance.holds(id)
              : (await stateOf(holder)) !== 'alive')) &&
          (await take({ id, holder })),
      )
    }
    if (!(await this.#database.read((c) => find(c, async () => true)))) return null
    await this.#instance.lock()
    const claimed = await this.#database.write(async (tx) => {
      const row = await find(tx, async (key) => (await freeFile.get(tx, key)) !== undefined)
      if (!row) return null
      const actor: Actor = { user_id: '', organization_id: row.organization_id }
      const folder = await readFolderRow(tx, actor, row.folder_id)
      const now = new Date().toISOString()
      const mine = db.updateTable('files').where('id', '=', row.id)
      if (row.attempts >= max_attempts || !folder) {
        const message = `Reading it ended the process ${row.attempts} times in a row, so it was given up.`
        await tx.send(
          mine.set({ status: 'error', error_message: message, instance_id: null, updated_at: now }),
        )
        await tx.event(actor, 'file.updated', row.id, null)
        return { given_up: { id: row.id, folder_id: row.folder_id } }
      }
      const attempt = row.attempts + 1
      await this.#instance.register(tx)
      await tx.send(
        mine.set({
          status: 'parsing',
          instance_id: this.#instance.id,
          attempts: attempt,
          chunks: 0,
          error_message: null,
          updated_at: now,
        }),
      )
      tx.alongside(
        () => this.#instance.leaseTaken(row.id),
        () => this.#instance.leaseReleased(row.id),
      )
      const tokens = folderOfRow(folder).embedding_config.embedding_chunk_size ?? CHUNK_TOKENS
      return {
        file_id: row.id,
        folder_id: row.folder_id,
        organization_id: row.organization_id,
        name: row.name,
        type: row.type,
        attempt,
        chunk_chars: tokens * CHARS_PER_TOKEN,
      }
    }, CLAIMS)
    if (claimed === null) return null
    // What an earlier reading has left.
    await clearFile(this.#database, 'given_up' in claimed ? claimed.given_up : idsOf(claimed))
    return 'given_up' in claimed ? this.#claim(options) : claimed
  }

  async append(claim: FileClaim, batch: FileBatch): Promise<boolean> {
    const held = await this.#database.write(async (tx) => {
      const set = (eb: { chunks: number }) => ({
        chunks: eb.chunks + batch.chunks.length,
        updated_at: new Date().toISOString(),
      })
      const row = await this.#held(tx, claim)
      if (!row) return false
      await tx.send(db.updateTable('files').set(set(row)).where('id', '=', claim.file_id))
      await insertText(tx, claim, batch)
      return true
    })
    this.#unmerged++
    if (this.#unmerged < MERGE_AFTER) return held
    this.#unmerged = 0
    // Left to a commit, it would take as long as all of them together.
    await this.#database.mergeIndexes(['passages_fts'])
    return held
  }

  note(claim: FileClaim, text: string | null): Promise<boolean> {
    return this.#database.write(async (tx) => {
      if (!(await this.#held(tx, claim))) return false
      await tx.send(db.updateTable('files').set({ error_message: text }).where('id', '=', claim.file_id))
      return true
    })
  }

  async finish(claim: FileClaim, outcome: FileOutcome): Promise<boolean> {
    const done = await this.#letGo(claim, async (tx) => {
      if (!(await this.#held(tx, claim))) return false
      const values =
        outcome.status === 'error'
          ? { status: 'error', error_message: outcome.message, chunks: 0 }
          : {
              status: 'completed',
              error_message: null,
              type: outcome.type,
              lines: outcome.lines,
              characters: outcome.characters,
            }
      const now = new Date().toISOString()
      await tx.send(
        db
          .updateTable('files')
          .set({ ...values, instance_id: null, updated_at: now })
          .where('id', '=', claim.file_id),
      )
      const actor: Actor = { user_id: '', organization_id: claim.organization_id }
      await tx.event(actor, 'file.updated', claim.file_id, null)
      return true
    })
    // Not before it is certain that no other instance has the file.
    if (done && outcome.status === 'error') await clearFile(this.#database, idsOf(claim))
    return done
  }

  async release(claim: FileClaim): Promise<void> {
    await this.#letGo(claim, async (tx) => {
      if (!(await this.#held(tx, claim))) return
      await tx.send(
        db
          .updateTable('files')
          .set({ status: 'pending', instance_id: null, attempts: claim.attempt - 1 })
          .where('id', '=', claim.file_id),
      )
    })
  }

  sweep(): Promise<void> {
    return sweepFiles(this.#database)
  }

  unreadOf(actor: Actor, folder_id: string): Promise<string[]> {
    const unread = db
      .selectFrom('files')
      .select('id')
      .where('folder_id', '=', folder_id)
      .where('organization_id', '=', actor.organization_id)
      .where('deleted', '=', 0)
      .where('status', 'in', WAITING)
    return this.#database.read(async (c) => (await c.all(unread)).map((row) => row.id))
  }

  unread(file_ids: readonly string[]): Promise<string[]> {
    const rows = db
      .selectFrom('files')
      .select('id')
      .where('id', 'in', file_ids)
      .where('deleted', '=', 0)
      .where('status', 'in', WAITING)
    return this.#database.read(async (c) => (await c.all(rows)).map(({ id }) => id))
  }

  known(file_ids: readonly string[]): Promise<string[]> {
    const rows = db.selectFrom('files').select('id').where('id', 'in', file_ids)
    return this.#database.read(async (c) => (await c.all(rows)).map(({ id }) => id))
  }

  ofAgent(actor: Actor, agent_id: string): Promise<AgentFile[]> {
    return this.#database.read(async (c) => await filesOfAgent(c, actor, agent_id))
  }

  open(
    actor: Actor,
    agent_id: string,
    requests: readonly OpenFileRequest[],
    { max_open, close_others = false }: { max_open: number; close_others?: boolean },
  ): Promise<string[]> {
    return this.#database.write(async (tx) => {
      const wanted = new Map(
        await mapEach(requests, async ({ file_id }) => [
          file_id,
          await requiredFile(tx, actor, agent_id, file_id),
        ]),
      )
      const others = (await openFilesOf(tx, actor, agent_id))
        .filter((file) => !wanted.has(file.file_id))
        .toSorted((a, b) => (a.last_accessed_at ?? '').localeCompare(b.last_accessed_at ?? ''))
      const closing = close_others
        ? others
        : others.slice(0, Math.max(0, others.length + wanted.size - max_open))
      for (const file of closing) await putState(tx, actor, { agent_id, ...file }, { is_open: 0 })
      const last_accessed_at = new Date().toISOString()
      for (const { file_id, start_line, end_line } of requests) {
        const folder_id = wanted.get(file_id)?.folder_id ?? ''
        const state = { is_open: 1, start_line, end_line, last_accessed_at }
        await putState(tx, actor, { agent_id, folder_id, file_id }, state)
      }
      return closing.map((file) => file.path)
    })
  }

  close(actor: Actor, agent_id: string, file_ids: readonly string[] | 'all'): Promise<string[]> {
    return this.#database.write(async (tx) => {
      const closing = (await openFilesOf(tx, actor, agent_id)).filter(
        (file) => file_ids === 'all' || file_ids.includes(file.file_id),
      )
      for (const file of closing) await putState(tx, actor, { agent_id, ...file }, { is_open: 0 })
      return closing.map((file) => file.path)
    })
  }

  touch(actor: Actor, agent_id: string, file_ids: readonly string[]): Promise<void> {
    return this.#database.write(async (tx) => {
      const last_accessed_at = new Date().toISOString()
      for (const id of file_ids) {
        const file = await fileOfAgent(tx, actor, agent_id, id)
        if (file) await putState(tx, actor, { agent_id, ...file }, { last_accessed_at })
      }
    })
  }

  read(
    actor: Actor,
    file_id: string,
    range: { start_line: number; end_line: number | null; max_chars: number },
  ): Promise<FileLines | null> {
    return this.#database.read(async (c) =>
      (await hasText(c, actor, file_id)) ? await readLines(c, file_id, range) : null,
    )
  }

  search(actor: Actor, search: FileSearch): Promise<FileMatch[]> {
    return searchFiles(this.#database, this.#index, actor, search)
  }

  /** Ends a claim, whatever the store says to it: what this process does not work on it may claim again. */
  async #letGo<T>(claim: FileClaim, work: (tx: Transaction) => Promise<T>): Promise<T> {
    try {
      return await this.#database.write(work)
    } finally {
      this.#instance.leaseReleased(claim.file_id)
    }
  }

  async #held(tx: Transaction, claim: FileClaim): Promise<{ chunks: number } | undefined> {
    return await tx.get(
      db
        .selectFrom('files')
        .select('chunks')
        .where('id', '=', claim.file_id)
        .where('instance_id', '=', this.#instance.id)
        .where('attempts', '=', claim.attempt)
        .where('status', '=', 'parsing')
        .where('deleted', '=', 0),
    )
  }
}

function idsOf({ file_id, folder_id }: FileClaim): { id: string; folder_id: string } {
  return { id: file_id, folder_id }
}

function present(actor: Actor) {
  return db
    .selectFrom('files')
    .innerJoin('folders', 'folders.id', 'files.folder_id')
    .selectAll('files')
    .select('folders.name as folder_name')
    .where('files.organization_id', '=', actor.organization_id)
    .where('files.deleted', '=', 0)
}

async function readFile(connection: Connection, actor: Actor, file_id: string): Promise<FileMetadata | null> {
  const row = await connection.get(present(actor).where('files.id', '=', file_id))
  return row ? await metadataOf(connection, row) : null
}

async function hasText(connection: Connection, actor: Actor, file_id: string): Promise<boolean> {
  const row = await connection.get(present(actor).where('files.id', '=', file_id))
  return row !== undefined && row.status !== 'error'
}

async function requiredFile(
  connection: Connection,
  actor: Actor,
  agent_id: string,
  file_id: string,
): Promise<AgentFile> {
  const file = await fileOfAgent(connection, actor, agent_id, file_id)
  if (!file) throw new AppError('not_found', `The agent '${agent_id}' has no file '${file_id}'.`)
  return file
}

async function insertFile(
  tx: Transaction,
  actor: Actor,
  file: NewFile,
  handling: DuplicateHandling,
): Promise<CreatedFile> {
  const folder = await readFolderRow(tx, actor, file.folder_id)
  if (!folder) throw new AppError('not_found', `There is no folder '${file.folder_id}'.`)
  const named = async (name: string) =>
    await tx.get(present(actor).where('files.folder_id', '=', folder.id).where('files.name', '=', name))
  const same = await named(file.name)
  if (same && handling === 'skip') return { status: 'skipped', file: await metadataOf(tx, same) }
  if (same && handling === 'error')
    throw new AppError(
      'conflict',
      `The folder '${folder.name}' has a file named '${file.name}' already; upload with duplicate_handling=suffix, ` +
        'replace or skip, or under another name.',
    )
  let { name } = file
  if (same && handling === 'suffix') for (let n = 1; await named(name); n++) name = suffixed(file.name, n)
  const replaced = same && handling === 'replace' ? same.id : null
  if (replaced !== null) {
    await markDeleted(tx, db.selectFrom('files').select('id').where('id', '=', replaced))
    await tx.event(actor, 'file.deleted', replaced, null)
  }
  const now = new Date().toISOString()
  await tx.send(
    db.insertInto('files').values({
      id: file.id,
      organization_id: actor.organization_id,
      folder_id: folder.id,
      name,
      size: file.size,
      status: 'pending',
      error_message: null,
      type: file.type,
      instance_id: null,
      created_at: now,
      updated_at: now,
      created_by_id: actor.user_id,
    }),
  )
  const agents = await tx.all(
    db.selectFrom('agents_folders').select('agent_id').where('folder_id', '=', folder.id),
  )
  for (const { agent_id } of agents)
    await openIfRoom(tx, actor, { agent_id, folder_id: folder.id, file_id: file.id })
  const stored = await readFile(tx, actor, file.id)
  if (!stored) throw new AppError('internal', `the file '${file.id}' was not stored`)
  await tx.event(actor, 'file.created', file.id, null)
  return { status: 'created', file: stored, replaced }
}

/** `report_(1).txt` for `report.txt`. */
function suffixed(name: string, n: number): string {
  const dot = name.lastIndexOf('.')
  return dot <= 0 ? `${name}_(${n})` : `${name.slice(0, dot)}_(${n})${name.slice(dot)}`
}
