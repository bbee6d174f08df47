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
