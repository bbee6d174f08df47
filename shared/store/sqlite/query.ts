import type { CompiledQuery } from 'kysely'
import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Tables } from '../sql/tables.ts'

/** Builds SQL for `Tables`; it has no connection and cannot run anything. */
export const sqlite = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
})

/** Anything of Kysely that compiles to a statement with rows of type `Row`. */
export interface Compilable<Row> {
  compile(): CompiledQuery<Row>
}

/** Statements kept prepared on one connection; beyond this the oldest is dropped. */
const MAX_STATEMENTS = 400

/** One SQLite connection with its prepared statements. Everything is synchronous. */
export class Connection {
  readonly database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.database = database
  }

  /** The prepared statement of this text; literal SQL is for what Kysely cannot say. */
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

  all<Row>(query: Compilable<Row>): Row[] {
    const { sql, parameters } = query.compile()
    return this.statement(sql).all(...(parameters as SQLInputValue[])) as Row[]
  }

  get<Row>(query: Compilable<Row>): Row | undefined {
    const { sql, parameters } = query.compile()
    return this.statement(sql).get(...(parameters as SQLInputValue[])) as Row | undefined
  }

  /** Rows changed. */
  run(query: Compilable<unknown>): number {
    const { sql, parameters } = query.compile()
    return Number(this.statement(sql).run(...(parameters as SQLInputValue[])).changes)
  }

  close(): void {
    this.#statements.clear()
    if (this.database.isOpen) this.database.close()
  }
}

class Slot {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/** A statement with named parameters, compiled when it is first used and never again. */
export class Query<Parameters extends object, Row> {
  readonly #build: () => Compilable<Row>
  #compiled: CompiledQuery<Row> | undefined

  constructor(build: () => Compilable<Row>) {
    this.#build = build
  }

  all(connection: Connection, parameters: Parameters): Row[] {
    const compiled = this.#compile()
    return connection.statement(compiled.sql).all(...bind(compiled, parameters)) as Row[]
  }

  get(connection: Connection, parameters: Parameters): Row | undefined {
    const compiled = this.#compile()
    return connection.statement(compiled.sql).get(...bind(compiled, parameters)) as Row | undefined
  }

  /** Rows changed, and the rowid of the last insert. */
  run(connection: Connection, parameters: Parameters): { changes: number; rowid: number } {
    const compiled = this.#compile()
    const result = connection.statement(compiled.sql).run(...bind(compiled, parameters))
    return { changes: Number(result.changes), rowid: Number(result.lastInsertRowid) }
  }

  #compile(): CompiledQuery<Row> {
    return (this.#compiled ??= this.#build().compile())
  }
}

/** A query made once: `query<{ id: string }>()((p) => sqlite.selectFrom('agents').where('id', '=', p.id)…)`. */
export function query<Parameters extends object>() {
  return <Row>(build: (parameters: Parameters) => Compilable<Row>): Query<Parameters, Row> => {
    const slots = new Proxy({}, { get: (_, name) => new Slot(String(name)) })
    return new Query<Parameters, Row>(() => build(slots as Parameters))
  }
}

function bind(compiled: CompiledQuery, parameters: object): SQLInputValue[] {
  const named = parameters as Record<string, SQLInputValue>
  return compiled.parameters.map((value) =>
    value instanceof Slot ? (named[value.name] ?? null) : (value as SQLInputValue),
  )
}
