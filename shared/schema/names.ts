import * as z from 'zod'

/** Characters of a name, label or tag: far beyond any use; they are in addresses, lists and prompts. */
export const MAX_NAME = 1000

export const tag = z.string().max(MAX_NAME)

/** What is wrong with the label of a memory block; null when it can be used. */
export function labelProblem(label: string): string | null {
  if (label.trim() === '') return 'a memory block needs a label'
  // Clients and proxies resolve these in a path before they ask: nobody could address such a block.
  if (label === '.' || label === '..') return `a memory block cannot have the label '${label}'`
  if (label.length > MAX_NAME) return `a label has at most ${MAX_NAME} characters`
  return null
}

/** The label of a memory block, in a request. */
export const blockLabel = z.string().superRefine((label, context) => {
  const message = labelProblem(label)
  if (message !== null) context.addIssue({ code: 'custom', message })
})

/** Characters of a file's name: more than file systems take. */
const MAX_FILE_NAME = 200

/** The last part of a path, without what no file system and no prompt should see; `file` when nothing is left. */
export function safeFileName(given: string): string {
  const last = given.normalize('NFC').split(/[/\\]/).at(-1) ?? ''
  const plain = last.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}<>"]+/gu, ' ').trim()
  if (plain === '' || /^\.+$/.test(plain)) return 'file'
  const characters = Array.from(plain)
  if (characters.length <= MAX_FILE_NAME) return plain
  // The ending says what it is.
  const ending = /\.[A-Za-z0-9]{1,10}$/.exec(plain)?.[0] ?? ''
  return characters.slice(0, MAX_FILE_NAME - ending.length).join('') + ending
}
