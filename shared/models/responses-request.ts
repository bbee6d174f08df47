import type { OpenAI } from 'openai'
import type { ModelMessage, ModelRequest } from '../core/ports/models.ts'
import type { ContentPart } from '../schema/message.ts'
import type { Model } from '../schema/model.ts'
import { isOpenAiReasoner } from './known-models.ts'
import { ownContent } from './own-reasoning.ts'
import { pairCalls } from './paired-calls.ts'
import { parseThoughtKey } from './responses-thoughts.ts'
import { closedSchema } from './strict-schema.ts'

type Body = OpenAI.Responses.ResponseCreateParamsNonStreaming
type Item = OpenAI.Responses.ResponseInputItem
type Shown = OpenAI.Responses.ResponseInputText | OpenAI.Responses.ResponseInputImage

/**
 * The body of a request for a response. Nothing is stored at the provider: its thoughts come encrypted and go back with
 * the conversation. Equal requests give equal text, key for key, for the provider's prefix cache.
 */
export function toResponseBody(
  request: ModelRequest,
  model: Model,
  { stream, may_stream = true, summary = true }: { stream: boolean; may_stream?: boolean; summary?: boolean },
): OpenAI.Responses.ResponseCreateParams {
  const { settings } = request
  const reasons = isOpenAiReasoner(model.name) || settings.reasoning_effort != null
  const body: Body = {
    model: model.name,
    input: pairCalls(request.messages).flatMap((message) => toItems(message, model)),
    store: false,
  }
  if (request.tools.length > 0) {
    body.tools = request.tools.map(({ name, description, parameters }) => {
      const closed = settings.strict ? closedSchema(parameters, { all_required: true }) : null
      return {
        type: 'function',
        name,
        description,
        parameters: closed ?? { ...parameters },
        strict: closed !== null,
      }
    })
    const choice = request.tool_choice
    if (typeof choice === 'object') body.tool_choice = { type: 'function', name: choice.name }
    else if (choice !== 'auto') body.tool_choice = choice
    body.parallel_tool_calls = request.parallel_tool_calls
  }
  const include: OpenAI.Responses.ResponseIncludable[] = []
  if (reasons) {
    body.reasoning = {
      ...(settings.reasoning_effort == null ? {} : { effort: settings.reasoning_effort }),
      ...(settings.enable_reasoner === false || !summary ? {} : { summary: 'auto' }),
    }
    include.push('reasoning.encrypted_content')
  } else if (settings.temperature !== 1) body.temperature = settings.temperature
  if (settings.max_tokens != null) body.max_output_tokens = settings.max_tokens
  const text = textOf(request)
  if (text) body.text = text
  if (request.logprobs && !reasons) {
    include.push('message.output_text.logprobs')
    if (request.logprobs.top !== null) body.top_logprobs = request.logprobs.top
  }
  if (include.length > 0) body.include = include
  return stream && may_stream ? { ...body, stream: true } : body
}

function toItems(message: ModelMessage, model: Model): Item[] {
  switch (message.role) {
    case 'system':
      return [{ type: 'message', role: 'developer', content: [{ type: 'input_text', text: message.text }] }]
    case 'user':
      return [{ type: 'message', role: 'user', content: message.content.flatMap(toShown) }]
    case 'assistant':
      return answerItems(message, model)
    case 'tool': {
      const { content, tool_call_id } = message
      const output = typeof content === 'string' ? content : content.flatMap(toShown)
      return [{ type: 'function_call_output', call_id: tool_call_id, output }]
    }
  }
}

/** A thought goes back only together with what it led to. */
function answerItems(message: ModelMessage & { role: 'assistant' }, model: Model): Item[] {
  const said = ownContent(message, model).flatMap((part): Item[] => {
    if (part.type === 'text')
      return part.text === '' ? [] : [{ type: 'message', role: 'assistant', content: part.text }]
    if (part.type !== 'reasoning' && part.type !== 'omitted_reasoning') return []
    const key = parseThoughtKey(part.signature)
    if (!key) return []
    const summary: OpenAI.Responses.ResponseReasoningItem['summary'] =
      part.type === 'reasoning' ? [{ type: 'summary_text', text: part.reasoning }] : []
    return [{ type: 'reasoning', id: key.id, summary, encrypted_content: key.encrypted_content }]
  })
  const calls = message.tool_calls.map((call): Item => ({
    type: 'function_call',
    call_id: call.id,
    name: call.name,
    arguments: call.arguments === '' ? '{}' : call.arguments,
  }))
  const items = [...said, ...calls]
  return items.at(-1)?.type === 'reasoning' ? items.filter((item) => item.type !== 'reasoning') : items
}

function toShown(part: ContentPart): Shown[] {
  if (part.type === 'text') return [{ type: 'input_text', text: part.text }]
  if (part.type !== 'image') return []
  const { source } = part
  if (source.type === 'url') return [{ type: 'input_image', image_url: source.url, detail: 'auto' }]
  if (source.data == null)
    return [{ type: 'input_text', text: `[image ${'file_id' in source ? source.file_id : ''}]` }]
  const detail = DETAILS.find((known) => known === source.detail) ?? 'auto'
  return [
    {
      type: 'input_image',
      image_url: `data:${source.media_type ?? 'image/png'};base64,${source.data}`,
      detail,
    },
  ]
}

const DETAILS = ['low', 'high', 'auto'] as const

function textOf({ settings }: ModelRequest): OpenAI.Responses.ResponseTextConfig | null {
  const text: OpenAI.Responses.ResponseTextConfig = {}
  if (settings.verbosity != null) text.verbosity = settings.verbosity
  const format = settings.response_format
  if (format?.type === 'json_object') text.format = { type: 'json_object' }
  if (format?.type === 'json_schema') {
    const { name, schema, strict, description } = format.json_schema
    text.format = {
      type: 'json_schema',
      name: typeof name === 'string' ? name : 'answer',
      schema: (schema ?? format.json_schema) as Record<string, unknown>,
      ...(typeof strict === 'boolean' ? { strict } : {}),
      ...(typeof description === 'string' ? { description } : {}),
    }
  }
  return Object.keys(text).length > 0 ? text : null
}
