import { html, nothing, type TemplateResult } from 'lit'
import type { ChatAgent, Fix, TurnEnd } from '../protocol.ts'
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

const FIX_LABELS: Record<Fix, string> = {
  provider: 'Check Provider…',
  model: 'Choose Another Model…',
  compact: 'Summarise and Try Again',
  deny: 'Deny and Send',
  'stop-other': 'Stop That Turn and Send',
  'go-on': 'Let It Go On',
}

export interface FailureActions {
  /** Null when there is nothing to send again. */
  retry: (() => void) | null
  fix: (fix: Fix) => void
  showLogs: () => void
}

/** A turn that failed, in its place: why, and the button that helps first. */
export function failureCard(
  { message, fix }: Extract<TurnEnd, { outcome: 'failed' }>,
  { retry, fix: doFix, showLogs }: FailureActions,
): TemplateResult {
  return html`<section class="failure" role="alert">
    <p>${icons.failed} <span>${message}</span></p>
    <div class="buttons">
      ${fix === null ? nothing : html`<vscode-button class="fix" @click=${() => doFix(fix)}>${FIX_LABELS[fix]}</vscode-button>`}
      ${retry === null ? nothing : html`<vscode-button ?secondary=${fix !== null} @click=${retry}>Retry</vscode-button>`}
      <vscode-button secondary @click=${showLogs}>Show Logs</vscode-button>
    </div>
  </section>`
}

/** What can be done with the whole chat. */
export function header(
  place: string,
  { save, choose }: { save: () => void; choose: () => void },
): TemplateResult {
  return html`<header role="toolbar" aria-label="Chat">
    ${
      place === 'side'
        ? html`<button class="action" title="Another agent" aria-label="Another agent" @click=${choose}>
            ${icons.agent}
          </button>`
        : nothing
    }
    <button class="action" title="Export to Markdown" aria-label="Export to Markdown" @click=${save}>
      ${icons.save}
    </button>
  </header>`
}

/** The view in the side bar before an agent is chosen. */
export function chooseState(choose: () => void): TemplateResult {
  return html`<main class="list">
    <section class="empty">
      <div class="emblem">${icons.agent}</div>
      <h1>No chat yet</h1>
      <p>Choose an agent to talk with it here, beside your code.</p>
      <vscode-button @click=${choose}>Choose an Agent…</vscode-button>
    </section>
  </main>`
}

/** The view in the side bar of a workspace that is not trusted. */
export function untrustedState(manage: () => void): TemplateResult {
  return html`<main class="list">
    <section class="empty">
      <div class="emblem">${icons.agent}</div>
      <h1>This workspace is not trusted</h1>
      <p>Agents and their tools act on your machine, so Loci does nothing here until you trust it.</p>
      <vscode-button @click=${manage}>Manage Workspace Trust</vscode-button>
    </section>
  </main>`
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

/** The agent, or this conversation with it, was deleted while its chat was open. */
export function goneNote(conversation: boolean): TemplateResult {
  const what = conversation ? 'This conversation, or its agent, does' : 'This agent does'
  return html`<p class="gone" role="status">
    ${what} not exist any more. What was said, and what you wrote, is kept here while it is open.
  </p>`
}

/** Reads the messages before the first; it is pressed by scrolling, too. */
export function earlierButton(loading: boolean, load: () => void): TemplateResult {
  return html`<div class="earlier">
    <vscode-button secondary ?disabled=${loading} @click=${load}>
      ${loading ? 'Reading earlier messages…' : 'Show earlier messages'}
    </vscode-button>
  </div>`
}
