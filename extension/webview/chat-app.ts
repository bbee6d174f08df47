import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { LettaMessage, StreamItem } from '../../shared/schema/message.ts'
import {
  addItem,
  type ChatAgent,
  type ChatTurn,
  type NotificationEnvelope,
  type UserContent,
} from '../protocol.ts'
import { openChannel, type Channel } from './channel.ts'
import { chatStyles } from './chat-styles.ts'
import type { ComposerEvents, LociComposer } from './composer/composer.ts'
import { earlierButton, emptyState, failureCard, goneNote, openFailure } from './parts.ts'
import { renderRow } from './rows.ts'
import { rowsOf, type Row } from './transcript.ts'

type Status = 'loading' | 'ready' | 'failed'

/** Nearer to the end than this, the list follows what is written; in CSS pixels. */
const NEAR_END = 60

/** The chat with one agent: history, the turn under way, and where the user writes. Draws at most once a frame. */
export class LociChat extends LitElement {
  static override styles = chatStyles
  static override properties = {
    agentId: { attribute: 'agent-id' },
    status: { state: true },
    agent: { state: true },
    draft: { state: true },
    failure: { state: true },
    earlier: { state: true },
  }
  declare agentId: string
  declare private status: Status
  declare private agent: ChatAgent | null
  declare private draft: string
  /** Why opening failed, or what the last request was refused for. */
  declare private failure: string
  declare private earlier: boolean
  readonly #channel: Channel
  /** Everything before the present turn. */
  #past: (LettaMessage | StreamItem)[] = []
  #pastRows: Row[] = []
  #turn: ChatTurn | null = null
  #stale = false
  #follow = true
  #observed: Element | null = null
  /** Buttons and unfolded parts get their size after the list was drawn. */
  readonly #grown = new ResizeObserver(() => this.#toEnd())

  constructor() {
    super()
    this.agentId = ''
    this.status = 'loading'
    this.agent = null
    this.failure = ''
    this.earlier = false
    this.#channel = openChannel()
    this.#channel.listen((news) => this.#hear(news))
    this.draft = this.#channel.getState()?.draft ?? ''
  }

  override connectedCallback(): void {
    super.connectedCallback()
    window.addEventListener('focus', this.#focusInput)
    this.#remember()
    void this.#open()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    window.removeEventListener('focus', this.#focusInput)
    this.#grown.disconnect()
    this.#observed = null
  }

  protected override async scheduleUpdate(): Promise<void> {
    await new Promise(requestAnimationFrame)
    await super.scheduleUpdate()
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('status') && this.status === 'ready') this.#focusInput()
    const rows = this.renderRoot.querySelector('.rows')
    if (rows && rows !== this.#observed) {
      this.#observed = rows
      this.#grown.disconnect()
      this.#grown.observe(rows)
    }
    this.#toEnd()
  }

  protected override render(): TemplateResult {
    const turn = this.#turn
    const running = turn?.end === null
    if (this.status === 'failed') {
      return openFailure(this.failure, () => void this.#open(), this.#showLogs)
    }
    // One list with one kind of key: what the user has unfolded stays so when the turn becomes past.
    const turnRows = turn ? rowsOf([askedIn(turn), ...turn.items]) : []
    const empty = this.status === 'ready' && this.agent && this.#pastRows.length === 0 && !turn
    return html`
      <main class="list" @scroll=${this.#onScroll} tabindex="-1">
        ${this.earlier ? earlierButton(() => void this.#loadEarlier()) : nothing}
        ${empty ? emptyState(this.agent, (text) => this.#send(text)) : nothing}
        <div class="rows" role="log" aria-live="polite" aria-label="Conversation" aria-busy=${running}>
          ${repeat(
            [...this.#pastRows, ...turnRows],
            (row) => row.key,
            (row) => renderRow(row, running && row === turnRows.at(-1)),
          )}
          ${turn ? this.#renderEnd(turn, turnRows.at(-1)) : nothing}
        </div>
      </main>
      ${this.status === 'ready' && !this.agent ? goneNote() : nothing}
      <footer>
        <loci-composer
          .channel=${this.#channel}
          .agent=${this.agent}
          .draft=${this.draft}
          .notice=${this.failure}
          ?running=${running}
          ?disabled=${this.status !== 'ready' || !this.agent}
          @loci-draft=${(event: ComposerEvents['loci-draft']) => this.#keep(event.detail)}
          @loci-send=${(event: ComposerEvents['loci-send']) => this.#send(event.detail)}
          @loci-stop=${() => void this.#ask(this.#channel.request('chat.stop', null))}
        ></loci-composer>
      </footer>
    `
  }

  /** What follows the rows of a turn: that it goes on, was stopped or failed. */
  #renderEnd(turn: ChatTurn, last: Row | undefined): TemplateResult {
    const waiting = turn.end === null && last?.kind !== 'assistant'
    return html`
      ${waiting ? html`<p class="waiting" aria-label="The agent is working"><i></i><i></i><i></i></p>` : nothing}
      ${turn.end?.outcome === 'stopped' ? html`<p class="aside">Stopped.</p>` : nothing}
      ${
        turn.end?.outcome === 'failed'
          ? failureCard(turn.end.message, () => this.#retry(turn), this.#showLogs)
          : nothing
      }
    `
  }

  async #open(): Promise<void> {
    this.#stale = false
    this.failure = ''
    try {
      const { agent, history, turn } = await this.#channel.request('chat.open', null)
      // What a deleted agent said stays readable while the tab is open.
      if (agent) {
        this.#setPast(history.messages)
        this.#turn = turn
        this.earlier = history.earlier
      }
      this.agent = agent
      this.status = 'ready'
      this.requestUpdate()
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error)
      if (this.status !== 'ready') this.status = 'failed'
    }
  }

  #hear(news: NotificationEnvelope): void {
    switch (news.name) {
      case 'turn.started':
        this.#archive()
        this.#turn = { ...news.params, items: [], end: null }
        this.#follow = true
        break
      case 'turn.items':
        if (this.#turn?.otid !== news.params.otid) return
        for (const item of news.params.items) addItem(this.#turn.items, item)
        break
      case 'turn.ended':
        if (this.#turn?.otid === news.params.otid) this.#turn.end = news.params.end
        if (this.#stale) void this.#open()
        break
      case 'chat.stale':
        if (this.#turn?.end === null) this.#stale = true
        else void this.#open()
        break
      case 'agent.changed':
        this.agent = news.params
        break
    }
    this.requestUpdate()
  }

  /** The turn before the one that begins becomes past; one that failed is replaced by its retry. */
  #archive(): void {
    const turn = this.#turn
    if (!turn) return
    this.#turn = null
    this.#setPast([...this.#past, askedIn(turn), ...turn.items])
  }

  #setPast(items: (LettaMessage | StreamItem)[]): void {
    this.#past = items
    this.#pastRows = rowsOf(items)
  }

  #send(content: UserContent): void {
    const giveBack = () => this.#composer?.restore(content)
    if (this.#turn?.end === null || !this.agent) return giveBack()
    const otid = crypto.randomUUID()
    void this.#ask(this.#channel.request('chat.send', { otid, content }), giveBack)
  }

  #retry(turn: ChatTurn): void {
    this.#turn = null
    this.#send(turn.content)
  }

  async #loadEarlier(): Promise<void> {
    const list = this.#list
    const first = this.#past[0]
    if (!list || !first || !('id' in first)) return
    const below = list.scrollHeight - list.scrollTop
    await this.#ask(this.#addEarlier(first.id))
    await this.updateComplete
    list.scrollTop = list.scrollHeight - below
  }

  async #addEarlier(before: string): Promise<void> {
    const page = await this.#channel.request('chat.earlier', { before })
    this.earlier = page.earlier
    this.#setPast([...page.messages, ...this.#past])
    this.requestUpdate()
  }

  /** A refused request is said above the composer; `undo` gives back what it had taken. */
  async #ask(request: Promise<unknown>, undo?: () => void): Promise<void> {
    this.failure = ''
    try {
      await request
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error)
      undo?.()
    }
  }

  #keep(text: string): void {
    this.draft = text
    this.#remember()
  }

  #remember(): void {
    this.#channel.setState({ agentId: this.agentId, draft: this.draft })
  }

  readonly #showLogs = () => this.#channel.command('logs.show', null)

  #toEnd(): void {
    const list = this.#list
    if (this.#follow && list) list.scrollTop = list.scrollHeight
  }

  /** The user writes at once where the focus is ours already; it is never taken from the rest of the workbench. */
  readonly #focusInput = () => {
    const shadow = this.shadowRoot
    if (document.hasFocus() && !shadow?.activeElement) this.#composer?.focus()
  }

  readonly #onScroll = () => {
    const list = this.#list
    if (list) this.#follow = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END
  }

  get #list(): HTMLElement | null {
    return this.renderRoot.querySelector('.list')
  }

  get #composer(): LociComposer | null {
    return this.renderRoot.querySelector('loci-composer')
  }
}

function askedIn({ otid, content }: ChatTurn): LettaMessage {
  return { message_type: 'user_message', id: otid, content } as LettaMessage
}
