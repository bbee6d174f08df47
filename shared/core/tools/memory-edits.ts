import { messageOf } from '../../schema/errors.ts'
import type { WorkingMemory } from '../memory.ts'
import type { ToolResult } from '../ports/tools.ts'

/** What the code of a tool made of a block, which it saw as `before`. */
export interface MemoryEdit {
  label: string
  before: string
  after: string
}

/**
 * Writes what the code of a tool changed in memory, all of it or nothing. When a block has changed since the tool saw
 * it, what the tool put before or after its text goes there in the present text; another change replaces that.
 * A refusal (a read-only block, one that is gone) makes the return an error that says that the tool did run.
 */
export function applyEdits(
  memory: WorkingMemory,
  edits: readonly MemoryEdit[],
  result: ToolResult,
): ToolResult {
  if (result.status === 'error') return result
  const writing = memory.forCall()
  try {
    for (const { label, before, after } of edits)
      writing.set(label, onPresent(writing.get(label).value, before, after))
    return result
  } catch (error) {
    writing.undo()
    const returned = typeof result.func_response === 'string' ? ` It returned: ${result.func_response}` : ''
    const text = `The tool ran, but its changes of memory were not saved: ${messageOf(error)}.${returned}`
    return { ...result, status: 'error', func_response: text }
  }
}

function onPresent(present: string, before: string, after: string): string {
  if (present === before) return after
  if (after.startsWith(before)) return present + after.slice(before.length)
  if (after.endsWith(before)) return after.slice(0, after.length - before.length) + present
  return after
}
