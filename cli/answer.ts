import type { TurnItem } from '../shared/client/http.ts'
import { columns, dim, oneLine, plainPieces } from './terminal.ts'

/** Ends that need no note: the usual one, and those that an error item follows. */
const EXPLAINED = new Set<string>(['end_turn', 'error', 'llm_api_error'])

/** Writes one streamed answer as it comes: the agent's words to `out`, one dim line for each tool call to `notes`. */
export class Answer {
  readonly #out: NodeJS.WriteStream
  readonly #notes: NodeJS.WriteStream
  #clean = plainPieces()
  #message: string | null = null
  #call: { id: string; name: string; arguments: string } | null = null
  #atLineStart = true

  constructor(out: NodeJS.WriteStream, notes: NodeJS.WriteStream) {
    this.#out = out
    this.#notes = notes
  }

  add(item: TurnItem): void {
    if (item.message_type === 'tool_call_message') {
      const { tool_call_id, name, arguments: piece } = item.tool_call
      if (tool_call_id && tool_call_id !== this.#call?.id) {
        this.#showCall()
        this.#call = { id: tool_call_id, name: '', arguments: '' }
      }
      if (!this.#call) return
      this.#call.name += name ?? ''
      this.#call.arguments += piece ?? ''
      return
    }
    if (item.message_type === 'ping') return
    this.#showCall()
    if (item.message_type === 'assistant_message') {
      if (item.id !== this.#message) {
        this.#newLine()
        this.#message = item.id
        this.#clean = plainPieces()
      }
      const { content } = item
      this.#write(typeof content === 'string' ? content : content.map((part) => part.text).join(''))
    } else if (item.message_type === 'tool_return_message') {
      if (item.status === 'error') this.#note(`  failed: ${item.tool_return}`)
    } else if (item.message_type === 'stop_reason' && !EXPLAINED.has(item.stop_reason)) {
      this.#note(`(ended: ${item.stop_reason})`)
    }
  }

  /** Ends the line; a note says why the answer is not whole. */
  end(note: string | null): void {
    this.#showCall()
    this.#newLine()
    if (note) this.#note(`(${note})`)
  }

  #showCall(): void {
    const call = this.#call
    this.#call = null
    if (call) this.#note(`· ${call.name} ${call.arguments}`)
  }

  #note(text: string): void {
    this.#newLine()
    this.#notes.write(`${dim(oneLine(text, columns(this.#notes)), this.#notes)}\n`)
  }

  #write(piece: string): void {
    const text = this.#clean(piece)
    if (text === '') return
    this.#out.write(text)
    this.#atLineStart = text.endsWith('\n')
  }

  #newLine(): void {
    if (!this.#atLineStart) this.#out.write('\n')
    this.#atLineStart = true
  }
}
