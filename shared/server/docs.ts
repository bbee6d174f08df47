import { readFile } from 'node:fs/promises'
import { PAGE } from './docs-page.ts'
import type { Serve } from './gate.ts'

/** Where the build puts the document, seen from a bundle, from a chunk of it, and from the source. */
const PLACES = ['./openapi.json', '../openapi.json', '../../dist/openapi.json']

/** The API with `/openapi.json` and a page that shows it, which needs nothing from the network. */
export function withDocs(serve: Serve): Serve {
  let document: Promise<string> | null = null
  return async (request, access) => {
    const { pathname } = new URL(request.url)
    if (request.method !== 'GET') return serve(request, access)
    if (pathname === '/docs' || pathname === '/docs/') return page()
    if (pathname !== '/openapi.json') return serve(request, access)
    try {
      document ??= readDocument()
      return new Response(await document, { headers: { 'content-type': 'application/json' } })
    } catch (error) {
      document = null
      throw error
    }
  }
}

async function readDocument(): Promise<string> {
  for (const place of PLACES) {
    try {
      return await readFile(new URL(place, import.meta.url), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  const { openApiDocument } = await import('./openapi.ts')
  return JSON.stringify(await openApiDocument())
}

function page(): Response {
  return new Response(PAGE, {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy':
        "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    },
  })
}
