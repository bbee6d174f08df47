/** A model of the chaos test: it answers each message in its own words, and finds fault with what it is asked. */
import type { ChatBody } from '../support/model-wire.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const WORDS = Array.from({ length: 24 }, (_, i) => ` w${i}`)

/** What is said to a message: long enough to be cut in the middle. */
export function answerTo(text: string): string {
  return `re ${text}${WORDS.join('')}`
}

/** What `remember …` writes into the block `notes`. */
export function lineOf(text: string): string {
  return `line of ${text}`
}

/** What `note …` writes into the archive. */
export function passageOf(text: string): string {
  return `passage of ${text}`
}

/** Starts it; the caller closes `model`. `complaints` are contexts that no model should be sent. */
export async function startChaosModel(
  random: () => number,
): Promise<{ model: ScriptedModel; complaints: string[]; asked: () => number }> {
  const complaints: string[] = []
  let asked = 0
  const model = await startScriptedModel([], {
    forget: true,
    loop(body) {
      asked++
      const complaint = complaintOf(body)
      if (complaint !== null) complaints.push(complaint)
      const text = lastSaid(body)
      const hold = pause(20 + random() ** 3 * 2_500)
      const [verb] = text.split(' ')
      if (body.messages.at(-1)?.role === 'user' && verb === 'remember')
        return call('memory_insert', { label: 'notes', new_string: lineOf(text) }, hold)
      if (body.messages.at(-1)?.role === 'user' && verb === 'note')
        return call('archival_memory_insert', { content: passageOf(text) }, hold)
      const hold_after = Math.floor(random() * WORDS.length)
      return { text: [`re ${text}`, ...WORDS], hold, hold_after }
    },
  })
  return { model, complaints, asked: () => asked }
}

function call(name: string, args: Record<string, unknown>, hold: Promise<void>) {
  return { tool_calls: [{ name, arguments: args }], hold }
}

function lastSaid({ messages }: ChatBody): string {
  const content = messages.findLast((message) => message.role === 'user')?.content
  return typeof content === 'string' ? content : JSON.stringify(content)
}

/** A call without its return right after it, a return without a call, or a message of the user's twice. */
function complaintOf({ messages }: ChatBody): string | null {
  const said = new Set<string>()
  let open: string[] = []
  for (const message of messages) {
    const { role, content } = message
    if (role === 'tool') {
      const id = String(message.tool_call_id)
      if (!open.includes(id)) return `a return without its call: ${id}`
      open = open.filter((one) => one !== id)
      continue
    }
    if (open.length > 0) return `a call without its return: ${open.join(', ')}`
    if (role === 'assistant') open = (message.tool_calls ?? []).map(({ id }) => id)
    if (role !== 'user' || typeof content !== 'string') continue
    if (said.has(content)) return `said twice in one context: ${content}`
    said.add(content)
  }
  return open.length > 0 ? `a call without its return: ${open.join(', ')}` : null
}

/** Resolves after so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
