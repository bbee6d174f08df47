/** Runs in a worker thread: sources of TypeScript tools in, what they say out. Executes none of them. */
import { parentPort } from 'node:worker_threads'
import type { SourceAnswer, SourceJob } from './source-jobs.ts'
import { SourceError } from './source-error.ts'
import { compile } from './typescript-compile.ts'
import { deriveTypeScript } from './typescript-derive.ts'

const port = parentPort
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
port?.on('message', (job: SourceJob) => port.postMessage(answer(job)))

function answer(job: SourceJob): SourceAnswer {
  try {
    return job.kind === 'compile'
      ? { kind: 'compiled', compiled: compile(job.source_code, job.name) }
      : { kind: 'read', reading: deriveTypeScript(job.source_code, job.options) }
  } catch (error) {
    if (error instanceof SourceError) {
      const { message, line, column } = error
      return { kind: 'refused', problem: { message, line, column } }
    }
    if (error instanceof RangeError)
      return {
        kind: 'refused',
        problem: {
          message: 'The source is nested too deeply: take it apart into functions.',
          line: 1,
          column: 1,
        },
      }
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) }
  }
}
