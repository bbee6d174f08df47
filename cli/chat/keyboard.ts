import { createInterface, type Interface } from 'node:readline'
import { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { dim, plain } from '../terminal.ts'

/** Stands for a line break in a line that is edited: what is pasted or typed with Alt-Enter is one message. */
const BREAK = '⏎'
/** A paste of more lines, or characters, is shown as one word. */
const SHOWN_LINES = 10
const SHOWN_LENGTH = 1000

/* oxlint-disable no-control-regex -- what terminals send */
/** Alt-Enter, and Shift-Enter where a terminal tells it apart (CSI u, modifyOtherKeys). */
const SOFT_BREAK = /\x1b[\r\n]|\x1b\[13;[2-8]u|\x1b\[27;[2-8];13~/g
const SEQUENCE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|O[A-Z]|.)?|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g
/* oxlint-enable no-control-regex */
const PASTE_START = '\x1b[200~'
const PASTE_END = '\x1b[201~'

/** What the user types: lines while they are asked, Ctrl-C while an agent works. One at a time; the caller closes it. */
export class Keyboard {
  readonly #input: Input
  readonly #history: string[]

  /** `history`: the newest first. */
  constructor(history: readonly string[]) {
    this.#history = [...history]
    this.#input = new Input()
  }

  /**
   * A message: a line, or several with Alt-Enter, a backslash at the end, or a paste. Null when the user leaves: Ctrl-D,
   * or Ctrl-C where nothing is typed.
   */
  async message(prompt: string, complete: (line: string) => [string[], string]): Promise<string | null> {
    let text = ''
    for (;;) {
      const typed = await this.#line(text === '' ? prompt : dim('… '), complete)
      if (typed === 'cleared') text = ''
      else if (typed === null) return text === '' ? null : ''
      else if (/(?<!\\)(?:\\\\)*\\$/.test(typed.line)) text += `${typed.line.slice(0, -1)}\n`
      else {
        const message = text + typed.line
        if (message.trim() !== '' && message !== this.#history[0]) this.#history.unshift(message)
        return message
      }
    }
  }

  /** A line that answers a question; null for Ctrl-C and Ctrl-D. */
  async answer(question: string): Promise<string | null> {
    const typed = await this.#line(question, null)
    return typed === null || typed === 'cleared' ? null : typed.line.trim()
  }

  /** Hears Ctrl-C while an agent works; what else is typed waits for the next prompt. Answers how to stop hearing. */
  work(interrupt: () => void): () => void {
    return this.#input.listen(interrupt)
  }

  close(): void {
    this.#input.close()
  }

  #line(
    prompt: string,
    complete: ((line: string) => [string[], string]) | null,
  ): Promise<{ line: string } | 'cleared' | null> {
    return new Promise((resolve) => {
      const history = complete ? this.#history.map(folded) : []
      const terminal: Interface = createInterface({
        input: this.#input,
        output: process.stdout,
        terminal: true,
        history,
        historySize: 1000,
        removeHistoryDuplicates: true,
        prompt,
        ...(complete ? { completer: complete } : {}),
      })
      let result: { line: string } | 'cleared' | null = null
      terminal.once('line', (line) => {
        result = { line: this.#input.unfolded(line) }
        terminal.close()
      })
      terminal.on('SIGINT', () => {
        if (complete && terminal.line !== '') result = 'cleared'
        process.stdout.write(dim('^C'))
        terminal.close()
      })
      terminal.once('close', () => {
        if (result === null || result === 'cleared') process.stdout.write('\n')
        this.#input.pauseTyping()
        resolve(result)
      })
      terminal.prompt()
      this.#input.resumeTyping(complete !== null)
    })
  }
}

/** Keys that nobody heard, as text to go on with. */
function asText(keys: string): string {
  return keys
    .replace(/^\n/, '')
    .replace(/[\r\n]+/g, BREAK)
    .replace(SEQUENCE, '')
}

/** Whether the terminal knows escape sequences. */
function isSmart(): boolean {
  return process.env['TERM'] !== 'dumb'
}

function folded(text: string): string {
  return text.replaceAll('\n', BREAK)
}

/** The keys of the terminal, with what is pasted made one line. */
class Input extends Readable {
  readonly isTTY = true
  readonly #decoder = new StringDecoder('utf8')
  readonly #pastes = new Map<string, string>()
  #paste: string | null = null
  #typing = false
  #early = ''
  #interrupt: (() => void) | null = null
  readonly #hear = (data: Buffer) => this.#take(this.#decoder.write(data))
  readonly #end = () => void this.push(null)

  constructor() {
    super()
    process.stdin.on('data', this.#hear).once('end', this.#end)
  }

  override _read(): void {}

  /** What readline asks for. Between prompts the terminal is as it was: there Ctrl-C ends the program. */
  setRawMode(mode: boolean): this {
    process.stdin.setRawMode(mode)
    return this
  }

  /** `early`: what was typed before the prompt goes into it; not into questions, which it was no answer to. */
  resumeTyping(early: boolean): void {
    process.stdin.resume()
    if (isSmart()) process.stdout.write('\x1b[?2004h')
    this.#typing = true
    if (!early) return
    // Enter alone was no message.
    const text = this.#early.replace(/^⏎+/, '')
    this.#early = ''
    if (text !== '') this.push(text)
  }

  pauseTyping(): void {
    this.#typing = false
    if (isSmart()) process.stdout.write('\x1b[?2004l')
  }

  listen(interrupt: () => void): () => void {
    process.stdin.setRawMode(true)
    process.stdin.resume()
    this.#interrupt = interrupt
    return () => {
      this.#interrupt = null
      process.stdin.setRawMode(false)
    }
  }

  close(): void {
    process.stdin.off('data', this.#hear).off('end', this.#end)
    process.stdin.setRawMode(false)
    process.stdin.pause()
    this.destroy()
  }

  /** The text that a line stands for. */
  unfolded(line: string): string {
    let text = line
    for (const [word, paste] of this.#pastes) text = text.replaceAll(word, paste)
    return text.replaceAll(BREAK, '\n')
  }

  #take(text: string): void {
    if (!this.#typing) {
      if (text.includes('\x03')) {
        this.#early = ''
        for (const key of text) if (key === '\x03') this.#interrupt?.()
      } else this.#early += asText(this.#folded(text))
      return
    }
    const keys = this.#folded(text)
    // A line ends the prompt: what came with it is for the next one.
    const end = keys.search(/[\r\n]/) + 1
    if (end > 0 && end < keys.length) this.#early += asText(keys.slice(end))
    if (keys !== '') this.push(end > 0 ? keys.slice(0, end) : keys)
  }

  /** Pastes as one line; a paste may come in pieces. */
  #folded(text: string): string {
    let rest = text
    let keys = ''
    while (rest !== '') {
      if (this.#paste === null) {
        const start = rest.indexOf(PASTE_START)
        keys += (start < 0 ? rest : rest.slice(0, start)).replace(SOFT_BREAK, BREAK)
        if (start < 0) break
        this.#paste = ''
        rest = rest.slice(start + PASTE_START.length)
      } else {
        const paste: string = this.#paste + rest
        const end = paste.indexOf(PASTE_END)
        if (end < 0) {
          this.#paste = paste
          break
        }
        this.#paste = null
        keys += this.#pasted(paste.slice(0, end))
        rest = paste.slice(end + PASTE_END.length)
      }
    }
    return keys
  }

  #pasted(text: string): string {
    const clean = plain(text).replaceAll('\t', '  ')
    const lines = clean.split('\n').length
    if (lines <= SHOWN_LINES && clean.length <= SHOWN_LENGTH) return folded(clean)
    const word = `[paste ${this.#pastes.size + 1}: ${lines} lines]`
    this.#pastes.set(word, clean)
    return word
  }
}
