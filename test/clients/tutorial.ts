import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** The tutorial, as its readers have it; it lies beside the repository. */
export const TUTORIAL = join(ROOT, '..', 'shared', 'seeds', 'rest-tutorial.txt')

/** A piece of code of a Markdown text. */
export interface Snippet {
  /** The heading that it stands under, and its number there when it is not the first. */
  name: string
  language: string
  code: string
}

/** The tutorial's snippets in order; null when it is not there. */
export function tutorialSnippets(): Snippet[] | null {
  return existsSync(TUTORIAL) ? snippetsOf(readFileSync(TUTORIAL, 'utf8')) : null
}

/** The code of a page of our documentation. */
export function docsSnippets(page: string): Snippet[] {
  return snippetsOf(readFileSync(join(ROOT, 'docs', page), 'utf8'))
}

function snippetsOf(markdown: string): Snippet[] {
  let heading = ''
  const counts = new Map<string, number>()
  const snippets: Snippet[] = []
  for (const [, title, language, code] of markdown.matchAll(/^#+ ([^\n]+)|^```(\w+)\n(.*?)^```/gms)) {
    // A comment in code is no heading: whole blocks are matched first.
    if (title !== undefined) heading = title.trim()
    if (code === undefined) continue
    const count = (counts.get(heading) ?? 0) + 1
    counts.set(heading, count)
    snippets.push({ name: count > 1 ? `${heading} ${count}` : heading, language: language ?? '', code })
  }
  return snippets
}
