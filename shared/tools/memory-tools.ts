import { insertLines, refuseDisplay, replaceOnce } from './block-text.ts'
import { builtin, type Builtin, integerArgument, stringArgument, success, valueError } from './builtin.ts'
import { applyPatch } from './memory-patch.ts'

const LABEL = { type: 'string', description: 'Label of the memory block to edit.' }

/** Edits of one memory block by its label (reference 4.1). Each answers with the block's new text. */
export const memoryTools: Builtin[] = [
  builtin({
    name: 'memory_insert',
    type: 'letta_memory_core',
    description:
      'Insert text into a memory block: at the end, at the top, or after a line. Use it to add what you learned.',
    properties: {
      label: LABEL,
      new_string: { type: 'string', description: 'The text to insert.' },
      insert_line: {
        type: 'integer',
        description: 'Line after which to insert: 0 is the top, -1 (the default) is the end.',
      },
    },
    required: ['label', 'new_string'],
    run(call) {
      const label = stringArgument(call, 'label')
      const text = stringArgument(call, 'new_string')
      const line = integerArgument(call, 'insert_line', -1)
      refuseDisplay('new_string', text)
      call.memory.set(label, insertLines(call.memory.get(label).value, text, line))
      return success(call.memory.get(label).value)
    },
  }),
  builtin({
    name: 'memory_replace',
    type: 'letta_memory_core',
    description:
      'Replace an exact piece of text in a memory block. Use it to correct what has changed; an empty new_string deletes.',
    properties: {
      label: LABEL,
      old_string: {
        type: 'string',
        description: 'The text to replace: exactly as it stands, and only once in the block.',
      },
      new_string: { type: 'string', description: 'The text to put in its place.' },
    },
    required: ['label', 'old_string', 'new_string'],
    run(call) {
      const label = stringArgument(call, 'label')
      const old = { name: 'old_string', text: stringArgument(call, 'old_string') }
      const text = stringArgument(call, 'new_string')
      refuseDisplay('old_string', old.text)
      refuseDisplay('new_string', text)
      call.memory.set(label, replaceOnce(label, call.memory.get(label).value, old, text))
      return success(call.memory.get(label).value)
    },
  }),
  builtin({
    name: 'memory_rethink',
    type: 'letta_sleeptime_core',
    description:
      'Write a memory block anew: the whole text is replaced. Use it to reorganise or condense a block, not for small edits. A block that is not there is made.',
    properties: {
      label: LABEL,
      new_memory: {
        type: 'string',
        description: 'The whole new text of the block, with all that is to stay.',
      },
    },
    required: ['label', 'new_memory'],
    run(call) {
      const label = stringArgument(call, 'label')
      const value = stringArgument(call, 'new_memory')
      refuseDisplay('new_memory', value)
      if (call.memory.blocks.some((block) => block.label === label)) call.memory.set(label, value)
      else call.memory.create({ label, value, description: null })
      return success(call.memory.get(label).value)
    },
  }),
  builtin({
    name: 'memory_apply_patch',
    type: 'letta_memory_core',
    description:
      'Edit memory with a patch. For one block: lines that begin with "-" are removed, with "+" added, with a space kept; they must match the block exactly and in one place only; "@@" separates hunks; no line numbers. For several blocks at once: "*** Add Block: label" (then "Description: …" and "+" lines), "*** Update Block: label" (then, if it is to be renamed, "*** Move to: label", and hunks), "*** Delete Block: label".',
    properties: {
      label: {
        type: 'string',
        description:
          'Label of the memory block that the patch is for; blocks that it names itself come first.',
      },
      patch: { type: 'string', description: 'The patch.' },
    },
    required: ['label', 'patch'],
    run(call) {
      return success(
        applyPatch(call.memory, stringArgument(call, 'label', ''), stringArgument(call, 'patch')),
      )
    },
  }),
  builtin({
    name: 'memory_finish_edits',
    type: 'letta_sleeptime_core',
    description: 'Call this when memory needs no more edits: it ends your work.',
    properties: {},
    required: [],
    run: () => success(null),
  }),
  builtin({
    name: 'core_memory_append',
    type: 'letta_memory_core',
    description: 'Append text to a memory block, on a line of its own.',
    properties: {
      label: LABEL,
      content: { type: 'string', description: 'The text to append.' },
    },
    required: ['label', 'content'],
    run(call) {
      const label = stringArgument(call, 'label')
      const content = stringArgument(call, 'content')
      const { value } = call.memory.get(label)
      call.memory.set(label, value === '' ? content : `${value}\n${content}`)
      return success(call.memory.get(label).value)
    },
  }),
  builtin({
    name: 'core_memory_replace',
    type: 'letta_memory_core',
    description:
      'Replace a piece of text in a memory block, wherever it occurs; an empty new_content deletes it.',
    properties: {
      label: LABEL,
      old_content: { type: 'string', description: 'The text to replace, exactly as it stands.' },
      new_content: { type: 'string', description: 'The text to put in its place.' },
    },
    required: ['label', 'old_content', 'new_content'],
    run(call) {
      const label = stringArgument(call, 'label')
      const old = stringArgument(call, 'old_content')
      const content = stringArgument(call, 'new_content')
      const { value } = call.memory.get(label)
      if (old === '') throw valueError('old_content is empty; use core_memory_append to add text')
      if (!value.includes(old))
        throw valueError(
          `old_content does not occur in memory block '${label}'; it must match exactly, character by character`,
        )
      call.memory.set(
        label,
        value.replaceAll(old, () => content),
      )
      return success(call.memory.get(label).value)
    },
  }),
]
