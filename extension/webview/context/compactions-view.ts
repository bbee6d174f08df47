import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Compaction } from '../../../shared/schema/compaction.ts'
import { textView, type PanelActions } from './parts-view.ts'
import { compacted, counted, duration, MODES, moment, TRIGGERS } from './words.ts'

/** The log of compactions, newest first; each opens to the summary that it left. */
export function compactionsView(records: readonly Compaction[], panel: PanelActions): TemplateResult {
  if (records.length === 0) {
    return html`<p class="about">
      Nothing was compacted in this conversation. It happens by itself when the window is nearly full; what
      leaves the context stays in the history.
    </p>`
  }
  return html`${repeat(
    records,
    ({ id }) => id,
    (record) => recordView(record, panel),
  )}`
}

function recordView(record: Compaction, panel: PanelActions): TemplateResult {
  const key = `compaction:${record.id}`
  return html`<details class="item" .open=${panel.folds.isOpen(key)} @toggle=${panel.folds.toggled(key)}>
    <summary>
      <time datetime=${record.created_at}>${moment(record.created_at)}</time>
      <span class="detail">${compacted(record)}</span>
      <span class="tokens">${TRIGGERS[record.trigger]}</span>
    </summary>
    ${panel.folds.isOpen(key) ? recordDetails(record, panel) : nothing}
  </details>`
}

function recordDetails(record: Compaction, panel: PanelActions): TemplateResult {
  const { mode, mode_used, model, problems, summary_message_id: messageId } = record
  const by = model === null ? 'without a model, from the messages themselves' : `by ${model}`
  return html`
    <dl class="facts">
      <dt>Summarised</dt>
      <dd>${counted(record.evicted_count, 'message')}, ${by}, in ${duration(record.duration_ms)}</dd>
      <dt>Mode</dt>
      <dd>${MODES[mode_used]}${mode === mode_used ? '' : ` (instead of: ${MODES[mode]})`}</dd>
      ${problems.length > 0 ? html`<dt>Problems</dt>` : nothing}
      ${problems.map((problem) => html`<dd class="failed">${problem}</dd>`)}
    </dl>
    ${textView('Summary', panel.folds.text(`summary:${record.id}`, 'compaction.summary', { messageId }), panel)}
  `
}
