import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { FileBatch } from '../../core/ports/file-store.ts'
import type { StagedFile } from '../../core/ports/import-store.ts'
import type {
  Brought,
  BroughtAgent,
  BroughtConversation,
  MigrationStore,
  Times,
} from '../../core/ports/migration-store.ts'
import type { CreateBlock } from '../../schema/block.ts'
import { AppError } from '../../schema/errors.ts'
import type { Identity } from '../../schema/identity.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { MigratedProgress } from '../../schema/migration.ts'
import type { Passage } from '../../schema/passage.ts'
import type { Run, Step } from '../../schema/run.ts'
import type { Tool } from '../../schema/tool.ts'
import type { SecretBox } from '../secret-box.ts'
import { insertBlock } from './block-rows.ts'
import { completeAgent, putConversation, stageAgent, wentOn } from './brought-agents.ts'
import type { Database, Transaction } from './database.ts'
import { isConstraint } from './errors.ts'
import { clearFile } from './file-links.ts'
import { addFileSize, insertStagedFile } from './imports.ts'
import { insertText } from './file-parts.ts'
import { insertMessage } from './messages.ts'
import { passageOf } from './passage-rows.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'
import { insertEndedRun, insertStep } from './runs.ts'
import { inSlices } from './slices.ts'
import { insertTool } from './tools.ts'

/** Rows that one transaction stores, the first and any. */
const ROWS = { first: 20, most: 200 }

/** In the column `deleted` of a file that is not whole yet: it is neither listed nor swept. */
const UNFINISHED = 2

const byIds = query<{ org: string; kind: string; ids: string }>()((p) =>
  sqlite
    .selectFrom('brought')
    .select(['kind', 'id', 'here', 'said', 'stored', 'linked'])
    .where('organization_id', '=', p.org)
    .where('kind', '=', p.kind)
    .where('id', 'in', sql<string>`(select value from json_each(${p.ids}))`),
)
/** Of any organisation: ids are unique in all of them. */
const placeOf = query<{ id: string }>()((p) =>
  sqlite.selectFrom('messages').select(['agent_id', 'conversation_id']).where('id', '=', p.id),
)
const cameTo = query<{ conversation: string; org: string; agent: string; message: string }>()((p) =>
  sqlite
    .insertInto('brought_histories')
    .values({
      conversation_id: p.conversation,
      organization_id: p.org,
      agent_id: p.agent,
      last_message_id: p.message,
    })
    .onConflict((conflict) => conflict.column('conversation_id').doUpdateSet({ last_message_id: p.message })),
)
const histories = query<{ agent: string; org: string }>()((p) =>
  sqlite
    .selectFrom('brought_histories')
    .select(['conversation_id', 'last_message_id'])
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org),
)
const cameFor = query<{ conversation: string }>()((p) =>
  sqlite
    .selectFrom('messages')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('conversation_id', '=', p.conversation)
    .where('seq', '<=', (eb) =>
      eb
        .selectFrom('brought_histories')
        .innerJoin('messages as last', 'last.id', 'brought_histories.last_message_id')
        .select('last.seq')
        .where('brought_histories.conversation_id', '=', p.conversation),
    ),
)
const agentThere = query<{ id: string }>()((p) =>
  sqlite.selectFrom('agents').select('organization_id').where('id', '=', p.id),
)
const staged = query<{ id: string }>()((p) =>
  sqlite.selectFrom('deletions').select(['organization_id', 'instance_id']).where('agent_id', '=', p.id),
)
const counted = query<{ conversation: string; n: number }>()((p) =>
  sqlite
    .updateTable('conversations')
    .set((eb) => ({ message_count: eb('message_count', '+', p.n) }))
    .where('id', '=', p.conversation),
)

/** What comes from another server, and the journal of it. */
export class SqliteMigration implements MigrationStore {
  readonly #database: Database
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#database = database
    this.#box = box
  }

  brought(actor: Actor, kind: string, ids: readonly string[]): Promise<Brought[]> {
    return this.#database.read((c) => readBrought(c, actor, kind, ids))
  }

  note(actor: Actor, entries: readonly Brought[]): Promise<void> {
    return this.#database.write((tx) => {
      for (const entry of entries) writeBrought(tx, actor, entry)
    })
  }

  addBlock(actor: Actor, { id, ...block }: CreateBlock & { id: string }, times: Times): Promise<void> {
    return this.#add(id, (tx) => {
      insertBlock(tx, actor, block, null, { id })
      tx.run(sqlite.updateTable('blocks').set(times).where('id', '=', id))
    })
  }

  addTool(actor: Actor, tool: Tool, times: Times): Promise<void> {
    return this.#add(tool.id, (tx) => {
      insertTool(tx, actor, tool)
      tx.run(sqlite.updateTable('tools').set(times).where('id', '=', tool.id))
    })
  }

  addIdentity(actor: Actor, identity: Identity, times: Times): Promise<void> {
    const { agent_ids: _a, block_ids: _b, properties, ...row } = identity
    const { organization_id } = actor
    return this.#add(identity.id, (tx) => {
      const values = { ...row, ...times, organization_id, properties: JSON.stringify(properties) }
      tx.run(sqlite.insertInto('identities').values(values))
    })
  }

  passages(actor: Actor, ids: readonly string[]): Promise<Passage[]> {
    return this.#database.read((c) =>
      c
        .all(
          sqlite
            .selectFrom('passages')
            .selectAll()
            .where('organization_id', '=', actor.organization_id)
            .where('id', 'in', ids),
        )
        .map(passageOf),
    )
  }

  async addFile(actor: Actor, file: StagedFile, times: Times, batches: Iterable<FileBatch>): Promise<void> {
    const { id, folder_id, status } = file
    const there = await this.#database.read((c) =>
      c.get(sqlite.selectFrom('files').select('deleted').where('id', '=', id)),
    )
    if (there && there.deleted !== UNFINISHED)
      throw new AppError(
        'conflict',
        `The id '${id}' is that of another file here, or of one that is being deleted.`,
      )
    // What an attempt before this one has left.
    await clearFile(this.#database, { id, folder_id })
    await this.#add(id, (tx) => {
      tx.run(sqlite.deleteFrom('files').where('id', '=', id).where('deleted', '=', UNFINISHED))
      insertStagedFile(tx, actor, { ...file, status: 'completed' })
      tx.run(
        sqlite
          .updateTable('files')
          .set({ ...times, deleted: UNFINISHED })
          .where('id', '=', id),
      )
    })
    const place = { file_id: id, folder_id, organization_id: actor.organization_id }
    for (const batch of batches)
      await this.#database.write((tx) => {
        insertText(tx, place, batch)
        addFileSize(tx, id, batch)
      })
    await this.#add(id, (tx) => {
      tx.run(sqlite.updateTable('files').set({ status, deleted: 0 }).where('id', '=', id))
    })
  }

  async addMessages(
    actor: Actor,
    agent_id: string,
    messages: readonly StoredMessage[],
  ): Promise<{ added: number; known: number; taken: string[] }> {
    await this.#database.write((tx) => stageAgent(tx, actor, agent_id))
    const { organization_id: org } = actor
    const done = { added: 0, known: 0, taken: [] as string[] }
    let from = 0
    await inSlices(this.#database, ROWS, (tx, rows) => {
      const some = messages.slice(from, from + rows)
      const added = new Map<string, number>()
      const result = { known: 0, taken: [] as string[] }
      for (const message of some) {
        const { id, conversation_id: conversation } = message
        const there = placeOf.get(tx, { id })
        if (!there) {
          insertMessage(tx, actor, message)
          cameTo.run(tx, { conversation, org, agent: agent_id, message: id })
          added.set(conversation, (added.get(conversation) ?? 0) + 1)
        } else if (there.agent_id !== agent_id) result.taken.push(id)
        else result.known++
      }
      for (const [conversation, n] of added) counted.run(tx, { conversation, n })
      const sum = [...added.values()].reduce((a, b) => a + b, 0)
      // `work` runs again after a rollback: nothing but the transaction's success may move this.
      const move = (sign: 1 | -1) => () => {
        from += sign * some.length
        done.added += sign * sum
        done.known += sign * result.known
        if (sign > 0) done.taken.push(...result.taken)
        else done.taken.splice(done.taken.length - result.taken.length)
      }
      tx.alongside(move(1), move(-1))
      return from + some.length < messages.length
    })
    return done
  }

  progress(actor: Actor, agent_id: string): Promise<MigratedProgress> {
    return this.#database.read((c) => {
      const { organization_id: org } = actor
      const agent = agentThere.get(c, { id: agent_id })
      const stage = staged.get(c, { id: agent_id })
      const known = readBrought(c, actor, 'agent', [agent_id]).length > 0
      const mine = (row: { organization_id: string } | undefined) => row?.organization_id === org
      const conversations = histories.all(c, { agent: agent_id, org }).map((history) => ({
        id: history.conversation_id === agent_id ? null : history.conversation_id,
        last_message_id: history.last_message_id,
        messages: cameFor.get(c, { conversation: history.conversation_id })?.n ?? 0,
        went_on: wentOn(c, history.conversation_id),
      }))
      const state = agent
        ? mine(agent) && known
          ? 'complete'
          : 'taken'
        : known
          ? 'deleted'
          : stage
            ? mine(stage)
              ? 'started'
              : 'taken'
            : 'new'
      return { state, conversations }
    })
  }

  putConversation(actor: Actor, agent_id: string, made: BroughtConversation): Promise<boolean> {
    return this.#database.write((tx) => putConversation(tx, actor, agent_id, made))
  }

  async complete(actor: Actor, made: BroughtAgent, entry: Brought): Promise<void> {
    const keys = Object.keys(made.secrets).length > 0 ? await this.#box.keysToWrite() : null
    await this.#add(made.agent.id, (tx) => {
      completeAgent(tx, actor, made, keys)
      writeBrought(tx, actor, entry)
    })
  }

  async addRuns(actor: Actor, runs: readonly Run[]): Promise<string[]> {
    return this.#addAll(runs, 'runs', (tx, run) => {
      insertEndedRun(tx, actor, run, run.conversation_id ?? run.agent_id)
    })
  }

  async addSteps(actor: Actor, steps: readonly Omit<Step, 'created_at'>[]): Promise<string[]> {
    return this.#addAll(steps, 'steps', (tx, step) => {
      const at = (table: 'messages' | 'runs') => {
        const id = table === 'messages' ? 'run_id' : 'id'
        const rows = sqlite.selectFrom(table).select('created_at').where(id, '=', step.run_id)
        return tx.get(rows.orderBy('created_at').limit(1))?.created_at
      }
      insertStep(tx, actor, {
        ...step,
        created_at: at('messages') ?? at('runs') ?? new Date(0).toISOString(),
      })
    })
  }

  async #addAll<T extends { id: string }>(
    things: readonly T[],
    table: 'runs' | 'steps',
    insert: (tx: Transaction, thing: T) => void,
  ): Promise<string[]> {
    const added: string[] = []
    // Few at once: a transaction is short.
    for (let i = 0; i < things.length; i += 50)
      added.push(
        ...(await this.#database.write((tx) => {
          const fresh = things
            .slice(i, i + 50)
            .filter(({ id }) => !tx.get(sqlite.selectFrom(table).select('id').where('id', '=', id)))
          for (const thing of fresh) insert(tx, thing)
          return fresh.map(({ id }) => id)
        })),
      )
    return added
  }

  async #add(id: string, work: (tx: Transaction) => void): Promise<void> {
    try {
      await this.#database.write(work)
    } catch (error) {
      if (!isConstraint(error)) throw error
      throw new AppError('conflict', `'${id}', or its name, is taken here by something else.`, {
        cause: error,
      })
    }
  }
}

function readBrought(connection: Connection, actor: Actor, kind: string, ids: readonly string[]): Brought[] {
  return byIds
    .all(connection, { org: actor.organization_id, kind, ids: JSON.stringify(ids) })
    .map(({ linked, ...row }) => ({ ...row, linked: JSON.parse(linked) as string[] }))
}

function writeBrought(tx: Transaction, actor: Actor, { kind, id, ...entry }: Brought): void {
  const { here, said, stored } = entry
  const linked = JSON.stringify(entry.linked)
  tx.run(
    sqlite
      .insertInto('brought')
      .values({ organization_id: actor.organization_id, kind, id, here, said, stored, linked })
      .onConflict((conflict) =>
        conflict.columns(['organization_id', 'kind', 'id']).doUpdateSet({ here, said, stored, linked }),
      ),
  )
}
