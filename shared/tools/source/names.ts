/** Characters of a tool's name, at most (reference 8.1); as `toolName`, which needs more than a thread should load. */
export const MAX_NAME_CHARS = 48

/** What is wrong with the name of a tool, if anything is. */
export function wrongName(name: string): string | undefined {
  if (name.length > MAX_NAME_CHARS)
    return `The name ${name.slice(0, MAX_NAME_CHARS)}… has ${name.length} characters, and ${MAX_NAME_CHARS} is the most: choose a shorter one.`
  if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(name)) return undefined
  return `A tool cannot be called ${JSON.stringify(name)}: models take letters of English, digits, \`_\` and \`-\`, a digit not first.`
}
