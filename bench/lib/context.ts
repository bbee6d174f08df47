import type { Row } from './report.ts'

/** What every scenario is given. */
export interface BenchContext {
  /** Sizes for a minute instead of an hour. */
  quick: boolean
  /** A new, empty folder, removed when the scenario is over. */
  folder(): Promise<string>
  /** Says how far it is, on one line that the next one replaces. */
  readonly progress: (text: string) => void
}

/** Measures something and gives its rows; asserts no time. */
export type Scenario = (context: BenchContext) => Promise<Row[]>
