/** Characters of a return value as JSON, images included. */
export const MAX_RETURN = 8 * 1024 * 1024

type Part = { type: 'text'; text: string } | { type: 'image'; source: object }

/**
 * What a tool returned, as a model reads it: text as it is, nothing as V1's `None`, content parts when there is an image,
 * all else as JSON. Throws a `TypeError` that says what cannot be returned.
 */
export function presentReturn(value: unknown): string | Part[] {
  if (value === undefined || value === null) return 'None'
  if (typeof value === 'string') return checkLength(value)
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new TypeError(
      `the tool returned a ${typeof value}: return text, or data that can be written as JSON`,
    )
  const parts = partsOf(value)
  let text
  try {
    text = JSON.stringify(parts ?? value)
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    throw new TypeError(`the tool returned what cannot be written as JSON: ${why}`, { cause: error })
  }
  if (typeof text !== 'string') throw new TypeError('the tool returned what is nothing in JSON: return text')
  checkLength(text)
  return parts ? (JSON.parse(text) as Part[]) : text
}

/** Content parts, when one of them is an image: text, and images in base64 or by their URL. */
function partsOf(value: unknown): unknown[] | null {
  const list = Array.isArray(value) ? value : [value]
  return list.some(isImage) && list.every((part) => isImage(part) || isText(part)) ? list : null
}

function isText(part: unknown): boolean {
  return isObject(part) && part['type'] === 'text' && typeof part['text'] === 'string'
}

function isImage(part: unknown): boolean {
  if (!isObject(part) || part['type'] !== 'image' || !isObject(part['source'])) return false
  const { type, url, media_type, data } = part['source']
  return type === 'url'
    ? typeof url === 'string'
    : type === 'base64' && typeof media_type === 'string' && typeof data === 'string'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function checkLength(text: string): string {
  if (text.length <= MAX_RETURN) return text
  const size = (text.length / 1024 / 1024).toFixed(1)
  throw new TypeError(
    `the tool returned ${size} million characters; at most ${MAX_RETURN / 1024 / 1024} can be: return less, or a file`,
  )
}
