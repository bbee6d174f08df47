import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit'
import type { ContextRun, ContextSnapshot, PartKind } from '../../context-protocol.ts'
import { compactionsView } from './compactions-view.ts'
import { compactBar, type CompactionNews } from './compact-bar.ts'
import { openContextChannel, type ContextChannel } from './context-channel.ts'
import { contextStyles } from './context-styles.ts'
import { createFolds, type Folds } from './folds.ts'
import { itemKey, partKey, partsView, type PanelActions } from './parts-view.ts'
import { runsView, stepsKey } from './runs-view.ts'
import { windowBar } from './window-bar.ts'
import { counted } from './words.ts'

/** What the model sees at its next step, what was compacted, and what each run did. Drawn anew with every snapshot. */
export class LociContext extends LitElement {
  static override styles = contextStyles
  static override properties = {
    agentId: { attribute: 'agent-id' },
    conversationId: { attribute: 'conversation-id' },
    snapshot: { state: true },
    failure: { state: true },
    news: { state: true },
    tab: { state: true },
  }
  declare agentId: string
  declare conversationId: string | null
  declare private snapshot: ContextSnapshot | null
  /** Why nothing can be shown. */
  declare private failure: string
  /** What the last compaction did. */
  declare private news: CompactionNews | null
  declare private tab: number
  readonly #channel: ContextChannel
  readonly #folds: Folds
  readonly #panel: PanelActions
  /** Runs before those of the snapshot. */
  #earlier: ContextRun[] = []
  /** What each run's steps were read at. */
  #states = new Map<string, string>()

  constructor() {
    super()
    this.agentId = ''
    this.conversationId = null
    this.snapshot = null
    this.failure = ''
    this.news = null
    this.#channel = openContextChannel((snapshot) => this.#take(snapshot))
    const kept = this.#channel.getState()
    this.tab = kept?.tab ?? 0
    this.#folds = createFolds(this.#channel, kept?.open ?? [], () => {
      this.#remember()
      this.requestUpdate()
    })
    this.#panel = {
      folds: this.#folds,
      showText: (name, text) => this.#channel.command('text.show', { name, text }),
    }
  }

  override connectedCallback(): void {
    super.connectedCallback()
    const kept = this.#channel.getState()
    if (kept?.agentId === this.agentId) this.conversationId = kept.conversationId
    void this.#open(this.conversationId)
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('tab')) this.#remember()
  }

  protected override render(): TemplateResult {
    const { snapshot } = this
    if (!snapshot) return this.#beginning()
    if (!snapshot.agent) return gone(this.failure)
    const runs = [...snapshot.runs, ...this.#earlier]
    return html`<main>
      ${this.#header(snapshot)}
      ${this.failure === '' ? nothing : html`<p class="failed" role="alert">${this.failure}</p>`}
      ${windowBar(snapshot, (kind) => this.#showPart(kind))}
      ${compactBar(snapshot, this.news, {
        compact: (mode) => void this.#compact(mode),
        cancel: () => void this.#channel.request('context.cancel', null),
      })}
      <vscode-tabs
        .selectedIndex=${this.tab}
        @vsc-tabs-select=${(event: CustomEvent<{ selectedIndex: number }>) => {
          this.tab = event.detail.selectedIndex
        }}
      >
        <vscode-tab-header slot="header">What the model sees</vscode-tab-header>
        <vscode-tab-panel>${partsView(snapshot, this.#panel)}</vscode-tab-panel>
        <vscode-tab-header slot="header"
          >${tabName('Compactions', snapshot.compactions.length)}</vscode-tab-header
        >
        <vscode-tab-panel>${compactionsView(snapshot.compactions, this.#panel)}</vscode-tab-panel>
        <vscode-tab-header slot="header">Runs</vscode-tab-header>
        <vscode-tab-panel>${runsView(runs, this.#moreRuns(runs), this.#panel)}</vscode-tab-panel>
      </vscode-tabs>
    </main>`
  }

  #header({ agent, conversations, conversationId, messages }: ContextSnapshot): TemplateResult {
    const choose = (event: Event) => void this.#open((event.target as HTMLSelectElement).value || null)
    return html`<header>
      <h1>${agent?.name}</h1>
      <span class="quiet">${agent?.model ?? 'no model'} · ${counted(messages, 'message')} in context</span>
      <span class="space"></span>
      ${
        conversations.length > 1
          ? html`<vscode-single-select
              label="Conversation"
              aria-label="Conversation"
              .value=${conversationId ?? ''}
              @change=${choose}
            >
              ${conversations.map(
                ({ id, title }) =>
                  html`<vscode-option value=${id ?? ''} ?selected=${id === conversationId}
                    >${title}</vscode-option
                  >`,
              )}
            </vscode-single-select>`
          : nothing
      }
      <vscode-button secondary @click=${() => this.#channel.command('chat.show', null)}
        >Open Chat</vscode-button
      >
    </header>`
  }

  #beginning(): TemplateResult {
    if (this.failure === '') return html`<main><p class="about" role="status">Reading the context…</p></main>`
    return html`<main class="empty">
      <h1>The context cannot be read now</h1>
      <p role="alert">${this.failure}</p>
      <div class="buttons">
        <vscode-button @click=${() => void this.#open(this.conversationId)}>Retry</vscode-button>
        <vscode-button secondary @click=${() => this.#channel.command('logs.show', null)}
          >Show Logs</vscode-button
        >
      </div>
    </main>`
  }

  async #open(conversationId: string | null): Promise<void> {
    const other = conversationId !== this.conversationId
    this.conversationId = conversationId
    if (other) this.#forgetConversation()
    this.failure = ''
    this.#remember()
    try {
      this.#take(await this.#channel.request('context.open', { conversationId }))
    } catch (error) {
      this.failure = sentence(error)
    }
  }

  #forgetConversation(): void {
    this.#earlier = []
    this.news = null
    this.#folds.forget((key) => key.startsWith('item:'))
  }

  #take(snapshot: ContextSnapshot): void {
    if (snapshot.conversationId !== this.conversationId) return
    // The texts of a context have changed with it, the steps of a run when its state has or while it goes on.
    const moved = new Set(
      snapshot.runs
        .filter(({ id, status }) => status === 'running' || this.#states.get(id) !== status)
        .map(({ id }) => stepsKey(id)),
    )
    for (const { id, status } of snapshot.runs) this.#states.set(id, status)
    this.#folds.forget((key) => key.startsWith('item:') || moved.has(key))
    this.failure = ''
    this.snapshot = snapshot
  }

  async #compact(mode: Parameters<Parameters<typeof compactBar>[2]['compact']>[0]): Promise<void> {
    this.news = null
    try {
      const outcome = await this.#channel.request('context.compact', { mode })
      this.news = outcome ? { outcome } : { failure: 'Cancelled: nothing was changed.' }
    } catch (error) {
      this.news = { failure: sentence(error) }
    }
  }

  #moreRuns(runs: readonly ContextRun[]): (() => void) | null {
    const last = runs.at(-1)
    if (!last || runs.length < 30 || this.#complete) return null
    return () => void this.#readEarlier(last.id)
  }

  #complete = false

  async #readEarlier(before: string): Promise<void> {
    try {
      const page = await this.#channel.request('runs.earlier', { before })
      this.#complete = page.length === 0
      this.#earlier = [...this.#earlier, ...page]
      this.requestUpdate()
    } catch (error) {
      this.failure = sentence(error)
    }
  }

  #showPart(kind: PartKind): void {
    this.tab = 0
    this.#folds.open(partKey(kind))
    const only = this.snapshot?.parts.find((part) => part.kind === kind)?.items
    if (only?.length === 1 && only[0]) this.#folds.open(itemKey(kind, only[0].key))
    void this.#focusPart(kind)
  }

  async #focusPart(kind: PartKind): Promise<void> {
    await this.updateComplete
    const part = this.renderRoot.querySelector<HTMLElement>(`[data-part="${kind}"] summary`)
    part?.scrollIntoView({ block: 'nearest' })
    part?.focus()
  }

  #remember(): void {
    const { agentId, conversationId, tab } = this
    if (agentId !== '') this.#channel.setState({ agentId, conversationId, tab, open: this.#folds.openKeys() })
  }
}

function gone(failure: string): TemplateResult {
  return html`<main class="empty">
    <h1>There is nothing to see</h1>
    <p role="status">${failure || 'This agent, or this conversation of it, does not exist any more.'}</p>
  </main>`
}

function tabName(name: string, count: number): string {
  return count === 0 ? name : `${name} (${count})`
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
