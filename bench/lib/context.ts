import type { BenchPostgres } from './postgres.ts'
import type { Row } from './report.ts'

/** What a store is kept in. */
export type Engine = 'sqlite' | 'postgres'

/** Where a store is: its data directory, and its database when it is kept in one. */
export interface Place {
  directory: string
  address: string | null
}

/** What every scenario is given. */
export interface BenchContext {
  /** The size that was asked for: for numbers, for a look, or to see that everything works. */
  readonly sized: <T>(full: T, quick: T, smoke: T) => T
  /** How many rows the scenarios of millions take, when it was asked for. */
  rows: number | null
  /** The engine that is measured, of those that `--store` names. */
  engine: Engine
  /** A new, empty store of that engine, removed when the scenario is over. */
  place(): Promise<Place>
  /** The PostgreSQL of this run, started when it is first asked for. */
  postgres(): Promise<BenchPostgres>
  /** A new, empty folder, removed when the scenario is over. */
  folder(): Promise<string>
  /** Says how far it is, on one line that the next one replaces. */
  readonly progress: (text: string) => void
}

/** Measures something and gives its rows; asserts no time. */
export type Scenario = (context: BenchContext) => Promise<Row[]>
