import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { type Compilable, compiled, type Connection, type Statement } from '../sql/query.ts'

/** Statements kept prepared on one connection; beyond this the oldest is dropped. */
const MAX_STATEMENTS = 400

/** One SQLite connection with its prepared statements. Each statement is done when its call returns. */
export class SqliteConnection implements Connection {
  readonly engine = 'sqlite'
  readonly database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.database = database
  }

  /** The prepared statement of this text. */
  statement(text: string): StatementSync {
    let statement = this.#statements.get(text)
    if (!statement) {
      statement = this.database.prepare(text)
      if (this.#statements.size >= MAX_STATEMENTS) {
        const [oldest] = this.#statements.keys()
        if (oldest !== undefined) this.#statements.delete(oldest)
      }
      this.#statements.set(text, statement)
    }
    return statement
  }

  async all<Row>(query: Compilable<Row>): Promise<Row[]> {
    return (await this.rows(compiled('sqlite', query))) as Row[]
  }

  async get<Row>(query: Compilable<Row>): Promise<Row | undefined> {
    const { sql, parameters } = compiled('sqlite', query)
    return this.statement(sql).get(...(parameters as SQLInputValue[])) as Row | undefined
  }

  async run(query: Compilable<unknown>): Promise<number> {
    return await this.changes(compiled('sqlite', query))
  }

  async send(query: Compilable<unknown>): Promise<void> {
    await this.run(query)
  }

  async post(statement: Statement): Promise<void> {
    await this.changes(statement)
  }

  async rows({ sql, parameters }: Statement): Promise<unknown[]> {
    return this.statement(sql).all(...(parameters as SQLInputValue[]))
  }

  async changes({ sql, parameters }: Statement): Promise<number> {
    return Number(this.statement(sql).run(...(parameters as SQLInputValue[])).changes)
  }

  close(): void {
    this.#statements.clear()
    if (this.database.isOpen) this.database.close()
  }
}
