import { Client } from 'pg'
import { isAppError, messageOf } from '../../schema/errors.ts'
import type { Finding } from '../finding.ts'
import { KEY_FILE, SecretBox } from '../secret-box.ts'
import { type ConnectionSettings, readAddress } from './address.ts'
import { asOpenError, asStoreError, READ_ONLY } from './errors.ts'
import { MIGRATIONS, refuseUnfit, versionOf } from './migrate.ts'
import { unfinishedCopyFinding } from '../sql/unfinished-copy.ts'
import { UNFIT_TABLES, type UnfitTables, unfitTables } from './own-tables.ts'

/** A database that does not answer by then is one that cannot be used, in milliseconds. */
const PATIENCE_MS = 10_000
/** Clocks that differ by more confuse who reads times; Loci decides nothing by them. In milliseconds. */
const CLOCK_MS = 5_000
const MB = 1024 * 1024

type Ask = <Row extends object>(text: string, values?: unknown[]) => Promise<Row[]>

/**
 * Looks at the store in a database without changing it, also while others use it. Never throws for what is wrong with
 * it: that is what it reports. `directory` is where this machine keeps its key. Throws `invalid_argument` for what is no
 * address.
 */
export async function examineDatabase(
  address: string,
  { directory, encryption_key = null }: { directory: string; encryption_key?: string | null },
): Promise<Finding[]> {
  const settings = readAddress(address)
  const began = performance.now()
  const client = new Client({
    ...settings.direct,
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
    application_name: 'loci doctor',
  })
  // Who waits for an answer hears of it.
  client.on('error', () => undefined)
  const findings: Finding[] = []
  try {
    await client.connect().catch((error: unknown) => {
      throw asOpenError(error, settings.direct_place)
    })
    const ask: Ask = async (text, values) => (await client.query(text, values)).rows
    findings.push(await server(ask, settings, performance.now() - began))
    await refuseUnfit(client, settings.place)
    findings.push(...(await writes(ask)), await rights(ask))
    const { now, oldest } = await versionOf(client, settings.place)
    findings.push(schema(now, oldest))
    if (now === MIGRATIONS.length) findings.push(...(await tables(ask)))
    findings.push(await vectors(ask), await connections(ask, settings))
    findings.push(await replication(ask), await sizes(ask), await clock(ask))
    if (now > 0)
      findings.push(
        ...(await unfinishedCopy(ask, settings)),
        await processes(ask),
        await secrets(ask, new SecretBox({ directory, passphrase: encryption_key })),
      )
  } catch (error) {
    const said = asStoreError(error, settings.place)
    findings.push({
      check: findings.length === 0 ? 'database' : 'store',
      status: 'error',
      message: messageOf(said),
      // What was refused says itself what to do.
      ...(isAppError(said) ? {} : { mend: `look at it: psql '${settings.tools}'` }),
    })
  } finally {
    await client.end().catch(() => undefined)
  }
  return findings
}

async function server(ask: Ask, { place }: ConnectionSettings, took: number): Promise<Finding> {
  const [row] = await ask<{ version: string; encoding: string }>(
    "SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS encoding",
  )
  const ms = Math.round(took)
  return {
    check: 'database',
    status: 'ok',
    message: `${place}: PostgreSQL ${row?.version ?? ''}, ${row?.encoding ?? ''}, connected in ${ms} ms`,
    data: { place, ...row, connect_ms: ms },
  }
}

/** Whether it takes writes, and keeps them. */
async function writes(ask: Ask): Promise<Finding[]> {
  const [row] = await ask<{ replica: boolean; read_only: string; commit: string; fsync: string }>(
    `SELECT pg_is_in_recovery() AS replica, current_setting('transaction_read_only') AS read_only,
       current_setting('synchronous_commit') AS commit, current_setting('fsync') AS fsync`,
  )
  const check = 'writes'
  if (row?.replica || row?.read_only === 'on')
    return [{ check, status: 'error', message: READ_ONLY, mend: 'name the primary in the address' }]
  const lost = [
    ...(row?.fsync === 'off' ? ['fsync is off: a crash of the machine may destroy everything'] : []),
    ...(row?.commit === 'off'
      ? ['synchronous_commit is off: a crash may lose what was acknowledged last']
      : []),
  ]
  if (lost.length > 0)
    return [
      {
        check,
        status: 'warning',
        message: lost.join('; '),
        mend: 'switch it on in postgresql.conf',
        data: row!,
      },
    ]
  return [{ check, status: 'ok', message: 'taken, and on disk when they are acknowledged' }]
}

async function rights(ask: Ask): Promise<Finding> {
  const [row] = await ask<{ name: string; schema: string | null; may: boolean | null; not: string[] | null }>(
    `SELECT current_user AS name, current_schema() AS schema,
       has_schema_privilege(current_schema(), 'CREATE') AS may,
       (SELECT array_agg(relname::text) FROM pg_class WHERE relnamespace = current_schema()::regnamespace
         AND relname IN ('meta', 'agents', 'messages', 'runs') AND relkind IN ('r', 'p')
         AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
           AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))) AS not`,
  )
  const check = 'rights'
  const [place, user] = [row?.schema ?? 'public', `"${row?.name ?? ''}"`]
  const mend = `GRANT ALL ON SCHEMA ${place} TO ${user}, or a database of its own`
  if (!row?.schema || !row.may)
    return { check, status: 'error', message: `${row?.name ?? 'this user'} may not create tables here`, mend }
  if (row.not)
    return {
      check,
      status: 'error',
      message: `${row.name} may not change ${row.not.join(', ')}`,
      mend:
        `make ${user} the owner of the tables, or GRANT ALL ON ALL TABLES IN SCHEMA ${place} TO ${user}; the same of ALL ` +
        'SEQUENCES',
    }
  return { check, status: 'ok', message: `${row.name} may use and update the tables in schema ${row.schema}` }
}

/** What is wrong with the tables that are there, and those that are not. */
async function tables(ask: Ask): Promise<Finding[]> {
  const [row] = await ask<UnfitTables>(`SELECT ${UNFIT_TABLES}`)
  const unfit = row ? unfitTables(row) : null
  return unfit === null ? [] : [{ check: 'tables', status: 'error', ...unfit }]
}

function schema(found: number, oldest: number): Finding {
  const known = MIGRATIONS.length
  const data = { found, known }
  const check = 'schema'
  if (found > known) {
    const message = `schema ${found}, this Loci knows ${known}: a newer Loci has updated it`
    const mend = 'update this Loci'
    // In a rolling update servers of both versions are right.
    if (oldest <= known)
      return { check, status: 'warning', message: `${message}, and lets this one go on`, mend, data }
    return { check, status: 'error', message, mend, data }
  }
  if (found === 0) return { check, status: 'ok', message: 'no tables yet; the first server makes them', data }
  if (found < known)
    return { check, status: 'ok', message: `schema ${found}; the next start updates it to ${known}`, data }
  return { check, status: 'ok', message: `schema ${found}, the newest`, data }
}

async function vectors(ask: Ask): Promise<Finding> {
  const [row] = await ask<{ offered: string | null; used: string | null }>(
    `SELECT (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS offered,
       (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS used`,
  )
  const check = 'pgvector'
  if (row?.used) return { check, status: 'ok', message: `version ${row.used}`, data: row }
  if (row?.offered)
    return {
      check,
      status: 'warning',
      message: `offered (${row.offered}), not switched on: vectors are compared in the memory of each server`,
      mend: 'as a superuser: CREATE EXTENSION vector; then restart the servers',
      data: row,
    }
  return {
    check,
    status: 'ok',
    message:
      'not installed: vectors are compared in the memory of each server, right for some hundred thousand',
  }
}

async function connections(ask: Ask, { pool_size }: ConnectionSettings): Promise<Finding> {
  const [row] = await ask<{ most: number; used: number; loci: number }>(
    `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
       (SELECT count(*)::int FROM pg_stat_activity
         -- Of connections of other users it is hidden from who is no superuser.
         WHERE coalesce(backend_type, CASE WHEN usename IS NOT NULL THEN 'client backend' END) = 'client backend') AS used,
       (SELECT count(*)::int FROM pg_stat_activity WHERE application_name LIKE 'loci%') AS loci`,
  )
  const { most, used, loci } = row ?? { most: 0, used: 0, loci: 0 }
  const each = pool_size + 1
  const servers = Math.floor(most / each)
  const message = `${used} of ${most} taken, ${loci} of them by Loci; a server takes up to ${each}: room for ${servers}`
  const data = { max: most, used, loci, each }
  const check = 'connections'
  if (servers >= 2 && used < most * 0.9) return { check, status: 'ok', message, data }
  const mend =
    'raise max_connections, take a smaller pool (?pool=5 in the address), or put PgBouncer in front'
  return { check, status: 'warning', message, mend, data }
}

async function replication(ask: Ask): Promise<Finding> {
  const [row] = await ask<{ names: string; commit: string }>(
    "SELECT current_setting('synchronous_standby_names') AS names, current_setting('synchronous_commit') AS commit",
  )
  const standbys = await ask<{
    name: string
    state: string | null
    sync_state: string | null
    behind: number | null
  }>(
    `SELECT application_name AS name, state, sync_state,
       pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 AS behind
     FROM pg_stat_replication WHERE NOT pg_is_in_recovery()`,
  )
  const check = 'replication'
  const data = { synchronous_standby_names: row?.names ?? '', standbys }
  if (standbys.length === 0 && !row?.names) return { check, status: 'ok', message: 'no replica', data }
  const said = standbys.map(
    ({ name, state, sync_state, behind }) =>
      // Who may not see more sees that it is there.
      `${name || 'a replica'}${state === null ? '' : `: ${state}, ${sync_state ?? ''}, ${((behind ?? 0) / MB).toFixed(1)} MB behind`}`,
  )
  const count = standbys.filter(({ sync_state }) => sync_state === 'sync' || sync_state === 'quorum').length
  if (row?.names && count === 0 && standbys.every(({ sync_state }) => sync_state !== null))
    return {
      check,
      status: 'error',
      message: `synchronous_standby_names is ${row.names}, and no such replica is connected: every write waits for it`,
      mend: 'start the replica, or take its name out',
      data,
    }
  const message = row?.names
    ? said.join('; ')
    : `${said.join('; ')}; asynchronous: what was acknowledged last may be lost when it takes over`
  return { check, status: 'ok', message, data }
}

async function sizes(ask: Ask): Promise<Finding> {
  const [row] = await ask<{ bytes: number }>('SELECT pg_database_size(current_database())::float8 AS bytes')
  const tables = await ask<{ name: string; bytes: number }>(
    `SELECT relname::text AS name, pg_total_relation_size(oid)::float8 AS bytes FROM pg_class
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
     ORDER BY 2 DESC LIMIT 3`,
  )
  const mb = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`
  const largest = tables.map(({ name, bytes }) => `${name} ${mb(bytes)}`).join(', ')
  const message = `${mb(row?.bytes ?? 0)}${largest === '' ? '' : `: ${largest}`}`
  return { check: 'sizes', status: 'ok', message, data: { database_bytes: row?.bytes ?? 0, tables } }
}

async function clock(ask: Ask): Promise<Finding> {
  const asked = Date.now()
  const [row] = await ask<{ now: number }>(
    'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now',
  )
  const skew_ms = Math.round((row?.now ?? 0) - (asked + Date.now()) / 2)
  const check = 'clock'
  const data = { skew_ms }
  if (Math.abs(skew_ms) <= CLOCK_MS)
    return { check, status: 'ok', message: 'the same as of this machine, within seconds', data }
  const seconds = (Math.abs(skew_ms) / 1000).toFixed(0)
  return {
    check,
    status: 'warning',
    message: `the database is ${seconds} s ${skew_ms > 0 ? 'ahead of' : 'behind'} this machine: times of messages may be out of order`,
    mend: 'let NTP set both clocks',
    data,
  }
}

async function processes(ask: Ask): Promise<Finding> {
  const rows = await ask<{ version: string; addr: string | null }>(
    `SELECT DISTINCT i.version, i.id FROM instances i
     WHERE i.heartbeat_at > to_char((clock_timestamp() - interval '1 minute') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')`,
  )
  const versions = [...new Set(rows.map(({ version }) => version))]
  const message =
    rows.length === 0
      ? 'no turn was run in the last minute'
      : `${rows.length} ran turns in the last minute (Loci ${versions.join(', ')})`
  return { check: 'servers', status: 'ok', message, data: { running: rows.length, versions } }
}

/** A copy into this database that has not ended: no Loci opens it. */
async function unfinishedCopy(ask: Ask, { place }: ConnectionSettings): Promise<Finding[]> {
  const rows = await ask<{ value: string }>("SELECT value FROM meta WHERE key = 'copy'")
  return rows.map(({ value }) => unfinishedCopyFinding(value, place))
}

/** Whether all that is encrypted can be read here, and what is written here by others. */
async function secrets(ask: Ask, box: SecretBox): Promise<Finding> {
  const check = 'secrets'
  const stored = await ask<{ key_id: string; count: number }>(
    `SELECT key_id, count(*)::int AS count FROM (SELECT key_id FROM agent_secrets
       UNION ALL SELECT secret_key FROM mcp_servers) AS all_of_them GROUP BY key_id`,
  )
  const [agreed] = await ask<{ value: string }>("SELECT value FROM meta WHERE key = 'encryption_key_id'")
  const mend = `give this Loci the LOCI_ENCRYPTION_KEY of the others, or the ${KEY_FILE} of the machine that began`
  try {
    const keys = await box.keys()
    const total = stored.reduce((sum, { count }) => sum + count, 0)
    const lost = stored.filter(({ key_id }) => !keys.has(key_id)).reduce((sum, { count }) => sum + count, 0)
    const data = { stored, key_of_the_store: agreed?.value ?? null }
    if (lost > 0)
      return { check, status: 'error', message: `${lost} of ${total} cannot be read here`, mend, data }
    if (agreed && !keys.has(agreed.value))
      return {
        check,
        status: 'warning',
        message: "the key that the store's secrets have is not here",
        mend,
        data,
      }
    const message = total === 0 ? 'none is stored' : `${total} stored, and their key is here`
    return { check, status: 'ok', message, data }
  } catch (error) {
    if (!isAppError(error, 'secrets_unreadable')) throw error
    return { check, status: 'error', message: error.message, mend }
  }
}
