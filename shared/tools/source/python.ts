import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import * as z from 'zod'
import type { DeriveOptions } from '../../core/ports/custom-tools.ts'
import { AppError, messageOf } from '../../schema/errors.ts'
import { findPython, pythonEnv } from '../python/interpreter.ts'
import { pythonScript } from '../python/script-path.ts'
import { readDirectives } from './directives.ts'
import { schemaOf } from './given-schema.ts'
import { importWarnings } from './imports.ts'
import { wrongName } from './names.ts'
import type { Reading } from './source-jobs.ts'

/** A source that takes more is given up. */
const TIMEOUT_MS = 20_000
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
/** Children at once. */
const MAX_CHILDREN = 2

const place = { line: z.number().int(), column: z.number().int() }
const problem = z.object({ message: z.string(), ...place })
/** What `loci_derive.py` answers. */
const answerSchema = z.object({
  name: z.string().nullable(),
  description: z.string(),
  parameters: z
    .object({
      type: z.literal('object'),
      properties: z.record(z.string(), z.unknown()),
      required: z.array(z.string()),
    })
    .nullable(),
  line: z.number().int().default(1),
  column: z.number().int().default(1),
  imports: z.array(z.object({ name: z.string(), standard: z.boolean().nullable(), ...place })),
  comments: z.array(z.object({ text: z.string(), ...place })),
  errors: z.array(problem),
  warnings: z.array(problem),
})
type Answer = z.infer<typeof answerSchema>

/**
 * What the source of a Python tool says about it, as Python's own parser reads it in a process with limits. Throws
 * `invalid_argument` where there is no Python, and for a source that takes too long or too much.
 */
export async function derivePython(
  source_code: string,
  options: DeriveOptions,
  env: NodeJS.ProcessEnv,
): Promise<Reading> {
  const parameters = !options.json_schema && !options.args_json_schema
  const { json_schema: given } = options
  const answer = await findPython(env).then(
    ({ path }) => oneOfFew(() => ask(path, { source_code, parameters, name: given?.name ?? null }, env)),
    (error: unknown) => {
      // What is not there cannot read the source, and is not needed for a schema that is given.
      if (!given) throw error
      return unread(source_code, given.name, messageOf(error))
    },
  )
  const asked = readDirectives(answer.comments, 'python')
  const errors = [...answer.errors, ...asked.errors]
  const warnings = [
    ...answer.warnings,
    ...importWarnings(answer.imports, asked, 'python', options.pip_requirements ?? []),
  ]
  if (answer.name === null) return { tool: null, errors, warnings }
  const { name, description } = answer
  const json_schema = schemaOf({ name, description, parameters: answer.parameters }, options)
  const at = { line: answer.line, column: answer.column }
  const wrong = wrongName(json_schema.name)
  if (wrong) errors.push({ message: wrong, ...at })
  if (json_schema.name !== name)
    warnings.push({
      message: `The source has no function ${json_schema.name}, as the schema calls the tool: the last one, ${name}, is called.`,
      ...at,
    })
  const { permissions, pip_requirements, npm_requirements } = asked
  return {
    tool: {
      name: json_schema.name,
      description: json_schema.description,
      json_schema,
      permissions,
      pip_requirements,
      npm_requirements,
    },
    errors,
    warnings,
  }
}

/** What is known of a source without Python: the comments that have a line of their own. */
function unread(source_code: string, name: string, why: string): Answer {
  const comments = source_code.split(/\r?\n/).flatMap((content, index) => {
    const [, text] = /^\s*#+\s*(loci:.*)$/.exec(content) ?? []
    return text === undefined ? [] : [{ text: text.trim(), line: index + 1, column: 1 }]
  })
  const warning = { message: `The source was not read. ${why}`, line: 1, column: 1 }
  return {
    name,
    description: '',
    parameters: null,
    line: 1,
    column: 1,
    imports: [],
    comments,
    errors: [],
    warnings: [warning],
  }
}

let running = 0
const waiting: (() => void)[] = []

/** A hundred tools that are made at once are no hundred processes. */
async function oneOfFew<T>(work: () => Promise<T>): Promise<T> {
  if (running >= MAX_CHILDREN) await new Promise<void>((resolve) => waiting.push(resolve))
  else running++
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next) next()
    else running--
  }
}

async function ask(
  python: string,
  question: { source_code: string; parameters: boolean; name: string | null },
  env: NodeJS.ProcessEnv,
): Promise<Answer> {
  const child = spawn(python, ['-I', '-S', '-B', pythonScript('loci_derive.py')], {
    cwd: tmpdir(),
    env: pythonEnv(env),
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
  })
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const tooMuch = () =>
    new AppError(
      'invalid_argument',
      'The source of the tool takes too long or too much to read: make it simpler.',
    )
  const timer = setTimeout(() => reject(tooMuch()), TIMEOUT_MS)
  const output: Buffer[] = []
  let size = 0
  let complaint = ''
  child.stdout.on('data', (piece: Buffer) => {
    size += piece.length
    if (size > MAX_ANSWER_BYTES) reject(tooMuch())
    else output.push(piece)
  })
  child.stderr.on('data', (piece: Buffer) => {
    if (complaint.length < 2000) complaint += piece.toString()
  })
  // One that ends before it has read everything says why by its code.
  child.stdin.on('error', () => undefined)
  child.once('error', (error) =>
    reject(new AppError('invalid_argument', `Python cannot be started: ${error.message}.`)),
  )
  child.once('close', (code, signal) => {
    if (code === 0) {
      try {
        resolve(answerSchema.parse(JSON.parse(Buffer.concat(output).toString())))
      } catch (error) {
        reject(new AppError('internal', `Python answered nonsense: ${messageOf(error)}`, { cause: error }))
      }
    }
    // Ended by a signal, or by an interpreter that has no memory or no stack left.
    else if (signal || /MemoryError|RecursionError/.test(complaint)) reject(tooMuch())
    else
      reject(new AppError('internal', `Python did not read the source (code ${code}): ${complaint.trim()}`))
  })
  child.stdin.end(JSON.stringify(question))
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}
