import type { CompactionMode, CompactionSettings } from '../../schema/compaction.ts'
import { AppError, isAppError, messageOf } from '../../schema/errors.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { clip } from '../messages.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { ModelMessage, ModelRequest, ResolvedModel } from '../ports/models.ts'
import { ACKNOWLEDGEMENT, defaultPrompt } from './compaction-prompts.ts'
import { extractSummary } from './extract.ts'
import { giveWay } from './give-way.ts'
import { countTokens } from './tokens.ts'
import { transcript } from './transcript.ts'

export interface SummaryTask {
  actor: Actor
  settings: CompactionSettings
  /** What is to be summarised: the mode of the settings, or `all` when that is all that helps. */
  mode: CompactionMode
  evicted: readonly StoredMessage[]
  /** Longest summary by our count. */
  max_tokens: number
  /** The agent's own model. */
  model: ResolvedModel
  /** Whether somebody chose the summariser of the settings. */
  chosen: boolean
  /** The agent's own request up to and with `evicted`, for the `self_*` modes; null when it would not fit. */
  own: ModelRequest | null
  /** Ask no model at all. */
  extract: boolean
}

export interface Summary {
  text: string
  /** Handle of the model that wrote it; null: none could. */
  model: string | null
  mode_used: CompactionMode
  problems: string[]
}

/** Of a summariser's window, what the transcript may fill. */
const SHARE_OF_WINDOW = 0.6

const PLAIN = {
  all: 'all',
  sliding_window: 'sliding_window',
  self_compact_all: 'all',
  self_compact_sliding_window: 'sliding_window',
} as const

/**
 * The summary of messages that leave a context. Asks, one after another until one answers: in the `self_*` modes the
 * agent itself, whose request keeps its prefix to the byte; the summariser of the settings; the agent's model with a
 * transcript. When none does, the summary is put together without a model. Rejects only when it is aborted.
 */
export async function summarise(
  task: SummaryTask,
  deps: CoreDeps,
  options: { signal: AbortSignal },
): Promise<Summary> {
  const problems: string[] = []
  if (task.mode.startsWith('self_') && !task.own && !task.extract)
    problems.push(
      `the context and the question for a summary do not fit into the window of ${task.model.handle} together, so it was shown a transcript`,
    )
  for (const attempt of task.extract ? [] : attempts(task, deps)) {
    try {
      const { model, mode_used, request } = await attempt()
      const text = await answerOf(model, request, options.signal)
      return { text: shortened(text, task), model: model.handle, mode_used, problems }
    } catch (error) {
      options.signal.throwIfAborted()
      if (!isAppError(error)) throw error
      if (task.chosen || !isMissing(error)) problems.push(messageOf(error))
    }
  }
  const text = extractSummary(task.evicted, Math.min(task.max_tokens, 2_000))
  return { text: shortened(text, task), model: null, mode_used: PLAIN[task.mode], problems }
}

/** The summariser is not there. */
function isMissing(error: AppError): boolean {
  return error.code === 'model_not_found' || error.data['status'] === 404
}

interface Attempt {
  model: ResolvedModel
  mode_used: CompactionMode
  request: ModelRequest
}

function attempts(task: SummaryTask, deps: CoreDeps): (() => Promise<Attempt>)[] {
  const { actor, settings, mode, model, own } = task
  const self = mode.startsWith('self_')
  const all: (() => Promise<Attempt>)[] = []
  if (self && own) all.push(async () => ({ model, mode_used: mode, request: ownRequest(own, task) }))
  const mode_used = PLAIN[mode]
  const other = settings.model
  if (!self && other !== null && other !== model.handle)
    all.push(async () => {
      const resolved = await deps.models.resolve(actor, other)
      const request = await transcriptRequest(resolved, task, SHARE_OF_WINDOW)
      return { model: resolved, mode_used, request }
    })
  for (const share of [SHARE_OF_WINDOW, SHARE_OF_WINDOW / 3])
    all.push(async () => ({ model, mode_used, request: await transcriptRequest(model, task, share) }))
  return all
}

/** The agent's own request and the prompt as one more message: what went before is a prefix to the byte. */
function ownRequest(own: ModelRequest, { settings, mode }: SummaryTask): ModelRequest {
  const text = settings.prompt ?? defaultPrompt(mode)
  return {
    ...own,
    messages: [...own.messages, { role: 'user', content: [{ type: 'text', text }], name: null }],
  }
}

async function transcriptRequest(
  model: ResolvedModel,
  task: SummaryTask,
  share: number,
): Promise<ModelRequest> {
  await giveWay()
  const { settings, mode } = task
  // The prompt of a `self_*` mode is addressed to the agent, not to somebody who reads a transcript.
  const prompt = (mode === settings.mode ? settings.prompt : null) ?? defaultPrompt(mode)
  const instructions = mode.startsWith('self_') ? defaultPrompt(PLAIN[mode]) : prompt
  const shown = await transcript(task.evicted, model.info.max_context_window * share)
  const text = `<transcript>\n${shown}\n</transcript>`
  const user = (said: string): ModelMessage => ({
    role: 'user',
    content: [{ type: 'text', text: said }],
    name: null,
  })
  const messages: ModelMessage[] = settings.prompt_acknowledgement
    ? [
        user(instructions),
        { role: 'assistant', content: [{ type: 'text', text: ACKNOWLEDGEMENT }], tool_calls: [] },
        user(text),
      ]
    : [{ role: 'system', text: instructions }, user(text)]
  const given = settings.model_settings
  return {
    messages,
    tools: [],
    tool_choice: 'auto',
    parallel_tool_calls: false,
    settings: {
      temperature: given?.temperature ?? 1,
      max_tokens: given?.max_output_tokens ?? null,
      reasoning_effort: given?.reasoning?.reasoning_effort ?? null,
      response_format: null,
    },
  }
}

async function answerOf(model: ResolvedModel, request: ModelRequest, signal: AbortSignal): Promise<string> {
  let text = ''
  let calls = false
  await giveWay()
  for await (const event of model.language_model.generate(request, { signal, stream: false })) {
    if (event.type === 'text') text += event.text
    if (event.type === 'tool_call') calls = true
  }
  if (text.trim() !== '') return text.replaceAll('\0', '').trim()
  throw new AppError(
    'llm_empty_response',
    `${model.handle} was asked for a summary and ${calls ? 'called a tool instead' : 'answered nothing'}`,
  )
}

function shortened(text: string, { settings, max_tokens }: SummaryTask): string {
  const tokens = countTokens(text)
  const room = tokens <= max_tokens ? Infinity : Math.floor((text.length * max_tokens) / tokens)
  return clip(text, Math.min(room, settings.clip_chars ?? Infinity))
}
