import { html, type TemplateResult } from 'lit'
import type { ChatAgent } from '../protocol.ts'
import { icons } from './icons.ts'

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
