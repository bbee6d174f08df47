import { html, type TemplateResult } from 'lit'
import type { ToolRow } from './transcript.ts'

/** What was decided so far about calls that wait together: all are answered in one go. */
export interface Pending {
  /** Calls of the request, in order. */
  calls: readonly ToolRow[]
  decided: ReadonlyMap<string, { approve: boolean; reason: string }>
  /** The call whose denial is given a reason. */
  denying: { tool_call_id: string; reason: string } | null
}

export interface ApprovalContext {
  idle: boolean
  pending: Pending
  decide: (row: ToolRow, approve: boolean, reason: string, always: boolean) => void
  /** Asks for the reason of a denial; null when the user goes back. */
  deny: (denying: Pending['denying']) => void
}

/** What the user can answer to a call that waits. */
export function approvalBar(row: ToolRow, c: ApprovalContext): TemplateResult {
  const id = row.tool_call_id ?? ''
  const said = c.pending.decided.get(id)
  const { calls, decided } = c.pending
  if (said) {
    const open = calls.length - decided.size
    return html`<p class="asking" role="status">
      ${said.approve ? 'Approved' : 'Denied'}.${open > 0 ? ` ${open} more to answer.` : ''}
    </p>`
  }
  const denying = c.pending.denying?.tool_call_id === id ? c.pending.denying : null
  return html`<div class="asking" role="group" aria-label="Approval of ${row.name}">
    <p>${row.approval?.why || html`The agent wants to call <b>${row.name}</b>.`}</p>
    ${denying ? reasonBox(row, denying.reason, c) : choices(row, c)}
  </div>`
}

function choices(row: ToolRow, c: ApprovalContext): TemplateResult {
  const id = row.tool_call_id ?? ''
  const always = row.approval?.why
    ? 'Approve, and let this tool run without asking from now on, for every agent'
    : 'Approve, and let this agent call the tool without asking from now on'
  return html`<div class="buttons">
    <vscode-button class="approve" ?disabled=${!c.idle} @click=${() => c.decide(row, true, '', false)}>
      Approve
    </vscode-button>
    <vscode-button secondary ?disabled=${!c.idle} @click=${() => c.deny({ tool_call_id: id, reason: '' })}>
      Deny…
    </vscode-button>
    <vscode-button
      secondary
      title=${always}
      ?disabled=${!c.idle}
      @click=${() => c.decide(row, true, '', true)}
    >
      Always for This Tool
    </vscode-button>
  </div>`
}

function reasonBox(row: ToolRow, reason: string, c: ApprovalContext): TemplateResult {
  const id = row.tool_call_id ?? ''
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'Escape') c.deny(null)
    if (event.key !== 'Enter' || event.isComposing) return
    event.preventDefault()
    // What is drawn may be behind what was typed.
    c.decide(row, false, (event.target as HTMLInputElement).value, false)
  }
  const onInput = (event: InputEvent) =>
    c.deny({ tool_call_id: id, reason: (event.target as HTMLInputElement).value })
  return html`<input
      class="reason"
      type="text"
      aria-label="Why not? The agent reads it."
      placeholder="Why not? The agent reads it. (optional)"
      .value=${reason}
      @input=${onInput}
      @keydown=${onKey}
    />
    <div class="buttons">
      <vscode-button class="deny" ?disabled=${!c.idle} @click=${() => c.decide(row, false, reason, false)}>
        Deny
      </vscode-button>
      <vscode-button secondary @click=${() => c.deny(null)}>Back</vscode-button>
    </div>`
}
