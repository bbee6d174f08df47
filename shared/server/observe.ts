import { isAppError } from '../schema/errors.ts'
import type {
  LanguageModel,
  ModelEvent,
  ModelRequest,
  Models,
  ModelUsage,
  ResolvedModel,
} from '../core/ports/models.ts'
import type { CoreDeps } from '../core/ports/deps.ts'
import type { ObservedTurn, TurnObserver, TurnOutcome } from '../core/ports/observer.ts'
import type { ToolCallInput, ToolOutcome, ToolRunner } from '../core/ports/tools.ts'

/** One look at a piece of work. Nothing of it may throw. */
export interface Watch<Outcome> {
  /** Does a part of the work where it can be seen whose part it is. */
  within?<T>(work: () => T): T
  /** The work is over; called once. */
  end(outcome: Outcome): void
}

/** A request to a model. */
export interface ObservedModelCall {
  model: ResolvedModel
  request: ModelRequest
  stream: boolean
}

export interface ModelOutcome {
  status: 'success' | 'failed' | 'cancelled'
  /** What was thrown. */
  error: unknown
  usage: ModelUsage | null
  finish_reason: string | null
  /** Until the first piece of the answer; null when there was none. */
  first_ms: number | null
  ms: number
  /** What the model said and called; null unless the observer asked for it. */
  said: SaidByModel | null
}

export interface SaidByModel {
  text: string
  tool_calls: { id: string; name: string; arguments: string }[]
}

/** A call of a tool that is made: not one that was refused before. */
export type ObservedToolCall = Pick<ToolCallInput, 'tool' | 'arguments' | 'call_id'>

export interface ToolCallOutcome {
  status: 'success' | 'error' | 'cancelled'
  error: unknown
  /** What it returned; null when it threw. */
  returned: ToolOutcome | null
  ms: number
}

/** Looks at what Loci does: for metrics, traces and the log. Each method may be absent, and none may throw. */
export interface Observer {
  turn?(turn: ObservedTurn): Watch<TurnOutcome | null>
  model?(call: ObservedModelCall): Watch<ModelOutcome>
  tool?(call: ObservedToolCall): Watch<ToolCallOutcome>
  /** Whether the words of models are collected for it. */
  readonly wants_content?: boolean
}

/** What the agent is given, with these looking at it; the same when there are none. */
export function observe(
  deps: Pick<CoreDeps, 'models' | 'tools'>,
  observers: readonly Observer[],
): Pick<CoreDeps, 'models' | 'tools' | 'observer'> {
  const [ofTurns, ofModels, ofTools] = (['turn', 'model', 'tool'] as const).map((what) =>
    observers.filter((observer) => observer[what]),
  )
  return {
    // Each token of a model that is looked at costs a little.
    models: ofModels?.length ? observeModels(deps.models, ofModels) : deps.models,
    tools: ofTools?.length ? observeTools(deps.tools, ofTools) : deps.tools,
    ...(ofTurns?.length ? { observer: observeTurns(ofTurns) } : {}),
  }
}

function observeTurns(observers: readonly Observer[]): TurnObserver {
  return {
    async turn(turn, work) {
      const watch = together(observers.map((observer) => observer.turn?.(turn)))
      try {
        const result = await watch.within(work)
        watch.end(result)
        return result
      } catch (error) {
        watch.end(null)
        throw error
      }
    },
  }
}

function observeModels(models: Models, observers: readonly Observer[]): Models {
  const known = new WeakMap<ResolvedModel, ResolvedModel>()
  return {
    list: (actor) => models.list(actor),
    async resolve(actor, handle) {
      const model = await models.resolve(actor, handle)
      let observed = known.get(model)
      if (!observed) known.set(model, (observed = observedModel(model, observers)))
      return observed
    },
  }
}

function observeTools(tools: ToolRunner, observers: readonly Observer[]): ToolRunner {
  return {
    builtins: tools.builtins,
    async run(call, options) {
      const watch = together(observers.map((observer) => observer.tool?.(call)))
      const began = performance.now()
      const end = (status: ToolCallOutcome['status'], error: unknown, returned: ToolOutcome | null) =>
        watch.end({ status, error, returned, ms: performance.now() - began })
      try {
        const returned = await watch.within(() => tools.run(call, options))
        end(returned.status === 'error' ? 'error' : 'success', null, returned)
        return returned
      } catch (error) {
        end(options.signal.aborted ? 'cancelled' : 'error', error, null)
        throw error
      }
    },
  }
}

function observedModel(model: ResolvedModel, observers: readonly Observer[]): ResolvedModel {
  const { language_model } = model
  const preview: LanguageModel['preview'] = (request, options) =>
    language_model.preview?.(request, options) ?? Promise.resolve({})
  return {
    ...model,
    language_model: {
      generate: (request, options) => ({
        [Symbol.asyncIterator]: () =>
          watchedAnswer({ model, request, stream: options.stream }, observers, options.signal, () =>
            language_model.generate(request, options),
          ),
      }),
      ...(language_model.preview ? { preview } : {}),
    },
  }
}

/** The events of an answer as they come; by hand, as a generator more would cost at each token. */
function watchedAnswer(
  call: ObservedModelCall,
  observers: readonly Observer[],
  signal: AbortSignal,
  ask: () => AsyncIterable<ModelEvent>,
): AsyncIterator<ModelEvent> {
  const watch = together(observers.map((observer) => observer.model?.(call)))
  const said: SaidByModel | null = observers.some(({ wants_content }) => wants_content)
    ? { text: '', tool_calls: [] }
    : null
  const began = performance.now()
  let first_ms: number | null = null
  let ended = false
  const end = (outcome: Pick<ModelOutcome, 'status'> & Partial<ModelOutcome>) => {
    if (ended) return
    ended = true
    const ms = performance.now() - began
    watch.end({ error: null, usage: null, finish_reason: null, first_ms, ms, said, ...outcome })
  }
  let answer: AsyncIterator<ModelEvent> | null = null
  const failed = (error: unknown) => {
    const cancelled = signal.aborted || isAppError(error, 'cancelled')
    end({ status: cancelled ? 'cancelled' : 'failed', error })
  }
  return {
    async next() {
      try {
        answer ??= watch.within(ask)[Symbol.asyncIterator]()
        const from = answer
        const next = await watch.within(() => from.next())
        first_ms ??= performance.now() - began
        if (next.done) end({ status: 'success' })
        else if (next.value.type === 'finish') {
          const { usage, reason } = next.value
          end({ status: 'success', usage, finish_reason: reason })
        } else if (said) collect(said, next.value)
        return next
      } catch (error) {
        failed(error)
        throw error
      }
    },
    async return(value?: unknown) {
      // Whoever reads it has had enough.
      end({ status: 'cancelled' })
      await answer?.return?.(value)
      return { done: true, value: undefined }
    },
  }
}

function collect(said: SaidByModel, event: ModelEvent): void {
  if (event.type === 'text') said.text += event.text
  if (event.type !== 'tool_call') return
  const call = (said.tool_calls[event.index] ??= { id: '', name: '', arguments: '' })
  if (event.id !== undefined) call.id = event.id
  if (event.name !== undefined) call.name = event.name
  call.arguments += event.arguments
}

/** Several looks at one piece of work. */
function together<Outcome>(watches: readonly (Watch<Outcome> | undefined)[]): Required<Watch<Outcome>> {
  const all = watches.filter((watch) => watch !== undefined)
  return {
    within<T>(work: () => T): T {
      const inner = (i: number): T => {
        const watch = all[i]
        if (!watch) return work()
        return watch.within ? watch.within(() => inner(i + 1)) : inner(i + 1)
      }
      return inner(0)
    },
    end(outcome) {
      for (const watch of all) watch.end(outcome)
    },
  }
}
