import type { ToolSchema } from '../../schema/tool.ts'
import { splitArguments } from './argument-stream.ts'

/** The argument in which models that do not think by themselves write down what they think (reference 3.7). */
export const THINKING = 'thinking'

/** The argument by which a call asks for another step after it. */
export const HEARTBEAT = 'request_heartbeat'

/** A tool as agents of the older types are shown it. `ends` tools end the turn: they ask for nothing after them. */
export function olderSchema(schema: ToolSchema, options: { thinks: boolean; ends: boolean }): ToolSchema {
  const { properties, required } = schema.parameters
  const thinks = options.thinks && !Object.hasOwn(properties, THINKING)
  const asks = !options.ends && !Object.hasOwn(properties, HEARTBEAT)
  return {
    ...schema,
    parameters: {
      ...schema.parameters,
      properties: {
        ...(thinks ? { [THINKING]: { type: 'string', description: 'What you think, for you alone.' } } : {}),
        ...properties,
        ...(asks
          ? {
              [HEARTBEAT]: {
                type: 'boolean',
                description: 'True to act again as soon as this tool has returned.',
              },
            }
          : {}),
      },
      required: [...(thinks ? [THINKING] : []), ...required, ...(asks ? [HEARTBEAT] : [])],
    },
  }
}

/** The arguments without what was thought in them, and that. */
export function withoutThought(text: string): { rest: string; thought: string } {
  const { rest, taken } = splitArguments(text, [THINKING])
  return { rest, thought: taken.get(THINKING) ?? '' }
}

/** The arguments with what was thought in front, as the model wrote them; text that is no object stays as it is. */
export function withThought(text: string, thought: string): string {
  const match = /^\s*\{\s*/.exec(text)
  if (!match || thought === '') return text
  const members = text.slice(match[0].length)
  const comma = members.startsWith('}') ? '' : ','
  return `{${JSON.stringify(THINKING)}:${JSON.stringify(thought)}${comma}${members}`
}

/** Whether a call asks for another step: null when it says nothing of it. */
export function asksForStep(text: string): boolean | null {
  try {
    const value = (Object(JSON.parse(text)) as Record<string, unknown>)[HEARTBEAT]
    if (typeof value === 'boolean') return value
    return typeof value === 'string' ? value.trim().toLowerCase() === 'true' : null
  } catch {
    return null
  }
}
