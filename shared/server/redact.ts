/** What stands in the place of a secret. */
const HIDDEN = '***'
/** Shorter ones would hide words. */
const SHORTEST = 8
/** Characters of one text that are written. */
const MOST_CHARS = 20_000
/** Variables whose values are secrets. */
const SECRET_NAME = /key|token|secret|passw(?:or)?d|credential|authorization/i

/** Secrets by their looks. Each keeps what tells which kind it was. */
const PATTERNS: readonly [RegExp, string][] = [
  // Keys of providers, services and Loci's users.
  [/\b(sk|pk|rk|loci|gsk|hf|ghp|gho|ghs|ghu|glpat|npm|xai|pplx|r8)([-_])[\w-]{8,}/g, `$1$2${HIDDEN}`],
  [/\b(github_pat_|AIza|xox[abprs]-|ya29\.)[\w.-]{8,}/g, `$1${HIDDEN}`],
  [/\b((?:AKIA|ASIA)[A-Z0-9]{2})[A-Z0-9]{14}\b/g, `$1${HIDDEN}`],
  [/\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?/g, HIDDEN],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
  // `Authorization: Bearer …`, `X-BARE-PASSWORD: password …`
  [/\b(bearer|basic)(\s+)[^\s"',;]{4,}/gi, `$1$2${HIDDEN}`],
  [/\b(x-bare-password["']?\s*[:=]\s*["']?password\s+)[^\s"',;]+/gi, `$1${HIDDEN}`],
  // `https://user:password@host`, whose password may have an @ of its own.
  [/(\/\/[^\s/:@"']*):[^\s/"']+@/g, `$1:${HIDDEN}@`],
]

/** `api_key=…`, `"token": "…"`, `password: …`, in addresses, headers and bodies. */
const NAMED =
  /(?<![\w-])([\w-]{0,40}?(?:api[-_]?key|access[-_]?key|secret|token(?!s\b)|passw(?:or)?d|credential|authorization|signature)[\w-]{0,40}["']?\s{0,3}[:=]\s{0,3}["']?)((?:bearer|basic|password)\s+)?(\*{3}|[^\s"'&,;}{)]{4,})/gi

/** Takes secrets out of what is written into logs: those that it knows, and what looks like one. */
export class Redactor {
  #known: string[] = []

  /** Hides these wherever they stand, as they are and as they stand in addresses. Those that are short are left out. */
  know(secrets: readonly (string | null | undefined)[]): void {
    const given = secrets.flatMap((secret) => {
      const text = secret?.trim() ?? ''
      return text.length < SHORTEST ? [] : [text, encodeURIComponent(text)]
    })
    // The longest first: one may be a part of another.
    this.#known = [...new Set([...this.#known, ...given])].toSorted((a, b) => b.length - a.length)
  }

  /** Hides the values of the environment's variables that are named like secrets. */
  knowEnvironment(env: Record<string, string | undefined>): void {
    this.know(Object.entries(env).flatMap(([name, value]) => (SECRET_NAME.test(name) ? [value] : [])))
  }

  /** The text without secrets. */
  hide(text: string): string {
    let out = text.length > MOST_CHARS ? `${text.slice(0, MOST_CHARS)}…` : text
    for (const secret of this.#known) if (out.includes(secret)) out = out.replaceAll(secret, HIDDEN)
    for (const [pattern, instead] of PATTERNS) out = out.replace(pattern, instead)
    return out.replace(NAMED, (_, name: string, kind: string | undefined) => `${name}${kind ?? ''}${HIDDEN}`)
  }
}
