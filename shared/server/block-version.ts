import type { Block } from '../schema/block.ts'
import { AppError } from '../schema/errors.ts'

/**
 * The version that a request's If-Match header asks for: `3`, `"3"` or `W/"3"`; none for no header and for `*`. Throws
 * `invalid_argument` for anything else.
 */
export function ifVersion(request: Request): { if_version?: number } {
  const header = request.headers.get('if-match')?.trim()
  if (header === undefined || header === '*') return {}
  const version = /^(?:W\/)?"?(\d{1,15})"?$/.exec(header)?.[1]
  if (version === undefined)
    throw new AppError(
      'invalid_argument',
      `the header If-Match is ${header === '' ? 'empty' : header}; give the block's version, for example If-Match: "3"`,
    )
  return { if_version: Number(version) }
}

/** The answer for one block, with its version as ETag. */
export function blockAnswer(block: Block): Response {
  return Response.json(block, { headers: { etag: `"${block.version}"` } })
}
