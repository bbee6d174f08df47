import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { LettaMessage, StreamItem } from '../../shared/schema/message.ts'
import { splitAttachments } from '../composer-protocol.ts'
import {
  addItem,
  dropStep,
  textOf,
  type ChatAgent,
  type ChatSnapshot,
  type ChatTurn,
  type Fix,
  type NotificationEnvelope,
  type UserContent,
} from '../protocol.ts'
import { createAnnouncer } from './announcer.ts'
import type { Pending } from './approval-bar.ts'
import { openChannel, type Channel } from './channel.ts'
import { chatStyles } from './chat-styles.ts'
import type { ComposerEvents, LociComposer } from './composer/composer.ts'
import { highlighted, onHighlighter } from './highlight.ts'
import { forgetRendered, highlightWith } from './markdown.ts'
import {
  chooseState,
  earlierButton,
  emptyState,
  failureCard,
  goneNote,
  header,
  openFailure,
  untrustedState,
} from './parts.ts'
import { renderRow, type RowContext } from './rows.ts'
import { Scroller } from './scroller.ts'
import { ToolFacts } from './tool-facts.ts'
import { rowsOf, type Row, type ToolRow } from './transcript.ts'
import { transcriptStyles } from './transcript-styles.ts'

type Status = 'loading' | 'ready' | 'failed'
type Item = LettaMessage | StreamItem

/** Nearer to the beginning than this, the messages before are read; in CSS pixels. */
const NEAR_BEGIN = 800

/** The chat with one agent: history, the turn under way, and where the user writes. Draws at most once a frame. */
export class LociChat extends LitElement {
  static override styles = [chatStyles, transcriptStyles]
  static override properties = {
    agentId: { attribute: 'agent-id' },
    conversationId: { attribute: 'conversation-id' },
    place: {},
    trusted: {},
    status: { state: true },
    agent: { state: true },
    draft: { state: true },
    failure: { state: true },
    earlier: { state: true },
  }
  declare agentId: string
  declare conversationId: string
  declare place: string
  /** `false` in a workspace that the user does not trust. */
  declare trusted: string
  declare private status: Status
  declare private agent: ChatAgent | null
  declare private draft: string
  /** Why opening failed, or what the last request was refused for. */
  declare private failure: string
  declare private earlier: boolean
  readonly #channel: Channel
  readonly #scroller: Scroller
  readonly #facts: ToolFacts
  readonly #announcer = createAnnouncer((text) => this.#say(text))
  /** Everything before the present turn, and what of it is set aside. */
  #past: Item[] = []
  #aside = new Set<string>()
  #pastRows: Row[] = []
  #rows: Row[] = []
  /** Messages that the present turn goes on with: calls that it answers get their results there. */
  #carried: Item[] = []
  #turn: ChatTurn | null = null
  #pending: string | null = null
  #decided: Map<string, { approve: boolean; reason: string }> = new Map()
  #always = new Set<string>()
  #denying: Pending['denying'] = null
  #editing: { message_id: string; text: string } | null = null
  #unsent: { otid: string; content: UserContent } | null = null
  #folds = new Map<string, boolean>()
  #loadingEarlier = false
  #look = 0

  constructor() {
    super()
    this.agentId = ''
    this.conversationId = ''
    this.place = 'editor'
    this.trusted = 'true'
    this.status = 'loading'
    this.agent = null
    this.failure = ''
    this.earlier = false
    this.#channel = openChannel()
    this.#channel.listen((news) => this.#hear(news))
    const kept = this.#channel.getState()
    this.draft = kept?.draft ?? ''
    this.#unsent = kept?.unsent ?? null
    this.#editing = kept?.editing ?? null
    const root = this.attachShadow({ mode: 'open' })
    this.#scroller = new Scroller(root, () => this.requestUpdate())
    this.#facts = new ToolFacts(this.#channel, () => this.requestUpdate())
    root.addEventListener('click', this.#onClick)
    highlightWith(highlighted)
    onHighlighter(() => {
      forgetRendered()
      this.#look++
      this.requestUpdate()
    })
  }

  override connectedCallback(): void {
    super.connectedCallback()
    window.addEventListener('focus', this.#focusInput)
    if (this.agentId === '' || this.trusted === 'false') return
    this.#remember()
    void this.#open()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    window.removeEventListener('focus', this.#focusInput)
    this.#scroller.disconnect()
  }

  protected override async scheduleUpdate(): Promise<void> {
    await new Promise(requestAnimationFrame)
    await super.scheduleUpdate()
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('status') && this.status === 'ready') this.#focusInput()
    this.#scroller.settle()
    this.#readAhead()
  }

  protected override render(): TemplateResult {
    if (this.trusted === 'false') return untrustedState(() => this.#channel.command('trust.manage', null))
    if (this.agentId === '') return chooseState(() => this.#channel.command('chat.choose', null))
    if (this.status === 'failed') return openFailure(this.failure, () => void this.#open(), this.#showLogs)
    const turn = this.#turn
    const running = turn?.end === null
    // One list with one kind of key: what the user has unfolded stays so when the turn becomes past.
    const turnRows = turn
      ? rowsOf([...this.#carried, ...askedIn(turn), ...turn.items], { pending: this.#pending })
      : []
    this.#rows = [...this.#pastRows, ...turnRows]
    const range = this.#scroller.plan(this.#rows.map((row) => row.key))
    const shown = this.#rows.slice(range.start, range.end)
    const context = this.#context(running)
    this.#facts.look(shown, this.#rows)
    const empty = this.status === 'ready' && this.agent && this.#rows.length === 0 && !turn
    return html`
      <div class="said" role="status" aria-live="polite"></div>
      ${
        this.agent && this.#rows.length > 0
          ? header(this.place, {
              save: () => void this.#ask(this.#channel.request('chat.export', null)),
              choose: () => this.#channel.command('chat.choose', null),
            })
          : nothing
      }
      <main
        class="list"
        @scroll=${this.#onScroll}
        @keydown=${this.#onListKey}
        tabindex="0"
        aria-label="Messages"
      >
        ${this.earlier ? earlierButton(this.#loadingEarlier, () => void this.#loadEarlier()) : nothing}
        ${empty ? emptyState(this.agent, (text) => this.#send(text)) : nothing}
        <div class="rows" role="log" aria-live="off" aria-label="Conversation" aria-busy=${running}>
          <div class="before"></div>
          ${repeat(
            shown,
            (row) => row.key,
            (row) =>
              html`<div class="row" data-key=${row.key}>
                ${renderRow(row, running && isLive(row, turnRows), context)}
              </div>`,
          )}
          <div class="after"></div>
          ${turn && range.end === this.#rows.length ? this.#renderEnd(turn, turnRows.at(-1)) : nothing}
        </div>
      </main>
      ${this.status === 'ready' && !this.agent ? goneNote(this.conversationId !== '') : nothing}
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
          @loci-edit-last=${() => this.#editLast()}
        ></loci-composer>
      </footer>
    `
  }

  #context(running: boolean): RowContext {
    const calls = this.#rows.filter(
      (row): row is ToolRow => row.kind === 'tool' && row.approval?.state === 'waiting',
    )
    return {
      idle: !running && this.agent !== null,
      look: this.#look,
      editing: this.#editing,
      pending: { calls, decided: this.#decided, denying: this.#denying },
      isOpen: (key, initial) => this.#folds.get(key) ?? initial,
      editsOf: (row) => this.#facts.editsOf(row),
      timeOf: (row) => this.#facts.timeOf(row),
      opened: (row) => this.#facts.want(row),
      openTool: (name) => this.#channel.command('tool.open', { name }),
      undo: (edit) => void this.#ask(this.#facts.undo(edit)),
      decide: (row, approve, reason, always) => this.#decide(calls, row, approve, reason, always),
      deny: (denying) => this.#set(() => (this.#denying = denying)),
      beginEdit: (message_id, text) => this.#edit({ message_id, text }),
      keepEdit: (text) => this.#editing && this.#edit({ ...this.#editing, text }),
      endEdit: () => this.#edit(null),
      resend: (message_id, content) => this.#resend(message_id, content),
      fork: (message_id) => void this.#ask(this.#channel.request('chat.fork', { message_id })),
      rewind: (message_id) => void this.#rewind(message_id),
      copy: (text) => this.#channel.command('code.copy', { text }),
    }
  }

  /** What follows the rows of a turn: that it goes on, is held up, was stopped or failed. */
  #renderEnd(turn: ChatTurn, last: Row | undefined): TemplateResult {
    const waiting = turn.end === null && (turn.hold !== null || last?.kind !== 'assistant')
    const { end, hold } = turn
    return html`
      ${waiting ? html`<p class="waiting" aria-label="The agent is working"><i></i><i></i><i></i></p>` : nothing}
      ${hold === null ? nothing : html`<p class="hold" role="status">${hold}</p>`}
      ${end?.outcome === 'stopped' ? html`<p class="aside">Stopped.</p>` : nothing}
      ${
        end?.outcome === 'failed'
          ? failureCard(end, {
              retry: turn.content === null ? null : () => this.#retry(null),
              fix: (fix) => this.#retry(fix),
              showLogs: this.#showLogs,
            })
          : nothing
      }
    `
  }

  async #open(): Promise<void> {
    this.failure = ''
    try {
      this.#take(await this.#channel.request('chat.open', null))
      this.status = 'ready'
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error)
      if (this.status !== 'ready') this.status = 'failed'
    }
  }

  #take({ agent, history, turn, pending }: ChatSnapshot): void {
    this.agent = agent
    // What a deleted agent said stays readable while the tab is open.
    if (!agent) return
    const [first] = history.messages
    const known = first === undefined ? -1 : this.#past.findIndex((item) => isSame(item, first))
    const older = known > 0 ? this.#past.slice(0, known) : []
    if (older.length === 0) this.earlier = history.earlier
    if (pending !== this.#pending) {
      this.#decided.clear()
      this.#always.clear()
      this.#denying = null
    }
    this.#pending = pending
    this.#carried = []
    this.#turn = turn
    if (older.length === 0) this.#aside.clear()
    for (const item of history.messages) if ('id' in item) this.#aside.delete(item.id)
    for (const id of history.aside) this.#aside.add(id)
    this.#setPast([...older, ...history.messages])
    if (this.status !== 'ready') this.#dropSent()
    this.#giveBack()
    if (pending !== null) this.#announcer.say('The agent waits for your approval.')
    this.requestUpdate()
  }

  /** What was sent and never reached the server goes back to where the user writes. */
  #giveBack(): void {
    const unsent = this.#unsent
    if (!unsent || this.#turn?.otid === unsent.otid) return
    const arrived = this.#past.some((item) => 'otid' in item && item.otid === unsent.otid)
    if (!arrived && this.draft === '') this.draft = textOf(unsent.content)
    this.#unsent = null
    this.#remember()
  }

  /** VS Code may give back a state from before the draft was sent. */
  #dropSent(): void {
    const sent = this.#past.some(
      (item) => item.message_type === 'user_message' && textOf(item.content) === this.draft,
    )
    if (!sent) return
    this.draft = ''
    this.#remember()
  }

  #hear(news: NotificationEnvelope): void {
    switch (news.name) {
      case 'turn.started':
        this.#archive(news.params.replaces)
        this.#turn = { ...news.params, items: [], end: null, hold: null }
        this.#scroller.follow = true
        this.#announcer.say(`${this.agent?.name ?? 'The agent'} is answering.`)
        break
      case 'turn.items':
        if (this.#turn?.otid !== news.params.otid) return
        if (news.params.drop !== undefined) dropStep(this.#turn.items, news.params.drop)
        for (const item of news.params.items) addItem(this.#turn.items, item)
        this.#announcer.grown(lastAnswer(this.#turn.items))
        break
      case 'turn.held':
        if (this.#turn?.otid === news.params.otid) this.#turn.hold = news.params.hold
        break
      case 'turn.ended': {
        if (this.#turn?.otid !== news.params.otid) break
        const { end } = news.params
        this.#turn = { ...this.#turn, end, hold: null }
        this.#announcer.ended(
          end.outcome === 'done'
            ? 'End of the answer.'
            : end.outcome === 'stopped'
              ? 'Stopped.'
              : end.message,
        )
        // From the history it has the ids by which it can be edited and forked.
        void this.#open()
        break
      }
      case 'chat.stale':
        // A turn that ends has it read, too.
        if (this.#turn?.end !== null) void this.#open()
        break
      case 'agent.changed':
        this.agent = news.params
        break
      case 'memory.changed':
        this.#facts.forget()
        break
      default:
        // Of the composer.
        return
    }
    this.requestUpdate()
  }

  /** The turn before the one that begins becomes past; one that failed is replaced by its retry. */
  #archive(replaces: string | null): void {
    const turn = this.#turn
    this.#turn = null
    const ended: Item[] = turn ? [...this.#carried, ...askedIn(turn), ...turn.items] : []
    const items: Item[] = [...this.#past, ...ended]
    const asks = items.findIndex((item) => 'id' in item && item.id === this.#pending)
    this.#carried = asks < 0 || replaces !== null ? [] : items.splice(asks)
    this.#pending = null
    const cut = replaces === null ? -1 : items.findIndex((item) => 'id' in item && item.id === replaces)
    for (const item of cut < 0 ? [] : items.slice(cut)) if ('id' in item) this.#aside.add(item.id)
    this.#editing = null
    // The question of a turn that failed is known here by its own id only: its retry has it again.
    this.#setPast(replaces !== null && cut < 0 ? this.#past : items)
  }

  #setPast(items: Item[]): void {
    this.#past = items
    this.#pastRows = rowsOf(items, { pending: this.#pending, aside: this.#aside })
  }

  #send(content: UserContent): void {
    const giveBack = () => {
      this.#unsent = null
      this.#composer?.restore(content)
    }
    if (this.#turn?.end === null || !this.agent) return giveBack()
    const otid = crypto.randomUUID()
    this.#unsent = { otid, content }
    this.#remember()
    void this.#ask(this.#channel.request('chat.send', { otid, content }), giveBack)
  }

  #retry(fix: Fix | null): void {
    void this.#ask(this.#channel.request('chat.retry', { otid: crypto.randomUUID(), fix }))
  }

  #resend(message_id: string, content: UserContent | null): void {
    const otid = crypto.randomUUID()
    void this.#ask(this.#channel.request('chat.edit', { otid, message_id, content }))
  }

  #edit(editing: { message_id: string; text: string } | null): void {
    const began = editing !== null && this.#editing?.message_id !== editing.message_id
    this.#editing = editing
    this.#remember()
    this.requestUpdate()
    if (began)
      void this.updateComplete.then(() => this.#root?.querySelector<HTMLElement>('.edit textarea')?.focus())
    if (editing === null) this.#composer?.focus()
  }

  #editLast(): void {
    const last = this.#rows.findLast((row) => row.kind === 'user' && row.message_id !== null)
    if (last?.kind !== 'user' || last.message_id === null) return
    this.#edit({ message_id: last.message_id, text: splitAttachments(last.text).text })
  }

  async #rewind(message_id: string): Promise<void> {
    await this.#ask(this.#channel.request('chat.rewind', { message_id }))
    await this.#open()
  }

  /** All calls that wait together are answered together. */
  #decide(calls: readonly ToolRow[], row: ToolRow, approve: boolean, reason: string, always: boolean): void {
    if (row.tool_call_id === null) return
    this.#decided.set(row.tool_call_id, { approve, reason })
    if (always) this.#always.add(row.name)
    this.#denying = null
    this.requestUpdate()
    if (calls.some((call) => !this.#decided.has(call.tool_call_id ?? ''))) return
    const decisions = calls.flatMap(({ tool_call_id }) => {
      const said = this.#decided.get(tool_call_id ?? '')
      if (tool_call_id === null || !said) return []
      return [{ tool_call_id, approve: said.approve, reason: said.reason || null }]
    })
    const request = this.#channel.request('chat.decide', {
      otid: crypto.randomUUID(),
      decisions,
      always: [...this.#always],
    })
    void this.#ask(request, () => this.#set(() => this.#decided.clear()))
  }

  async #loadEarlier(): Promise<void> {
    const first = this.#past.find((item) => 'id' in item)
    if (this.#loadingEarlier || !first || !('id' in first)) return
    this.#loadingEarlier = true
    this.requestUpdate()
    await this.#ask(this.#addEarlier(first.id))
    this.#loadingEarlier = false
    this.requestUpdate()
  }

  async #addEarlier(before: string): Promise<void> {
    const page = await this.#channel.request('chat.earlier', { before })
    this.earlier = page.earlier
    for (const id of page.aside) this.#aside.add(id)
    this.#setPast([...page.messages, ...this.#past])
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

  #set(change: () => void): void {
    change()
    this.requestUpdate()
  }

  #keep(text: string): void {
    this.draft = text
    this.#remember()
  }

  #remember(): void {
    const { agentId, draft } = this
    const conversationId = this.conversationId || null
    this.#channel.setState({ agentId, conversationId, draft, unsent: this.#unsent, editing: this.#editing })
  }

  readonly #showLogs = () => this.#channel.command('logs.show', null)

  /** The user writes at once where the focus is ours already; it is never taken from the rest of the workbench. */
  readonly #focusInput = () => {
    if (document.hasFocus() && !this.#root?.activeElement) this.#composer?.focus()
  }

  readonly #onScroll = () => {
    this.#scroller.onScroll()
    this.#readAhead()
  }

  /** Who comes near the beginning of what was read finds more above it. */
  #readAhead(): void {
    const list = this.#scroller.list
    if (list && this.earlier && this.failure === '' && list.scrollTop < NEAR_BEGIN) void this.#loadEarlier()
  }

  /** Up and Down go from message to message once one has the focus; Escape goes back to where the user writes. */
  readonly #onListKey = (event: KeyboardEvent) => {
    const target = event.composedPath()[0]
    if (!(target instanceof HTMLElement) || target.closest('textarea, input')) return
    if (event.key === 'Escape') this.#composer?.focus()
    if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return
    const rows = [...(this.#scroller.list?.querySelectorAll<HTMLElement>('.rows > .row') ?? [])]
    const stops = rows.flatMap((row) => row.querySelector<HTMLElement>('article, summary') ?? [])
    const at = stops.findIndex((stop) => stop.closest('.row')?.contains(target))
    const next = at < 0 ? stops.at(-1) : stops[at + (event.key === 'ArrowUp' ? -1 : 1)]
    if (!next) return
    event.preventDefault()
    next.focus()
  }

  /** What the user folds stays so; buttons of code blocks are part of a message's HTML. */
  readonly #onClick = (event: Event) => {
    const details = event.target instanceof Element ? event.target.closest('summary')?.parentElement : null
    const fold = details?.dataset['fold']
    // It is about to become the other way round.
    if (fold !== undefined) this.#folds.set(fold, !details?.hasAttribute('open'))
    const button =
      event.target instanceof Element ? event.target.closest<HTMLElement>('button[data-act]') : null
    const code = button?.closest('.code')?.querySelector('code')
    if (!button || !code) return
    const text = (code.textContent ?? '').replace(/\n$/, '')
    this.#channel.command(button.dataset['act'] === 'insert' ? 'code.insert' : 'code.copy', { text })
  }

  #say(text: string): void {
    const said = this.#root?.querySelector('.said')
    if (said) said.textContent = text
  }

  get #root(): ShadowRoot | null {
    return this.shadowRoot
  }

  get #composer(): LociComposer | null {
    return this.#root?.querySelector('loci-composer') ?? null
  }
}

/** The question of a turn, as a message; none when it has none. */
function askedIn({ otid, content }: ChatTurn): LettaMessage[] {
  if (content === null) return []
  return [{ message_type: 'user_message', id: otid, otid, content } as LettaMessage]
}

/** Whether a row of the turn under way may still grow. */
function isLive(row: Row, turnRows: readonly Row[]): boolean {
  if (row === turnRows.at(-1)) return true
  return row.kind === 'tool' && row.status === 'running' && turnRows.includes(row)
}

function isSame(a: Item, b: Item): boolean {
  return 'id' in a && 'id' in b && a.id === b.id && a.message_type === b.message_type
}

function lastAnswer(items: readonly StreamItem[]): string {
  const last = items.findLast((item) => item.message_type === 'assistant_message')
  return last?.message_type === 'assistant_message' ? textOf(last.content) : ''
}
