import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { BlockFilter, BlockStore } from '../../core/ports/block-store.ts'
import type { Block, BlockVersion, CreateBlock, UpdateBlock } from '../../schema/block.ts'
import { type BlockEdit, editedValue } from '../../schema/block-edit.ts'
import { AppError } from '../../schema/errors.ts'
import type { Page } from '../../schema/page.ts'
import { readHistory, valueAfter } from './block-history.ts'
import { blockOf, insertBlock, readBlock, soleAgent, tagList, writeBlock } from './block-rows.ts'
import { detachDeleted } from './conversation-blocks.ts'
import type { Database } from './database.ts'
import { asksForIdentity, ofIdentity } from './identity-rows.ts'
import { contains, windowOf } from './page.ts'
import { db } from './query.ts'

const connections = sql<number>`(select count(*) from agents_blocks where block_id = blocks.id)`

const BY_USER = { agent_id: null, run_id: null }

/** Shared and private memory blocks, with a history row for each change. Lists are in order of creation. */
export class SqlBlocks implements BlockStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  create(actor: Actor, block: CreateBlock): Promise<Block> {
    return this.#database.write(async (tx) => await insertBlock(tx, actor, block, null))
  }

  get(actor: Actor, block_id: string): Promise<Block | null> {
    return this.#database.read(async (c) => await readBlock(c, actor, block_id))
  }

  list(actor: Actor, filter: BlockFilter, page: Page): Promise<Block[]> {
    return this.#database.read(async (c) => {
      const sorting = { table: 'blocks', column: 'seq' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = filtered(actor, filter).selectAll('blocks').select(tagList)
      for (const condition of window.conditions) rows = rows.where(condition)
      const blocks = (await c.all(rows.orderBy(window.direction).limit(page.limit))).map(blockOf)
      return window.turned ? blocks.toReversed() : blocks
    })
  }

  count(actor: Actor, filter: BlockFilter): Promise<number> {
    return this.#database.read(
      async (c) =>
        (await c.get(filtered(actor, filter).select((eb) => eb.fn.countAll<number>().as('n'))))?.n ?? 0,
    )
  }

  update(
    actor: Actor,
    block_id: string,
    patch: UpdateBlock,
    options: { if_version?: number } = {},
  ): Promise<Block | null> {
    // A new label decides on where the block is attached meanwhile.
    return this.#database.write(
      async (tx) => {
        const block = await readBlock(tx, actor, block_id)
        if (!block) return null
        requireVersion(block, options.if_version)
        const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
        const next: Block = {
          ...block,
          ...given,
          tags: patch.tags ? [...new Set(patch.tags)] : block.tags,
          value: patch.value ?? block.value,
        }
        if (JSON.stringify(next) === JSON.stringify(block)) return block
        return await writeBlock(tx, actor, block, next, BY_USER)
      },
      { guarded: patch.label === undefined },
    )
  }

  edit(actor: Actor, block_id: string, edit: BlockEdit): Promise<Block | null> {
    return this.#database.write(
      async (tx) => {
        const block = await readBlock(tx, actor, block_id)
        if (!block) return null
        const value = editedValue(block, edit)
        return value === block.value
          ? block
          : await writeBlock(tx, actor, block, { ...block, value }, BY_USER)
      },
      { guarded: true },
    )
  }

  history(actor: Actor, block_id: string, page: Page): Promise<BlockVersion[] | null> {
    return this.#database.read(async (c) =>
      (await readBlock(c, actor, block_id)) ? await readHistory(c, actor, block_id, page) : null,
    )
  }

  restore(
    actor: Actor,
    block_id: string,
    version: number,
    options: { if_version?: number } = {},
  ): Promise<Block | null> {
    return this.#database.write(
      async (tx) => {
        const block = await readBlock(tx, actor, block_id)
        if (!block) return null
        requireVersion(block, options.if_version)
        const value = await valueAfter(tx, actor, block_id, version)
        if (value === null)
          throw new AppError(
            'not_found',
            `Block '${block.label ?? block.id}' has no version ${version}; it is at version ${block.version}.`,
          )
        return await writeBlock(tx, actor, block, { ...block, value }, BY_USER)
      },
      { guarded: true },
    )
  }

  delete(actor: Actor, block_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      const agent_id = await soleAgent(tx, block_id)
      const deleted = await tx.run(
        db
          .deleteFrom('blocks')
          .where('id', '=', block_id)
          .where('organization_id', '=', actor.organization_id),
      )
      if (deleted === 0) return false
      await detachDeleted(tx, block_id)
      await tx.event(actor, 'block.deleted', block_id, agent_id)
      return true
    })
  }
}

function requireVersion(block: Block, version: number | undefined): void {
  if (version === undefined || version === block.version) return
  throw new AppError(
    'conflict',
    `Block '${block.label ?? block.id}' is at version ${block.version}, not ${version}: ` +
      'it was changed meanwhile. Read it again and repeat the change.',
    { data: { block } },
  )
}

function filtered(actor: Actor, filter: BlockFilter) {
  let rows = db.selectFrom('blocks').where('blocks.organization_id', '=', actor.organization_id)
  if (filter.label !== undefined) rows = rows.where('label', '=', filter.label)
  if (filter.name !== undefined) rows = rows.where('template_name', '=', filter.name)
  if (filter.templates_only) rows = rows.where('is_template', '=', 1)
  if (filter.project_id !== undefined) rows = rows.where('project_id', '=', filter.project_id)
  if (filter.label_search !== undefined) rows = rows.where(contains('blocks.label', filter.label_search))
  if (filter.description_search !== undefined) {
    rows = rows.where(contains('blocks.description', filter.description_search))
  }
  if (filter.value_search !== undefined) rows = rows.where(contains('blocks.value', filter.value_search))
  if (!filter.show_hidden) rows = rows.where((eb) => eb(eb.fn.coalesce('hidden', eb.lit(0)), '=', 0))
  if (filter.tags && filter.tags.length > 0) {
    const wanted = [...new Set(filter.tags)]
    rows = rows.where(
      (eb) =>
        eb
          .selectFrom('block_tags')
          .select((count) => count.fn.countAll<number>().as('n'))
          .whereRef('block_tags.block_id', '=', 'blocks.id')
          .where('tag', 'in', wanted),
      '>=',
      filter.match_all_tags ? wanted.length : 1,
    )
  }
  if (filter.agent_id !== undefined) {
    rows = rows.where('id', 'in', (eb) =>
      eb
        .selectFrom('agents_blocks')
        .select('block_id')
        .where('agent_id', '=', filter.agent_id ?? ''),
    )
  }
  if (asksForIdentity(filter)) {
    rows = rows.where('id', 'in', (eb) =>
      eb
        .selectFrom('identities_blocks')
        .innerJoin('identities', 'identities.id', 'identities_blocks.identity_id')
        .select('block_id')
        .where(ofIdentity(filter)),
    )
  }
  if (filter.connected_to_agents_count_gt !== undefined) {
    rows = rows.where(connections, '>', filter.connected_to_agents_count_gt)
  }
  if (filter.connected_to_agents_count_lt !== undefined) {
    rows = rows.where(connections, '<', filter.connected_to_agents_count_lt)
  }
  if (filter.connected_to_agents_count_eq !== undefined) {
    rows = rows.where(connections, 'in', filter.connected_to_agents_count_eq)
  }
  return rows
}
