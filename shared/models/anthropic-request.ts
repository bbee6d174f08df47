import type { Anthropic } from '@anthropic-ai/sdk'
import type { ModelRequest } from '../core/ports/models.ts'
import type { ToolSchema } from '../schema/tool.ts'
import type { Model } from '../schema/model.ts'
import { toAnthropicMessages } from './anthropic-messages.ts'
import { anthropicThinking } from './known-models.ts'
import { closedSchema } from './strict-schema.ts'

const MARK = { type: 'ephemeral' } as const

/** What the API must be told, where nothing is known of the model (V1's default). */
const DEFAULT_MAX_TOKENS = 4096

/** The least that a model may be given to think (and V1's default). */
const MIN_BUDGET = 1024

/**
 * The body of a request for a message. Four places are marked for the prompt cache: the tools, the system prompt, the
 * end of the conversation, and where its end was one step before. Equal conversations give equal text, key for key; a
 * longer one differs only in what was added and in where the marks are, which are no part of what is cached.
 */
export function toMessageBody(
  request: ModelRequest,
  model: Model,
  stream: boolean,
): Anthropic.MessageCreateParams {
  const { settings } = request
  const { system, messages } = toAnthropicMessages(request.messages, model)
  const thinking = thinkingOf(request, model, messages)
  const asked = settings.max_tokens ?? model.max_tokens ?? DEFAULT_MAX_TOKENS
  // The budget is a part of it, and there must be room for an answer.
  const max_tokens =
    thinking?.type === 'enabled' && asked <= thinking.budget_tokens ? asked + thinking.budget_tokens : asked
  const body: Anthropic.MessageCreateParamsNonStreaming = {
    model: model.name,
    max_tokens,
    messages: marked(messages),
  }
  if (system.length > 0) {
    body.system = system.map((text, i) => ({
      type: 'text',
      text,
      ...(i === system.length - 1 ? { cache_control: MARK } : {}),
    }))
  }
  if (request.tools.length > 0) {
    body.tools = request.tools.map((tool, i) =>
      toTool(tool, settings.strict === true, i === request.tools.length - 1),
    )
    const choice = toolChoice(request)
    if (choice) body.tool_choice = choice
  }
  if (thinking) body.thinking = thinking
  // One is the default, all that thinking allows, and all that the newest models take.
  else if (settings.temperature !== 1 && anthropicThinking(model.name) !== 'adaptive')
    body.temperature = Math.min(1, Math.max(0, settings.temperature))
  const output = outputOf(request)
  if (output) body.output_config = output
  return stream ? { ...body, stream: true } : body
}

/**
 * Off where the settings say so, where a tool must be called (the API refuses both together), and in the middle of a
 * tool turn that began without it.
 */
function thinkingOf(
  request: ModelRequest,
  model: Model,
  messages: Anthropic.MessageParam[],
): Anthropic.ThinkingConfigEnabled | Anthropic.ThinkingConfigAdaptive | null {
  const kind = anthropicThinking(model.name)
  const { enable_reasoner, max_reasoning_tokens } = request.settings
  if (kind === 'none' || enable_reasoner === false) return null
  const choice = request.tool_choice
  if (request.tools.length > 0 && (choice === 'required' || typeof choice === 'object')) return null
  // Thoughts are shown as V1 shows them, where the model's own default is to keep them back.
  if (kind === 'adaptive') return { type: 'adaptive', display: 'summarized' }
  if (beganWithoutThinking(messages)) return null
  return { type: 'enabled', budget_tokens: Math.max(MIN_BUDGET, max_reasoning_tokens ?? 0) }
}

function beganWithoutThinking(messages: Anthropic.MessageParam[]): boolean {
  const results = messages.at(-1)?.content
  const called = messages.at(-2)?.content
  if (!Array.isArray(results) || !Array.isArray(called)) return false
  if (!results.some((block) => block.type === 'tool_result')) return false
  return called[0]?.type !== 'thinking' && called[0]?.type !== 'redacted_thinking'
}

/** The end of the conversation and the end of the user message before it, where the last request ended. */
function marked(messages: Anthropic.MessageParam[]): Anthropic.MessageParam[] {
  const users = messages.flatMap((message, i) => (message.role === 'user' ? [i] : [])).slice(-2)
  return messages.map((message, i) => {
    if (!users.includes(i) || !Array.isArray(message.content)) return message
    const last = message.content.length - 1
    const content = message.content.map((block, at) =>
      at === last ? { ...block, cache_control: MARK } : block,
    )
    return { role: message.role, content }
  })
}

function toTool(tool: ToolSchema, strict: boolean, last: boolean): Anthropic.Tool {
  const closed = strict ? closedSchema(tool.parameters) : null
  return {
    name: tool.name,
    description: tool.description,
    input_schema: (closed ?? tool.parameters) as Anthropic.Tool.InputSchema,
    ...(closed ? { strict: true } : {}),
    ...(last ? { cache_control: MARK } : {}),
  }
}

function toolChoice(request: ModelRequest): Anthropic.ToolChoice | null {
  const one = request.parallel_tool_calls ? {} : { disable_parallel_tool_use: true }
  switch (request.tool_choice) {
    case 'auto':
      return request.parallel_tool_calls ? null : { type: 'auto', ...one }
    case 'required':
      return { type: 'any', ...one }
    case 'none':
      return { type: 'none' }
    default:
      return { type: 'tool', name: request.tool_choice.name, ...one }
  }
}

function outputOf({ settings }: ModelRequest): Anthropic.OutputConfig | null {
  const output: Anthropic.OutputConfig = {}
  if (settings.effort != null) output.effort = settings.effort
  const format = settings.response_format
  if (format?.type === 'json_schema') {
    const schema = format.json_schema.schema ?? format.json_schema
    output.format = { type: 'json_schema', schema: schema as Record<string, unknown> }
  }
  return Object.keys(output).length > 0 ? output : null
}
