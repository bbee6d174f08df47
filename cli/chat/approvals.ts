import type { Keyboard } from './keyboard.ts'
import { approveAlways, type Decision, type Talk, waitingCalls, type WaitingCall } from './talk.ts'
import { bold, columns, dim, oneLine, plain, wrap, yellow } from '../terminal.ts'

const HELP =
  'y runs it, n does not, a runs it and does not ask again for this tool; anything else is your reason not to'

/**
 * Asks the user about each call that waits. Null when none does; `left` when the user wants to answer later.
 */
export async function askApprovals(talk: Talk, keyboard: Keyboard): Promise<Decision[] | 'left' | null> {
  const waiting = await waitingCalls(talk)
  if (!waiting) return null
  const decisions: Decision[] = []
  for (const call of waiting.calls) {
    const decision = await askOne(talk, keyboard, call, waiting.reason)
    if (decision === null) return 'left'
    decisions.push(decision)
  }
  return decisions
}

async function askOne(
  talk: Talk,
  keyboard: Keyboard,
  call: WaitingCall,
  reason: string | undefined,
): Promise<Decision | null> {
  const { stdout } = process
  stdout.write(`${yellow('?')} ${bold(plain(call.name))} waits for your word\n`)
  if (reason) stdout.write(`${dim(wrap(plain(reason), columns() - 2, '  '))}\n`)
  for (const line of argumentLines(call.arguments)) stdout.write(`  ${oneLine(line, columns() - 2)}\n`)
  for (;;) {
    const answer = await keyboard.answer(`${dim('Run it? y, n, a(lways), or why not:')} `)
    if (answer === null) return null
    const { tool_call_id } = call
    const word = answer.toLowerCase()
    if (word === 'y' || word === 'yes') return { type: 'approval', tool_call_id, approve: true, reason: null }
    if (word === 'n' || word === 'no') return { type: 'approval', tool_call_id, approve: false, reason: null }
    if (word === 'a' || word === 'always') {
      await approveAlways(talk, call.name, reason !== undefined)
      return { type: 'approval', tool_call_id, approve: true, reason: null }
    }
    if (answer.length > 1 && answer !== '?')
      return { type: 'approval', tool_call_id, approve: false, reason: answer }
    stdout.write(`${dim(wrap(HELP, columns() - 2, '  '))}\n`)
  }
}

/** `name: value`, one a line; as it stands when it is no JSON object. */
function argumentLines(text: string): string[] {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return Object.entries(value).map(([name, one]) => `${name}: ${JSON.stringify(one)}`)
  } catch {
    // The model's own words: shown as they are.
  }
  return [text]
}
