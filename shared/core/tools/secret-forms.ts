/** Shorter values are words and numbers that occur by themselves: to mask those would ruin the text and hide nothing. */
const MIN_CHARS = 8

/** Longer values are looked for in few forms. */
const MAX_CHARS = 8192

type Secrets = Readonly<Record<string, string>>

/** The forms of a set of values are looked for in many texts. */
const found = new WeakMap<Secrets, readonly SecretForm[]>()

/** One way in which the value of a secret stands in a text. */
export interface SecretForm {
  form: string
  /** Of the secret. */
  name: string
}

/**
 * How the values of secrets stand in texts, the longest first (a value may hold another one): as they are, as JSON, Python and Node write them in quotes
 * (JSON in JSON, too), as addresses have them; and the lines of values that have several, each by itself. Not found are
 * values that a program has changed: parts of them, base64, other letters.
 */
export function secretForms(secrets: Secrets): readonly SecretForm[] {
  const known = found.get(secrets)
  if (known) return known
  const names = new Map<string, string>()
  for (const [name, value] of Object.entries(secrets))
    for (const text of [value, ...linesOf(value)])
      for (const form of text.length < MIN_CHARS ? [] : formsOf(text))
        if (!names.has(form)) names.set(form, name)
  const forms = [...names].map(([form, name]) => ({ form, name }))
  forms.sort((a, b) => b.form.length - a.form.length)
  found.set(secrets, forms)
  return forms
}

function linesOf(value: string): string[] {
  const lines = value.split(/\r\n|\r|\n/)
  return lines.length === 1 ? [] : [...new Set(lines.map((line) => line.trim()))]
}

function formsOf(text: string): Set<string> {
  const json = inJson(text)
  // So long a value is a file: its lines are looked for in every form.
  if (text.length > MAX_CHARS) return new Set([text, json, ascii(json, unicode)])
  const written = [json, ascii(json, unicode), python(text), python(text, "'"), node(text), node(text, "'")]
  const quoted = [...written, ascii(python(text), short), ascii(python(text, "'"), short)]
  const inText = quoted.map(inJson)
  return new Set([
    text,
    ...quoted,
    ...inText,
    ...inText.map((each) => ascii(each, unicode)),
    ...inAddress(text),
  ])
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/** As `repr` has it, in either quotes. */
function python(text: string, quote = ''): string {
  return escaped(text, quote, { '\n': '\\n', '\r': '\\r', '\t': '\\t' }, (code) => `\\x${hex(code, 2)}`)
}

/** As `console.log` shows a text in an object. */
function node(text: string, quote = ''): string {
  const named = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' }
  return escaped(text, quote, named, (code) => `\\x${hex(code, 2).toUpperCase()}`)
}

function escaped(
  text: string,
  quote: string,
  named: Readonly<Record<string, string>>,
  control: (code: number) => string,
): string {
  return text.replaceAll(/[\p{Cc}\\'"]/gu, (char) => {
    if (char === '\\' || char === quote) return `\\${char}`
    if (char === "'" || char === '"') return char
    return named[char] ?? control(char.charCodeAt(0))
  })
}

/** With what is beyond ASCII as escapes. */
function ascii(text: string, escape: (char: string) => string): string {
  return text.replaceAll(/\P{ASCII}/gu, escape)
}

/** As `json.dumps`: pairs of surrogates. */
function unicode(char: string): string {
  return Array.from({ length: char.length }, (_, index) => `\\u${hex(char.charCodeAt(index), 4)}`).join('')
}

/** As Python's `ascii`: the shortest that fits. */
function short(char: string): string {
  const code = char.codePointAt(0) ?? 0
  return code < 0x100 ? `\\x${hex(code, 2)}` : code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}

/** As addresses and forms have it: languages differ in what they leave as it is. */
function inAddress(text: string): string[] {
  const forms = [/[\w.!~*'()-]/, /[\w.~-]/, /[\w.~/-]/, /[\w.*-]/].flatMap((kept) => {
    const percent = Array.from(text, (char) => (kept.test(char) ? char : percented(char))).join('')
    return [percent, percent.replaceAll('%20', '+')]
  })
  return forms.flatMap((form) => [form, form.replaceAll(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase())])
}

function percented(char: string): string {
  return Array.from(new TextEncoder().encode(char), (byte) => `%${hex(byte, 2).toUpperCase()}`).join('')
}
