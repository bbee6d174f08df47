import { type Builtin, integerArgument, stringArgument, success } from './builtin.ts'

/** Line-number prefixes that are shown with some blocks; an argument that carries one was copied from the display. */
const LINE_NUMBER = /(^|\n)\d+→ ?/

/** Edits of one memory block by its label (reference 4.1). Each answers with the block's new text. */
export const memoryTools: Builtin[] = [
  {
    name: 'memory_insert',
    tool_type: 'letta_memory_core',
    tags: ['letta_memory_core'],
    enable_parallel_execution: false,
    schema: {
      name: 'memory_insert',
      description:
        'Insert text into a memory block: at the end, at the top, or after a line. Use it to add what you learned.',
      parameters: {
        type: 'object',
        properties: {
          label: { type: 'string', description: 'Label of the memory block to edit.' },
          new_string: { type: 'string', description: 'The text to insert.' },
          insert_line: {
            type: 'integer',
            description: 'Line after which to insert: 0 is the top, -1 (the default) is the end.',
          },
        },
        required: ['label', 'new_string'],
      },
    },
    run(call) {
      const label = stringArgument(call, 'label')
      const text = stringArgument(call, 'new_string')
      const line = integerArgument(call, 'insert_line', -1)
      refuseLineNumbers('new_string', text)
      const { value } = call.memory.get(label)
      const lines = value === '' ? [] : value.split('\n')
      if (line < -1 || line > lines.length)
        throw new RangeError(`insert_line ${line} is outside 0 to ${lines.length} (or -1 for the end)`)
      lines.splice(line === -1 ? lines.length : line, 0, ...text.split('\n'))
      const next = lines.join('\n')
      call.memory.set(label, next)
      return success(next)
    },
  },
  {
    name: 'memory_replace',
    tool_type: 'letta_memory_core',
    tags: ['letta_memory_core'],
    enable_parallel_execution: false,
    schema: {
      name: 'memory_replace',
      description:
        'Replace an exact piece of text in a memory block. Use it to correct what has changed; an empty new_string deletes.',
      parameters: {
        type: 'object',
        properties: {
          label: { type: 'string', description: 'Label of the memory block to edit.' },
          old_string: {
            type: 'string',
            description: 'The text to replace: exactly as it stands, and only once in the block.',
          },
          new_string: { type: 'string', description: 'The text to put in its place.' },
        },
        required: ['label', 'old_string', 'new_string'],
      },
    },
    run(call) {
      const label = stringArgument(call, 'label')
      const old = stringArgument(call, 'old_string').replaceAll('\t', '    ')
      const text = stringArgument(call, 'new_string').replaceAll('\t', '    ')
      refuseLineNumbers('old_string', old)
      refuseLineNumbers('new_string', text)
      if (old === '') throw new Error('old_string is empty; use memory_insert to add text')
      const value = call.memory.get(label).value.replaceAll('\t', '    ')
      const first = value.indexOf(old)
      if (first < 0)
        throw new Error(
          `old_string does not occur in memory block '${label}'; it must match exactly, character by character`,
        )
      if (value.indexOf(old, first + 1) >= 0)
        throw new Error(
          `old_string occurs more than once in memory block '${label}' (lines ${linesOf(value, old).join(', ')}); give more of the text around it`,
        )
      const next = value.slice(0, first) + text + value.slice(first + old.length)
      call.memory.set(label, next)
      return success(next)
    },
  },
]

function refuseLineNumbers(name: string, text: string): void {
  if (LINE_NUMBER.test(text))
    throw new Error(
      `${name} contains line number prefixes; they are only shown for orientation, leave them out`,
    )
}

function linesOf(value: string, piece: string): number[] {
  const lines: number[] = []
  for (let at = value.indexOf(piece); at >= 0; at = value.indexOf(piece, at + 1))
    lines.push(value.slice(0, at).split('\n').length)
  return lines
}
