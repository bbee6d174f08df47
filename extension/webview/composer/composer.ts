import { html, LitElement, nothing, type TemplateResult } from 'lit'
import { live } from 'lit/directives/live.js'
import { textOf, type ChatAgent, type UserContent } from '../../protocol.ts'
import type { Channel } from '../channel.ts'
import { icons } from '../icons.ts'
import { composerStyles } from './composer-styles.ts'

/** What a composer tells the chat around it; none of these bubbles. */
export interface ComposerEvents {
  /** The user sends this. The draft is empty already; `restore` gives it back. */
  'loci-send': CustomEvent<UserContent>
  'loci-stop': CustomEvent<null>
  /** After each change of the draft. */
  'loci-draft': CustomEvent<string>
}

/** Where the user writes: Enter sends, Shift+Enter begins a line. Writing goes on while the agent answers. */
export class LociComposer extends LitElement {
  static override styles = composerStyles
  static override properties = {
    agent: { attribute: false },
    channel: { attribute: false },
    draft: {},
    notice: {},
    running: { type: Boolean },
    disabled: { type: Boolean },
  }
  declare agent: ChatAgent | null
  /** The way to the host, for what the composer asks by itself. */
  declare channel: Channel
  declare draft: string
  /** A refused request, in a sentence; empty for none. */
  declare notice: string
  declare running: boolean
  declare disabled: boolean

  constructor() {
    super()
    this.agent = null
    this.draft = ''
    this.notice = ''
    this.running = false
    this.disabled = false
  }

  /** Puts the cursor where the user writes. */
  override focus(): void {
    this.renderRoot.querySelector('textarea')?.focus()
  }

  /** Gives back what a refused `loci-send` had taken, unless the user has begun something new. */
  restore(content: UserContent): void {
    if (this.draft === '') this.#edit(textOf(content))
  }

  protected override render(): TemplateResult {
    const name = this.agent?.name ?? 'the agent'
    return html`
      ${this.notice ? html`<p class="notice" role="alert">${icons.failed} ${this.notice}</p>` : nothing}
      <div class="composer">
        <textarea
          rows="1"
          aria-label="Message to ${name}"
          placeholder="Message ${name}"
          .value=${live(this.draft)}
          ?disabled=${this.disabled}
          @input=${(event: InputEvent) => this.#edit((event.target as HTMLTextAreaElement).value)}
          @keydown=${this.#onKey}
        ></textarea>
        <div class="bar">
          <span class="model" title="The model this agent thinks with">${modelText(this.agent)}</span>
          ${this.running ? this.#stopButton() : this.#sendButton()}
        </div>
      </div>
    `
  }

  #sendButton(): TemplateResult {
    const off = this.disabled || this.draft.trim() === ''
    return html`<button
      class="round"
      title="Send (Enter)"
      aria-label="Send"
      ?disabled=${off}
      @click=${this.#send}
    >
      ${icons.send}
    </button>`
  }

  #stopButton(): TemplateResult {
    const stop = () => this.dispatchEvent(new CustomEvent('loci-stop', { detail: null }))
    return html`<button class="round stop" title="Stop" aria-label="Stop the answer" @click=${stop}>
      ${icons.stop}
    </button>`
  }

  readonly #onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    if (!this.running) this.#send()
  }

  readonly #send = () => {
    const text = this.draft
    if (text.trim() === '' || this.disabled) return
    this.#edit('')
    this.dispatchEvent(new CustomEvent('loci-send', { detail: text }))
  }

  #edit(text: string): void {
    this.draft = text
    this.dispatchEvent(new CustomEvent('loci-draft', { detail: text }))
  }
}

function modelText(agent: ChatAgent | null): string {
  if (!agent?.model) return ''
  return agent.model === 'loci/demo' ? 'loci/demo · a script, not a language model' : agent.model
}
