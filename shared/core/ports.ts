/**
 * What the agent needs from the outside world. Adapters live in `store/`, `models/` and `tools/`; `server/main.ts`
 * wires them. Every method is awaited, may throw `AppError`, and a missing thing is `null`.
 */
import type { Agent, AgentRelation } from '../schema/agent.ts'
import type { Block, BlockVersion, CreateBlock, UpdateBlock } from '../schema/block.ts'
import type { Event } from '../schema/event.ts'
import type {
  ContentPart,
  Logprobs,
  MessageRole,
  StopReason,
  StoredMessage,
  StoredToolReturn,
} from '../schema/message.ts'
import type { LlmConfig, Model, ModelSettings } from '../schema/model.ts'
import type { Page } from '../schema/page.ts'
import type { Passage, TagMatchMode } from '../schema/passage.ts'
import type { Run, RunStatus, Step } from '../schema/run.ts'
import type { Tool, ToolSchema, ToolType } from '../schema/tool.ts'

/** Who acts. Every row belongs to an organisation and no query crosses it. */
export interface Actor {
  user_id: string
  organization_id: string
}

export interface Clock {
  now(): Date
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number
}

// ---- language models -----------------------------------------------------------------------------------------

/** One message of a model request, in no vendor's shape. */
export type ModelMessage =
  | { role: 'system'; text: string }
  | { role: 'user'; content: ContentPart[]; name: string | null }
  | { role: 'assistant'; content: ContentPart[]; tool_calls: ModelToolCall[] }
  | { role: 'tool'; tool_call_id: string; name: string; content: string | ContentPart[] }

/** `arguments` is JSON text as the model wrote it: hostile until parsed. */
export interface ModelToolCall {
  id: string
  name: string
  arguments: string
}

export interface ModelRequest {
  messages: ModelMessage[]
  tools: ToolSchema[]
  tool_choice: 'auto' | 'required' | 'none' | { name: string }
  parallel_tool_calls: boolean
  settings: Pick<LlmConfig, 'temperature' | 'max_tokens' | 'reasoning_effort'> &
    Pick<ModelSettings, 'response_format'>
  /** Ask for log probabilities of the answer, and of this many alternatives of each token. */
  logprobs?: { top: number | null }
}

export interface ModelUsage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  cached_input_tokens: number | null
  cache_write_tokens: number | null
  reasoning_tokens: number | null
}

/** What a model says, piece by piece. Exactly one `finish`, last; text and calls before it are deltas to concatenate. */
export type ModelEvent =
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string; signature?: string }
  /** `index` tells parallel calls apart; `id` and `name` come with the first delta of a call. */
  | { type: 'tool_call'; index: number; id?: string; name?: string; arguments: string }
  | {
      type: 'finish'
      reason: 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'unknown'
      /** Null when the provider reported none. */
      usage: ModelUsage | null
      /** Of the whole answer, when asked for and known. */
      logprobs?: Logprobs
    }

export interface LanguageModel {
  /**
   * Asks the model once. With `stream: false` each part comes in one piece. An abort rejects promptly. Failures are
   * `AppError` with an `llm_*` code whose text names provider, URL and cause; nothing is thrown after `finish`.
   */
  generate(
    request: ModelRequest,
    options: { signal: AbortSignal; stream: boolean },
  ): AsyncIterable<ModelEvent>
}

/** A handle (`provider/model`) made callable. */
export interface ResolvedModel {
  handle: string
  /** As `GET /v1/models/` lists it; `context_window` is the model's own maximum. */
  info: Model
  language_model: LanguageModel
}

export interface Models {
  /** Every model that can be used now. A provider that does not answer contributes none; see `problems`. */
  list(
    actor: Actor,
  ): Promise<{ models: Model[]; problems: { provider: string; url: string; message: string }[] }>
  /** Throws `model_not_found` naming the handle and what is there. Accepts `letta/auto` for the default model. */
  resolve(actor: Actor, handle: string): Promise<ResolvedModel>
}

// ---- tools ---------------------------------------------------------------------------------------------------

/** A tool that ships with Loci: seeded into every organisation, not editable, no source. */
export interface BuiltinTool {
  name: string
  tool_type: ToolType
  tags: string[]
  schema: ToolSchema
  enable_parallel_execution: boolean
}

/**
 * The agent's memory blocks as a turn sees them: reads see this turn's own edits; writes are committed with the step.
 * Every method throws a tool error that the model can read: for a label that is not there (it lists those that are), for
 * an edit of a read-only block, and for a label that is taken. A call that fails leaves no edit behind.
 */
export interface TurnMemory {
  readonly blocks: readonly Block[]
  get(label: string): Block
  set(label: string, value: string): void
  /** Makes a block and attaches it to the agent. */
  create(block: { label: string; value: string; description: string | null }): void
  /** Takes a block from the agent; the block itself stays. */
  detach(label: string): void
  rename(label: string, to: string): void
  describe(label: string, description: string): void
}

export interface ToolCallInput {
  tool: Tool
  arguments: Record<string, unknown>
  agent: Agent
  /** The run that calls. */
  run_id: string
  memory: TurnMemory
  /** Searches the agent's stored messages; the results are newest first within equal rank. */
  searchMessages(query: MessageSearch): Promise<StoredMessage[]>
  /** Stored in the agent's default archive together with the step; a later call of the same step does not find it yet. */
  insertPassage(passage: { text: string; tags: string[] }): void
  searchPassages(search: Omit<PassageSearch, 'agent_id'>): Promise<PassageMatch[]>
  now: Date
}

export type ToolResult = Pick<StoredToolReturn, 'status' | 'func_response' | 'stdout' | 'stderr'>

export interface ToolRunner {
  readonly builtins: readonly BuiltinTool[]
  /** A thrown error becomes an error return that the model reads; it never breaks the turn. */
  run(call: ToolCallInput, options: { signal: AbortSignal }): Promise<ToolResult>
}

// ---- store ---------------------------------------------------------------------------------------------------

/** An agent before its first save: the row, and what is created and linked with it in the same transaction. */
export interface NewAgent {
  agent: Omit<Agent, 'blocks' | 'tools' | 'tags' | 'message_ids'>
  tags: string[]
  /** Created with the agent, in this order, before `block_ids`. Labels must be unique in the agent. */
  new_blocks: CreateBlock[]
  block_ids: string[]
  tool_ids: string[]
  /** First message of the default conversation. */
  system_message: StoredMessage
}

export type AgentPatch = Partial<
  Omit<Agent, 'id' | 'blocks' | 'tools' | 'message_ids' | 'created_at' | 'created_by_id'>
> & {
  /** Replace the whole set when given. */
  block_ids?: string[]
  tool_ids?: string[]
}

export interface AgentFilter {
  name?: string | undefined
  tags?: string[] | undefined
  /** All of `tags` instead of any. */
  match_all_tags?: boolean | undefined
  /** Substring of the name, case-insensitive. */
  query_text?: string | undefined
  project_id?: string | undefined
  template_id?: string | undefined
  base_template_id?: string | undefined
  last_stop_reason?: string | undefined
  created_by_id?: string | undefined
  block_id?: string | undefined
  show_hidden?: boolean | undefined
  order_by?: 'created_at' | 'updated_at' | 'last_run_completion' | undefined
}

export interface AgentStore {
  /** Throws `not_found` for an unknown block or tool id, `conflict` for two blocks of one label. */
  create(actor: Actor, agent: NewAgent): Promise<Agent>
  get(actor: Actor, agent_id: string, relations: readonly AgentRelation[]): Promise<Agent | null>
  list(actor: Actor, filter: AgentFilter, page: Page, relations: readonly AgentRelation[]): Promise<Agent[]>
  count(actor: Actor, filter: AgentFilter): Promise<number>
  /** Answers with all relations. */
  update(actor: Actor, agent_id: string, patch: AgentPatch): Promise<Agent | null>
  /** Deletes its conversations, messages, runs and steps too; blocks, tools and archives stay. False when there was none. */
  delete(actor: Actor, agent_id: string): Promise<boolean>
  /** Throws `not_found` for the agent or the block, `conflict` when the agent has a block of that label. */
  attachBlock(actor: Actor, agent_id: string, block_id: string): Promise<void>
  detachBlock(actor: Actor, agent_id: string, block_id: string): Promise<void>
  /** Distinct tags of agents and blocks, sorted by code point. Cursors are tags. */
  listTags(actor: Actor, filter: TagFilter, page: Page): Promise<string[]>
  /** Attaching twice is the same as once. */
  attachTool(actor: Actor, agent_id: string, tool_id: string): Promise<void>
  detachTool(actor: Actor, agent_id: string, tool_id: string): Promise<void>
}

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

export interface NewPassage {
  id: string
  text: string
  tags: string[]
  metadata: Record<string, unknown>
  /** ISO 8601 in UTC. */
  created_at: string
}

export interface PassageFilter {
  /** Only passages of this agent's archives. */
  agent_id: string
  /** Substring of the text, case-insensitive. */
  text?: string | undefined
}

export interface PassageSearch {
  agent_id: string
  /** Plain words; operators of the search engine are text. */
  query: string
  tags?: string[] | undefined
  /** `any` by default. */
  tag_match_mode?: TagMatchMode | undefined
  limit: number
  /** ISO 8601 instants; the end is exclusive. */
  start_date?: string | undefined
  end_date?: string | undefined
}

/** A passage and why it was found: its ranks count from 1; the score is that of reciprocal rank fusion. */
export interface PassageMatch {
  passage: Passage
  rrf_score: number
  vector_rank: number | null
  fts_rank: number | null
}

/** Archival memory: passages in archives, which agents may share. */
export interface PassageStore {
  /**
   * Stores passages in the agent's default archive, which is made with the first of them and named after the agent.
   * Throws `not_found` for the agent.
   */
  create(actor: Actor, agent_id: string, passages: readonly NewPassage[]): Promise<Passage[]>
  /** Sorted by creation. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, filter: PassageFilter, page: Page): Promise<Passage[]>
  /** Best first; nothing for a query without text. */
  search(actor: Actor, search: PassageSearch): Promise<PassageMatch[]>
  /** False when the agent's archives have no such passage. */
  delete(actor: Actor, agent_id: string, passage_id: string): Promise<boolean>
}

export interface ToolFilter {
  name?: string | undefined
  names?: string[] | undefined
  tool_ids?: string[] | undefined
  /** Substring of the name, case-insensitive. */
  search?: string | undefined
  tool_types?: ToolType[] | undefined
  exclude_tool_types?: ToolType[] | undefined
  agent_id?: string | undefined
}

export interface ToolStore {
  /** Makes sure the organisation has exactly these built-in tools; existing ids are kept. */
  seed(actor: Actor, builtins: readonly BuiltinTool[]): Promise<void>
  get(actor: Actor, tool_id: string): Promise<Tool | null>
  list(actor: Actor, filter: ToolFilter, page: Page): Promise<Tool[]>
  count(actor: Actor, filter: ToolFilter): Promise<number>
}

export interface MessageFilter {
  agent_id?: string | undefined
  /** The agent's id for its default conversation. */
  conversation_id?: string | undefined
  run_id?: string | undefined
  step_id?: string | undefined
  roles?: readonly MessageRole[] | undefined
  include_err?: boolean | undefined
}

export interface MessageSearch {
  /** Plain words; operators of the search engine are text. Absent: the newest messages. */
  query?: string | undefined
  agent_id: string
  conversation_id?: string | undefined
  roles: MessageRole[]
  limit: number
  /** ISO 8601 instants; the end is exclusive. */
  start_date?: string | undefined
  end_date?: string | undefined
}

export interface MessageStore {
  /** Cursors as DESIGN decision 10: `after` is newer, `before` older, whatever the order. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, filter: MessageFilter, page: Page): Promise<StoredMessage[]>
  search(actor: Actor, search: MessageSearch): Promise<StoredMessage[]>
}

/** A turn to begin. `messages` are stored in the same transaction, before any model is asked. */
export interface OpenTurn {
  run: Run
  /** The agent's id for its default conversation. */
  conversation_id: string
  messages: StoredMessage[]
}

export interface OpenedTurn {
  agent: Agent
  /** Fences every write of this turn. */
  epoch: number
  /** What the model may see, in order: the system message, then the rest up to and with the turn's own input. */
  context: StoredMessage[]
  /** Messages of the agent that are stored but not in `context`. */
  recall_count: number
  /** Passages in the agent's archives, and their tags in order of the alphabet (the first hundred). */
  archival: { count: number; tags: string[] }
}

/** New fields of a block that still has `base_version`; absent ones stay. */
export interface BlockChange {
  block_id: string
  base_version: number
  value?: string
  label?: string
  description?: string | null
}

/** What a step does to one block of its agent: change it, take it from the agent, or make it and attach it. */
export type BlockEdit =
  | BlockChange
  | { block_id: string; base_version: number; detach: true }
  | { block_id: string; create: CreateBlock }

/** A step's block edits were made on blocks that have changed meanwhile: nothing of it was written. */
export interface BlockConflict {
  status: 'conflict'
  /** The agent's blocks as they are now. */
  blocks: Block[]
  /** New labels that cannot be: another agent shares the block and has one of that label. */
  refused_labels?: { block_id: string; label: string }[]
}

export interface FinishRun {
  status: Exclude<RunStatus, 'created' | 'running'>
  stop_reason: StopReason
  completed_at: string
  ttft_ns: number | null
  total_duration_ns: number
  metadata: Record<string, unknown> | null
}

/** One step, committed whole: messages, context, block edits, usage and, at the end, the run's outcome. */
export interface CommitStep {
  agent_id: string
  conversation_id: string
  run_id: string
  epoch: number
  step: Step | null
  /** Appended to history and to the context, in order. */
  messages: StoredMessage[]
  /** New text of the system message, when the prompt was compiled again in this turn. */
  system?: { message_id: string; text: string }
  block_edits: BlockEdit[]
  /** For the agent's default archive, as `PassageStore.create` stores them. */
  passages?: NewPassage[]
  /** Ends the run and releases the conversation. */
  finish?: FinishRun
}

export interface RunFilter {
  agent_id?: string | undefined
  agent_ids?: string[] | undefined
  statuses?: RunStatus[] | undefined
  conversation_id?: string | undefined
  background?: boolean | undefined
  stop_reason?: string | undefined
}

export interface StepFilter {
  run_id?: string | undefined
  agent_id?: string | undefined
  model?: string | undefined
  feedback?: 'positive' | 'negative' | undefined
  has_feedback?: boolean | undefined
  /** Any of them. */
  tags?: string[] | undefined
  /** ISO 8601 instants; the end is exclusive. */
  start_date?: string | undefined
  end_date?: string | undefined
}

export interface TagFilter {
  /** Exactly this one. */
  name?: string | undefined
  /** Substring, case-insensitive. */
  query_text?: string | undefined
}

/** A conversation as its prompt is compiled from. */
export interface ConversationContext {
  /** What the model sees, the system message first. */
  context: StoredMessage[]
  /** Messages of the agent that are stored but not in `context`. */
  recall_count: number
  archival: OpenedTurn['archival']
}

export interface TurnStore {
  /** Takes the conversation's lease. Throws `not_found` or `conversation_busy` with `data.run_id`. */
  open(actor: Actor, turn: OpenTurn): Promise<OpenedTurn>
  /**
   * Throws `lease_lost` when another instance took the conversation over. A block that was changed meanwhile, or a
   * label that was taken, refuses the whole step: the caller applies its tools to the present blocks again.
   */
  commit(actor: Actor, step: CommitStep): Promise<{ status: 'committed' } | BlockConflict>
  /** Fails the runs of instances that are gone and frees their conversations. Returns the run ids. */
  recover(): Promise<string[]>
  getRun(actor: Actor, run_id: string): Promise<Run | null>
  listRuns(actor: Actor, filter: RunFilter, page: Page): Promise<Run[]>
  /** Deletes a run and its steps; its messages stay. False when there is none; throws `conflict` while it runs. */
  deleteRun(actor: Actor, run_id: string): Promise<boolean>
  /** Keeps how the call of a run's `callback_url` went. */
  saveCallback(
    actor: Actor,
    run_id: string,
    outcome: Pick<Run, 'callback_sent_at' | 'callback_status_code' | 'callback_error'>,
  ): Promise<void>
  /** Asks whichever process runs it to cancel this run. False when it is not running. */
  requestCancel(actor: Actor, run_id: string): Promise<boolean>
  /** Runs of this process whose cancellation was asked for, by any process and any organisation. */
  cancelRequests(): Promise<string[]>
  listSteps(actor: Actor, filter: StepFilter, page: Page): Promise<Step[]>
  getStep(actor: Actor, step_id: string): Promise<Step | null>
  updateStep(actor: Actor, step_id: string, patch: Pick<Step, 'feedback' | 'tags'>): Promise<Step | null>
  /** Null when there is no such conversation of this agent. */
  getContext(actor: Actor, agent_id: string, conversation_id: string): Promise<ConversationContext | null>
  /** Puts a new text in the conversation's system message, also while a turn runs, which keeps its own. */
  setSystem(actor: Actor, agent_id: string, conversation_id: string, text: string): Promise<void>
  /**
   * Begins the conversation anew: its messages are deleted and `system` is all that is left. Throws `not_found`, and
   * `conversation_busy` with `data.run_id` while a turn runs.
   */
  reset(actor: Actor, agent_id: string, conversation_id: string, system: StoredMessage): Promise<void>
}

export interface EventStore {
  /** Id of the newest event of any organisation; 0 when there is none. */
  lastId(): Promise<number>
  /** Events after this id, oldest first, and then each new one as it is committed by any process. Ends on abort. */
  watch(actor: Actor, after: number, options: { signal: AbortSignal }): AsyncIterable<Event>
}

/** Coarse commands: each method is one transaction of its adapter. */
export interface Store {
  readonly agents: AgentStore
  readonly blocks: BlockStore
  readonly passages: PassageStore
  readonly tools: ToolStore
  readonly messages: MessageStore
  readonly turns: TurnStore
  readonly events: EventStore
  /** Throws `store_unavailable` when the store cannot answer now. */
  ready(): Promise<void>
  /** Releases locks and files. Turns still open are failed by the next instance that looks. */
  close(): Promise<void>
}

/** Everything the agent is given. */
export interface CoreDeps {
  store: Store
  models: Models
  tools: ToolRunner
  clock: Clock
}
