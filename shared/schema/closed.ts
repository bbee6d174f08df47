import * as z from 'zod'
import { didYouMean } from './near-names.ts'

/** Unknown fields that a complaint names, and characters of each. */
const MOST_FIELDS = 5
const MOST_CHARACTERS = 60

/** An object whose unknown fields are refused, with near names: where one that is misspelt would change what is allowed. */
export function closedObject<S extends z.core.$ZodLooseShape>(shape: S) {
  const fields = Object.keys(shape)
  return z.strictObject(shape, {
    error(issue) {
      if (issue.code !== 'unrecognized_keys') return undefined
      const { keys } = issue
      const wrong = keys.slice(0, MOST_FIELDS).map((key) => {
        const shown = key.slice(0, MOST_CHARACTERS)
        return `there is no '${shown}' here. ${didYouMean(shown, fields, '')}`.trimEnd()
      })
      const more = keys.length - wrong.length
      return wrong.join(' ') + (more > 0 ? ` (and ${more} more)` : '')
    },
  })
}
