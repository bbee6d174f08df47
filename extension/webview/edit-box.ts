import { html, type TemplateResult } from 'lit'
import { live } from 'lit/directives/live.js'

export interface EditBoxOptions {
  idle: boolean
  send: (text: string) => void
  keep: (text: string) => void
  cancel: () => void
}

/** A message of the user while it is written in other words, in its place. */
export function editBox(text: string, { idle, send, keep, cancel }: EditBoxOptions): TemplateResult {
  const off = !idle || text.trim() === ''
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'Escape') cancel()
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    // What is drawn may be behind what was typed.
    const { value } = event.target as HTMLTextAreaElement
    if (idle && value.trim() !== '') send(value)
  }
  return html`<section class="edit" aria-label="Edit your message">
    <textarea
      rows="1"
      aria-label="Your message, in other words"
      .value=${live(text)}
      @input=${(event: InputEvent) => keep((event.target as HTMLTextAreaElement).value)}
      @keydown=${onKey}
    ></textarea>
    <p>
      Sending sets what follows aside: the agent no longer sees it, and you can bring it back. Memory that the
      agent has edited since stays as it is.
    </p>
    <div class="buttons">
      <vscode-button ?disabled=${off} @click=${() => send(text)}>Send</vscode-button>
      <vscode-button secondary @click=${cancel}>Cancel</vscode-button>
    </div>
  </section>`
}
