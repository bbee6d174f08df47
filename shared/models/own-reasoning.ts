import type { ModelMessage } from '../core/ports/models.ts'
import type { ContentPart } from '../schema/message.ts'
import type { Model } from '../schema/model.ts'

/** What an assistant said as this model may see it: the reasoning of another model is none of its own. */
export function ownContent(message: ModelMessage & { role: 'assistant' }, model: Model): ContentPart[] {
  if (message.model === undefined || message.model === model.model) return message.content
  return message.content.filter((part) => !part.type.endsWith('reasoning'))
}
