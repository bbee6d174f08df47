import { AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { ContentPart, Logprobs, StoredToolCall } from '../../schema/message.ts'
import type { AgentEvent } from '../events.ts'
import type { LanguageModel, ModelEvent, ModelRequest, ModelUsage } from '../ports/models.ts'
import { StreamText, wellFormed } from './stream-text.ts'

/** One answer of the model, complete. */
export interface Answer {
  content: ContentPart[]
  text: string
  tool_calls: StoredToolCall[]
  finish_reason: Extract<ModelEvent, { type: 'finish' }>['reason']
  usage: ModelUsage | null
  logprobs: Logprobs | null
}

/**
 * Reads one answer, passing its deltas on when `stream` is set. What was read before an abort or an error is in
 * `partial`, for the caller to keep.
 */
export async function* readAnswer(
  model: LanguageModel,
  request: ModelRequest,
  options: {
    signal: AbortSignal
    stream: boolean
    step_id: string
    message_id: string
    partial: { text: string }
    /** Pass on the deltas of the first call alone. */
    single_call: boolean
    /** The message that will ask for approval of a call of this tool; null when it needs none. */
    approvalOf: (name: string) => string | null
  },
): AsyncGenerator<AgentEvent, Answer> {
  const { step_id, message_id } = options
  const calls = new Map<number, Call>()
  let text = ''
  const content: ContentPart[] = []
  const spoken = new StreamText()
  const thought = new StreamText()
  for await (const event of model.generate(request, { signal: options.signal, stream: options.stream })) {
    switch (event.type) {
      case 'text': {
        const piece = spoken.next(event.text)
        if (piece === '') break
        text += piece
        options.partial.text = text
        speak(content, piece)
        if (options.stream) yield { type: 'text_delta', step_id, message_id, text: piece }
        break
      }
      case 'reasoning': {
        const piece = thought.next(event.text)
        think(content, piece, event.signature)
        if (options.stream && piece !== '')
          yield { type: 'reasoning_delta', step_id, message_id, text: piece }
        const last = content.at(-1)
        if (
          options.stream &&
          event.signature !== undefined &&
          last &&
          shown(last).type === 'omitted_reasoning'
        )
          yield { type: 'hidden_reasoning', step_id, message_id, state: 'omitted', data: null }
        break
      }
      case 'fallback':
        yield { ...event, type: 'model_fallback', step_id }
        break
      case 'redacted_reasoning':
        content.push({ type: 'redacted_reasoning', data: event.data })
        if (options.stream)
          yield { type: 'hidden_reasoning', step_id, message_id, state: 'redacted', data: event.data }
        break
      case 'tool_call': {
        let call = calls.get(event.index)
        const first = call === undefined
        if (!call) {
          const name = wellFormed(event.name ?? '')
          call = { id: unusedId(event.id, calls), name, arguments: '', written: new StreamText() }
          calls.set(event.index, call)
        } else if (event.name !== undefined && call.name === '') call.name = wellFormed(event.name)
        const piece = call.written.next(event.arguments)
        call.arguments += piece
        if (event.signature !== undefined) call.signature = event.signature
        if (options.stream && (calls.size === 1 || !options.single_call)) {
          const request = options.approvalOf(call.name)
          yield {
            type: 'tool_call_delta',
            step_id,
            message_id: request ?? message_id,
            tool_call_id: call.id,
            name: first ? call.name : null,
            arguments: piece,
            waits: request !== null,
          }
        }
        break
      }
      case 'finish':
        return {
          content: content.map(shown),
          text,
          tool_calls: [...calls.values()].map(storedCall),
          finish_reason: event.reason,
          usage: event.usage,
          logprobs: event.logprobs ?? null,
        }
    }
  }
  throw new AppError('llm_empty_response', 'the model ended its answer without finishing it')
}

interface Call {
  id: string
  name: string
  arguments: string
  written: StreamText
  signature?: string
}

function speak(content: ContentPart[], text: string): void {
  const last = content.at(-1)
  if (last?.type === 'text') last.text += text
  else content.push({ type: 'text', text })
}

/** A signature ends a thought: the provider checks each against its own when it is shown them again, in their order. */
function think(content: ContentPart[], text: string, signature: string | undefined): void {
  let last = content.at(-1)
  if (last?.type !== 'reasoning' || last.signature != null) {
    last = { type: 'reasoning', is_native: true, reasoning: '', signature: null }
    content.push(last)
  }
  last.reasoning += text
  last.signature = signature ?? null
}

/** A thought that was only signed is one that the provider keeps to itself. */
function shown(part: ContentPart): ContentPart {
  if (part.type !== 'reasoning' || part.reasoning !== '') return part
  return { type: 'omitted_reasoning', signature: part.signature ?? null }
}

function storedCall({ id, name, arguments: text, signature }: Call): StoredToolCall {
  return {
    id,
    type: 'function',
    function: { name, arguments: text },
    ...(signature === undefined ? {} : { signature }),
  }
}

/** A model may repeat a call id, or give none; returns are matched by id, so each call gets its own. */
function unusedId(given: string | undefined, calls: ReadonlyMap<number, Call>): string {
  const id = given === undefined ? undefined : wellFormed(given)
  const taken = id === undefined || id === '' || [...calls.values()].some((call) => call.id === id)
  return taken ? newId('tool').replace('tool-', 'call-') : id
}
