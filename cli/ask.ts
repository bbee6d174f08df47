import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Failure } from './failure.ts'
import { plain } from './terminal.ts'

/** True when somebody is there to answer questions. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

/**
 * Asks on the terminal (on stderr: stdout is for results) and answers with the line, trimmed. With `hidden` nothing of
 * it is shown. Ctrl-C and the end of input throw a `Failure`: nothing has been changed by then.
 */
export function ask(question: string, options: { hidden?: boolean } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
    const terminal = createInterface({
      input: process.stdin,
      output: options.hidden ? nowhere : process.stderr,
      prompt: plain(question),
      terminal: true,
    })
    if (options.hidden) process.stderr.write(plain(question))
    terminal.prompt()
    let answer: string | null = null
    terminal.once('line', (line) => {
      answer = line.trim()
      terminal.close()
    })
    terminal.once('SIGINT', () => terminal.close())
    terminal.once('close', () => {
      if (options.hidden || answer === null) process.stderr.write('\n')
      if (answer === null) reject(new Failure('Stopped. Nothing was changed.'))
      else resolve(answer)
    })
  })
}

/** A secret from a pipe: the first line of stdin. Throws a `Failure` when there is none. */
export async function readSecret(): Promise<string> {
  if (process.stdin.isTTY) return ask('Key (not shown): ', { hidden: true })
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (line.trim() !== '') return line.trim()
  }
  throw new Failure(
    '--key-stdin found no key on stdin. Give it one: printenv MY_KEY | loci connect … --key-stdin',
  )
}
