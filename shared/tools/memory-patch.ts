import type { TurnMemory } from '../core/ports/tools.ts'
import { refuseDisplay } from './block-text.ts'
import { valueError } from './builtin.ts'

const HEADER = /^(?:\*\*\* *)?(Add Block|Delete Block|Update Block|Move to): *(.*?) *$/i
const ENVELOPE = /^\*\*\* *(?:Begin|End) Patch *$/i
const DESCRIPTION = /^(?:\*\*\* *)?Description: *(.*?) *$/i

/** A part of a patch that is about one block. */
interface Section {
  action: 'add' | 'delete' | 'update'
  label: string
  move_to: string | null
  lines: string[]
}

/**
 * Applies a patch to the agent's memory: hunks for the block `label`, or a form with a header for each block. Answers
 * with what was done, for a single block with its new text. Throws a tool error that says which lines did not fit.
 */
export function applyPatch(memory: TurnMemory, label: string, patch: string): string {
  refuseDisplay('patch', patch.replaceAll(/^[ +-]/gm, ''))
  const lines = patch.replaceAll('\r\n', '\n').split('\n')
  // The line break at the end of the patch is not an empty line of it.
  if (lines.at(-1) === '') lines.pop()
  const sections = sectionsOf(lines.filter((line) => !ENVELOPE.test(line)))
  if (!sections) {
    memory.set(label, patched(label, memory.get(label).value, lines))
    return memory.get(label).value
  }
  return sections.map((section) => applySection(memory, section)).join('\n')
}

/** Null when no line is a header of the form for several blocks. */
function sectionsOf(lines: readonly string[]): Section[] | null {
  if (!lines.some((line) => HEADER.test(line))) return null
  const sections: Section[] = []
  for (const line of lines) {
    const [, kind, label] = HEADER.exec(line) ?? []
    const current = sections.at(-1)
    if (kind === undefined || label === undefined) {
      if (current) current.lines.push(line)
      else if (line.trim() !== '')
        throw valueError(
          `the patch has '${line}' before its first header; begin with '*** Update Block: <label>'`,
        )
    } else if (label === '') throw valueError(`'${line.trim()}' names no block`)
    else if (/^move/i.test(kind)) {
      if (current?.action !== 'update')
        throw valueError(`'${line.trim()}' belongs under '*** Update Block: <label>'`)
      current.move_to = label
    } else {
      const action = kind.slice(0, kind.indexOf(' ')).toLowerCase() as Section['action']
      sections.push({ action, label, move_to: null, lines: [] })
    }
  }
  return sections
}

function applySection(memory: TurnMemory, { action, label, move_to, lines }: Section): string {
  if (action === 'delete') {
    memory.detach(label)
    return `Deleted memory block '${label}'.`
  }
  if (action === 'add') {
    const at = lines.findIndex((line) => line.trim() !== '')
    const description = DESCRIPTION.exec(lines[at] ?? '')?.[1] ?? null
    const body = description === null ? lines : lines.slice(at + 1)
    // With `+` in front of its lines or without.
    const marked = body.some((line) => line.startsWith('+'))
    const text = (
      marked ? body.filter((line) => line.startsWith('+')).map((line) => line.slice(1)) : body
    ).join('\n')
    memory.create({ label, value: marked ? text : text.trim(), description })
    return `Added memory block '${label}'.`
  }
  if (lines.some((line) => line.trim() !== ''))
    memory.set(label, patched(label, memory.get(label).value, lines))
  else if (move_to === null) throw valueError(`the patch says nothing to change in memory block '${label}'`)
  if (move_to === null) return `Updated memory block '${label}'.`
  memory.rename(label, move_to)
  return `Updated memory block '${label}', which is now '${move_to}'.`
}

/** The value after every hunk; each must match in exactly one place. */
function patched(label: string, value: string, lines: readonly string[]): string {
  let text = value === '' ? [] : value.split('\n')
  let applied = 0
  for (const hunk of hunksOf(lines)) {
    const before = hunk.filter((line) => line[0] !== '+').map((line) => line.slice(1))
    const after = hunk.filter((line) => line[0] !== '-').map((line) => line.slice(1))
    const places = placesOf(text, before)
    const shown = before.slice(0, 3).join('\\n')
    if (before.length === 0 && text.length > 0)
      throw valueError(
        `a hunk for memory block '${label}' only adds lines; give the line before or after them`,
      )
    const [at] = places
    if (at === undefined)
      throw valueError(`a hunk does not match memory block '${label}': its lines '${shown}' are not there`)
    if (places.length > 1)
      throw valueError(
        `a hunk matches memory block '${label}' in ${places.length} places (lines ${places.map((p) => p + 1).join(', ')}): give more lines around '${shown}'`,
      )
    text = [...text.slice(0, at), ...after, ...text.slice(at + before.length)]
    applied++
  }
  if (applied === 0) throw valueError(`the patch for memory block '${label}' has no line with '+' or '-'`)
  return text.join('\n')
}

/** Runs of kept, added and removed lines, without those that change nothing. */
function hunksOf(lines: readonly string[]): string[][] {
  const hunks: string[][] = [[]]
  // What diff programs write above the first hunk.
  const names = lines.findIndex((line, i) => line.startsWith('--- ') && lines[i + 1]?.startsWith('+++ '))
  for (const [i, line] of lines.entries()) {
    if (names >= 0 && i <= names + 1 && hunks.length === 1) continue
    if (line.startsWith('@@')) hunks.push([])
    else if (line.startsWith('\\ No newline')) continue
    // An empty line is a kept empty line whose space was lost.
    else if (line === '') hunks.at(-1)?.push(' ')
    else if (' +-'.includes(line[0] ?? '')) hunks.at(-1)?.push(line)
    else
      throw valueError(
        `line ${i + 1} of the patch, '${line}', begins with none of '+', '-' and a space; context lines begin with a space`,
      )
  }
  return hunks.map(trimmed).filter((hunk) => hunk.some((line) => line[0] !== ' '))
}

/** Empty lines at the ends separate hunks; they are not context. */
function trimmed(hunk: string[]): string[] {
  let [from, to] = [0, hunk.length]
  while (from < to && hunk[from] === ' ') from++
  while (to > from && hunk[to - 1] === ' ') to--
  return hunk.slice(from, to)
}

function placesOf(text: readonly string[], lines: readonly string[]): number[] {
  if (lines.length === 0) return [0]
  const places: number[] = []
  for (let at = 0; at + lines.length <= text.length; at++) {
    if (lines.every((line, i) => text[at + i] === line)) places.push(at)
  }
  return places
}
