import type { LociClient } from '../../../shared/client/http.ts'
import type { Event as Change } from '../../../shared/schema/event.ts'
import type { CompactionMode } from '../../../shared/schema/compaction.ts'
import type {
  CompactionOutcome,
  ContextRun,
  ContextSnapshot,
  ContextStep,
  ContextTarget,
  PartKind,
  StepTrace,
} from '../../context-protocol.ts'
import { t } from '../l10n.ts'
import { readContext, readModelWindow, readRuns, type ReadContext } from './read-context.ts'
import { readSteps, readTrace } from './read-runs.ts'

/** What a session needs of the connection. */
export interface ContextServer {
  client(): Promise<LociClient>
}

/** While a run is under way its steps are counted this often, in milliseconds: the feed tells its ends alone. */
const STEPS = 700

/**
 * The context of one agent's conversation, kept up to date while somebody looks. `tell` gets each new snapshot. Every
 * method rejects with what the client throws. Whoever made it closes it.
 */
export class ContextSession {
  readonly agentId: string
  readonly #server: ContextServer
  readonly #tell: (snapshot: ContextSnapshot) => void
  #conversationId: string | null = null
  #read: ReadContext | null = null
  #reading: Promise<void> | null = null
  #again = false
  #visible = true
  #missed = false
  #closed = false
  #compaction: { since: number; abort: AbortController } | null = null
  /** The window of the model with this handle. */
  #model: { handle: string; window: number | null } | null = null
  #watch: NodeJS.Timeout | undefined
  #steps = 0

  constructor(agentId: string, server: ContextServer, tell: (snapshot: ContextSnapshot) => void) {
    this.agentId = agentId
    this.#server = server
    this.#tell = tell
  }

  get conversationId(): string | null {
    return this.#conversationId
  }

  /** Reads everything of this conversation, which is the one from now on. */
  async open(conversationId: string | null): Promise<ContextSnapshot> {
    if (this.#conversationId !== conversationId) this.#read = null
    this.#conversationId = conversationId
    await this.#refresh()
    return this.#snapshot()
  }

  /** What the model sees of an item. Throws when it is not there any more. */
  text(kind: PartKind, key: string): string {
    const part = this.#read?.parts.find((each) => each.kind === kind)
    const item = part?.items.find((each) => each.key === key)
    if (!item) throw new Error(t('This is not in the context any more.'))
    return item.text
  }

  /** Compacts now; null when `cancel` was called meanwhile. */
  async compact(mode: CompactionMode): Promise<CompactionOutcome | null> {
    if (this.#compaction) throw new Error(t('A compaction is under way already.'))
    const abort = new AbortController()
    this.#compaction = { since: Date.now(), abort }
    this.#show()
    try {
      const { letta } = await this.#server.client()
      return await letta.conversations.messages.compact(
        this.#conversationId ?? 'default',
        { agent_id: this.agentId, compaction_settings: { mode } },
        { signal: abort.signal, maxRetries: 0 },
      )
    } catch (error) {
      if (abort.signal.aborted) return null
      throw error
    } finally {
      this.#compaction = null
      await this.#refresh().catch(() => this.#show())
    }
  }

  cancel(): void {
    this.#compaction?.abort.abort()
  }

  /** The text of the summary that a compaction left. */
  async summary(messageId: string): Promise<string> {
    const { letta } = await this.#server.client()
    const shown = await letta.get<{ content?: unknown; summary?: unknown }[]>(`/v1/messages/${messageId}`)
    return shown
      .map(({ content, summary }) => unpacked([summary, content].find((text) => typeof text === 'string')))
      .join('\n\n')
  }

  async earlierRuns(before: string): Promise<ContextRun[]> {
    return readRuns((await this.#server.client()).letta, this.#target, before)
  }

  async steps(runId: string): Promise<ContextStep[]> {
    return readSteps((await this.#server.client()).letta, runId)
  }

  async trace(stepId: string): Promise<StepTrace | null> {
    return readTrace((await this.#server.client()).letta, stepId)
  }

  /** Reads again when these changes concern what is shown. */
  changed(changes: readonly Change[]): void {
    if (changes.some((change) => this.#concerns(change))) this.stale()
  }

  /** What was read may not be true any more. Nobody is told of a failure here: the connection's state says it. */
  stale(): void {
    if (!this.#visible) this.#missed = true
    else void this.#refresh().catch(() => undefined)
  }

  /** Nothing is read while nobody looks. */
  setVisible(visible: boolean): void {
    this.#visible = visible
    if (!visible) clearTimeout(this.#watch)
    else if (this.#missed) this.stale()
  }

  /** Ends the watching. A compaction under way goes on: it ends by itself, and its record is there. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#watch)
  }

  get #target(): ContextTarget {
    return { agentId: this.agentId, conversationId: this.#conversationId }
  }

  #concerns({ type, object_id, agent_id }: Change): boolean {
    if (agent_id === this.agentId || object_id === this.agentId) return true
    return (
      (type.startsWith('block.') || type.startsWith('tool.')) && (this.#read?.made_of.has(object_id) ?? true)
    )
  }

  /** One reading at a time; what changes during one is read by another, once. */
  async #refresh(): Promise<void> {
    this.#missed = false
    if (this.#reading) {
      this.#again = true
      return this.#reading
    }
    this.#reading = this.#readAll().finally(() => {
      this.#reading = null
    })
    return this.#reading
  }

  async #readAll(): Promise<void> {
    do {
      this.#again = false
      const { letta } = await this.#server.client()
      const target = this.#target
      const read = await readContext(letta, target)
      if (target.conversationId !== this.#conversationId) {
        this.#again = true
        continue
      }
      this.#read = read
      const handle = read.snapshot.agent?.model ?? null
      if (handle !== null && this.#model?.handle !== handle) {
        this.#model = { handle, window: null }
        // Providers may take their time to tell.
        void this.#readModel(handle)
      }
      this.#show()
    } while (this.#again)
    this.#watchRun()
  }

  async #readModel(handle: string): Promise<void> {
    try {
      const window = await readModelWindow((await this.#server.client()).letta, handle)
      if (this.#model?.handle !== handle) return
      this.#model.window = window
      this.#show()
    } catch {
      // Asked again with the next change: the bar does without.
      this.#model = null
    }
  }

  #snapshot(): ContextSnapshot {
    const read = this.#read
    if (!read) throw new Error(t('Nothing has been read yet.'))
    const model = this.#model?.window ?? null
    const { snapshot } = read
    return {
      ...snapshot,
      window: { ...snapshot.window, model },
      compacting: this.#compaction?.since ?? null,
    }
  }

  #show(): void {
    if (this.#read && !this.#closed) this.#tell(this.#snapshot())
  }

  #watchRun(): void {
    clearTimeout(this.#watch)
    const run = this.#read?.snapshot.runs.find(({ status }) => status === 'running' || status === 'created')
    if (!run || !this.#visible || this.#closed) return
    this.#watch = setTimeout(() => void this.#countSteps(run.id).catch(() => undefined), STEPS)
  }

  async #countSteps(run_id: string): Promise<void> {
    const { letta } = await this.#server.client()
    const page = await letta.runs.steps.list(run_id, { limit: 1000 })
    const steps = page.getPaginatedItems().length
    if (steps !== this.#steps) {
      this.#steps = steps
      await this.#refresh()
    } else this.#watchRun()
  }
}

/** The text of a summary, which is kept as V1 packs it (`{"type":"system_alert","message":…}`). */
function unpacked(content: unknown): string {
  const text = typeof content === 'string' ? content : ''
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message : text
  } catch {
    return text
  }
}
