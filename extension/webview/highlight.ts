import type { Highlight } from './markdown.ts'

/** Longer code is shown without colours; in characters. */
const LONGEST = 60_000

/** What turns code into coloured HTML; loaded when the first code is shown. */
let highlighter: Highlight | null = null
let loading: Promise<void> | null = null
let loaded: () => void = () => undefined

/** `listener` hears that code which was shown plain can be shown in colours. */
export function onHighlighter(listener: () => void): void {
  loaded = listener
}

/** HTML of code in a language; null when it is to be shown plain: unknown language, too long, or not loaded yet. */
export function highlighted(code: string, language: string): string | null {
  if (language === '' || code.length > LONGEST) return null
  if (highlighter) return highlighter(code, language)
  loading ??= load()
  return null
}

async function load(): Promise<void> {
  try {
    const { highlight } = await import('./highlighter.ts')
    highlighter = highlight
    loaded()
  } catch {
    // Code without colours is code.
  }
}
