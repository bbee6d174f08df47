import type { CreateBlock } from '../../schema/block.ts'
import type { Conversation } from '../../schema/conversation.ts'
import type { Identity } from '../../schema/identity.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { MigratedProgress } from '../../schema/migration.ts'
import type { Passage } from '../../schema/passage.ts'
import type { Run, Step } from '../../schema/run.ts'
import type { Tool } from '../../schema/tool.ts'
import type { Actor } from './actor.ts'
import type { NewAgent } from './agent-store.ts'
import type { FileBatch } from './file-store.ts'
import type { ImportedLink, StagedFile } from './import-store.ts'

/** What the journal says of one thing that was brought from another server. */
export interface Brought {
  kind: string
  /** Its id at the other server. */
  id: string
  /** Its id here. */
  here: string
  /** Hash of what the other server said of it. */
  said: string
  /** Hash of what was stored for it. */
  stored: string
  /** Ids that were linked with it. */
  linked: string[]
}

export interface Times {
  created_at: string
  updated_at: string
}

/** A conversation as it becomes visible; the default one has the agent's id. */
export interface BroughtConversation extends Pick<
  Conversation,
  'id' | 'summary' | 'model' | 'model_settings' | 'last_message_at' | 'created_at' | 'updated_at'
> {
  /** Its context, in order; those that are not stored are left out. */
  message_ids: string[]
  /** Stored first when the context begins with no system message. */
  system_message: StoredMessage
  /** Private copies of the agent's blocks of their labels. */
  isolated_block_ids: string[]
}

/** An agent whose messages were brought. */
export interface BroughtAgent {
  agent: NewAgent['agent']
  tags: string[]
  block_ids: string[]
  tool_ids: string[]
  secrets: Readonly<Record<string, string>>
  folder_ids: string[]
  links: ImportedLink[]
  archive_ids: string[]
  identity_ids: string[]
}

/**
 * Things that keep the ids which they had at another server, and the journal of what was brought. An agent is staged: its
 * messages and conversations come first, in many transactions, and nobody sees it until `complete`; what a process
 * leaves unfinished stays, for the next one to go on with.
 */
export interface MigrationStore {
  /** What the journal says of these. */
  brought(actor: Actor, kind: string, ids: readonly string[]): Promise<Brought[]>
  /** Writes into the journal; again replaces. */
  note(actor: Actor, entries: readonly Brought[]): Promise<void>

  /** Errors as `BlockStore.create`. */
  addBlock(actor: Actor, block: CreateBlock & { id: string }, times: Times): Promise<void>
  /** The name must be free. Throws `quota_exceeded`, and `conflict` for a name that was taken meanwhile. */
  addTool(actor: Actor, tool: Tool, times: Times): Promise<void>
  /** Without its links. Throws `conflict` for a key that is taken. */
  addIdentity(actor: Actor, identity: Identity, times: Times): Promise<void>
  /** Those of these ids that are there, whatever they belong to. */
  passages(actor: Actor, ids: readonly string[]): Promise<Passage[]>
  /** Stores a file of a folder that is there, part by part; it is listed when it is whole. */
  addFile(actor: Actor, file: StagedFile, times: Times, batches: Iterable<FileBatch>): Promise<void>

  /**
   * Stores messages of an agent that are not there yet, in this order, and how far their conversations have come.
   * Answers the ids of those that are messages of another conversation here.
   */
  addMessages(
    actor: Actor,
    agent_id: string,
    messages: readonly StoredMessage[],
  ): Promise<{ added: number; known: number; taken: string[] }>
  /** What is known of an agent's id, and how far its conversations have come. */
  progress(actor: Actor, agent_id: string): Promise<MigratedProgress>
  /**
   * Stores a conversation with its context, or gives one that is there what came since; false when somebody went on with
   * it here, which leaves it as it is.
   */
  putConversation(actor: Actor, agent_id: string, made: BroughtConversation): Promise<boolean>
  /** Makes an agent visible, and writes that into the journal. Throws `conflict` for two blocks of one label. */
  complete(actor: Actor, made: BroughtAgent, entry: Brought): Promise<void>
  /** Stores runs that have ended and are not there yet; answers the ids of those. */
  addRuns(actor: Actor, runs: readonly Run[]): Promise<string[]>
  /** The same of steps; when one was made is read from the messages of its run. */
  addSteps(actor: Actor, steps: readonly Omit<Step, 'created_at'>[]): Promise<string[]>
}
