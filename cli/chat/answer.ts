import type { StreamItem } from '../../shared/schema/message.ts'
import { columns, dim, displayWidth, green, oneLine, plainPieces, red } from '../terminal.ts'

/** Ends that need no note: the usual ones, and those that an error item follows. */
const EXPLAINED = new Set<string>([
  'end_turn',
  'tool_rule',
  'error',
  'llm_api_error',
  'requires_approval',
  'cancelled',
])
const ENDS: Record<string, string> = {
  max_steps: 'it took as many steps as it may for one message; say "go on" to let it',
  max_tokens_exceeded: 'the answer was cut: it reached the most tokens the model may write',
}

type Text = 'assistant' | 'thought'

export interface AnswerOptions {
  /** The agent's words. */
  out: NodeJS.WriteStream
  /** What it does meanwhile. */
  notes: NodeJS.WriteStream
  /** Its thoughts, too. */
  thoughts: boolean
}

/** Writes one streamed answer as it comes: the agent's words to `out`; thoughts, tool calls and their outcome, dim, to `notes`. */
export class Answer {
  readonly #options: AnswerOptions
  #clean = plainPieces()
  #text: { kind: Text; message: string } | null = null
  #call: { id: string; name: string; arguments: string } | null = null
  /** Names of the calls that were shown. */
  readonly #calls = new Map<string, string>()
  #lastCall: string | null = null
  #atLineStart = true
  #waiting: NodeJS.Timeout | undefined
  #waitingFor = ''
  #drawn = false

  constructor(options: AnswerOptions) {
    this.#options = options
  }

  add(item: StreamItem): void {
    switch (item.message_type) {
      case 'tool_call_message':
        return this.#addCall(item.tool_call)
      case 'ping':
        if ('text' in item && item.text) this.wait(item.text)
        return
      case 'assistant_message': {
        const { content } = item
        const text = typeof content === 'string' ? content : content.map((part) => part.text).join('')
        return this.#addText('assistant', item.id, text)
      }
      case 'reasoning_message':
        if (this.#options.thoughts) this.#addText('thought', item.id, item.reasoning)
        else this.#showCall()
        return
      case 'tool_return_message':
        this.#showCall()
        for (const result of item.tool_returns)
          this.#addReturn(result.tool_call_id, result.status, result.tool_return)
        if (item.tool_returns.length === 0) this.#addReturn(item.tool_call_id, item.status, item.tool_return)
        return
      case 'event_message':
        return this.note('(the context is full: what was said is being summed up)')
      case 'stop_reason':
        this.#showCall()
        if (!EXPLAINED.has(item.stop_reason))
          this.note(`(ended: ${ENDS[item.stop_reason] ?? item.stop_reason})`)
        return
      default:
        this.#showCall()
    }
  }

  /** What is being waited for, while nothing comes: on a terminal alone, and gone with the next word. */
  wait(text = 'thinking'): void {
    const { notes } = this.#options
    if (!notes.isTTY || process.env['TERM'] === 'dumb') return
    if (this.#waiting) {
      this.#waitingFor = text
      return
    }
    if (!this.#atLineStart) return
    this.#waitingFor = text
    const since = performance.now()
    this.#waiting = setInterval(() => {
      const seconds = Math.floor((performance.now() - since) / 1000)
      const line = oneLine(`· ${this.#waitingFor}${seconds < 2 ? '' : ` ${seconds} s`}`, columns(notes) - 1)
      notes.write(`\r\x1b[K${dim(line, notes)}`)
      this.#drawn = true
    }, 400)
    this.#waiting.unref()
  }

  /** A dim line. */
  note(text: string): void {
    this.#showCall()
    this.#newLine()
    const { notes } = this.#options
    notes.write(`${dim(oneLine(text, notes.isTTY ? Infinity : columns(notes)), notes)}\n`)
  }

  /** Ends the line; a note says why the answer is not whole. */
  end(note: string | null): void {
    this.#showCall()
    this.#newLine()
    if (note) this.note(`(${note})`)
  }

  #addCall(delta: { tool_call_id?: string | null; name?: string | null; arguments?: string | null }): void {
    const { tool_call_id, name, arguments: piece } = delta
    if (tool_call_id && tool_call_id !== this.#call?.id) {
      this.#showCall()
      this.#call = { id: tool_call_id, name: '', arguments: '' }
    }
    if (!this.#call) return
    this.#call.name += name ?? ''
    this.#call.arguments += piece ?? ''
  }

  #showCall(): void {
    const call = this.#call
    this.#call = null
    if (!call) return
    this.#calls.set(call.id, call.name)
    this.#lastCall = call.id
    this.#line(dim('·', this.#options.notes), `${call.name} ${call.arguments}`)
    this.wait(`running ${call.name}`)
  }

  #addReturn(id: string, status: string, result: unknown): void {
    const { notes } = this.#options
    const name = id === this.#lastCall ? '' : `${this.#calls.get(id) ?? ''}: `.replace(/^: $/, '')
    const text = typeof result === 'string' ? result : JSON.stringify(result)
    const mark = status === 'error' ? red('✗ failed:', notes) : green('✓', notes)
    this.#line(`  ${mark}`, `${name}${text}`)
    this.wait()
  }

  /** A mark and what is dim beside it, in one line. */
  #line(mark: string, text: string): void {
    this.#newLine()
    const { notes } = this.#options
    const room = Math.max(10, columns(notes) - displayWidth(mark) - 1)
    notes.write(`${mark} ${dim(oneLine(text, room), notes)}\n`)
  }

  #addText(kind: Text, message: string, piece: string): void {
    this.#showCall()
    if (this.#text?.kind !== kind || this.#text.message !== message) {
      this.#newLine()
      this.#text = { kind, message }
      this.#clean = plainPieces()
    }
    const text = this.#clean(piece)
    if (text === '') return
    this.#stopWaiting()
    const { out, notes } = this.#options
    if (kind === 'assistant') out.write(text)
    else notes.write(dim(text, notes))
    this.#atLineStart = text.endsWith('\n')
  }

  #newLine(): void {
    this.#stopWaiting()
    if (!this.#atLineStart)
      (this.#text?.kind === 'thought' ? this.#options.notes : this.#options.out).write('\n')
    this.#atLineStart = true
    this.#text = null
  }

  #stopWaiting(): void {
    if (!this.#waiting) return
    clearInterval(this.#waiting)
    this.#waiting = undefined
    if (this.#drawn) this.#options.notes.write('\r\x1b[K')
    this.#drawn = false
  }
}
