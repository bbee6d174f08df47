import { html, nothing, type TemplateResult } from 'lit'
import type { DiffLine, MemoryEdit } from '../protocol.ts'

const SIGNS: Record<DiffLine['kind'], string> = { same: ' ', added: '+', removed: '−', gap: '⋯' }

/** What a call made of one memory block, with a button that takes it back. */
export function memoryDiff(edit: MemoryEdit, idle: boolean, undo: () => void): TemplateResult {
  const { label, added, removed, lines, state } = edit
  const summary = `${added} added, ${removed} removed`
  return html`<figure class="memory" aria-label="Memory block ${label}: ${summary}">
    <figcaption>
      <span class="name">${label}</span>
      <span class="count" aria-label=${summary}><ins>+${added}</ins> <del>−${removed}</del></span>
      ${
        state === 'undone'
          ? html`<span class="state">undone</span>`
          : idle
            ? html`<button class="link" aria-label="Undo the edit of ${label}" @click=${undo}>Undo</button>`
            : nothing
      }
    </figcaption>
    <pre tabindex="0">${lines.map(lineOf)}</pre>
  </figure>`
}

function lineOf({ kind, parts }: DiffLine): TemplateResult {
  const text = parts.map(({ text, marked }) => (marked ? html`<mark>${text}</mark>` : text))
  return html`<span class="line ${kind}"><span class="sign">${SIGNS[kind]}</span>${text}</span>`
}
