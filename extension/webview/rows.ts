import { html, nothing, type TemplateResult } from 'lit'
import { guard } from 'lit/directives/guard.js'
import { repeat } from 'lit/directives/repeat.js'
import { unsafeHTML } from 'lit/directives/unsafe-html.js'
import { reworded, splitAttachments } from '../composer-protocol.ts'
import type { UserContent } from '../protocol.ts'
import { editBox } from './edit-box.ts'
import { icons } from './icons.ts'
import { cachedMarkdown, growingMarkdown } from './markdown.ts'
import { toolRow, type ToolContext } from './tool-row.ts'
import type { Row, UserRow } from './transcript.ts'

/** What rows need of the chat around them. */
export interface RowContext extends ToolContext {
  /** No turn is under way, and the agent is there: the conversation can be changed. */
  idle: boolean
  /** Counts up when code can be shown in other colours. */
  look: number
  editing: { message_id: string; text: string } | null
  beginEdit: (message_id: string, text: string) => void
  keepEdit: (text: string) => void
  endEdit: () => void
  resend: (message_id: string, content: UserContent | null) => void
  fork: (message_id: string) => void
  rewind: (message_id: string) => void
  copy: (text: string) => void
}

/** One row of the chat. `live` while it may still grow. */
export function renderRow(row: Row, live: boolean, c: RowContext): TemplateResult {
  switch (row.kind) {
    case 'user':
      return userRow(row, c)
    case 'assistant': {
      const { message_id, text } = row
      return html`<article class="assistant" aria-label="Agent" tabindex="-1">
        <div class="markdown">
          ${guard([text, live, c.look], () => unsafeHTML(live ? growingMarkdown(text) : cachedMarkdown(text)))}
        </div>
        ${live ? nothing : tools([copyButton(text, c), forkButton(message_id, c)])}
      </article>`
    }
    case 'reasoning':
      return reasoning(row, live, c)
    case 'tool':
      return toolRow(row, live, c)
    case 'note':
      return note(row, c)
    case 'aside':
      return aside(row, c)
  }
}

function userRow({ message_id, text, images }: UserRow, c: RowContext): TemplateResult {
  if (message_id !== null && c.editing?.message_id === message_id) {
    const send = (said: string) => c.resend(message_id, reworded(said, text, images))
    return editBox(c.editing.text, { send, keep: c.keepEdit, cancel: c.endEdit, idle: c.idle })
  }
  const { text: said, attached } = splitAttachments(text)
  const editable = message_id !== null && c.idle
  const buttons = [
    copyButton(said, c),
    ...(editable ? [action('Edit and resend', icons.edit, () => c.beginEdit(message_id, said))] : []),
    ...(editable ? [action('Ask again', icons.again, () => c.resend(message_id, null))] : []),
    forkButton(message_id, c),
  ]
  return html`<article class="user" aria-label="You" tabindex="-1">
    <div class="bubble">
      ${images.map((source) => html`<img src=${source} alt="Image that you sent" />`)}
      ${said === '' ? nothing : html`<div class="words">${said}</div>`} ${attached.map(attachmentView)}
    </div>
    ${tools(buttons)}
  </article>`
}

/** A file or selection that went with a message. */
function attachmentView({ name, text }: { name: string; text: string }): TemplateResult {
  return html`<details class="attached">
    <summary>${icons.file}<span class="name">${name}</span></summary>
    <pre tabindex="0">${text}</pre>
  </details>`
}

type Button = TemplateResult | symbol

function tools(buttons: Button[]): TemplateResult {
  return html`<div class="actions" role="group" aria-label="Message actions">${buttons}</div>`
}

function action(title: string, icon: TemplateResult, work: () => void): TemplateResult {
  return html`<button class="action" title=${title} aria-label=${title} @click=${work}>${icon}</button>`
}

function copyButton(text: string, c: RowContext): Button {
  return text === '' ? nothing : action('Copy', icons.copy, () => c.copy(text))
}

function forkButton(message_id: string | null, c: RowContext): Button {
  if (message_id === null || !c.idle) return nothing
  return action('Fork from here: a new conversation that ends with this message', icons.fork, () =>
    c.fork(message_id),
  )
}

function reasoning(
  { key, text }: { key: string; text: string },
  live: boolean,
  c: RowContext,
): TemplateResult {
  const title = live ? 'Thinking…' : 'Reasoning'
  if (text === '') {
    return html`<p class="aside">${icons.thought} ${live ? title : 'Reasoning, not shown by the model'}</p>`
  }
  return html`<details class="aside" data-fold=${key} ?open=${c.isOpen(key, false)}>
    <summary>${icons.thought}<span class="name">${title}</span></summary>
    <div class="markdown">${guard([text], () => unsafeHTML(cachedMarkdown(text)))}</div>
  </details>`
}

function note(
  { key, title, text }: { key: string; title: string; text: string },
  c: RowContext,
): TemplateResult {
  if (text === '') return html`<p class="note">${title}</p>`
  return html`<details class="note" data-fold=${key} ?open=${c.isOpen(key, false)}>
    <summary><span class="name">${title}</span></summary>
    <div class="markdown">${guard([text], () => unsafeHTML(cachedMarkdown(text)))}</div>
  </details>`
}

/** Set aside: still readable, and one button brings it back. */
function aside({ key, rows, last_id }: Extract<Row, { kind: 'aside' }>, c: RowContext): TemplateResult {
  const count = rows.length === 1 ? '1 entry' : `${rows.length} entries`
  const quiet = { ...c, idle: false, editing: null }
  return html`<details class="set-aside" data-fold=${key} ?open=${c.isOpen(key, false)}>
    <summary>
      <span class="name">${count} set aside by an edit; the agent does not see them</span>
    </summary>
    ${
      c.idle
        ? html`<vscode-button secondary @click=${() => c.rewind(last_id)}
            >Go Back to This Version</vscode-button
          >`
        : nothing
    }
    <div class="inner">
      ${repeat(
        rows,
        (row) => row.key,
        (row) => renderRow(row, false, quiet),
      )}
    </div>
  </details>`
}
