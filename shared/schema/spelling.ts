import * as z from 'zod'

/**
 * A body whose fields may be written in camelCase too, as JavaScript does: `conversationId` for `conversation_id`. Fields
 * that are written both ways are refused.
 */
export function eitherSpelling<S extends z.ZodObject>(schema: S) {
  const spellings = new Map(Object.keys(schema.shape).map((field) => [camelCase(field), field]))
  return z.preprocess((body, context) => {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
    return Object.fromEntries(
      Object.entries(body).map(([key, value]) => {
        const field = spellings.get(key) ?? key
        if (field !== key && field in body)
          context.addIssue({
            code: 'custom',
            path: [key],
            message: `is '${field}', which is given too`,
            input: body,
          })
        return [field, value]
      }),
    )
  }, schema)
}

function camelCase(field: string): string {
  return field.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
