import type { ToolResult } from '../ports/tools.ts'
import { type SecretForm, secretForms } from './secret-forms.ts'

type Secrets = Readonly<Record<string, string>>

/** Of a value that was cut: shorter beginnings of it say nothing. */
const MIN_CUT = 4
/** What stands where a text was cut: by us, by the process of a tool, and in its output. */
const CUT = /…$|\n\[output cut after /gm
const MAX_CUTS = 1000

/**
 * The text with `***NAME***` in the place of each secret's value: as it is, as languages write it in quotes, and its single
 * lines; also of the beginning of one where the text was cut.
 */
export function maskText(text: string, secrets: Secrets): string {
  const forms = secretForms(secrets)
  if (forms.length === 0 || text === '') return text
  let masked = text
  for (const { form, name } of forms) masked = masked.replaceAll(form, () => `***${name}***`)
  return maskCut(masked, forms)
}

/** Masks what is left of a value before a cut. */
function maskCut(text: string, forms: readonly SecretForm[]): string {
  let masked = ''
  let done = 0
  for (const { index } of text.matchAll(CUT).take(MAX_CUTS)) {
    const before = text.slice(done, index)
    const left = longestBeginning(before, forms)
    masked += left ? `${before.slice(0, -left.length)}***${left.name}***` : before
    done = index
  }
  return masked + text.slice(done)
}

/** The longest beginning of a value with which a text ends. */
function longestBeginning(
  text: string,
  forms: readonly SecretForm[],
): { name: string; length: number } | null {
  let longest: { name: string; length: number } | null = null
  for (const { form, name } of forms) {
    const first = form.slice(0, MIN_CUT)
    let at = text.indexOf(first, Math.max(0, text.length - form.length + 1))
    while (at >= 0 && !form.startsWith(text.slice(at))) at = text.indexOf(first, at + 1)
    const length = at < 0 ? 0 : text.length - at
    if (length > (longest?.length ?? 0)) longest = { name, length }
  }
  return longest
}

/** What a tool returned and printed, without the values of secrets. */
export function maskResult<T extends ToolResult>(result: T, secrets: Secrets): T {
  const mask = (text: string) => maskText(text, secrets)
  // A value may have several lines.
  const lines = (of: readonly string[]) => (of.length === 0 ? [] : mask(of.join('\n')).split('\n'))
  const { func_response, stdout, stderr } = result
  return {
    ...result,
    func_response:
      typeof func_response === 'string'
        ? mask(func_response)
        : func_response.map((part) => (part.type === 'text' ? { ...part, text: mask(part.text) } : part)),
    ...(stdout ? { stdout: lines(stdout) } : {}),
    ...(stderr ? { stderr: lines(stderr) } : {}),
  }
}
