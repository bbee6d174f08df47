import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  AgentMigration,
  Deployment,
  Migrated,
  Template,
  TemplateFilter,
  TemplateStore,
  TemplateVersion,
} from '../../core/ports/template-store.ts'
import { AppError } from '../../schema/errors.ts'
import { isId, newId } from '../../schema/ids.ts'
import type { TemplateContent, VersionName } from '../../schema/template.ts'
import type { Database, Transaction } from './database.ts'
import { isConstraint } from './errors.ts'
import { contains } from './page.ts'
import type { Connection } from './query.ts'
import { sqlite } from './query.ts'
import type { TemplateRow } from './tables.ts'
import { migrateAgent } from './template-migration.ts'
import { deploymentOfRow, readTemplateRow, templateOfRow } from './template-rows.ts'

/** Templates and their versions. */
export class SqliteTemplates implements TemplateStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  create(
    actor: Actor,
    made: Pick<Template, 'id' | 'name' | 'description' | 'created_at'>,
    content: TemplateContent,
    message: string | null,
  ): Promise<Template> {
    const { organization_id, user_id } = actor
    const row: TemplateRow = {
      ...made,
      organization_id,
      updated_at: made.created_at,
      created_by_id: user_id,
      latest_version: 1,
      base_version: 1,
      current: JSON.stringify(content),
    }
    return this.#database.write((tx) => {
      namedOnce(made.name, () => tx.run(sqlite.insertInto('templates').values(row)))
      addVersion(tx, row, 1, message)
      return templateOfRow(row)
    })
  }

  get(actor: Actor, name: string): Promise<Template | null> {
    return this.#database.read((c) => {
      const row = isId('template', name)
        ? readTemplateRow(c, actor, name)
        : c.get(ofOrganization(actor).where('name', '=', name))
      return row ? templateOfRow(row) : null
    })
  }

  list(
    actor: Actor,
    filter: TemplateFilter,
    { offset, limit }: { offset: number; limit: number },
  ): Promise<Template[]> {
    const { name, exact, search, template_id, version, sort_by = 'updated_at' } = filter
    let rows = ofOrganization(actor)
    if (name !== undefined) rows = rows.where(exact ? sql<boolean>`name = ${name}` : contains('name', name))
    if (template_id !== undefined) rows = rows.where('id', '=', template_id)
    if (version !== undefined) rows = rows.where('latest_version', '>=', version)
    if (search !== undefined)
      rows = rows.where(sql<boolean>`(${contains('name', search)} or ${contains('description', search)})`)
    const sorted = rows.orderBy(sort_by, 'desc').orderBy('id', 'desc').limit(limit).offset(offset)
    return this.#database.read((c) => c.all(sorted).map(templateOfRow))
  }

  version(actor: Actor, template_id: string, version: VersionName): Promise<TemplateVersion | null> {
    return this.#database.read((c) => {
      const row = readTemplateRow(c, actor, template_id)
      if (!row) return null
      if (version === 'current')
        return { id: row.id, version: null, content: JSON.parse(row.current) as TemplateContent }
      const found = savedVersion(c, row, version === 'latest' ? row.latest_version : version)
      return found
        ? { id: found.id, version: found.version, content: JSON.parse(found.content) as TemplateContent }
        : null
    })
  }

  versions(actor: Actor, template_id: string, { offset, limit }: { offset: number; limit: number }) {
    return this.#database.read((c) => {
      const row = readTemplateRow(c, actor, template_id)
      const versions = c.all(
        sqlite
          .selectFrom('template_versions')
          .select(['version', 'message', 'created_at'])
          .where('template_id', '=', template_id)
          .where('organization_id', '=', actor.organization_id)
          .orderBy('version', 'desc')
          .limit(limit)
          .offset(offset),
      )
      return { versions, total: row?.latest_version ?? 0 }
    })
  }

  setCurrent(actor: Actor, template_id: string, content: TemplateContent, save_first: string | null) {
    return this.#change(actor, template_id, (tx, row) => {
      const saved = save_first === null ? null : saveChanges(tx, row, save_first)
      const before = saved === null ? row : { ...row, latest_version: saved, base_version: saved }
      const current = JSON.stringify(content)
      // The same again is no change.
      const base_version = current === row.current ? before.base_version : null
      return { template: write(tx, { ...before, current, base_version }), saved }
    })
  }

  save(actor: Actor, template_id: string, message: string | null): Promise<Template | null> {
    return this.#change(actor, template_id, (tx, row) => {
      const version = row.latest_version + 1
      addVersion(tx, row, version, message)
      return write(tx, { ...row, latest_version: version, base_version: version })
    })
  }

  rollback(actor: Actor, template_id: string, version: number | 'latest', message: string) {
    return this.#change(actor, template_id, (tx, row) => {
      const to = version === 'latest' ? row.latest_version : version
      const target = savedVersion(tx, row, to)
      if (!target)
        throw new AppError(
          'not_found',
          `Template '${row.name}' has no version ${to}; the newest is ${row.latest_version}.`,
        )
      const saved = saveChanges(tx, row, message)
      const latest_version = saved ?? row.latest_version
      const next = { ...row, latest_version, base_version: to, current: target.content }
      return { template: write(tx, next), to, saved }
    })
  }

  update(
    actor: Actor,
    template_id: string,
    patch: Partial<Pick<Template, 'name' | 'description'>>,
  ): Promise<Template | null> {
    return this.#change(actor, template_id, (tx, row) =>
      namedOnce(patch.name ?? row.name, () => write(tx, { ...row, ...patch })),
    )
  }

  delete(actor: Actor, template_id: string): Promise<boolean> {
    return this.#database.write((tx) => {
      const own = sqlite.deleteFrom('templates').where('id', '=', template_id)
      return tx.run(own.where('organization_id', '=', actor.organization_id)) > 0
    })
  }

  deployments(actor: Actor, template_id: string): Promise<Deployment[]> {
    const rows = deploymentsOf(actor).where('template_id', '=', template_id)
    return this.#database.read((c) => c.all(rows.orderBy('created_at').orderBy('id')).map(deploymentOfRow))
  }

  deployment(actor: Actor, deployment_id: string): Promise<Deployment | null> {
    return this.#database.read((c) => {
      const row = c.get(deploymentsOf(actor).where('id', '=', deployment_id))
      return row ? deploymentOfRow(row) : null
    })
  }

  deploymentOf(actor: Actor, agent_id: string): Promise<Deployment | null> {
    return this.#database.read((c) => {
      const row = c.get(deploymentsOf(actor).where('agent_id', '=', agent_id))
      return row ? deploymentOfRow(row) : null
    })
  }

  migrate(actor: Actor, migration: AgentMigration): Promise<Migrated | null> {
    return this.#database.write((tx) => migrateAgent(tx, actor, migration))
  }

  #change<T>(
    actor: Actor,
    template_id: string,
    work: (tx: Transaction, row: TemplateRow) => T,
  ): Promise<T | null> {
    return this.#database.write((tx) => {
      const row = readTemplateRow(tx, actor, template_id)
      return row ? work(tx, row) : null
    })
  }
}

function ofOrganization(actor: Actor) {
  return sqlite.selectFrom('templates').selectAll().where('organization_id', '=', actor.organization_id)
}

function deploymentsOf(actor: Actor) {
  return sqlite.selectFrom('deployments').selectAll().where('organization_id', '=', actor.organization_id)
}

function savedVersion(c: Connection, { id }: TemplateRow, version: number) {
  return c.get(
    sqlite
      .selectFrom('template_versions')
      .selectAll()
      .where('template_id', '=', id)
      .where('version', '=', version),
  )
}

/** Makes what has changed since the last version one of its own; null when nothing has. */
function saveChanges(tx: Transaction, row: TemplateRow, message: string): number | null {
  if (row.base_version !== null) return null
  addVersion(tx, row, row.latest_version + 1, message)
  return row.latest_version + 1
}

function addVersion(tx: Transaction, row: TemplateRow, version: number, message: string | null): void {
  const { id: template_id, organization_id, current: content } = row
  const id = newId('template_version')
  const created_at = new Date().toISOString()
  tx.run(
    sqlite
      .insertInto('template_versions')
      .values({ id, organization_id, template_id, version, message, created_at, content }),
  )
}

function write(tx: Transaction, row: TemplateRow): Template {
  const { id, ...columns } = { ...row, updated_at: new Date().toISOString() }
  tx.run(sqlite.updateTable('templates').set(columns).where('id', '=', id))
  return templateOfRow({ id, ...columns })
}

function namedOnce<T>(name: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!isConstraint(error)) throw error
    throw new AppError(
      'conflict',
      `There is a template named '${name}' already; names are unique in an organisation. Take another, or change that one.`,
      { cause: error },
    )
  }
}
