import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { capped } from '../answer.ts'
import { blockOf, editBlock } from '../memory.ts'
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
  async run({ label, mode, text, old_text }, call) {
    const { client, signal } = call
    if (mode === 'replace' && (old_text === undefined || old_text === ''))
      throw new AppError('invalid_argument', 'mode "replace" needs old_text: the text that is there now.')
    if (mode === 'append' && old_text !== undefined)
      throw new AppError('invalid_argument', 'mode "append" takes no old_text; did you mean "replace"?')
    const agent = await call.agent()
    const { items } = await client.letta.agents.blocks.list(agent.id, { limit: 100 }, { signal })
    const { id } = blockOf(agent, items, label)
    const where = { agent: agent.name, label }
    const block = await editBlock(
      client,
      id,
      (value, { read_only }) => {
        if (read_only)
          throw new AppError('forbidden', `Block '${label}' of agent '${agent.name}' is read-only.`)
        if (mode === 'append') return value === '' ? text : `${value}\n${text}`
        if (mode === 'replace') return replaced(value, old_text ?? '', text, where)
        if (old_text !== undefined && old_text !== value) throw changed(value, where)
        return text
      },
      { signal },
    )
    const { value } = block
    const rest = (shown: number) => `Call memory_read with label: "${label}", offset: ${shown}.`
    const size = `${value.length} of ${block.limit} characters`
    const over =
      block.limit !== undefined && value.length > block.limit ? ' More than its limit: shorten it.' : ''
    const shown = capped(value, rest)
    return {
      text: `${label} of ${agent.name} is now (${size}):${over}\n${shown || '(empty)'}`,
      structured: { label, value: shown, characters: value.length },
    }
  },
})

interface Where {
  agent: string
  label: string
}

function replaced(value: string, old_text: string, text: string, where: Where): string {
  const at = value.indexOf(old_text)
  if (at < 0) throw changed(value, where, 'old_text is not in it')
  if (value.indexOf(old_text, at + 1) >= 0)
    throw new AppError(
      'conflict',
      `old_text is in block '${where.label}' of ${where.agent} more than once; give more of what is around it.`,
    )
  return value.slice(0, at) + text + value.slice(at + old_text.length)
}

function changed(value: string, { agent, label }: Where, why = 'it is not what you expect'): AppError {
  const now = capped(value, () => 'memory_read shows the rest.', 8_000)
  return new AppError(
    'conflict',
    `Block '${label}' of ${agent} was not changed: ${why}. Its value is:\n${now || '(empty)'}`,
  )
}
