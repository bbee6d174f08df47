import { html, type TemplateResult } from 'lit'
import type { FileChoice } from '../../composer-protocol.ts'
import { icons } from '../icons.ts'

/** A mention that is being written: where its @ stands, and the letters after it. */
export interface Mention {
  start: number
  query: string
}

/** The files that may be meant, and which one Enter takes. */
export interface MentionList extends Mention {
  files: readonly FileChoice[]
  active: number
}

/** The mention in which the cursor stands; null when it stands in none. */
export function mentionAt(text: string, cursor: number): Mention | null {
  const found = /(?:^|[\s(])@([^\s@]{0,100})$/.exec(text.slice(0, cursor))
  if (!found) return null
  const query = found[1] ?? ''
  return { start: cursor - query.length - 1, query }
}

/** The text with a name in place of the mention, and where the cursor is then. */
export function completed(
  text: string,
  { start, query }: Mention,
  name: string,
): { text: string; cursor: number } {
  const before = `${text.slice(0, start)}@${name} `
  return { text: before + text.slice(start + 1 + query.length).replace(/^ /, ''), cursor: before.length }
}

export const LIST_ID = 'mentioned'
export const optionId = (index: number) => `mentioned-${index}`

/** The list above the composer. */
export function mentionList(
  { files, active, query }: MentionList,
  take: (file: FileChoice) => void,
): TemplateResult {
  if (files.length === 0) {
    return html`<div class="mentions">
      <p class="none">No file of the workspace has “${query}” in its path.</p>
    </div>`
  }
  return html`<ul class="mentions" id=${LIST_ID} role="listbox" aria-label="Files">
    ${files.map(
      (file, index) =>
        html`<li
          id=${optionId(index)}
          role="option"
          aria-selected=${index === active}
          @mousedown=${(event: Event) => event.preventDefault()}
          @click=${() => take(file)}
        >
          ${icons.file}<span class="name">${file.name}</span><span class="folder">${file.folder}</span>
        </li>`,
    )}
  </ul>`
}
