type Argument = string | number | boolean | null | undefined
type Translate = (message: string, ...args: string[]) => string

let translate: Translate = fill

/**
 * A text for the user, in the language of the editor: `t('Deleted {0}.', name)`. The English text is the key, so it is
 * written out where it is used; `l10n/bundle.l10n.json` has all of them.
 */
export function t(message: string, ...args: Argument[]): string {
  return translate(message, ...args.map(String))
}

/** From now on texts are looked up by this, which is VS Code's `l10n.t`. Until then they are English. */
export function translateWith(lookUp: Translate): void {
  translate = lookUp
}

/** `1 tool`, `3 tools`: of two texts the one for this count, which is `{0}` in both. */
export function plural(count: number, one: string, many: string): string {
  return t(count === 1 ? one : many, count)
}

function fill(message: string, ...args: string[]): string {
  return message.replaceAll(/\{(\d+)\}/g, (whole, index: string) => args[Number(index)] ?? whole)
}
