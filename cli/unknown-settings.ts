/** What is said of settings in config.json that this Loci does not know. */
export function unknownSettings(path: string, keys: readonly string[]): string {
  const names = keys.map((key) => `'${key}'`).join(', ')
  const what = keys.length === 1 ? 'is no setting' : 'are no settings'
  return `${path}: ${names} ${what} this Loci knows, and without effect. Mistyped?`
}
