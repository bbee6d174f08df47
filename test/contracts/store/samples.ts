import type { Actor } from '../../../shared/core/ports/actor.ts'
import type { NewAgent } from '../../../shared/core/ports/agent-store.ts'
import type { BuiltinTool } from '../../../shared/core/ports/tools.ts'
import type { CommitStep, FinishRun, OpenedTurn } from '../../../shared/core/ports/turn-store.ts'
import type { CreateBlock } from '../../../shared/schema/block.ts'
import { createBlock } from '../../../shared/schema/block.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { MessageRole, StoredMessage } from '../../../shared/schema/message.ts'
import type { Run, Step } from '../../../shared/schema/run.ts'

/** Two users of two organisations. */
export const ADA: Actor = { user_id: newId('user'), organization_id: newId('org') }
export const EVE: Actor = { user_id: newId('user'), organization_id: newId('org') }

/** An instant, for what must lie in a known order. */
export function at(minute: number): string {
  return new Date(Date.UTC(2026, 0, 1, 12, minute)).toISOString()
}

export function aBlock(label: string, value: string, more: Partial<CreateBlock> = {}): CreateBlock {
  return { ...createBlock.parse({ label, value }), ...more }
}

export function aMessage(
  agent_id: string,
  role: MessageRole,
  text: string,
  more: Partial<StoredMessage> = {},
): StoredMessage {
  return {
    id: newId('message'),
    agent_id,
    conversation_id: agent_id,
    role,
    content: text === '' ? [] : [{ type: 'text', text }],
    name: null,
    otid: null,
    sender_id: null,
    group_id: null,
    step_id: null,
    run_id: null,
    model: null,
    tool_calls: [],
    tool_returns: [],
    is_err: false,
    created_at: at(0),
    ...more,
  }
}

/** An assistant message that calls tools: `call-1`, … */
export function aCall(agent_id: string, ...ids: string[]): StoredMessage {
  return aMessage(agent_id, 'assistant', '', {
    tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'look', arguments: '{}' } })),
  })
}

export function aReturn(agent_id: string, call_id: string, text: string, name = 'look'): StoredMessage {
  return aMessage(agent_id, 'tool', '', {
    tool_returns: [{ tool_call_id: call_id, name, status: 'success', func_response: text }],
  })
}

export function anAgent(
  name: string,
  more: Partial<NewAgent> & { fields?: Partial<NewAgent['agent']> } = {},
): NewAgent {
  const { fields, ...relations } = more
  const id = fields?.id ?? newId('agent')
  return {
    agent: {
      id,
      name,
      system: 'You remember.',
      agent_type: 'letta_v1_agent',
      description: null,
      metadata: null,
      model: 'loci/demo',
      embedding: null,
      llm_config: {
        model: 'demo',
        model_endpoint_type: 'openai',
        context_window: 8000,
        temperature: 1,
        enable_reasoner: true,
        max_reasoning_tokens: 0,
        strict: false,
        return_logprobs: false,
        return_token_ids: false,
      },
      embedding_config: null,
      model_settings: null,
      compaction_settings: null,
      response_format: null,
      tool_rules: [],
      message_buffer_autoclear: false,
      enable_sleeptime: null,
      timezone: 'UTC',
      max_files_open: null,
      per_file_view_window_char_limit: null,
      hidden: null,
      project_id: null,
      template_id: null,
      base_template_id: null,
      deployment_id: null,
      entity_id: null,
      identity_ids: [],
      created_at: at(0),
      updated_at: at(0),
      created_by_id: ADA.user_id,
      last_updated_by_id: ADA.user_id,
      last_run_completion: null,
      last_run_duration_ms: null,
      last_stop_reason: null,
      ...fields,
    },
    tags: [],
    new_blocks: [],
    block_ids: [],
    tool_ids: [],
    system_message: aMessage(id, 'system', 'You remember.'),
    ...relations,
  }
}

export function aRun(agent_id: string, more: Partial<Run> = {}): Run {
  return {
    id: newId('run'),
    agent_id,
    conversation_id: null,
    status: 'created',
    stop_reason: null,
    background: false,
    created_at: at(0),
    completed_at: null,
    metadata: null,
    request_config: { max_steps: 50 },
    base_template_id: null,
    callback_url: null,
    callback_sent_at: null,
    callback_status_code: null,
    callback_error: null,
    ttft_ns: null,
    total_duration_ns: null,
    ...more,
  }
}

export function aStep(run: Run, more: Partial<Step> = {}): Step {
  return {
    id: newId('step'),
    run_id: run.id,
    agent_id: run.agent_id,
    status: 'success',
    stop_reason: null,
    provider_name: 'loci',
    model: 'demo',
    model_handle: 'loci/demo',
    model_endpoint: null,
    context_window_limit: 8000,
    completion_tokens: 1,
    prompt_tokens: 2,
    total_tokens: 3,
    cached_input_tokens: null,
    cache_write_tokens: null,
    reasoning_tokens: null,
    error_type: null,
    error_data: null,
    created_at: at(1),
    ...more,
  }
}

export const DONE: FinishRun = {
  status: 'completed',
  stop_reason: 'end_turn',
  completed_at: at(5),
  ttft_ns: 1_000_000,
  total_duration_ns: 7_000_000,
  metadata: null,
}

/** A commit of this turn that writes nothing yet. */
export function aCommit(opened: OpenedTurn, run: Run, more: Partial<CommitStep> = {}): CommitStep {
  return {
    agent_id: run.agent_id,
    conversation_id: run.conversation_id ?? run.agent_id,
    run_id: run.id,
    epoch: opened.epoch,
    step: null,
    messages: [],
    block_edits: [],
    ...more,
  }
}

export function aBuiltin(name: string, description = `Does ${name}.`): BuiltinTool {
  return {
    name,
    tool_type: 'letta_core',
    tags: ['letta_core'],
    schema: { name, description, parameters: { type: 'object', properties: {}, required: [] } },
    enable_parallel_execution: false,
  }
}

/** The text of a message's parts. */
export function text(message: StoredMessage | undefined): string {
  return (message?.content ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('')
}
