import type { ToolCallInput, ToolResult } from '../core/ports/tools.ts'
import { insertLines, refuseDisplay, replaceOnce } from './block-text.ts'
import { builtin, integerArgument, stringArgument, success, valueError } from './builtin.ts'

const ROOT = '/memories/'
const RECOMPILED = 'The system prompt is recompiled with it before your next turn.'

/** The tool `memory`: every edit of memory blocks behind one name, blocks being files under `/memories/` (reference 4.1). */
export const memoryTool = builtin({
  name: 'memory',
  type: 'letta_memory_core',
  description:
    'Manage your memory blocks as files: /memories/<label>. Commands: "create" (path, description, file_text) makes a block; "str_replace" (path, old_str, new_str) replaces an exact piece of text that occurs once; "insert" (path, insert_line, insert_text) adds text after a line; "delete" (path) removes a block from your memory; "rename" (old_path, new_path) gives it another label, or (path, description) another description.',
  properties: {
    command: {
      type: 'string',
      enum: ['create', 'str_replace', 'insert', 'delete', 'rename'],
      description: 'What to do.',
    },
    path: { type: 'string', description: 'The block, like /memories/human.' },
    file_text: { type: 'string', description: 'create: the text of the new block.' },
    description: {
      type: 'string',
      description: 'create: what the block is for. rename: its new description.',
    },
    old_str: { type: 'string', description: 'str_replace: the text to replace, exactly as it stands.' },
    new_str: { type: 'string', description: 'str_replace: the text to put in its place; empty deletes.' },
    insert_line: {
      type: 'integer',
      description: 'insert: line after which to insert: 0 is the top, -1 (the default) is the end.',
    },
    insert_text: { type: 'string', description: 'insert: the text to insert.' },
    old_path: { type: 'string', description: 'rename: the block as it is called now.' },
    new_path: { type: 'string', description: 'rename: the block as it is to be called.' },
  },
  required: ['command'],
  run(call) {
    const command = stringArgument(call, 'command')
    switch (command) {
      case 'create':
        return create(call)
      case 'str_replace':
        return replace(call)
      case 'insert':
        return insert(call)
      case 'delete':
        return remove(call)
      case 'rename':
        return rename(call)
      default:
        throw valueError(`command '${command}' is unknown; use create, str_replace, insert, delete or rename`)
    }
  },
})

function create(call: ToolCallInput): ToolResult {
  const label = labelArgument(call, 'path')
  const description = stringArgument(call, 'description')
  const value = stringArgument(call, 'file_text', '')
  refuseDisplay('file_text', value)
  call.memory.create({ label, value, description })
  return success(`Memory block '${label}' was created. ${RECOMPILED}`)
}

function replace(call: ToolCallInput): ToolResult {
  const label = labelArgument(call, 'path')
  const old = { name: 'old_str', text: stringArgument(call, 'old_str') }
  const text = stringArgument(call, 'new_str', '')
  refuseDisplay('old_str', old.text)
  refuseDisplay('new_str', text)
  call.memory.set(label, replaceOnce(label, call.memory.get(label).value, old, text))
  return success(
    `Memory block '${label}' was edited. ${RECOMPILED} It now says:\n${call.memory.get(label).value}`,
  )
}

function insert(call: ToolCallInput): ToolResult {
  const label = labelArgument(call, 'path')
  const text = stringArgument(call, 'insert_text')
  const line = integerArgument(call, 'insert_line', -1)
  refuseDisplay('insert_text', text)
  call.memory.set(label, insertLines(call.memory.get(label).value, text, line))
  return success(
    `Memory block '${label}' was edited. ${RECOMPILED} It now says:\n${call.memory.get(label).value}`,
  )
}

function remove(call: ToolCallInput): ToolResult {
  const label = labelArgument(call, 'path')
  call.memory.detach(label)
  return success(
    `Memory block '${label}' was removed. The system prompt is recompiled without it before your next turn.`,
  )
}

function rename(call: ToolCallInput): ToolResult {
  const description = stringArgument(call, 'description', '')
  const given = call.arguments['old_path'] ?? call.arguments['new_path']
  if (given === undefined || given === null || given === '') {
    if (description === '') throw valueError('rename needs old_path and new_path, or path and description')
    const label = labelArgument(call, 'path')
    call.memory.describe(label, description)
    return success(`The description of memory block '${label}' was changed. ${RECOMPILED}`)
  }
  const from = labelArgument(call, 'old_path')
  const to = labelArgument(call, 'new_path')
  call.memory.rename(from, to)
  if (description !== '') call.memory.describe(to, description)
  return success(`Memory block '${from}' was renamed to '${to}'. ${RECOMPILED}`)
}

/** The label that a path means. Blocks lie side by side: deeper slashes become underscores. */
function labelArgument(call: ToolCallInput, name: string): string {
  const path = stringArgument(call, name)
  const inside = path.replace(/^\/?memories\//, '')
  const label = inside.replace(/^\/+|\/+$/g, '').replaceAll('/', '_')
  if (label === '' || label === 'memories')
    throw valueError(`${name} '${path}' names no memory block; it looks like ${ROOT}<label>`)
  if (call.memory.blocks.some((block) => block.label === inside)) return inside
  return label
}
