import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { ContextItem, ContextPart, ContextSnapshot, PartKind } from '../../context-protocol.ts'
import type { Folds } from './folds.ts'
import { swatch } from './window-bar.ts'
import { counted, number, PARTS, share } from './words.ts'

/** What the views need of the panel. */
export interface PanelActions {
  folds: Folds
  showText(name: string, text: string): void
}

/** Every part of the context, each to be unfolded down to the text that the model sees. */
export function partsView(snapshot: ContextSnapshot, panel: PanelActions): TemplateResult {
  return html`${repeat(
    snapshot.parts,
    ({ kind }) => kind,
    (part) => partView(part, snapshot, panel),
  )}`
}

/** Key of a part that is unfolded, and of one of its items. */
export const partKey = (kind: PartKind) => `part:${kind}`
export const itemKey = (kind: PartKind, key: string) => `item:${kind}/${key}`

function partView(part: ContextPart, { window }: ContextSnapshot, panel: PanelActions): TemplateResult {
  const { name, about } = PARTS[part.kind]
  const key = partKey(part.kind)
  const [first] = part.items
  const whole = first?.key === 'text' ? first : null
  const count = whole || part.items.length === 0 ? '' : counted(part.items.length, nounOf(part.kind))
  return html`<details
    class="part"
    data-part=${part.kind}
    .open=${panel.folds.isOpen(key)}
    @toggle=${panel.folds.toggled(key)}
  >
    <summary>
      ${swatch(part.kind)}
      <span class="name">${name}</span>
      <span class="detail">${count}</span>
      <span class="tokens">${number(part.tokens)} tokens · ${share(part.tokens, window.limit)}</span>
    </summary>
    ${
      panel.folds.isOpen(key)
        ? html`<p class="about">${about}</p>
            ${
              whole
                ? itemText(part, whole, panel)
                : repeat(
                    part.items,
                    (item) => item.key,
                    (item) => itemView(part, item, panel),
                  )
            }`
        : nothing
    }
  </details>`
}

function itemView(part: ContextPart, item: ContextItem, panel: PanelActions): TemplateResult {
  const key = itemKey(part.kind, item.key)
  return html`<details class="item" .open=${panel.folds.isOpen(key)} @toggle=${panel.folds.toggled(key)}>
    <summary>
      <span class="name">${item.title}</span>
      <span class="detail">${item.detail}</span>
      <span class="tokens">≈ ${number(item.tokens)}</span>
    </summary>
    ${panel.folds.isOpen(key) ? itemText(part, item, panel) : nothing}
  </details>`
}

function itemText(part: ContextPart, item: ContextItem, panel: PanelActions): TemplateResult {
  const key = itemKey(part.kind, item.key)
  const name = item.key === 'text' ? PARTS[part.kind].name : `${PARTS[part.kind].name} ${item.title}`
  return textView(name, panel.folds.text(key, 'context.text', { kind: part.kind, key: item.key }), panel)
}

/** A text to read, with a way to an editor; or why there is none. */
export function textView(
  name: string,
  found: { text: string } | { failure: string } | null,
  panel: PanelActions,
): TemplateResult {
  if (!found) return html`<p class="about">Reading…</p>`
  if ('failure' in found) return html`<p class="about" role="alert">${found.failure}</p>`
  return html`<div class="text">
    <pre tabindex="0" aria-label=${name}>${found.text}</pre>
    <button class="link" @click=${() => panel.showText(name, found.text)}>Open in Editor</button>
  </div>`
}

function nounOf(kind: PartKind): string {
  if (kind === 'blocks') return 'block'
  if (kind === 'tools') return 'tool'
  return kind === 'messages' ? 'message' : 'part'
}
