import type { DerivedTool, DeriveOptions } from '../../core/ports/custom-tools.ts'
import type { CompiledTool } from './typescript-compile.ts'

/** A place in a source, and what is wrong there. */
export interface Problem {
  message: string
  line: number
  column: number
}

/** What reading a source found; `tool` is null when there are errors. */
export interface Reading {
  tool: Omit<DerivedTool, 'warnings'> | null
  errors: Problem[]
  warnings: Problem[]
}

/** What the worker is asked. */
export type SourceJob =
  | { kind: 'compile'; source_code: string; name: string | undefined }
  | { kind: 'derive'; source_code: string; options: DeriveOptions }

/** What it answers: `failed` is no fault of the source. */
export type SourceAnswer =
  | { kind: 'compiled'; compiled: CompiledTool }
  | { kind: 'read'; reading: Reading }
  | { kind: 'refused'; problem: Problem }
  | { kind: 'failed'; message: string }
