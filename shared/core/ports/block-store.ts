import type { Block, BlockVersion, CreateBlock, UpdateBlock } from '../../schema/block.ts'
import type { BlockEdit } from '../../schema/block-edit.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

export interface BlockFilter {
  label?: string | undefined
  name?: string | undefined
  templates_only?: boolean | undefined
  project_id?: string | undefined
  tags?: string[] | undefined
  match_all_tags?: boolean | undefined
  label_search?: string | undefined
  description_search?: string | undefined
  value_search?: string | undefined
  connected_to_agents_count_gt?: number | undefined
  connected_to_agents_count_lt?: number | undefined
  connected_to_agents_count_eq?: number[] | undefined
  /** Only the blocks of this agent. */
  agent_id?: string | undefined
  /** Only the blocks of this identity. */
  identity_id?: string | undefined
  /** Only the blocks of any of these identities. */
  identifier_keys?: string[] | undefined
  show_hidden?: boolean | undefined
}

export interface BlockStore {
  create(actor: Actor, block: CreateBlock): Promise<Block>
  get(actor: Actor, block_id: string): Promise<Block | null>
  list(actor: Actor, filter: BlockFilter, page: Page): Promise<Block[]>
  count(actor: Actor, filter: BlockFilter): Promise<number>
  /**
   * Changes a block; every change is a version of its own with a history row. With `if_version`, throws `conflict` when
   * the block has another version; `data.block` is the present one. Null when there is no such block.
   */
  update(
    actor: Actor,
    block_id: string,
    patch: UpdateBlock,
    options?: { if_version?: number },
  ): Promise<Block | null>
  /**
   * Changes the value as it is now, in one transaction: of writers at once none is lost or refused. Throws as
   * `editedValue` does. Null when there is no such block.
   */
  edit(actor: Actor, block_id: string, edit: BlockEdit): Promise<Block | null>
  delete(actor: Actor, block_id: string): Promise<boolean>
  /** The versions of a block; cursors are version numbers. Null when there is no such block. */
  history(actor: Actor, block_id: string, page: Page): Promise<BlockVersion[] | null>
  /**
   * Gives a block the value it had after this version, as a version of its own. Null when there is no such block;
   * throws `not_found` for the version and `conflict` as `update` does.
   */
  restore(
    actor: Actor,
    block_id: string,
    version: number,
    options?: { if_version?: number },
  ): Promise<Block | null>
}
