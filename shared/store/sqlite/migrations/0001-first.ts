/**
 * The first schema. A migration is literal SQL and is never edited once released: what it made on somebody's disk
 * must not change with the code that builds queries.
 *
 * Columns hold what is queried, sorted, joined or changed alone; `data` is JSON with the rest of a record.
 * Conversations, messages, runs and steps have no foreign key to `agents`, nor passages to `archives`: a big one is
 * deleted in short transactions, with `deletions` remembering what is still to go. An import is stored in the same way:
 * until it is complete, its agents are in `deletions`.
 */
export const first = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE agents (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT,
  last_updated_by_id TEXT,
  project_id TEXT,
  template_id TEXT,
  base_template_id TEXT,
  hidden INTEGER,
  last_run_completion TEXT,
  last_run_duration_ms INTEGER,
  last_stop_reason TEXT,
  data TEXT NOT NULL
);
CREATE INDEX agents_by_creation ON agents (organization_id, created_at, id);
CREATE INDEX agents_by_name ON agents (organization_id, name);

CREATE TABLE agent_tags (
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  tag TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (agent_id, tag)
) WITHOUT ROWID;
CREATE INDEX agent_tags_by_tag ON agent_tags (organization_id, tag);

CREATE TABLE blocks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL,
  label TEXT,
  value TEXT NOT NULL,
  version INTEGER NOT NULL,
  description TEXT,
  template_name TEXT,
  is_template INTEGER NOT NULL,
  project_id TEXT,
  hidden INTEGER,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT,
  last_updated_by_id TEXT,
  data TEXT NOT NULL
);
CREATE INDEX blocks_by_label ON blocks (organization_id, label);

CREATE TABLE block_tags (
  block_id TEXT NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
  tag TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (block_id, tag)
) WITHOUT ROWID;
CREATE INDEX block_tags_by_tag ON block_tags (organization_id, tag);

CREATE TABLE agents_blocks (
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  block_id TEXT NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  label TEXT,
  PRIMARY KEY (agent_id, block_id)
) WITHOUT ROWID;
CREATE INDEX agents_blocks_by_block ON agents_blocks (block_id);
CREATE UNIQUE INDEX agents_blocks_labels ON agents_blocks (agent_id, label);

CREATE TABLE block_history (
  id INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  block_id TEXT NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  user_id TEXT NOT NULL,
  agent_id TEXT,
  run_id TEXT,
  before TEXT,
  after TEXT NOT NULL,
  changes TEXT,
  created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX block_history_by_block ON block_history (block_id, version);

CREATE TABLE archives (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  name TEXT NOT NULL,
  passage_count INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT,
  last_updated_by_id TEXT,
  deleted_at TEXT,
  data TEXT NOT NULL
);
CREATE INDEX archives_by_creation ON archives (organization_id, created_at, id);

CREATE TABLE archives_agents (
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  archive_id TEXT NOT NULL REFERENCES archives (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (agent_id, archive_id)
) WITHOUT ROWID;
CREATE INDEX archives_agents_by_archive ON archives_agents (archive_id);

CREATE TABLE passages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL,
  archive_id TEXT NOT NULL,
  text TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT,
  last_updated_by_id TEXT,
  data TEXT NOT NULL
);
CREATE INDEX passages_by_archive ON passages (archive_id, created_at, seq);
CREATE INDEX passages_by_number ON passages (archive_id, seq);

CREATE TABLE passage_tags (
  passage_seq INTEGER NOT NULL,
  tag TEXT NOT NULL,
  archive_id TEXT NOT NULL,
  PRIMARY KEY (passage_seq, tag)
) WITHOUT ROWID;
CREATE INDEX passage_tags_by_tag ON passage_tags (archive_id, tag);

CREATE VIRTUAL TABLE passages_fts USING fts5 (
  owner, text, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

CREATE TABLE embeddings (
  owner TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  model TEXT NOT NULL,
  generation INTEGER NOT NULL,
  dim INTEGER,
  done INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0,
  waiting INTEGER NOT NULL DEFAULT 1,
  stale INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  problem TEXT,
  retry_at INTEGER NOT NULL DEFAULT 0,
  claimed_until INTEGER NOT NULL DEFAULT 0,
  claimed_by TEXT
) WITHOUT ROWID;
CREATE INDEX embeddings_waiting ON embeddings (retry_at) WHERE waiting = 1;
CREATE INDEX embeddings_stale ON embeddings (owner) WHERE stale = 1;

CREATE TABLE vectors (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  generation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  bits BLOB NOT NULL,
  vector BLOB NOT NULL
);
CREATE UNIQUE INDEX vectors_by_text ON vectors (owner, seq, generation);
CREATE INDEX vectors_by_owner ON vectors (owner, generation, id);

CREATE TABLE folders (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT,
  last_updated_by_id TEXT,
  data TEXT NOT NULL
);
CREATE UNIQUE INDEX folders_by_name ON folders (organization_id, name);
CREATE INDEX folders_by_creation ON folders (organization_id, created_at, id);

CREATE TABLE files (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  folder_id TEXT NOT NULL,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  status TEXT NOT NULL,
  error_message TEXT,
  type TEXT,
  chunks INTEGER NOT NULL DEFAULT 0,
  lines INTEGER NOT NULL DEFAULT 0,
  characters INTEGER NOT NULL DEFAULT 0,
  instance_id TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  deleted INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT
);
CREATE UNIQUE INDEX files_by_name ON files (folder_id, name) WHERE deleted = 0;
CREATE INDEX files_by_creation ON files (folder_id, created_at, id);
CREATE INDEX files_to_read ON files (created_at, id) WHERE status IN ('pending', 'parsing') AND deleted = 0;
CREATE INDEX files_deleted ON files (id) WHERE deleted = 1;

CREATE TABLE file_texts (
  file_id TEXT NOT NULL,
  first_line INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (file_id, first_line)
);

CREATE TABLE file_passages (
  file_id TEXT NOT NULL,
  passage_seq INTEGER NOT NULL,
  PRIMARY KEY (file_id, passage_seq)
) WITHOUT ROWID;
CREATE INDEX file_passages_by_passage ON file_passages (passage_seq);

CREATE TABLE agents_folders (
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  folder_id TEXT NOT NULL REFERENCES folders (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (agent_id, folder_id)
) WITHOUT ROWID;
CREATE INDEX agents_folders_by_folder ON agents_folders (folder_id);

CREATE TABLE agents_files (
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  file_id TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
  folder_id TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  is_open INTEGER NOT NULL,
  start_line INTEGER,
  end_line INTEGER,
  last_accessed_at TEXT,
  PRIMARY KEY (agent_id, file_id)
) WITHOUT ROWID;
CREATE INDEX agents_files_by_file ON agents_files (file_id);
CREATE INDEX agents_files_open ON agents_files (agent_id) WHERE is_open = 1;

CREATE TABLE tools (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  name TEXT NOT NULL,
  tool_type TEXT NOT NULL,
  project_id TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT,
  last_updated_by_id TEXT,
  data TEXT NOT NULL
);
CREATE UNIQUE INDEX tools_by_name ON tools (organization_id, name);
CREATE INDEX tools_by_creation ON tools (organization_id, created_at, id);

CREATE TABLE agents_tools (
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  tool_id TEXT NOT NULL REFERENCES tools (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (agent_id, tool_id)
) WITHOUT ROWID;
CREATE INDEX agents_tools_by_tool ON agents_tools (tool_id);

CREATE TABLE mcp_servers (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  server_name TEXT NOT NULL,
  config TEXT NOT NULL,
  secret_key TEXT NOT NULL,
  secret BLOB NOT NULL,
  credentials_key TEXT,
  credentials BLOB,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT,
  last_updated_by_id TEXT
);
CREATE UNIQUE INDEX mcp_servers_by_name ON mcp_servers (organization_id, server_name);

CREATE TABLE mcp_tools (
  tool_id TEXT PRIMARY KEY REFERENCES tools (id) ON DELETE CASCADE,
  server_id TEXT NOT NULL REFERENCES mcp_servers (id) ON DELETE CASCADE,
  tool_name TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX mcp_tools_by_name ON mcp_tools (server_id, tool_name);

CREATE TABLE agent_secrets (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  value BLOB NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT,
  last_updated_by_id TEXT
);
CREATE UNIQUE INDEX agent_secrets_by_name ON agent_secrets (agent_id, name);

CREATE TABLE groups (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  manager_type TEXT NOT NULL,
  manager_agent_id TEXT,
  turns_counter INTEGER,
  last_processed_message_id TEXT,
  project_id TEXT,
  hidden INTEGER,
  created_at TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX groups_by_creation ON groups (organization_id, created_at, id);
CREATE INDEX groups_by_manager ON groups (manager_agent_id) WHERE manager_agent_id IS NOT NULL;

CREATE TABLE groups_agents (
  group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (group_id, agent_id)
) WITHOUT ROWID;
CREATE INDEX groups_agents_by_agent ON groups_agents (agent_id);

CREATE TABLE groups_blocks (
  group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
  block_id TEXT NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (group_id, block_id)
) WITHOUT ROWID;
CREATE INDEX groups_blocks_by_block ON groups_blocks (block_id);

CREATE TABLE identities (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  identifier_key TEXT NOT NULL,
  name TEXT NOT NULL,
  identity_type TEXT NOT NULL,
  project_id TEXT,
  properties TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE UNIQUE INDEX identities_by_key ON identities (organization_id, identifier_key, coalesce(project_id, ''));
CREATE INDEX identities_by_creation ON identities (organization_id, created_at, id);

CREATE TABLE identities_agents (
  identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  PRIMARY KEY (identity_id, agent_id)
) WITHOUT ROWID;
CREATE INDEX identities_agents_by_agent ON identities_agents (agent_id);

CREATE TABLE identities_blocks (
  identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
  block_id TEXT NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  PRIMARY KEY (identity_id, block_id)
) WITHOUT ROWID;
CREATE INDEX identities_blocks_by_block ON identities_blocks (block_id);

CREATE TABLE conversations (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  epoch INTEGER NOT NULL DEFAULT 0,
  run_id TEXT,
  instance_id TEXT,
  context_version INTEGER NOT NULL DEFAULT 0,
  context_length INTEGER NOT NULL DEFAULT 0,
  context_end INTEGER NOT NULL DEFAULT 0,
  message_count INTEGER NOT NULL DEFAULT 0,
  updated_at TEXT,
  last_message_at TEXT,
  last_run_completion TEXT,
  summary TEXT,
  hidden INTEGER NOT NULL DEFAULT 0,
  deleted_at TEXT,
  history_start INTEGER NOT NULL DEFAULT 0,
  context_usage TEXT,
  data TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX conversations_by_agent ON conversations (agent_id, created_at, id);
CREATE INDEX conversations_by_creation ON conversations (organization_id, created_at, id) WHERE id <> agent_id;

CREATE TABLE messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  role TEXT NOT NULL,
  run_id TEXT,
  step_id TEXT,
  is_err INTEGER NOT NULL,
  searchable INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX messages_by_agent ON messages (agent_id, seq);
CREATE INDEX messages_by_conversation ON messages (conversation_id, seq);
CREATE INDEX messages_by_run ON messages (run_id) WHERE run_id IS NOT NULL;

CREATE VIRTUAL TABLE messages_fts USING fts5 (
  owner, text, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

-- Segments are merged by store/sqlite/index-upkeep.ts; one of which two fifths are deleted is due.
INSERT INTO messages_fts (messages_fts, rank) VALUES ('automerge', 0);
INSERT INTO messages_fts (messages_fts, rank) VALUES ('crisismerge', 256);
INSERT INTO messages_fts (messages_fts, rank) VALUES ('deletemerge', 40);
INSERT INTO passages_fts (passages_fts, rank) VALUES ('automerge', 0);
INSERT INTO passages_fts (passages_fts, rank) VALUES ('crisismerge', 256);
INSERT INTO passages_fts (passages_fts, rank) VALUES ('deletemerge', 40);

CREATE TABLE context_messages (
  conversation_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  message_seq INTEGER NOT NULL,
  organization_id TEXT NOT NULL,
  PRIMARY KEY (conversation_id, position)
) WITHOUT ROWID;

CREATE TABLE earlier_contexts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  message_seqs TEXT NOT NULL
);
CREATE INDEX earlier_contexts_by_conversation ON earlier_contexts (conversation_id, id);

CREATE TABLE compactions (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  data TEXT NOT NULL,
  evicted TEXT NOT NULL
);
CREATE INDEX compactions_by_agent ON compactions (organization_id, agent_id, created_at, id);

CREATE TABLE conversations_blocks (
  conversation_id TEXT NOT NULL,
  block_id TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  label TEXT NOT NULL,
  detached INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation_id, block_id)
) WITHOUT ROWID;
CREATE INDEX conversations_blocks_by_block ON conversations_blocks (block_id);

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  instance_id TEXT,
  status TEXT NOT NULL,
  stop_reason TEXT,
  background INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  completed_at TEXT,
  ttft_ns INTEGER,
  total_duration_ns INTEGER,
  metadata TEXT,
  stream INTEGER NOT NULL DEFAULT 0,
  resume TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  data TEXT NOT NULL
);
CREATE INDEX runs_by_creation ON runs (organization_id, created_at, id);
CREATE INDEX runs_by_agent ON runs (organization_id, agent_id, created_at, id);
CREATE INDEX runs_active ON runs (instance_id) WHERE status IN ('created', 'running');

CREATE INDEX runs_to_call ON runs (completed_at) WHERE completed_at IS NOT NULL
  AND json_extract(data, '$.callback_url') IS NOT NULL AND json_extract(data, '$.callback_sent_at') IS NULL;
CREATE INDEX runs_streams ON runs (completed_at) WHERE stream IN (1, 3);

CREATE TABLE batches (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  completed_at TEXT,
  created_by_id TEXT NOT NULL,
  callback_url TEXT,
  callback_sent_at TEXT,
  callback_status_code INTEGER,
  callback_error TEXT,
  callback_instance_id TEXT,
  provider_batch INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX batches_by_creation ON batches (organization_id, created_at, id);
CREATE INDEX batches_to_call ON batches (completed_at) WHERE completed_at IS NOT NULL
  AND callback_url IS NOT NULL AND callback_sent_at IS NULL;

CREATE TABLE batch_items (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL,
  batch_id TEXT NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
  agent_id TEXT NOT NULL,
  status TEXT NOT NULL,
  run_id TEXT,
  error TEXT,
  instance_id TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  completed_at TEXT,
  request TEXT,
  provider_batch INTEGER NOT NULL DEFAULT 0,
  local_reason TEXT
);
CREATE INDEX batch_items_of_batch ON batch_items (batch_id, status);
CREATE INDEX batch_items_waiting ON batch_items (seq) WHERE status = 'pending';
CREATE INDEX batch_items_running ON batch_items (agent_id) WHERE status = 'running';

CREATE TABLE provider_calls (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  custom_id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  handle TEXT NOT NULL,
  provider_batch_id TEXT,
  given INTEGER NOT NULL
);
CREATE INDEX provider_calls_by_run ON provider_calls (run_id);
CREATE INDEX provider_calls_by_batch ON provider_calls (provider_batch_id);

CREATE TABLE run_chunks (
  run_id TEXT NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (run_id, first_seq)
) WITHOUT ROWID;

CREATE TABLE run_otids (
  conversation_id TEXT NOT NULL,
  otid TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (conversation_id, otid)
) WITHOUT ROWID;
CREATE INDEX run_otids_by_run ON run_otids (run_id);

CREATE TABLE steps (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX steps_by_creation ON steps (organization_id, created_at, id);
CREATE INDEX steps_by_run ON steps (organization_id, run_id, created_at, id);
CREATE INDEX steps_by_agent ON steps (organization_id, agent_id, created_at, id);

CREATE TABLE usage_hours (
  organization_id TEXT NOT NULL,
  hour INTEGER NOT NULL,
  user_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  model TEXT NOT NULL,
  runs INTEGER NOT NULL,
  steps INTEGER NOT NULL,
  failed_steps INTEGER NOT NULL,
  uncosted_steps INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  total_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost_usd REAL,
  PRIMARY KEY (organization_id, hour, user_id, agent_id, model)
) WITHOUT ROWID;
-- What all organisations used.
CREATE INDEX usage_hours_by_hour ON usage_hours (hour);

CREATE TABLE traces (
  step_id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  day INTEGER NOT NULL,
  base TEXT,
  keep INTEGER NOT NULL,
  added TEXT NOT NULL,
  system BLOB NOT NULL,
  tools BLOB NOT NULL,
  data TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE trace_texts (
  organization_id TEXT NOT NULL,
  hash BLOB NOT NULL,
  day INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (organization_id, hash)
);

CREATE TABLE schedules (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  created_at TEXT NOT NULL,
  next_at TEXT,
  firing_at TEXT,
  instance_id TEXT,
  last_due_at TEXT,
  last_fired_at TEXT,
  last_run_id TEXT,
  last_error TEXT,
  data TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX schedules_by_agent ON schedules (agent_id, created_at, id);
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL AND firing_at IS NULL;
CREATE INDEX schedules_firing ON schedules (instance_id) WHERE firing_at IS NOT NULL;

CREATE TABLE templates (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  created_by_id TEXT NOT NULL,
  latest_version INTEGER NOT NULL,
  base_version INTEGER,
  current TEXT NOT NULL,
  UNIQUE (organization_id, name)
) WITHOUT ROWID;

CREATE TABLE template_versions (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  template_id TEXT NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  message TEXT,
  created_at TEXT NOT NULL,
  content TEXT NOT NULL,
  UNIQUE (template_id, version)
) WITHOUT ROWID;

CREATE TABLE deployments (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  template_id TEXT REFERENCES templates (id) ON DELETE SET NULL,
  agent_id TEXT NOT NULL UNIQUE REFERENCES agents (id) ON DELETE CASCADE,
  version INTEGER,
  memory_variables TEXT NOT NULL,
  created_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX deployments_by_template ON deployments (template_id, created_at, id);

CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id TEXT NOT NULL,
  type TEXT NOT NULL,
  object_id TEXT NOT NULL,
  agent_id TEXT,
  date TEXT NOT NULL
);

CREATE TABLE organizations (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  created_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  limits TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  deleted_at TEXT
) WITHOUT ROWID;
CREATE INDEX users_by_organization ON users (organization_id, created_at, id);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  starts_with TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  last_used_at TEXT,
  revoked_at TEXT
) WITHOUT ROWID;
CREATE INDEX api_keys_by_user ON api_keys (user_id, created_at, id);

CREATE TABLE access_tokens (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  starts_with TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  policy TEXT NOT NULL,
  hostname TEXT NOT NULL,
  origin TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX access_tokens_by_organization ON access_tokens (organization_id, created_at, id);
CREATE INDEX access_tokens_by_origin ON access_tokens (origin, expires_at);

CREATE TABLE request_counts (
  user_id TEXT NOT NULL,
  hour INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (user_id, hour)
) WITHOUT ROWID;

CREATE TABLE instances (
  id TEXT PRIMARY KEY,
  version TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started_at TEXT NOT NULL,
  heartbeat INTEGER NOT NULL,
  heartbeat_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE deletions (
  agent_id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  instance_id TEXT
) WITHOUT ROWID;

CREATE TABLE brought (
  organization_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  here TEXT NOT NULL,
  said TEXT NOT NULL,
  stored TEXT NOT NULL,
  linked TEXT NOT NULL,
  PRIMARY KEY (organization_id, kind, id)
) WITHOUT ROWID;

CREATE TABLE brought_histories (
  conversation_id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  last_message_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX brought_histories_by_agent ON brought_histories (agent_id);

CREATE TABLE agent_files (
  agent_id TEXT PRIMARY KEY REFERENCES agents (id) ON DELETE CASCADE,
  organization_id TEXT NOT NULL,
  data TEXT NOT NULL
);
`
