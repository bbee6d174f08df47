import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import { linesOf, nameOf, type Attachment } from '../../composer-protocol.ts'
import { icons } from '../icons.ts'

/** What goes with the message, each with a button that takes it away. */
export function attachmentList(
  attachments: readonly Attachment[],
  remove: (attachment: Attachment) => void,
): TemplateResult | typeof nothing {
  if (attachments.length === 0) return nothing
  return html`<ul class="attachments" aria-label="Attached">
    ${repeat(
      attachments,
      ({ id }) => id,
      (attachment) => {
        const name = nameOf(attachment)
        return html`<li class="chip ${attachment.kind}" title=${titleOf(attachment)}>
          ${
            attachment.kind === 'image'
              ? html`<img alt="" src="data:${attachment.media_type};base64,${attachment.data}" />`
              : icons.file
          }
          <span>${name}</span>
          <button aria-label="Remove ${name}" title="Remove" @click=${() => remove(attachment)}>
            ${icons.close}
          </button>
        </li>`
      },
    )}
  </ul>`
}

function titleOf(attachment: Attachment): string {
  if (attachment.kind === 'image') return attachment.name
  if (attachment.kind === 'file') return `${attachment.path}, as it is when the message is sent`
  return `${attachment.path}, lines ${linesOf(attachment)}`
}
