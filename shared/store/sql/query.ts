import type { BinaryOperationNode, CompiledQuery, OperationNode, RootOperationNode } from 'kysely'
import {
  createQueryId,
  DummyDriver,
  ExpressionWrapper,
  Kysely,
  OperatorNode,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  PrimitiveValueListNode,
  type RawBuilder,
  type RawNode,
  SqliteQueryCompiler,
} from 'kysely'
import type { Tables } from './tables.ts'

/** What a store is kept in. */
export type Engine = 'sqlite' | 'postgres'

/** Builds queries over `Tables` for any engine; it has no connection and cannot run anything. */
export const db = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new PostgresIntrospector(kysely),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
})

/** Anything of Kysely that is a statement with rows of type `Row`. */
export type Compilable<Row> = RawBuilder<Row> | (Compiles<Row> & { toOperationNode(): RootOperationNode })

interface Compiles<Row> {
  compile(): CompiledQuery<Row>
}

/** One connection to a store. Its statements run one after the other, each to be awaited before the transaction ends. */
export interface Connection {
  readonly engine: Engine
  all<Row>(query: Compilable<Row>): Promise<Row[]>
  get<Row>(query: Compilable<Row>): Promise<Row | undefined>
  /** Rows changed. */
  run(query: Compilable<unknown>): Promise<number>
  /** As `run`, for a change whose count nobody needs: it may fail as late as the commit. */
  send(query: Compilable<unknown>): Promise<void>
  /** The rows of a statement that is kept prepared. */
  rows(statement: Statement): Promise<unknown[]>
  /** How many rows a statement that is kept prepared has changed. */
  changes(statement: Statement): Promise<number>
  /** As `changes`, without an answer. */
  post(statement: Statement): Promise<void>
}

/** A statement as its engine understands it, with its parameters in order. */
export interface Statement {
  sql: string
  parameters: readonly unknown[]
}

/** What one expression is in each engine. */
type Variants = Record<Engine, RawNode>

/** The engine's variant of what is not the same in all; see `portable`. */
const variants = new WeakMap<RawNode, Variants>()

/** An expression that is written in another way in each engine. */
export function portable<T>(expressions: Record<Engine, RawBuilder<T>>): ExpressionWrapper<Tables, never, T> {
  const nodes = {
    sqlite: rawNode(expressions.sqlite),
    postgres: rawNode(expressions.postgres),
  }
  const node: RawNode = { kind: 'RawNode', sqlFragments: [], parameters: [] }
  variants.set(node, nodes)
  return new ExpressionWrapper<Tables, never, T>(node)
}

function rawNode(expression: RawBuilder<unknown>): RawNode {
  const node: OperationNode = expression.toOperationNode()
  if (!isRaw(node)) throw new Error('portable() takes what sql`…` makes')
  return node
}

function isRaw(node: OperationNode): node is RawNode {
  return node.kind === 'RawNode'
}

class SqliteCompiler extends SqliteQueryCompiler {
  protected override visitRaw(node: RawNode): void {
    super.visitRaw(variants.get(node)?.sqlite ?? node)
  }
}

class PostgresCompiler extends PostgresQueryCompiler {
  /** SQLite knows what is in an empty list; PostgreSQL has no way to write one. */
  protected override visitBinaryOperation(node: BinaryOperationNode): void {
    const operator = OperatorNode.is(node.operator) ? node.operator.operator : null
    const nothing = PrimitiveValueListNode.is(node.rightOperand) && node.rightOperand.values.length === 0
    if (nothing && (operator === 'in' || operator === 'not in'))
      this.append(operator === 'in' ? 'false' : 'true')
    else super.visitBinaryOperation(node)
  }

  protected override visitRaw(node: RawNode): void {
    super.visitRaw(variants.get(node)?.postgres ?? node)
  }
}

const compilers = { sqlite: new SqliteCompiler(), postgres: new PostgresCompiler() }

/** The statement in the words of an engine. */
export function compiled(engine: Engine, query: Compilable<unknown>): Statement {
  return compilers[engine].compileQuery(query.toOperationNode(), createQueryId())
}

class Slot {
  readonly name: string
  readonly map: ((value: never) => unknown) | null
  constructor(name: string, map: ((value: never) => unknown) | null = null) {
    this.name = name
    this.map = map
  }
}

/** A parameter of a `query` that is not bound as it is given but as `map` makes it; a plain value is mapped at once. */
export function mapped<T, U>(parameter: T, map: (value: T) => U): U {
  return (parameter instanceof Slot ? new Slot(parameter.name, map) : map(parameter)) as U
}

/** A statement with named parameters, compiled when an engine first uses it and never again. */
export class Query<Parameters extends object, Row> {
  readonly #build: () => Compilable<Row>
  readonly #compiled = new Map<Engine, Statement>()

  constructor(build: () => Compilable<Row>) {
    this.#build = build
  }

  async all(connection: Connection, parameters: Parameters): Promise<Row[]> {
    return (await connection.rows(this.#bound(connection.engine, parameters))) as Row[]
  }

  async get(connection: Connection, parameters: Parameters): Promise<Row | undefined> {
    return (await this.all(connection, parameters))[0]
  }

  /** Rows changed. */
  async run(connection: Connection, parameters: Parameters): Promise<{ changes: number }> {
    return { changes: await connection.changes(this.#bound(connection.engine, parameters)) }
  }

  /** As `run`, for a change whose count nobody needs: it may fail as late as the commit. */
  async send(connection: Connection, parameters: Parameters): Promise<void> {
    await connection.post(this.#bound(connection.engine, parameters))
  }

  #bound(engine: Engine, given: Parameters): Statement {
    let statement = this.#compiled.get(engine)
    if (!statement) {
      statement = compiled(engine, this.#build())
      this.#compiled.set(engine, statement)
    }
    const named = given as Record<string, unknown>
    const parameters = statement.parameters.map((value) => {
      if (!(value instanceof Slot)) return value
      const own = named[value.name] ?? null
      return value.map ? value.map(own as never) : own
    })
    return { sql: statement.sql, parameters }
  }
}

/** A query made once: `query<{ id: string }>()((p) => db.selectFrom('agents').where('id', '=', p.id)…)`. */
export function query<Parameters extends object>() {
  return <Row>(build: (parameters: Parameters) => Compilable<Row>): Query<Parameters, Row> => {
    const slots = new Proxy({}, { get: (_, name) => new Slot(String(name)) })
    return new Query<Parameters, Row>(() => build(slots as Parameters))
  }
}
