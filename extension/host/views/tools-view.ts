import type { Library } from '../library.ts'
import { byLabel, type Entry } from './entry.ts'
import { toolRow } from './rows.ts'

/** The tools by name. */
export function toolEntries(library: Library): Entry[] {
  return [...library.tools.values()].map((tool) => toolRow(tool)).sort(byLabel)
}
