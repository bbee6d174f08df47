import { sql } from 'kysely'
import { portable } from './query.ts'

/** The texts of a JSON array that is given as one parameter, as the right side of `in`. */
export function jsonTexts(array: string) {
  return portable<string>({
    sqlite: sql`(select value from json_each(${array}))`,
    postgres: sql`(select value from json_array_elements_text(${array}::json))`,
  })
}

/** A text in a column of JSON; null when there is none. */
export function jsonText(column: string, name: string) {
  const ref = sql.ref(column)
  return portable<string | null>({
    sqlite: sql`json_extract(${ref}, ${sql.lit(`$.${name}`)})`,
    postgres: sql`(${ref}::json ->> ${sql.lit(name)})`,
  })
}

/** Whether a column of JSON says `true` under this name. */
export function jsonFlag(column: string, name: string) {
  const ref = sql.ref(column)
  return portable<boolean>({
    sqlite: sql`json_extract(${ref}, ${sql.lit(`$.${name}`)}) = 1`,
    postgres: sql`(${ref}::json ->> ${sql.lit(name)}) = 'true'`,
  })
}
