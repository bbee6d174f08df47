import { html, svg, type TemplateResult } from 'lit'
import type { ContextSnapshot, PartKind } from '../../context-protocol.ts'
import { number, PARTS, share } from './words.ts'

/** Above this share of the window a turn makes its context shorter by itself. */
const NEARLY_FULL = 0.9

/** How full the window is, by part. `show` opens a part. */
export function windowBar(snapshot: ContextSnapshot, show: (kind: PartKind) => void): TemplateResult {
  const { used, limit, model } = snapshot.window
  const scale = Math.max(used, limit, 1)
  const said = snapshot.parts.map(({ kind, tokens }) => `${PARTS[kind].name} ${share(tokens, limit)}`)
  const room = used > limit ? `${number(used - limit)} more than fit` : `${number(limit - used)} free`
  const real =
    model === null
      ? ''
      : model > limit
        ? ` · the agent’s limit; its model reads up to ${number(model)}`
        : model < limit
          ? ` · its model reads ${number(model)} at most`
          : ' · all that its model reads'
  let at = 0
  return html`<section class="window" aria-label="Context window">
    <p class="sizes">
      <strong>${number(used)}</strong> of ${number(limit)} tokens
      <span class="quiet">(${share(used, limit)} · ${room}${real})</span>
    </p>
    <svg
      class="bar"
      role="img"
      aria-label=${`The context window is ${share(used, limit)} full: ${said.join(', ')}.`}
    >
      ${snapshot.parts.map(({ kind, tokens }) => {
        const x = at
        at += tokens
        return svg`<rect class=${`fill ${kind}`} x=${percent(x / scale)} width=${percent(tokens / scale)} height="100%">
          <title>${PARTS[kind].name}: ${number(tokens)} tokens</title>
        </rect>`
      })}
      ${svg`<rect class="mark" x=${percent((NEARLY_FULL * limit) / scale)} width="1" height="100%">
        <title>Above this a turn makes its context shorter by itself</title>
      </rect>`}
    </svg>
    <ul class="legend">
      ${snapshot.parts.map(
        ({ kind, tokens }) =>
          html`<li>
            <button class="plain" title=${PARTS[kind].about} @click=${() => show(kind)}>
              ${swatch(kind)}<span>${PARTS[kind].name}</span>
              <span class="quiet">${number(tokens)}</span>
            </button>
          </li>`,
      )}
    </ul>
  </section>`
}

/** The colour of a part. */
export function swatch(kind: PartKind): TemplateResult {
  return html`<i class="swatch ${kind}" aria-hidden="true"></i>`
}

function percent(part: number): string {
  return `${(100 * part).toFixed(3)}%`
}
