import { html, nothing, type TemplateResult } from 'lit'
import type { CompactionMode } from '../../../shared/schema/compaction.ts'
import type { CompactionOutcome, ContextSnapshot } from '../../context-protocol.ts'
import { compacted, counted, MODES } from './words.ts'

/** How the compaction that was asked for last has ended. */
export type CompactionNews = { outcome: CompactionOutcome } | { failure: string }

/** Compact Now, what it is doing, and what it did. */
export function compactBar(
  snapshot: ContextSnapshot,
  news: CompactionNews | null,
  actions: { compact: (mode: CompactionMode) => void; cancel: () => void },
): TemplateResult {
  const { agent, compacting, messages, compactions } = snapshot
  const busy = compacting !== null
  const mode = agent?.mode ?? 'sliding_window'
  const start = (event: Event) => {
    const select = (event.currentTarget as HTMLElement).parentElement?.querySelector('vscode-single-select')
    const chosen = (Object.keys(MODES) as CompactionMode[]).find((each) => each === select?.value)
    actions.compact(chosen ?? mode)
  }
  return html`<section class="compact" aria-label="Compaction">
    <div class="row">
      <vscode-button ?disabled=${busy || messages === 0} @click=${start}>Compact Now</vscode-button>
      <vscode-single-select label="What is summarised" aria-label="What is summarised" ?disabled=${busy}>
        ${Object.entries(MODES).map(
          ([value, text]) =>
            html`<vscode-option value=${value} ?selected=${value === mode}>${text}</vscode-option>`,
        )}
      </vscode-single-select>
      ${busy ? html`<vscode-button secondary @click=${actions.cancel}>Cancel</vscode-button>` : nothing}
    </div>
    ${busy ? html`<vscode-progress-bar indeterminate aria-label="Compacting"></vscode-progress-bar>` : nothing}
    <div role="status">
      ${busy ? html`<p class="quiet">Summarising ${counted(messages, 'message')}…</p>` : nothing}
      ${!busy && news ? newsView(news, compactions[0] ? compacted(compactions[0]) : '') : nothing}
    </div>
  </section>`
}

function newsView(news: CompactionNews, done: string): TemplateResult {
  if ('failure' in news) return html`<p class="failed">${news.failure}</p>`
  const { num_messages_before, num_messages_after } = news.outcome
  const said = done || `${num_messages_before} → ${counted(num_messages_after, 'message')}`
  return html`<p>Compacted: ${said}. The summary is among the parts below; nothing left the history.</p>`
}
