/** What a Letta V1 server of a test holds: made from numbers when it is asked for, so that 100,000 messages take no room. */
export type Json = Record<string, unknown>

export interface WorldSize {
  agents: number
  /** Of each agent, over all its conversations. */
  messages: number
  /** Of each agent. */
  passages: number
}

const hex = (n: number, digits: number) => n.toString(16).padStart(digits, '0')

/** An id whose numbers can be read back from it. */
export function idOf(prefix: string, owner: number, part: number, index: number): string {
  return `${prefix}-${hex(owner, 8)}-${hex(part, 4)}-4000-8000-${hex(index, 12)}`
}

/** The numbers of such an id; null for any other. */
export function numbersOf(id: string): { owner: number; part: number; index: number } | null {
  const found = /-([0-9a-f]{8})-([0-9a-f]{4})-4000-8000-([0-9a-f]{12})$/.exec(id)
  if (!found) return null
  const [owner = 0, part = 0, index = 0] = found.slice(1).map((text) => Number.parseInt(text, 16))
  return { owner, part, index }
}

const BEGIN = Date.parse('2025-03-01T08:00:00Z')
const at = (seconds: number) => new Date(BEGIN + seconds * 1000).toISOString().replace('.000Z', '+00:00')
const by = { created_by_id: 'user-00000000-0000-4000-8000-000000000000', last_updated_by_id: null }

const LLM = {
  model: 'gpt-4.1',
  display_name: 'gpt-4.1',
  model_endpoint_type: 'openai',
  model_endpoint: 'https://api.openai.com/v1',
  provider_name: 'openai',
  provider_category: 'base',
  model_wrapper: null,
  context_window: 32_000,
  put_inner_thoughts_in_kwargs: false,
  handle: 'openai/gpt-4.1',
  temperature: 0.7,
  max_tokens: 4096,
  enable_reasoner: true,
  reasoning_effort: null,
  max_reasoning_tokens: 0,
  frequency_penalty: null,
  parallel_tool_calls: false,
}
const EMBEDDING = {
  embedding_endpoint_type: 'openai',
  embedding_endpoint: 'https://api.openai.com/v1',
  embedding_model: 'text-embedding-3-small',
  embedding_dim: 1536,
  embedding_chunk_size: 300,
  handle: 'openai/text-embedding-3-small',
  batch_size: 32,
}
const TYPES = ['letta_v1_agent', 'memgpt_v2_agent', 'memgpt_agent'] as const

/** A world of this size; the same each time. Lists are oldest first. */
export class World {
  readonly size: WorldSize
  /** How many more messages each default conversation has by now. */
  extra = 0
  /** What somebody changed there since. */
  readonly changed = new Map<string, Json>()

  constructor(size: WorldSize) {
    this.size = size
  }

  #now<T extends Json>(object: T): T {
    return { ...object, ...this.changed.get(String(object['id'])) }
  }

  get blocks(): Json[] {
    const own = Array.from({ length: this.size.agents }, (_, a) =>
      this.block(a, 'human', `They are number ${a}. ☕`),
    )
    return [this.block(0xffff, 'company', 'Everybody works at the zoo.', { description: 'Shared' }), ...own]
  }

  block(owner: number, label: string, value: string, more: Json = {}): Json {
    return this.#now({
      id: idOf('block', owner, 1, 1),
      label,
      value,
      limit: 5000 + (owner % 100),
      project_id: null,
      template_name: null,
      is_template: false,
      template_id: null,
      base_template_id: null,
      deployment_id: null,
      entity_id: null,
      preserve_on_migration: false,
      read_only: owner % 2 === 1,
      description: null,
      metadata: { owner },
      hidden: null,
      tags: owner % 3 === 0 ? ['zoo', 'bird'] : [],
      ...by,
      ...more,
    })
  }

  get tools(): Json[] {
    const custom = Array.from({ length: 3 }, (_, n) =>
      this.tool(n + 1, `count_birds_${n}`, 'custom', {
        source_code: `def count_birds_${n}(kind: str) -> str:\n    """Count birds.\n\n    Args:\n        kind: Which.\n    """\n    return '${n}'\n`,
        source_type: 'python',
        tags: ['zoo'],
        pip_requirements: n === 1 ? [{ name: 'requests', version: '2.32.0' }] : null,
      }),
    )
    return [
      this.tool(0x100, 'memory_insert', 'letta_memory_core'),
      this.tool(0x101, 'send_message', 'letta_core'),
      ...custom,
      this.tool(0x102, 'search_zoo', 'external_mcp', {
        tags: ['mcp:zoo'],
        source_type: 'json',
        metadata_: { mcp: { server_name: 'zoo', server_id: idOf('mcp_server', 1, 1, 1) } },
      }),
    ]
  }

  tool(owner: number, name: string, tool_type: string, more: Json = {}): Json {
    const parameters = {
      type: 'object',
      properties: { kind: { type: 'string', description: 'Which.' } },
      required: ['kind'],
    }
    return this.#now({
      id: idOf('tool', owner, 2, 1),
      tool_type,
      description: `What ${name} does`,
      source_type: null,
      name,
      tags: [],
      source_code: null,
      json_schema: { name, description: `What ${name} does`, parameters },
      args_json_schema: null,
      return_char_limit: 50_000 - owner,
      pip_requirements: null,
      npm_requirements: null,
      default_requires_approval: null,
      enable_parallel_execution: false,
      metadata_: {},
      project_id: null,
      ...by,
      ...more,
    })
  }

  get servers(): Json[] {
    return [
      {
        id: idOf('mcp_server', 1, 1, 1),
        server_name: 'zoo',
        mcp_server_type: 'streamable_http',
        server_url: 'http://127.0.0.1:9/mcp',
        auth_header: 'Authorization',
        auth_token: 'Bearer of-the-zoo',
        custom_headers: null,
      },
    ]
  }

  get archives(): Json[] {
    return Array.from({ length: this.size.agents }, (_, a) => ({
      id: idOf('archive', a, 3, 1),
      name: `Archive of agent ${a}`,
      description: a % 2 === 0 ? 'Even' : null,
      vector_db_provider: 'native',
      embedding_config: null,
      metadata: null,
      created_at: at(a),
      updated_at: at(a),
      ...by,
    }))
  }

  /** The third agent remembers in the second one's archive, too. */
  archivesOf(a: number): Json[] {
    const ids = a === 2 ? [2, 1] : [a]
    return ids.flatMap((n): Json[] => this.archives.slice(n, n + 1))
  }

  passage(a: number, index: number): Json {
    return {
      id: idOf('passage', a, 4, index),
      text: `Agent ${a} remembers bird ${index}: ${'tweet '.repeat(index % 7)}é`,
      archive_id: idOf('archive', a, 3, 1),
      source_id: null,
      file_id: null,
      file_name: null,
      tags: index % 5 === 0 ? ['bird', `n${index % 3}`] : [],
      metadata: index % 2 === 0 ? { index } : {},
      embedding: null,
      embedding_config: null,
      is_deleted: false,
      created_at: at(1000 + index),
      updated_at: at(1000 + index),
      ...by,
    }
  }

  passagesOf(a: number): Json[] {
    const one = (n: number) => Array.from({ length: this.size.passages }, (_, i) => this.passage(n, i))
    return (a === 2 ? [2, 1] : [a]).flatMap((n) => (n < this.size.agents ? one(n) : []))
  }

  get folders(): Json[] {
    return [0, 1].map((n) => ({
      id: idOf('source', n, 5, 1),
      name: `Folder ${n}`,
      description: null,
      instructions: n === 0 ? 'Read it all' : null,
      metadata: null,
      embedding_config: EMBEDDING,
      created_at: at(n),
      updated_at: at(n),
      ...by,
    }))
  }

  filesOf(n: number, withText = false): Json[] {
    return Array.from({ length: 3 }, (_, i) => ({
      id: idOf('file', n, 6, i),
      source_id: idOf('source', n, 5, 1),
      file_name: `Folder ${n}/notes-${i}.md`,
      original_file_name: `notes-${i}.md`,
      file_path: null,
      file_type: 'text/markdown',
      file_size: 20 + i,
      file_creation_date: null,
      file_last_modified_date: null,
      processing_status: i === 2 ? 'error' : 'completed',
      error_message: i === 2 ? 'It was empty' : null,
      total_chunks: 1,
      chunks_embedded: 1,
      content: withText && i !== 2 ? `# Notes ${n}.${i}\n\n${'The heron stands. '.repeat(30)}` : null,
      created_at: at(i),
      updated_at: at(i),
    }))
  }

  get identities(): Json[] {
    return [
      {
        id: idOf('identity', 1, 7, 1),
        identifier_key: 'ada-1',
        name: 'Ada',
        identity_type: 'user',
        project_id: null,
        agent_ids: [idOf('agent', 0, 0, 0)],
        block_ids: [idOf('block', 0, 1, 1)],
        properties: [{ key: 'age', value: 36, type: 'number' }],
      },
    ]
  }

  get groups(): Json[] {
    if (this.size.agents < 2) return []
    return [
      this.#now({
        id: idOf('group', 1, 8, 1),
        manager_type: 'round_robin',
        agent_ids: [idOf('agent', 0, 0, 0), idOf('agent', 1, 0, 0)],
        description: 'Two keepers',
        project_id: null,
        template_id: null,
        base_template_id: null,
        deployment_id: null,
        shared_block_ids: [],
        manager_agent_id: null,
        termination_token: null,
        max_turns: 3,
        sleeptime_agent_frequency: null,
        turns_counter: null,
        last_processed_message_id: null,
        max_message_buffer_length: null,
        min_message_buffer_length: null,
        hidden: null,
      }),
    ]
  }

  get providers(): Json[] {
    const provider = (name: string, api_key: string | null) => ({
      id: idOf('provider', name.length, 9, 1),
      name,
      provider_type: 'groq',
      provider_category: 'byok',
      api_key,
      base_url: 'http://127.0.0.1:9/v1',
      access_key: null,
      region: null,
      api_version: null,
      updated_at: null,
      last_synced: null,
    })
    return [provider('shown', 'sk-secret-of-the-zoo'), provider('hidden-key', null)]
  }

  /** Conversations beside the default one. */
  conversationsOf(a: number): Json[] {
    if (a % 3 !== 0) return []
    const id = idOf('conv', a, 1, 1)
    const count = this.countIn(a, 1)
    return [
      {
        id,
        agent_id: idOf('agent', a, 0, 0),
        summary: `Second talk of ${a}`,
        in_context_message_ids: [0, ...rangeOf(Math.max(1, count - 6), count)].map((i) =>
          idOf('message', a, 1, i),
        ),
        isolated_block_ids: [],
        model: null,
        model_settings: null,
        last_message_at: at(count),
        created_at: at(5),
        updated_at: at(count),
        ...by,
      },
    ]
  }

  countIn(a: number, part: number): number {
    const second = a % 3 === 0 ? Math.floor(this.size.messages / 4) : 0
    return part === 1 ? second : this.size.messages - second + this.extra
  }

  agent(a: number): Json {
    const count = this.countIn(a, 0)
    const id = idOf('agent', a, 0, 0)
    const blocks = [this.blocks[0], this.blocks[a + 1]]
    const tools = this.tools.filter((_, i) => i === 0 || i === 2 + (a % 3) || (a === 0 && i === 5))
    const agent_type = TYPES[a % TYPES.length]
    return this.#now({
      ...by,
      created_at: at(a),
      updated_at: at(a + 100),
      id,
      name: `Keeper ${a}`,
      tool_rules: a === 1 ? [{ tool_name: 'count_birds_1', type: 'exit_loop', prompt_template: null }] : [],
      message_ids: [0, ...rangeOf(Math.max(1, count - 12), count)].map((i) => idOf('message', a, 0, i)),
      system: `You are keeper ${a}.`,
      agent_type,
      llm_config: LLM,
      embedding_config: EMBEDDING,
      model: 'openai/gpt-4.1',
      embedding: 'openai/text-embedding-3-small',
      model_settings: null,
      compaction_settings: null,
      response_format: null,
      description: `Keeper number ${a}`,
      metadata: { shift: a },
      memory: { blocks, file_blocks: [], agent_type, git_enabled: false, prompt_template: '' },
      blocks,
      tools,
      sources: a === 0 ? this.folders : [],
      tags: [`shift-${a % 2}`, 'keeper'],
      tool_exec_environment_variables: [],
      secrets:
        a === 0
          ? [
              {
                id: idOf('agent-env', a, 1, 1),
                agent_id: id,
                key: 'ZOO_KEY',
                value: 'feed-the-lions',
                description: null,
                ...by,
                created_at: null,
                updated_at: null,
              },
            ]
          : [],
      project_id: null,
      template_id: null,
      base_template_id: null,
      deployment_id: null,
      entity_id: null,
      identity_ids: a === 0 ? [idOf('identity', 1, 7, 1)] : [],
      identities: [],
      pending_approval: null,
      message_buffer_autoclear: false,
      enable_sleeptime: null,
      multi_agent_group: null,
      managed_group: null,
      last_run_completion: at(count),
      last_run_duration_ms: 1234,
      last_stop_reason: 'end_turn',
      timezone: 'Europe/London',
      max_files_open: 7,
      per_file_view_window_char_limit: 12_000,
      hidden: null,
    })
  }

  get agents(): Json[] {
    return Array.from({ length: this.size.agents }, (_, a) => this.agent(a))
  }

  agentFiles(a: number): Json[] {
    if (a !== 0) return []
    const [file] = this.filesOf(0)
    return [
      {
        id: idOf('file_agent', a, 1, 1),
        file_id: file?.['id'],
        file_name: file?.['file_name'],
        folder_id: idOf('source', 0, 5, 1),
        folder_name: 'Folder 0',
        is_open: true,
        last_accessed_at: at(7),
        visible_content: null,
        start_line: null,
        end_line: null,
      },
    ]
  }

  /** The API messages of the stored message with this number, in the order in which they are shown. */
  message(a: number, part: number, index: number): Json[] {
    const id = idOf('message', a, part, index)
    const turn = Math.floor((index - 1) / 4)
    const runs =
      index === 0 || index % 4 === 1
        ? { run_id: null, step_id: null }
        : { run_id: idOf('run', a, part, turn), step_id: idOf('step', a, part, turn) }
    const common = (n: number) => ({
      id,
      date: at(10 * a + 20 * index + 7 * part),
      name: null,
      otid: `${id.slice('message-'.length, -2)}${hex(n, 2)}`,
      sender_id: null,
      is_err: index % 97 === 3 ? true : null,
      seq_id: null,
      ...runs,
    })
    const call = {
      name: 'count_birds_0',
      arguments: `{"kind": "owl ${index}"}`,
      tool_call_id: `call_${a}_${part}_${index - ((index - 1) % 4)}`,
    }
    if (index === 0)
      return [
        { ...common(0), message_type: 'system_message', content: `You are keeper ${a}.\n<memory_blocks>…` },
      ]
    switch (index % 4) {
      case 1:
        return index % 40 === 1
          ? [
              {
                ...common(0),
                message_type: 'user_message',
                name: 'Visitor',
                content: [
                  { type: 'text', text: `Look ${index}` },
                  {
                    type: 'image',
                    source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=', detail: null },
                  },
                ],
              },
            ]
          : [
              {
                ...common(0),
                message_type: 'user_message',
                content: `How many owls are there? ${index} "ñ"\n`,
              },
            ]
      case 2:
        return [
          {
            ...common(0),
            message_type: 'reasoning_message',
            source: 'reasoner_model',
            reasoning: `Count ${index}`,
            signature: 'sig',
          },
          { ...common(1), message_type: 'tool_call_message', tool_call: call, tool_calls: [call] },
        ]
      case 3:
        return [
          {
            ...common(0),
            message_type: 'tool_return_message',
            name: 'count_birds_0',
            tool_return: `${index} owls`,
            status: index % 8 === 3 ? 'error' : 'success',
            tool_call_id: call.tool_call_id,
            stdout: index % 16 === 3 ? ['counting'] : null,
            stderr: null,
            tool_returns: [
              {
                type: 'tool',
                tool_call_id: call.tool_call_id,
                tool_return: `${index} owls`,
                status: index % 8 === 3 ? 'error' : 'success',
                stdout: index % 16 === 3 ? ['counting'] : null,
                stderr: null,
              },
            ],
          },
        ]
      default:
        return [{ ...common(0), message_type: 'assistant_message', content: `There are ${index} owls.` }]
    }
  }

  runsOf(a: number): Json[] {
    return [0, 1].flatMap((part) =>
      rangeOf(0, Math.floor((this.countIn(a, part) - 1) / 4)).map((turn) => ({
        id: idOf('run', a, part, turn),
        status: 'completed',
        created_at: at(10 * a + 80 * turn + 7 * part),
        completed_at: at(10 * a + 80 * turn + 60),
        agent_id: idOf('agent', a, 0, 0),
        conversation_id: part === 0 ? null : idOf('conv', a, 1, 1),
        base_template_id: null,
        background: false,
        metadata: { turn },
        request_config: null,
        stop_reason: 'end_turn',
        callback_url: null,
        callback_sent_at: null,
        callback_status_code: null,
        callback_error: null,
        ttft_ns: 1_000_000 + turn,
        total_duration_ns: 2_000_000 + turn,
      })),
    )
  }

  stepsOf(a: number): Json[] {
    return this.runsOf(a).map((run, i) => ({
      id: String(run['id']).replace('run-', 'step-'),
      origin: null,
      provider_id: null,
      run_id: run['id'],
      agent_id: run['agent_id'],
      provider_name: 'openai',
      provider_category: 'base',
      model: 'gpt-4.1',
      model_handle: 'openai/gpt-4.1',
      model_endpoint: null,
      context_window_limit: 32_000,
      completion_tokens: 10 + i,
      prompt_tokens: 100 + i,
      total_tokens: 110 + 2 * i,
      cached_input_tokens: null,
      cache_write_tokens: null,
      reasoning_tokens: null,
      completion_tokens_details: null,
      prompt_tokens_details: null,
      stop_reason: 'end_turn',
      tags: [],
      tid: null,
      trace_id: null,
      request_id: null,
      messages: [],
      feedback: i % 5 === 0 ? 'positive' : null,
      project_id: null,
      error_type: null,
      error_data: null,
      status: 'success',
    }))
  }
}

function rangeOf(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
}
