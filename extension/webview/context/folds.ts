import type { ContextMethod, ContextRequests } from '../../context-protocol.ts'
import type { ContextChannel } from './context-channel.ts'

/** What was asked of the host: its answer, or the sentence of its refusal. */
export type Asked<T> = { value: T } | { failure: string }

/** What is unfolded, and what has been read for it. */
export interface Folds {
  isOpen(key: string): boolean
  /** Listener for `toggle` of the `details` with this key. */
  toggled(key: string): (event: Event) => void
  open(key: string): void
  openKeys(): string[]
  /** The host's answer to this request; null while it is on its way. Asked once, and again after `forget`. */
  answer<M extends ContextMethod>(
    key: string,
    method: M,
    params: ContextRequests[M]['params'],
  ): Asked<ContextRequests[M]['result']> | null
  /** The same for texts. */
  text(
    key: string,
    method: 'context.text' | 'compaction.summary',
    params: ContextRequests['context.text']['params'] | ContextRequests['compaction.summary']['params'],
  ): { text: string } | { failure: string } | null
  /** What was read under keys like this may be another now: it is shown until it has been read again. */
  forget(concerned: (key: string) => boolean): void
}

/** Begins with these keys unfolded; `changed` is called after every change of anything. */
export function createFolds(channel: ContextChannel, open: readonly string[], changed: () => void): Folds {
  const opened = new Set(open)
  const answers = new Map<string, Asked<unknown>>()
  const asked = new Set<string>()

  const ask = async <M extends ContextMethod>(
    key: string,
    method: M,
    params: ContextRequests[M]['params'],
  ) => {
    try {
      answers.set(key, { value: await channel.request(method, params) })
    } catch (error) {
      answers.set(key, { failure: error instanceof Error ? error.message : String(error) })
    }
    changed()
  }
  const answer: Folds['answer'] = (key, method, params) => {
    if (!asked.has(key)) {
      asked.add(key)
      void ask(key, method, params)
    }
    return (answers.get(key) as Asked<ContextRequests[typeof method]['result']> | undefined) ?? null
  }
  return {
    isOpen: (key) => opened.has(key),
    toggled: (key) => (event) => {
      const { open } = event.currentTarget as HTMLDetailsElement
      if (open === opened.has(key)) return
      if (open) opened.add(key)
      else opened.delete(key)
      changed()
    },
    open(key) {
      opened.add(key)
      changed()
    },
    openKeys: () => [...opened],
    answer,
    text(key, method, params) {
      const found = answer(key, method, params as never)
      if (!found || 'failure' in found) return found
      return { text: found.value }
    },
    forget(concerned) {
      for (const key of asked) if (concerned(key)) asked.delete(key)
    },
  }
}
