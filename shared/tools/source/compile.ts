import { AppError } from '../../schema/errors.ts'
import { checkLength, refusal } from './refusals.ts'
import { askThread } from './source-thread.ts'
import type { CompiledTool } from './typescript-compile.ts'

/** Characters of compiled code that are kept for the next call. */
const KEPT_CHARS = 8 * 1024 * 1024

/** By source, the ones that were not asked for in a long time first. */
const kept = new Map<string, CompiledTool>()
let keptChars = 0

/**
 * A TypeScript tool as JavaScript, with what to call in it; `name` is that of the tool, which tells among several
 * functions. In a thread; the same source costs nothing the second time.
 * Throws `invalid_argument` with `data.line` for what is no TypeScript or exports no tool.
 */
export async function compileTypeScript(source_code: string, name?: string): Promise<CompiledTool> {
  const key = `${name ?? ''}\n${source_code}`
  const known = kept.get(key)
  if (known) {
    kept.delete(key)
    kept.set(key, known)
    return known
  }
  checkLength(source_code)
  const answer = await askThread({ kind: 'compile', source_code, name })
  if (answer.kind === 'refused') throw refusal([answer.problem])
  if (answer.kind !== 'compiled')
    throw new AppError('internal', answer.kind === 'failed' ? answer.message : 'The source was not compiled.')
  keep(key, answer.compiled)
  return answer.compiled
}

function keep(key: string, compiled: CompiledTool): void {
  if (!kept.has(key)) keptChars += sizeOf(key, compiled)
  kept.set(key, compiled)
  for (const [oldest, value] of kept) {
    if (keptChars <= KEPT_CHARS || kept.size === 1) break
    kept.delete(oldest)
    keptChars -= sizeOf(oldest, value)
  }
}

function sizeOf(key: string, { code, map }: CompiledTool): number {
  return key.length + code.length + map.length
}
