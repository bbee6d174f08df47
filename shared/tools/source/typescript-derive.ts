import type { DeriveOptions } from '../../core/ports/custom-tools.ts'
import { errorAt, parseTypeScript } from './ast.ts'
import type { Reading } from './source-jobs.ts'
import { findEntry } from './typescript-entry.ts'
import { bindingsOf } from './typescript-parameters.ts'

/** What the source of a TypeScript tool says about it. Throws `SourceError` for what is no TypeScript. */
export function deriveTypeScript(source: string, options: DeriveOptions): Reading {
  const { program } = parseTypeScript(source)
  const entry = findEntry(program)
  if (entry.kind === 'function') bindingsOf(entry.node)
  const { json_schema } = options
  if (!json_schema) throw errorAt(entry.statement, 'Give json_schema: it is not read from the source yet.')
  return {
    tool: {
      name: json_schema.name,
      description: json_schema.description,
      json_schema,
      permissions: {
        network: false,
        read: [],
        write: [],
        timeout_ms: null,
        memory_mb: null,
        keep_state: false,
      },
      pip_requirements: [],
      npm_requirements: [],
    },
    errors: [],
    warnings: [],
  }
}
