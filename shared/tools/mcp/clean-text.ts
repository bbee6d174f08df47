/**
 * What steers terminals, hides or turns text around: control characters but for tab and line feed, escape sequences,
 * bidirectional overrides, invisible tag characters, noncharacters. A server's text goes into prompts and onto screens.
 */
// oxlint-disable no-control-regex -- they are what is looked for
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_])?/g
const UNWANTED =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ufffe\uffff]|[\u{e0000}-\u{e007f}]/gu
// oxlint-enable no-control-regex

/** Text of a server as prompts, screens and stores can have it, at most `max` characters long. */
export function cleanText(text: string, max: number): string {
  // A little more than the limit is cleaned, so that a long text costs no more than a short one.
  const some = text.length > max * 2 ? text.slice(0, max * 2) : text
  const clean = some.replaceAll('\r\n', '\n').replaceAll(ESCAPES, '').replaceAll(UNWANTED, '').toWellFormed()
  if (clean.length <= max && some.length === text.length) return clean
  return `${clean.slice(0, max).toWellFormed()}… (cut)`
}

/** The same of every text in a JSON value; keys that change are left out. */
export function cleanValue(value: unknown, max: number): unknown {
  if (typeof value === 'string') return cleanText(value, max)
  if (Array.isArray(value)) return value.map((item) => cleanValue(item, max))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) =>
      cleanText(key, 1000) === key ? [[key, cleanValue(inner, max)]] : [],
    ),
  )
}
