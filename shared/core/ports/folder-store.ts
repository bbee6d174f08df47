import type { Folder, FolderStats } from '../../schema/folder.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

export interface FolderFilter {
  name?: string | undefined
  /** Only those that are attached to this agent. */
  agent_id?: string | undefined
}

export type FolderPatch = Partial<
  Pick<Folder, 'name' | 'description' | 'instructions' | 'metadata' | 'embedding_config'>
>

/**
 * Folders of files. Names are unique in an organisation. The handle in its `embedding_config` is the model that embeds
 * the parts of a folder's files; without one they are found by their words. Another one embeds all of them anew.
 */
export interface FolderStore {
  /** Throws `conflict` for a name that is taken. */
  create(actor: Actor, folder: Folder): Promise<Folder>
  get(actor: Actor, folder_id: string): Promise<Folder | null>
  list(actor: Actor, filter: FolderFilter, page: Page): Promise<Folder[]>
  count(actor: Actor): Promise<number>
  /** Throws `conflict` for a name that is taken. */
  update(actor: Actor, folder_id: string, patch: FolderPatch): Promise<Folder | null>
  /** With its files, from all agents. False when there is none. */
  delete(actor: Actor, folder_id: string): Promise<boolean>
  /** Ids of the agents that it is attached to. Throws `not_found` for an unknown cursor. */
  agents(actor: Actor, folder_id: string, page: Page): Promise<string[]>
  /**
   * Gives an agent a folder with all its files, opened as far as there is room, and with the first folder the tools for
   * files. Again is the same as once. Throws `not_found` for either.
   */
  attach(actor: Actor, agent_id: string, folder_id: string): Promise<void>
  /** Takes a folder from an agent, and with the last one the tools for files. Throws `not_found` for the agent. */
  detach(actor: Actor, agent_id: string, folder_id: string): Promise<void>
  /** Folders and their sizes; with `files` each file too. */
  stats(actor: Actor, options: { files: boolean }): Promise<FolderStats>
}
