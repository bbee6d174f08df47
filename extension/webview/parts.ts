import { html, nothing, type TemplateResult } from 'lit'
import { live } from 'lit/directives/live.js'
import type { ChatAgent } from '../protocol.ts'
import { icons } from './icons.ts'

export interface ComposerOptions {
  agent: ChatAgent | null
  draft: string
  running: boolean
  disabled: boolean
  /** A refused request, in a sentence; empty for none. */
  notice: string
  input: (text: string) => void
  send: () => void
  stop: () => void
}

/** Where the user writes: Enter sends, Shift+Enter begins a line. Writing goes on while the agent answers. */
export function composer(o: ComposerOptions): TemplateResult {
  const name = o.agent?.name ?? 'the agent'
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    if (!o.running) o.send()
  }
  const onInput = (event: InputEvent) => o.input((event.target as HTMLTextAreaElement).value)
  return html`<footer>
    ${o.notice ? html`<p class="notice" role="alert">${icons.failed} ${o.notice}</p>` : nothing}
    <div class="composer">
      <textarea
        rows="1"
        aria-label="Message to ${name}"
        placeholder="Message ${name}"
        .value=${live(o.draft)}
        ?disabled=${o.disabled}
        @input=${onInput}
        @keydown=${onKey}
      ></textarea>
      <div class="bar">
        <span class="model" title="The model this agent thinks with">${modelText(o.agent)}</span>
        ${o.running ? stopButton(o.stop) : sendButton(o)}
      </div>
    </div>
  </footer>`
}

function modelText(agent: ChatAgent | null): string {
  if (!agent?.model) return ''
  return agent.model === 'loci/demo' ? 'loci/demo · a script, not a language model' : agent.model
}

function sendButton({ draft, disabled, send }: ComposerOptions): TemplateResult {
  const off = disabled || draft.trim() === ''
  return html`<button class="round" title="Send (Enter)" aria-label="Send" ?disabled=${off} @click=${send}>
    ${icons.send}
  </button>`
}

function stopButton(stop: () => void): TemplateResult {
  return html`<button class="round stop" title="Stop" aria-label="Stop the answer" @click=${stop}>
    ${icons.stop}
  </button>`
}

const SUGGESTIONS = [
  'My name is Ada and I live in London',
  'What do you remember about me?',
  'Which tools do you have?',
]

/** What a chat without messages shows. */
export function emptyState(agent: ChatAgent | null, send: (text: string) => void): TemplateResult {
  return html`<section class="empty">
    <div class="emblem">${icons.agent}</div>
    <h1>${agent?.name ?? 'Agent'}</h1>
    <p>What you tell this agent can become part of its memory. Watch the Blocks view while you talk.</p>
    <ul>
      ${SUGGESTIONS.map(
        (text) => html`<li><button class="suggestion" @click=${() => send(text)}>${text}</button></li>`,
      )}
    </ul>
  </section>`
}

/** A turn that failed, in its place. */
export function failureCard(message: string, retry: () => void, showLogs: () => void): TemplateResult {
  return html`<section class="failure" role="alert">
    <p>${icons.failed} <span>${message}</span></p>
    <div class="buttons">
      <vscode-button @click=${retry}>Retry</vscode-button>
      <vscode-button secondary @click=${showLogs}>Show Logs</vscode-button>
    </div>
  </section>`
}

/** The chat could not be read at all. */
export function openFailure(message: string, retry: () => void, showLogs: () => void): TemplateResult {
  return html`<main class="list">
    <section class="empty">
      <div class="emblem">${icons.failed}</div>
      <h1>This chat cannot be opened now</h1>
      <p role="alert">${message}</p>
      <div class="buttons">
        <vscode-button @click=${retry}>Retry</vscode-button>
        <vscode-button secondary @click=${showLogs}>Show Logs</vscode-button>
      </div>
    </section>
  </main>`
}

/** The agent was deleted while its chat was open. */
export function goneNote(): TemplateResult {
  return html`<p class="gone" role="status">
    This agent does not exist any more. What you wrote is kept below.
  </p>`
}

/** Reads the messages before the first. */
export function earlierButton(load: () => void): TemplateResult {
  return html`<div class="earlier">
    <vscode-button secondary @click=${load}>Show earlier messages</vscode-button>
  </div>`
}
