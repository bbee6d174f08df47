const formatters = new Map<string, Intl.DateTimeFormat>()

/** Milliseconds that the clocks of an IANA time zone are ahead of UTC at this instant; an unknown zone is UTC. */
function offsetAt(instant: number, timezone: string): number {
  let formatter = formatters.get(timezone)
  if (!formatter) {
    const make = (timeZone: string) =>
      new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
    try {
      formatter = make(timezone)
    } catch {
      formatter = make('UTC')
    }
    formatters.set(timezone, formatter)
  }
  const name = formatter.formatToParts(instant).find((part) => part.type === 'timeZoneName')?.value ?? ''
  const [, sign, hours, minutes, seconds] = /([+-])(\d{2}):(\d{2})(?::(\d{2}))?/.exec(name) ?? []
  const size = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0)
  return (sign === '-' ? -size : size) * 1000
}

/** ISO 8601 with the offset of this time zone, to the second: `2026-01-31T10:00:00+01:00`. */
export function zonedTime(date: Date, timezone: string): string {
  const offset = offsetAt(date.getTime(), timezone)
  const local = new Date(date.getTime() + offset).toISOString().slice(0, 19)
  const minutes = Math.round(Math.abs(offset) / 60_000)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${local}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

/**
 * The instant that a date (`2026-01-31`) or ISO 8601 time means, in UTC; without an offset of its own it is read in this
 * time zone. With `end` a date counts whole: it is the start of the next day. Null for anything else, years of more than
 * four digits included.
 */
export function instantOf(text: string, timezone: string, options: { end?: boolean } = {}): string | null {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text.trim())
  const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(text.trim()) && !day
  if (!/^\d{4}-\d{2}-\d{2}/.test(text.trim())) return null
  const given = new Date(zoned || day ? text.trim() : `${text.trim()}Z`)
  if (Number.isNaN(given.getTime())) return null
  if (zoned) return within(given.getTime())
  if (day && options.end) given.setUTCDate(given.getUTCDate() + 1)
  const wall = given.getTime()
  // Twice, as the offset at the guess may not be that at the answer.
  const guess = wall - offsetAt(wall, timezone)
  return within(wall - offsetAt(guess, timezone))
}

const FIRST = Date.parse('0000-01-01T00:00:00.000Z')
const LAST = Date.parse('9999-12-31T23:59:59.999Z')

/** Times are compared as texts, which years of more digits than four would break. */
function within(instant: number): string {
  return new Date(Math.min(Math.max(instant, FIRST), LAST)).toISOString()
}
