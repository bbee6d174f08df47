import { html, nothing, type TemplateResult } from 'lit'
import type { MemoryEdit } from '../protocol.ts'
import { approvalBar, type ApprovalContext } from './approval-bar.ts'
import { icons } from './icons.ts'
import { memoryDiff } from './memory-diff.ts'
import { prettyArgs, shortArgs, type ToolRow } from './transcript.ts'

/** What rows of tools need of the chat around them. */
export interface ToolContext extends ApprovalContext {
  /** Whether a fold is open: as the user left it, else `initial`. */
  isOpen: (key: string, initial: boolean) => boolean
  /** What this call made of memory; empty when that is not known, or nothing. */
  editsOf: (row: ToolRow) => readonly MemoryEdit[]
  /** How long the tools of its step ran, in milliseconds. */
  timeOf: (row: ToolRow) => number | undefined
  /** A call was unfolded: its time is wanted. */
  opened: (row: ToolRow) => void
  openTool: (name: string) => void
  undo: (edit: MemoryEdit) => void
}

/** Longer arguments and results are cut where they are shown; in characters. */
const LONGEST = 100_000

/** A call of a tool: what it is called with, what it returned, what it changed, and what it waits for. */
export function toolRow(row: ToolRow, live: boolean, c: ToolContext): TemplateResult {
  const waiting = row.approval?.state === 'waiting'
  const running = row.status === 'running' && live && !waiting
  const state = stateOf(row, running)
  const onToggle = (event: Event) => {
    if ((event.target as HTMLDetailsElement).open) c.opened(row)
  }
  return html`<section class="call ${waiting ? 'asks' : ''}">
    <details
      class="tool ${row.status}"
      data-fold=${row.key}
      ?open=${c.isOpen(row.key, waiting)}
      @toggle=${onToggle}
    >
      <summary>
        ${running ? html`<vscode-progress-ring class="ring" role="presentation" aria-live="off"></vscode-progress-ring>` : icons.tool}
        <span class="name">${row.name || 'tool'}</span>
        <span class="args">${shortArgs(row.args)}</span>
        ${time(c.timeOf(row))}
        ${row.approval?.state === 'denied' ? html`<span class="state">denied</span>` : nothing}
        ${row.status === 'success' ? html`<span class="mark" role="img" aria-label=${state}>${icons.done}</span>` : nothing}
        ${row.status === 'error' ? html`<span class="mark" role="img" aria-label=${state}>${icons.failed}</span>` : nothing}
      </summary>
      <h3>Arguments</h3>
      <pre tabindex="0">${cut(prettyArgs(row.args))}</pre>
      ${
        waiting
          ? nothing
          : html`<h3>${row.status === 'error' ? 'Error' : 'Result'}</h3>
              <pre tabindex="0">${cut(row.result) || state}</pre>`
      }
      ${
        row.output === ''
          ? nothing
          : html`<h3>Output</h3>
              <pre tabindex="0">${cut(row.output)}</pre>`
      }
      <button class="link" @click=${() => c.openTool(row.name)}>Open Tool Source</button>
    </details>
    ${c.editsOf(row).map((edit) => memoryDiff(edit, c.idle, () => c.undo(edit)))}
    ${waiting ? approvalBar(row, c) : nothing}
    ${row.approval?.state === 'denied' && row.approval.reason ? html`<p class="said-reason">You: ${row.approval.reason}</p>` : nothing}
  </section>`
}

function stateOf(row: ToolRow, running: boolean): string {
  const { approval } = row
  if (approval?.state === 'waiting') return 'waiting for your approval'
  if (approval?.state === 'denied') return 'denied'
  if (running) return 'running'
  return row.status === 'running' ? 'no result' : row.status
}

function time(ms: number | undefined): TemplateResult | typeof nothing {
  if (ms === undefined) return nothing
  const text = ms < 1 ? '<1 ms' : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
  return html`<span class="time" title="How long the tools of this step ran">${text}</span>`
}

function cut(text: string): string {
  if (text.length <= LONGEST) return text
  return `${text.slice(0, LONGEST)}\n… (${text.length - LONGEST} more characters)`
}
