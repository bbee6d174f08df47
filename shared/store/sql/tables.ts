import type { Generated } from 'kysely'

/** The rows of `loci.db` as the newest migration leaves them; JSON columns are text, flags 0 or 1, times ISO 8601. */
export interface Tables {
  meta: { key: string; value: string }
  agents: AgentRow
  agent_tags: { agent_id: string; tag: string; organization_id: string; position: number }
  blocks: BlockRow
  block_tags: { block_id: string; tag: string; organization_id: string; position: number }
  agents_blocks: {
    agent_id: string
    block_id: string
    organization_id: string
    position: number
    label: string | null
  }
  block_history: {
    id: Generated<number>
    organization_id: string
    block_id: string
    version: number
    user_id: string
    agent_id: string | null
    run_id: string | null
    /** The value; null in the row of the creation. */
    before: string | null
    after: string
    /** The other fields that changed, as JSON; null when there is none. */
    changes: string | null
    created_at: string
  }
  archives: ArchiveRow
  archives_agents: { agent_id: string; archive_id: string; organization_id: string; position: number }
  passages: PassageRow
  passage_tags: { passage_seq: number; tag: string; archive_id: string }
  /** Full text; `rowid` is the passage's `seq`. */
  passages_fts: { rowid: number; owner: string; text: string }
  /** What is embedded for an owner (an archive), and how far it is; see embeddings.ts. */
  embeddings: EmbeddingRow
  /** Unit vectors of an owner's texts as float32, and their signs; `seq` is the text's. */
  vectors: {
    id: Generated<number>
    owner: string
    generation: number
    seq: number
    bits: Uint8Array
    vector: Uint8Array
  }
  folders: FolderRow
  files: FileRow
  /** The text of a file in parts of whole lines; lines count from 0. */
  file_texts: { file_id: string; first_line: number; text: string }
  /** The passages of a file; their archive is its folder. */
  file_passages: { file_id: string; passage_seq: number }
  agents_folders: { agent_id: string; folder_id: string; organization_id: string; position: number }
  agents_files: AgentFileRow
  tools: ToolRow
  mcp_servers: McpServerRow
  /** Which server a tool is of, and what it is called there. */
  mcp_tools: { tool_id: string; server_id: string; tool_name: string }
  agents_tools: { agent_id: string; tool_id: string; organization_id: string; position: number }
  agent_secrets: AgentSecretRow
  organizations: OrganizationRow
  users: UserRow
  api_keys: ApiKeyRow
  access_tokens: AccessTokenRow
  request_counts: RequestCountRow
  identities: IdentityRow
  identities_agents: { identity_id: string; agent_id: string; organization_id: string }
  identities_blocks: { identity_id: string; block_id: string; organization_id: string }
  groups: GroupRow
  groups_agents: { group_id: string; agent_id: string; organization_id: string; position: number }
  groups_blocks: { group_id: string; block_id: string; organization_id: string; position: number }
  conversations: {
    id: string
    organization_id: string
    agent_id: string
    created_at: string
    /** Grows with each lease; a write with an older one is refused. */
    epoch: Generated<number>
    /** The turn that holds the conversation, and its process; null when it is free. */
    run_id: string | null
    instance_id: string | null
    /** The newest turn, and a digest of the request that began it; null when that cannot be repeated. */
    last_run_id: string | null
    last_request: string | null
    /** Grows with each change of the context; validates the cache of parsed messages. */
    context_version: Generated<number>
    context_length: Generated<number>
    /** Position of the next context message; positions only grow. */
    context_end: Generated<number>
    message_count: Generated<number>
    /** Null where nothing but turns has changed it. */
    updated_at: string | null
    last_message_at: string | null
    last_run_completion: string | null
    summary: string | null
    hidden: Generated<number>
    /** A conversation that was deleted keeps its messages and runs. */
    deleted_at: string | null
    /** Messages up to this one belong to forks alone: the conversation was reset since. */
    history_start: Generated<number>
    /** How large the context is, as JSON: see compactions.ts. */
    context_usage: string | null
    /** `ConversationData` of conversation-rows.ts. */
    data: Generated<string>
  }
  messages: MessageRow
  /** Full text; `rowid` is the message's `seq`. */
  messages_fts: { rowid: number; owner: string; text: string }
  context_messages: {
    conversation_id: string
    position: number
    message_seq: number
    organization_id: string
  }
  /** Contexts that were cut or compacted, so that a rewind finds them again: a JSON list of message numbers. */
  earlier_contexts: {
    id: Generated<number>
    organization_id: string
    conversation_id: string
    created_at: string
    message_seqs: string
  }
  /** The record of each compaction: `data` without the ids of the messages that went, which are in `evicted`. */
  compactions: {
    id: string
    organization_id: string
    agent_id: string
    conversation_id: string
    created_at: string
    data: string
    evicted: string
  }
  /** Blocks that a conversation has instead of its agent's blocks of these labels. */
  conversations_blocks: {
    conversation_id: string
    block_id: string
    organization_id: string
    position: number
    /** The label of the agent's block that it stands for, whatever its own is now. */
    label: string
    /** Taken away in this conversation, or deleted: the conversation has no block of this label then. */
    detached: Generated<number>
  }
  traces: TraceRow
  /** System messages and lists of tools that traces name; `hash` is the beginning of a SHA-256. */
  trace_texts: { organization_id: string; hash: Uint8Array; day: number; text: string }
  runs: RunRow
  batches: BatchRow
  batch_items: BatchItemRow
  provider_calls: ProviderCallRow
  steps: StepRow
  /** What the steps of an hour used, of each user with each agent and model; it outlives all of them. */
  usage_hours: UsageHourRow
  /** The streams of background runs, some chunks a row. */
  run_chunks: { run_id: string; first_seq: number; last_seq: number; text: string }
  /** The newest run whose input had this id of its client. */
  run_otids: { conversation_id: string; otid: string; run_id: string }
  schedules: ScheduleRow
  templates: TemplateRow
  template_versions: TemplateVersionRow
  deployments: DeploymentRow
  events: {
    id: Generated<number>
    organization_id: string
    type: string
    object_id: string
    agent_id: string | null
    date: string
  }
  instances: {
    id: string
    version: string
    pid: number
    started_at: string
    heartbeat: number
    heartbeat_at: string
  }
  /** Agents whose rows are to go; with an instance, those that it is importing, which go when it dies. */
  /** What was brought from another server; `linked` is a JSON list of ids. */
  brought: {
    organization_id: string
    kind: string
    id: string
    here: string
    said: string
    stored: string
    linked: string
  }
  /** How far the messages of conversations at another server have come. */
  brought_histories: {
    conversation_id: string
    organization_id: string
    agent_id: string
    last_message_id: string
  }
  deletions: { agent_id: string; organization_id: string; instance_id: Generated<string | null> }
  /** What the file that an agent was imported from said and Loci has no field for: `Kept` of core/agent-files. */
  agent_files: { agent_id: string; organization_id: string; data: string }
}

export interface AgentRow {
  id: string
  organization_id: string
  name: string
  created_at: string
  updated_at: string
  created_by_id: string | null
  last_updated_by_id: string | null
  project_id: string | null
  template_id: string | null
  base_template_id: string | null
  hidden: number | null
  last_run_completion: string | null
  last_run_duration_ms: number | null
  last_stop_reason: string | null
  data: string
}

export interface IdentityRow {
  id: string
  organization_id: string
  identifier_key: string
  name: string
  identity_type: string
  project_id: string | null
  properties: string
  created_at: string
  updated_at: string
}

export interface ScheduleRow {
  id: string
  organization_id: string
  /** Who made it: its turns are theirs. */
  user_id: string
  agent_id: string
  created_at: string
  /** When it fires next; null when it never does again. */
  next_at: string | null
  /** When it was due that it fires for now, until its run has begun, and the process that sees to it. */
  firing_at: string | null
  instance_id: string | null
  /** The last firing: when it was due, when it fired, and its run, or why there is none. */
  last_due_at: string | null
  last_fired_at: string | null
  last_run_id: string | null
  last_error: string | null
  /** `ScheduleData` of schedules.ts. */
  data: string
}

export interface TemplateRow {
  id: string
  organization_id: string
  name: string
  description: string | null
  created_at: string
  updated_at: string
  created_by_id: string
  latest_version: number
  /** The saved version that `current` is; null when it has changed since. */
  base_version: number | null
  /** `TemplateContent` as JSON. */
  current: string
}

export interface TemplateVersionRow {
  id: string
  organization_id: string
  template_id: string
  version: number
  message: string | null
  created_at: string
  /** `TemplateContent` as JSON. */
  content: string
}

/** An agent of a template. */
export interface DeploymentRow {
  id: string
  organization_id: string
  template_id: string | null
  agent_id: string
  version: number | null
  /** Names and values as JSON. */
  memory_variables: string
  created_at: string
}

export interface GroupRow {
  id: string
  organization_id: string
  manager_type: string
  manager_agent_id: string | null
  turns_counter: number | null
  last_processed_message_id: string | null
  project_id: string | null
  hidden: number | null
  created_at: string
  data: string
}

export interface BlockRow {
  seq: Generated<number>
  id: string
  organization_id: string
  label: string | null
  value: string
  version: number
  description: string | null
  template_name: string | null
  is_template: number
  project_id: string | null
  hidden: number | null
  created_at: string
  updated_at: string
  created_by_id: string | null
  last_updated_by_id: string | null
  data: string
}

export interface ArchiveRow {
  id: string
  organization_id: string
  name: string
  passage_count: Generated<number>
  created_at: string
  updated_at: string
  created_by_id: string | null
  last_updated_by_id: string | null
  /** It is gone; its passages are being deleted. */
  deleted_at: string | null
  /** `ArchiveData` of archives.ts. */
  data: string
}

export interface EmbeddingRow {
  owner: string
  organization_id: string
  /** Handle of the embedding model. */
  model: string
  /** Grows when the model changes: vectors of older generations are of another model. */
  generation: number
  /** Numbers a vector has, from the first answer on. */
  dim: number | null
  /** The number of the last text that has been looked at. */
  done: Generated<number>
  /** Texts up to `done` that the provider refused: they have no vector. */
  refused: Generated<number>
  /** There may be texts behind `done`. */
  waiting: Generated<number>
  /** There may be vectors of older generations. */
  stale: Generated<number>
  /** Tries that failed since the last that did not, why the last one did, and when the next one is due. */
  failures: Generated<number>
  problem: string | null
  retry_at: Generated<number>
  /** A process works on it, until then or until it is gone. */
  claimed_until: Generated<number>
  claimed_by: string | null
}

export interface PassageRow {
  seq: Generated<number>
  id: string
  organization_id: string
  archive_id: string
  text: string
  created_at: string
  updated_at: string
  created_by_id: string | null
  last_updated_by_id: string | null
  data: string
}

export interface FolderRow {
  id: string
  organization_id: string
  name: string
  created_at: string
  updated_at: string
  created_by_id: string | null
  last_updated_by_id: string | null
  data: string
}

export interface FileRow {
  id: string
  organization_id: string
  folder_id: string
  name: string
  /** Bytes of the upload. */
  size: number
  status: string
  error_message: string | null
  type: string | null
  chunks: Generated<number>
  lines: Generated<number>
  characters: Generated<number>
  /** The process that reads it. */
  instance_id: string | null
  attempts: Generated<number>
  /** Gone for everybody; what is left of it is being removed. */
  deleted: Generated<number>
  created_at: string
  updated_at: string
  created_by_id: string | null
}

/** What an agent has made of a file: most files of its folders have none. */
export interface AgentFileRow {
  agent_id: string
  file_id: string
  folder_id: string
  organization_id: string
  is_open: number
  /** Lines from 0; the end is excluded, null is that of the file. */
  start_line: number | null
  end_line: number | null
  last_accessed_at: string | null
}

export interface ToolRow {
  id: string
  organization_id: string
  name: string
  tool_type: string
  project_id: string | null
  created_at: string
  updated_at: string
  created_by_id: string | null
  last_updated_by_id: string | null
  data: string
}

export interface AgentSecretRow {
  id: string
  organization_id: string
  agent_id: string
  name: string
  position: number
  /** `Sealed` of secret-box.ts. */
  key_id: string
  value: Uint8Array
  created_at: string
  updated_at: string
  created_by_id: string | null
  last_updated_by_id: string | null
}

export interface McpServerRow {
  id: string
  organization_id: string
  server_name: string
  /** `McpServerConfig` as JSON, but for what can be secret: that is in `secret`, encrypted. */
  config: string
  secret_key: string
  secret: Uint8Array
  /** What the user's consent has given, encrypted. */
  credentials_key: string | null
  credentials: Uint8Array | null
  created_at: string
  updated_at: string
  created_by_id: string | null
  last_updated_by_id: string | null
}

export interface MessageRow {
  seq: Generated<number>
  id: string
  organization_id: string
  agent_id: string
  conversation_id: string
  role: string
  run_id: string | null
  step_id: string | null
  is_err: number
  searchable: number
  created_at: string
  data: string
}

/** Requests that were sent together; `completed_at` is set once each of them has ended. */
export interface BatchRow {
  id: string
  organization_id: string
  status: string
  created_at: string
  updated_at: string
  completed_at: string | null
  created_by_id: string
  callback_url: string | null
  callback_sent_at: string | null
  callback_status_code: number | null
  callback_error: string | null
  /** Which process calls back, or has. */
  callback_instance_id: string | null
  /** 1: model calls go through batches of the providers. */
  provider_batch: number
}

/** One request of a batch. `request` and `instance_id` are null once it has ended. */
export interface BatchItemRow {
  seq: Generated<number>
  id: string
  organization_id: string
  batch_id: string
  agent_id: string
  status: string
  run_id: string | null
  error: string | null
  instance_id: string | null
  /** Claims that have begun no run. */
  attempts: number
  created_at: string
  completed_at: string | null
  request: string | null
  /** As its batch has it. */
  provider_batch: number
  /** Why its model is asked itself after all. */
  local_reason: string | null
}

/** A model call of a run that is, or is being, sent in a batch of its provider. */
export interface ProviderCallRow {
  seq: Generated<number>
  custom_id: string
  organization_id: string
  run_id: string
  request_hash: string
  handle: string
  /** Null until the provider has taken it. */
  provider_batch_id: string | null
  /** 1: its turn has the answer. */
  given: number
}

export interface RunRow {
  id: string
  organization_id: string
  agent_id: string
  conversation_id: string
  instance_id: string | null
  status: string
  stop_reason: string | null
  background: number
  created_at: string
  completed_at: string | null
  ttft_ns: number | null
  total_duration_ns: number | null
  metadata: string | null
  /** Its stream: 0 not stored, 1 stored, 2 no longer, 3 stored but for its oldest chunks. */
  stream: number
  /** What another process needs to go on with it, as JSON; null when it is to be failed. */
  resume: string | null
  /** How often it was taken over since its last committed step. */
  attempts: number
  data: string
}

export interface StepRow {
  id: string
  organization_id: string
  run_id: string
  agent_id: string
  created_at: string
  data: string
}

export interface TraceRow {
  step_id: string
  organization_id: string
  /** Days since 1970. */
  day: number
  /** The step before it in its chain; null at the beginning. */
  base: string | null
  /** The context is this many messages of the base's, then the messages of `added`: ids without prefix, with spaces. */
  keep: number
  added: string
  /** Hashes of texts. */
  system: Uint8Array
  tools: Uint8Array
  /** Settings, view, model and response as JSON; empty when they were deleted. */
  data: string
}

export interface OrganizationRow {
  id: string
  name: string
  created_at: string
}

export interface UserRow {
  id: string
  organization_id: string
  name: string
  role: string
  /** `Partial<UserLimits>` as JSON. */
  limits: string
  created_at: string
  updated_at: string
  deleted_at: string | null
}

export interface ApiKeyRow {
  id: string
  organization_id: string
  user_id: string
  name: string
  starts_with: string
  /** SHA-256 of its text. */
  hash: Uint8Array
  created_at: string
  expires_at: string | null
  last_used_at: string | null
  revoked_at: string | null
}

export interface AccessTokenRow {
  id: string
  organization_id: string
  user_id: string
  starts_with: string
  /** SHA-256 of its text. */
  hash: Uint8Array
  /** `AgentAccess[]` as JSON. */
  policy: string
  hostname: string
  origin: string
  created_at: string
  expires_at: string
}

export interface UsageHourRow {
  organization_id: string
  /** Hours since 1970. */
  hour: number
  user_id: string
  agent_id: string
  model: string
  /** Runs that began in this hour, each with its first step. */
  runs: number
  steps: number
  failed_steps: number
  /** Steps that may have cost something nobody knows. */
  uncosted_steps: number
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  cached_input_tokens: number
  cache_write_tokens: number
  reasoning_tokens: number
  /** Of those whose price is known; null when none is. */
  cost_usd: number | null
}

export interface RequestCountRow {
  user_id: string
  /** Hours since 1970. */
  hour: number
  count: number
}
