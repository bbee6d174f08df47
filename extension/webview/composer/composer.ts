import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit'
import { live } from 'lit/directives/live.js'
import {
  contentOf,
  LIMITS,
  refusalOf,
  type Attachment,
  type Draft,
  type FileChoice,
} from '../../composer-protocol.ts'
import { textOf, type ChatAgent, type NotificationEnvelope, type UserContent } from '../../protocol.ts'
import type { Channel } from '../channel.ts'
import { icons } from '../icons.ts'
import { attachmentList } from './attachment-list.ts'
import { composerStyles } from './composer-styles.ts'
import { readImages } from './images.ts'
import { completed, LIST_ID, mentionAt, mentionList, optionId, type MentionList } from './mentions.ts'

/** A pasted text that is longer is attached. */
const LONG = { characters: 20_000, lines: 400 }

/** What a composer tells the chat around it; none of these bubbles. */
export interface ComposerEvents {
  /** The user sends this. The draft is empty already; `restore` gives it back. */
  'loci-send': CustomEvent<UserContent>
  'loci-stop': CustomEvent<null>
  /** After each change of the draft's text. */
  'loci-draft': CustomEvent<string>
  /** The user wants to say their last message in other words. */
  'loci-edit-last': CustomEvent<null>
}

/**
 * Where the user writes: Enter sends, Shift+Enter begins a line, @ mentions a file, Escape stops the answer, Up in an
 * empty one edits the last message. Writing goes on while the agent answers.
 */
export class LociComposer extends LitElement {
  static override styles = composerStyles
  static override properties = {
    agent: { attribute: false },
    channel: { attribute: false },
    draft: {},
    notice: {},
    running: { type: Boolean },
    disabled: { type: Boolean },
    attachments: { state: true },
    conversation: { state: true },
    refusal: { state: true },
    mentions: { state: true },
    sending: { state: true },
    dragging: { state: true },
  }
  declare agent: ChatAgent | null
  /** The way to the host, for what the composer asks by itself. */
  declare channel: Channel
  declare draft: string
  /** A refused request, in a sentence; empty for none. */
  declare notice: string
  declare running: boolean
  declare disabled: boolean
  declare private attachments: readonly Attachment[]
  /** What the conversation is called. */
  declare private conversation: string
  /** Why something cannot be attached or sent. */
  declare private refusal: string
  declare private mentions: MentionList | null
  /** Files are being read for a message. */
  declare private sending: boolean
  declare private dragging: boolean
  /** What was sent last: given back when it is refused. */
  #sent: Draft | null = null
  #asked = 0
  #opened = false

  constructor() {
    super()
    this.agent = null
    this.draft = ''
    this.notice = ''
    this.running = false
    this.disabled = false
    this.attachments = []
    this.conversation = ''
    this.refusal = ''
    this.mentions = null
    this.sending = false
    this.dragging = false
  }

  /** Puts the cursor where the user writes. */
  override focus(): void {
    this.#input?.focus()
  }

  /** Gives back what a refused `loci-send` had taken, unless the user has begun something new. */
  restore(content: UserContent): void {
    if (this.draft !== '' || this.attachments.length > 0) return
    const draft = this.#sent ?? { text: textOf(content), attachments: [] }
    this.attachments = draft.attachments
    this.#edit(draft.text, true)
  }

  protected override updated(changed: PropertyValues): void {
    // The chat knows its agent when the host has answered it.
    if (changed.has('agent') && this.agent && !this.#opened) {
      this.#opened = true
      this.channel.listen((news) => this.#hear(news))
      void this.#open()
    }
  }

  protected override render(): TemplateResult {
    const name = this.agent?.name ?? 'the agent'
    const notice = this.refusal || this.notice
    const { mentions } = this
    const option = mentions?.files[mentions.active] ? optionId(mentions.active) : nothing
    return html`
      ${notice ? html`<p class="notice" role="alert">${icons.failed} ${notice}</p>` : nothing}
      <div
        class="composer ${this.dragging ? 'dragging' : ''}"
        @dragover=${this.#onDrag}
        @dragleave=${() => (this.dragging = false)}
        @drop=${this.#onDrop}
      >
        ${mentions ? mentionList(mentions, (file) => void this.#take(file)) : nothing}
        ${attachmentList(this.attachments, (one) => this.#attachments(this.attachments.filter((each) => each !== one)))}
        <textarea
          rows="1"
          aria-label="Message to ${name}"
          aria-autocomplete="list"
          aria-controls=${mentions ? LIST_ID : nothing}
          aria-activedescendant=${option}
          placeholder="Message ${name} (@ mentions files)"
          .value=${live(this.draft)}
          ?disabled=${this.disabled}
          @beforeinput=${this.#onBeforeInput}
          @input=${this.#onInput}
          @keydown=${this.#onKey}
          @paste=${this.#onPaste}
          @blur=${() => this.#closeMentions()}
        ></textarea>
        <div class="bar">
          ${this.#pickers()}
          <span class="space"></span>
          ${this.running ? this.#stopButton() : this.#sendButton()}
        </div>
      </div>
      <span class="said" role="status">${mentions ? foundText(mentions) : ''}</span>
    `
  }

  #pickers(): TemplateResult {
    const { agent } = this
    const model = agent?.model ?? 'no model'
    const demo = model === 'loci/demo'
    return html`
      <button
        class="pick add"
        title="Add context: files, the selection, images"
        aria-label="Add context"
        ?disabled=${this.disabled}
        @click=${() => void this.#ask(this.#pickContext())}
      >
        ${icons.attach}
      </button>
      <button
        class="pick"
        title="The conversation: choose another one, or begin one"
        aria-label="Conversation: ${this.conversation}"
        ?disabled=${this.disabled}
        @click=${() => void this.#ask(this.channel.request('composer.pickConversation', null))}
      >
        ${icons.conversation}<span>${this.conversation || 'Conversation'}</span>
      </button>
      <button
        class="pick model"
        title=${demo ? 'loci/demo is a script, not a language model: choose a model' : 'The model this agent thinks with'}
        aria-label="Model: ${model}"
        ?disabled=${this.disabled}
        @click=${() => void this.#ask(this.channel.request('composer.pickModel', null))}
      >
        <span>${demo ? 'loci/demo · a script' : model}</span>
      </button>
    `
  }

  #sendButton(): TemplateResult {
    const empty = this.draft.trim() === '' && this.attachments.length === 0
    return html`<button
      class="round"
      title="Send (Enter)"
      aria-label="Send"
      ?disabled=${this.disabled || this.sending || empty}
      @click=${this.#send}
    >
      ${icons.send}
    </button>`
  }

  #stopButton(): TemplateResult {
    return html`<button
      class="round stop"
      title="Stop (Escape)"
      aria-label="Stop the answer"
      @click=${this.#stop}
    >
      ${icons.stop}
    </button>`
  }

  #hear(news: NotificationEnvelope): void {
    if (news.name === 'composer.added') {
      this.#add(news.params.attachments)
      this.focus()
    }
    // It may be called otherwise now.
    if (news.name === 'chat.stale') void this.#readTitle()
  }

  async #open(): Promise<void> {
    const kept = this.draft
    try {
      const { draft, conversation } = await this.channel.request('composer.open', null)
      this.conversation = conversation
      if (this.attachments.length === 0) this.attachments = draft.attachments
      // The webview's state may be as old as VS Code's last save of it. The host has what was written since, but for the
      // moment before a crash.
      const newer = draft.text !== '' && !kept.startsWith(draft.text)
      if (newer && this.draft === kept) this.#edit(draft.text)
    } catch (error) {
      this.refusal = sentence(error)
    }
  }

  async #readTitle(): Promise<void> {
    try {
      this.conversation = (await this.channel.request('composer.open', null)).conversation
    } catch {
      // The chat around says what is the matter: the server or the agent is gone.
    }
  }

  readonly #onInput = (event: Event) => {
    const { value, selectionStart } = event.target as HTMLTextAreaElement
    this.#edit(value)
    void this.#mention(value, selectionStart)
  }

  /** A long text that is pasted or dropped is attached: as an edit of thousands of lines it would stop the window. */
  readonly #onBeforeInput = (event: InputEvent) => {
    const text = event.data ?? event.dataTransfer?.getData('text/plain') ?? ''
    const lines = text.replace(/\n$/, '').split('\n').length
    if (text.length < LONG.characters && lines < LONG.lines) return
    event.preventDefault()
    this.#add([{ kind: 'selection', id: crypto.randomUUID(), path: 'pasted text', from: 1, to: lines, text }])
  }

  async #mention(text: string, cursor: number): Promise<void> {
    const asked = ++this.#asked
    const mention = mentionAt(text, cursor)
    if (!mention) return this.#closeMentions()
    try {
      const files = await this.channel.request('composer.findFiles', { query: mention.query })
      if (asked === this.#asked) this.mentions = { ...mention, files, active: 0 }
    } catch (error) {
      if (asked === this.#asked) this.refusal = sentence(error)
    }
  }

  async #take(file: FileChoice): Promise<void> {
    const { mentions } = this
    this.#closeMentions()
    if (!mentions) return
    await this.#ask(this.#attach([file.uri]))
    if (this.refusal !== '') return
    const { text, cursor } = completed(this.draft, mentions, file.name)
    this.#edit(text)
    await this.updateComplete
    this.focus()
    this.#input?.setSelectionRange(cursor, cursor)
  }

  #closeMentions(): void {
    this.#asked++
    this.mentions = null
  }

  readonly #onKey = (event: KeyboardEvent) => {
    if (event.isComposing) return
    if (this.mentions && this.#onMentionKey(event, this.mentions)) return event.preventDefault()
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      if (!this.running) void this.#send()
    } else if (event.key === 'Escape' && this.running) {
      event.preventDefault()
      this.#stop()
    } else if (event.key === 'ArrowUp' && this.draft === '' && !this.running) {
      event.preventDefault()
      this.dispatchEvent(new CustomEvent('loci-edit-last', { detail: null }))
    }
  }

  /** Whether the list of files has taken this key. */
  #onMentionKey({ key }: KeyboardEvent, mentions: MentionList): boolean {
    const { files, active } = mentions
    if (key === 'Escape') this.#closeMentions()
    else if (files.length === 0) return false
    else if (key === 'ArrowDown' || key === 'ArrowUp') {
      const next = (active + (key === 'ArrowDown' ? 1 : -1) + files.length) % files.length
      this.mentions = { ...mentions, active: next }
      void this.#showOption(next)
    } else if (key === 'Enter' || key === 'Tab') {
      const file = files[active]
      if (file) void this.#take(file)
    } else return false
    return true
  }

  async #showOption(index: number): Promise<void> {
    await this.updateComplete
    this.renderRoot.querySelector(`#${optionId(index)}`)?.scrollIntoView({ block: 'nearest' })
  }

  readonly #onPaste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    void this.#addImages(files)
  }

  readonly #onDrag = (event: DragEvent) => {
    const types = event.dataTransfer?.types ?? []
    if (!types.includes('Files') && !types.includes('text/uri-list')) return
    event.preventDefault()
    this.dragging = true
  }

  readonly #onDrop = (event: DragEvent) => {
    this.dragging = false
    const uris = (event.dataTransfer?.getData('text/uri-list') ?? '')
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#'))
    const files = [...(event.dataTransfer?.files ?? [])]
    if (uris.length === 0 && files.length === 0) return
    event.preventDefault()
    if (uris.length > 0) void this.#ask(this.#attach(uris))
    else void this.#addImages(files)
  }

  async #addImages(files: readonly File[]): Promise<void> {
    const { images, refused } = await readImages(files)
    this.#add(images)
    if (refused.length > 0) this.refusal = refused.join(' ')
  }

  async #attach(uris: string[]): Promise<void> {
    this.#add(await this.channel.request('composer.attach', { uris }))
  }

  async #pickContext(): Promise<void> {
    this.#add(await this.channel.request('composer.pickContext', null))
    this.focus()
  }

  /** What is attached already is not attached twice. */
  #add(more: readonly Attachment[]): void {
    const fresh = more.filter((one) => !this.attachments.some((each) => isSame(each, one)))
    const all = [...this.attachments, ...fresh]
    this.refusal = refusalOf(all) ?? ''
    if (this.refusal === '' && fresh.length > 0) this.#attachments(all)
  }

  #attachments(attachments: readonly Attachment[]): void {
    this.attachments = attachments
    this.refusal = ''
    this.#keep(true)
  }

  readonly #stop = () => {
    this.dispatchEvent(new CustomEvent('loci-stop', { detail: null }))
  }

  readonly #send = async () => {
    const draft: Draft = { text: this.draft, attachments: [...this.attachments] }
    const empty = draft.text.trim() === '' && draft.attachments.length === 0
    if (empty || this.disabled || this.sending) return
    if (draft.text.length > LIMITS.text) {
      const most = LIMITS.text.toLocaleString('en')
      this.refusal = `A message may have ${most} characters; this one has ${draft.text.length.toLocaleString('en')}. Attach a file instead.`
      return
    }
    const uris = draft.attachments.flatMap((one) => (one.kind === 'file' ? [one.uri] : []))
    let texts: string[] = []
    if (uris.length > 0) {
      this.sending = true
      await this.#ask(
        this.channel.request('composer.read', { uris }).then((read) => {
          texts = read
          return read
        }),
      )
      this.sending = false
      if (this.refusal !== '') return
    }
    this.#sent = draft
    this.refusal = ''
    this.attachments = []
    this.#edit('', true)
    this.dispatchEvent(new CustomEvent('loci-send', { detail: contentOf(draft, texts) }))
  }

  #edit(text: string, attachmentsToo = false): void {
    this.draft = text
    this.dispatchEvent(new CustomEvent('loci-draft', { detail: text }))
    this.#keep(attachmentsToo)
  }

  #keep(attachmentsToo: boolean): void {
    const attachments = attachmentsToo ? [...this.attachments] : null
    void this.channel.request('composer.keep', { text: this.draft, attachments }).catch(() => {
      // The text is kept by the webview's own state, too; the host has told what its disk said.
    })
  }

  /** A refused request is said above the composer. */
  async #ask(request: Promise<unknown>): Promise<void> {
    this.refusal = ''
    try {
      await request
    } catch (error) {
      this.refusal = sentence(error)
    }
  }

  get #input(): HTMLTextAreaElement | null {
    return this.renderRoot.querySelector('textarea')
  }
}

function isSame(one: Attachment, other: Attachment): boolean {
  if (one.kind === 'file') return other.kind === 'file' && one.uri === other.uri
  if (one.kind === 'image') return other.kind === 'image' && one.data === other.data
  return (
    other.kind === 'selection' &&
    one.path === other.path &&
    one.from === other.from &&
    one.to === other.to &&
    one.text === other.text
  )
}

function foundText({ files }: MentionList): string {
  if (files.length === 0) return 'No files'
  return `${files.length} ${files.length === 1 ? 'file' : 'files'}; arrow keys choose, Enter attaches`
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
