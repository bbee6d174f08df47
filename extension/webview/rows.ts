import { html, nothing, type TemplateResult } from 'lit'
import { guard } from 'lit/directives/guard.js'
import { unsafeHTML } from 'lit/directives/unsafe-html.js'
import { icons } from './icons.ts'
import { renderMarkdown } from './markdown.ts'
import { prettyArgs, shortArgs, type Row, type ToolRow } from './transcript.ts'

/** One row of the chat. `live` while it may still grow. */
export function renderRow(row: Row, live: boolean): TemplateResult {
  switch (row.kind) {
    case 'user':
      return html`<article class="user" aria-label="You"><div class="bubble">${row.text}</div></article>`
    case 'assistant':
      return html`<article class="assistant" aria-label="Agent">
        <div class="markdown">${guard([row.text], () => unsafeHTML(renderMarkdown(row.text)))}</div>
      </article>`
    case 'reasoning':
      return reasoning(row.text, live)
    case 'tool':
      return tool(row, live)
  }
}

function reasoning(text: string, live: boolean): TemplateResult {
  const title = live ? 'Thinking…' : 'Reasoning'
  if (text === '')
    return html`<p class="aside">${icons.thought} ${live ? title : 'Reasoning, not shown by the model'}</p>`
  return html`<details class="aside">
    <summary>${icons.thought}<span class="name">${title}</span></summary>
    <div class="markdown">${guard([text], () => unsafeHTML(renderMarkdown(text)))}</div>
  </details>`
}

function tool(row: ToolRow, live: boolean): TemplateResult {
  const running = row.status === 'running' && live
  const state = running ? 'running' : row.status === 'running' ? 'no result' : row.status
  return html`<details class="tool ${row.status}">
    <summary aria-label="Tool ${row.name}, ${state}">
      ${running ? html`<vscode-progress-ring class="ring" role="presentation" aria-live="off"></vscode-progress-ring>` : icons.tool}
      <span class="name">${row.name || 'tool'}</span>
      <span class="args">${shortArgs(row.args)}</span>
      ${row.status === 'success' ? html`<span class="mark">${icons.done}</span>` : nothing}
      ${row.status === 'error' ? html`<span class="mark">${icons.failed}</span>` : nothing}
    </summary>
    <h3>Arguments</h3>
    <pre tabindex="0">${prettyArgs(row.args)}</pre>
    <h3>${row.status === 'error' ? 'Error' : 'Result'}</h3>
    <pre tabindex="0">${row.result || state}</pre>
  </details>`
}
