import type { ToolResult } from '../ports/tools.ts'

/** Shorter values are words and numbers that occur by themselves: to mask those would ruin the text and hide nothing. */
const MIN_CHARS = 8

/** The text with `***NAME***` in the place of each secret's value, also as it stands inside JSON. */
export function maskText(text: string, secrets: Readonly<Record<string, string>>): string {
  const long = Object.entries(secrets).filter(([, value]) => value.length >= MIN_CHARS)
  // A value that holds another one goes first.
  long.sort(([, a], [, b]) => b.length - a.length)
  let masked = text
  for (const [name, value] of long) {
    masked = masked.replaceAll(value, () => `***${name}***`)
    const inJson = JSON.stringify(value).slice(1, -1)
    if (inJson !== value) masked = masked.replaceAll(inJson, () => `***${name}***`)
  }
  return masked
}

/** What a tool returned and printed, without the values of secrets. */
export function maskResult<T extends ToolResult>(result: T, secrets: Readonly<Record<string, string>>): T {
  const mask = (text: string) => maskText(text, secrets)
  const { func_response, stdout, stderr } = result
  return {
    ...result,
    func_response:
      typeof func_response === 'string'
        ? mask(func_response)
        : func_response.map((part) => (part.type === 'text' ? { ...part, text: mask(part.text) } : part)),
    ...(stdout ? { stdout: stdout.map(mask) } : {}),
    ...(stderr ? { stderr: stderr.map(mask) } : {}),
  }
}
