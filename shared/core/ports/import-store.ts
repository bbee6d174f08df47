import type { CreateBlock } from '../../schema/block.ts'
import type { Folder } from '../../schema/folder.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { Tool } from '../../schema/tool.ts'
import type { Actor } from './actor.ts'
import type { NewAgent } from './agent-store.ts'
import type { FileBatch, NewFile } from './file-store.ts'
import type { NewGroup } from './group-store.ts'

/** A message of an agent that is not there yet; `position` in its context, from 0 on, null for one outside of it. */
export interface StagedMessage {
  message: StoredMessage
  position: number | null
}

/** A file of a folder that is not there yet. */
export type StagedFile = NewFile & { status: 'completed' | 'error'; error_message: string | null }

/** What an agent has made of a file; lines count from 0, the end is excluded. */
export interface ImportedLink {
  file_id: string
  folder_id: string
  is_open: boolean
  start_line: number | null
  end_line: number | null
  last_accessed_at: string | null
}

/** An agent whose messages are staged. */
export interface ImportedAgent {
  agent: NewAgent['agent']
  tags: string[]
  /** In this order; of `blocks` of the import, or blocks that are there already. */
  block_ids: string[]
  tool_ids: string[]
  secrets?: Readonly<Record<string, string>>
  /** In this order; of `folders` of the import. The tools for files are among `tool_ids`, or not. */
  folder_ids: string[]
  links: ImportedLink[]
  message_count: number
  context_length: number
  /** JSON that `kept` gives back as long as the agent lives. */
  kept: unknown
}

/** What becomes visible at once. All ids are new but those of changed tools. */
export interface NewImport {
  agents: ImportedAgent[]
  blocks: { id: string; block: CreateBlock; agent_id: string | null }[]
  new_tools: Tool[]
  /** Tools that are there, as they are to be. */
  changed_tools: Tool[]
  groups: NewGroup[]
  /** Their files are staged. */
  folders: Folder[]
}

/**
 * Agents that come with their history and their folders. Messages and files are stored first, in many short
 * transactions; nobody sees them until `complete`, which is one small one. What a process leaves unfinished, `turns.recover` removes.
 */
export interface ImportStore {
  /** Announces agents and folders with these new ids. */
  begin(actor: Actor, ids: readonly string[]): Promise<void>
  /** Stores messages of announced agents, in this order. Throws `conflict` when the import was given up meanwhile. */
  addMessages(actor: Actor, messages: readonly StagedMessage[]): Promise<void>
  /**
   * Stores a file of an announced folder, part by part: each is asked for when the one before it is stored. Throws
   * `conflict` when the import was given up meanwhile.
   */
  addFile(actor: Actor, file: StagedFile, batches: Iterable<FileBatch>): Promise<void>
  /**
   * Makes it all visible. Throws `conflict` when the import was given up meanwhile, two blocks of an agent have one
   * label, or a tool or a folder of a new one's name is there by now; the import is then still to be abandoned.
   */
  complete(actor: Actor, made: NewImport): Promise<void>
  /** Removes what was stored for these agents and folders, unless they are complete. */
  abandon(actor: Actor, ids: readonly string[]): Promise<void>
  /** What was kept with the import of an agent; null for one that was not imported. */
  kept(actor: Actor, agent_id: string): Promise<unknown>
}
