import type { DerivedTool, SourceProblem, ToolSources } from '../../core/ports/custom-tools.ts'
import { AppError } from '../../schema/errors.ts'
import { derivePython } from './python.ts'
import { checkLength, refusal } from './refusals.ts'
import type { Problem, Reading } from './source-jobs.ts'
import { askThread } from './source-thread.ts'

/** What is told of one source. */
const MAX_PROBLEMS = 100
const MAX_MESSAGE_CHARS = 1000

/**
 * Reads the sources of tools: TypeScript in a thread of this process, Python in a Python of this machine. Nothing of them
 * is executed. `env` is where Python is looked for (LOCI_PYTHON, PATH); this process's own by default.
 */
export function createToolSources({ env = process.env }: { env?: NodeJS.ProcessEnv } = {}): ToolSources {
  const readAll = async (...[source, options = {}]: Parameters<ToolSources['derive']>): Promise<Reading> => {
    checkLength(source.source_code)
    if (source.source_type === 'python') return derivePython(source.source_code, options, env)
    const answer = await askThread({ kind: 'derive', source_code: source.source_code, options })
    if (answer.kind === 'refused') return { tool: null, errors: [answer.problem], warnings: [] }
    if (answer.kind === 'read') return answer.reading
    throw new AppError('internal', answer.kind === 'failed' ? answer.message : 'The source was not read.')
  }
  const read = async (...given: Parameters<typeof readAll>): Promise<Reading> => {
    const { tool, errors, warnings } = await readAll(...given)
    return { tool, errors: inOrder(errors), warnings: inOrder(warnings) }
  }
  return {
    async derive(source, options) {
      const { tool, errors, warnings } = await read(source, options)
      if (!tool || errors.length > 0) throw refusal(errors)
      return {
        ...tool,
        warnings: warnings.map(({ line, message }) => `Line ${line}: ${message}`),
      } satisfies DerivedTool
    },
    async check(source, options) {
      const { tool, errors, warnings } = await read(source, options)
      const problems: SourceProblem[] = inOrder([
        ...errors.map((problem) => ({ severity: 'error' as const, ...problem })),
        ...warnings.map((problem) => ({ severity: 'warning' as const, ...problem })),
      ])
      const derived = tool && errors.length === 0 ? { ...tool, warnings: [] } : null
      return { tool: derived, problems }
    },
  }
}

/** As they stand in the source; of a great many the first ones. */
function inOrder<T extends Problem>(problems: readonly T[]): T[] {
  return problems
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .slice(0, MAX_PROBLEMS)
    .map((problem) => ({ ...problem, message: shortened(problem.message) }))
}

/** A sentence may quote the source. */
function shortened(message: string): string {
  return message.length > MAX_MESSAGE_CHARS ? `${message.slice(0, MAX_MESSAGE_CHARS)}…` : message
}
