import { MIGRATIONS } from './migrate.ts'

/** Every table that the schema makes. */
const NAMES = [
  ...new Set(
    MIGRATIONS.flatMap(({ sql }) => [...sql.matchAll(/^\s*create table (\w+) \(/gim)]).map(
      ([, name]) => name!,
    ),
  ),
]

/** SQL of two columns: our tables that are not there, and those that this user may not read and write; else null. */
export const UNFIT_TABLES = `(SELECT string_agg(name, ', ') FROM unnest('{${NAMES.join(',')}}'::text[]) AS name
    WHERE to_regclass(name) IS NULL) AS missing,
  (SELECT string_agg(name, ', ') FROM unnest('{${NAMES.join(',')}}'::text[]) AS name
    WHERE to_regclass(name) IS NOT NULL AND NOT (
      has_table_privilege(to_regclass(name), 'SELECT') AND has_table_privilege(to_regclass(name), 'INSERT') AND
      has_table_privilege(to_regclass(name), 'UPDATE') AND has_table_privilege(to_regclass(name), 'DELETE'))) AS denied`

/** What `UNFIT_TABLES` gives. */
export interface UnfitTables {
  missing: string | null
  denied: string | null
}

/** What is said of them; null when there are none. */
export function unfitTables({ missing, denied }: UnfitTables): { message: string; mend: string } | null {
  if (missing !== null)
    return {
      message: `tables of Loci are not there: ${shortened(missing)}`,
      mend: 'restore the database from a backup; pg_restore brings tables back',
    }
  if (denied !== null)
    return {
      message: `this user may not read and change ${shortened(denied)}`,
      mend: "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO Loci's user, or make it their owner",
    }
  return null
}

function shortened(names: string): string {
  const all = names.split(', ')
  return all.length > 5 ? `${all.slice(0, 4).join(', ')} and ${all.length - 4} others` : names
}
