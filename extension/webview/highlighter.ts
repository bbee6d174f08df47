import hljs from 'highlight.js/lib/common'

/** HTML with a class for each kind of token; null for a language that is not known. All else is escaped. */
export function highlight(code: string, language: string): string | null {
  if (!hljs.getLanguage(language)) return null
  return hljs.highlight(code, { language, ignoreIllegals: true }).value
}
