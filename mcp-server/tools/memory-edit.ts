import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { capped } from '../answer.ts'
import { blockEdit } from '../../shared/schema/block-edit.ts'
import { editMemory } from '../memory.ts'
import { defineTool } from '../tool.ts'

export const memoryEdit = defineTool({
  name: 'memory_edit',
  title: 'Edit memory',
  description:
    'Changes a memory block of an agent; answers its new value. The agent knows it from its next turn on.',
  about: 'agent',
  input: {
    label: z.string().min(1),
    mode: z
      .enum(['append', 'replace', 'set'])
      .describe('append: text as a new line; replace: old_text by text; set: the whole value'),
    text: z.string(),
    old_text: z
      .string()
      .optional()
      .describe('replace: what to replace, found exactly once; set: the value as you know it'),
  },
  output: z.object({ label: z.string(), value: z.string(), characters: z.int() }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  async run(input, call) {
    const { label, mode, old_text } = input
    const { client, signal } = call
    if (mode === 'replace' && (old_text === undefined || old_text === ''))
      throw new AppError('invalid_argument', 'mode "replace" needs old_text: the text that is there now.')
    if (mode === 'append' && old_text !== undefined)
      throw new AppError('invalid_argument', 'mode "append" takes no old_text; did you mean "replace"?')
    const agent = await call.agent()
    const block = await editMemory(client, { agent, label, edit: blockEdit.parse(input) }, { signal })
    const { value } = block
    const rest = (shown: number) => `Call memory_read with label: "${label}", offset: ${shown}.`
    const size = `${value.length} of ${block.limit} characters`
    const shown = capped(value, rest)
    return {
      text: `${label} of ${agent.name} is now (${size}):\n${shown || '(empty)'}`,
      structured: { label, value: shown, characters: value.length },
    }
  },
})
