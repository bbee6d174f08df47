import Letta from '@letta-ai/letta-client'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '../../shared/core/ports/store.ts'
import { openStore } from '../../shared/store/open-store.ts'
import type { Loci } from '../../shared/server/loci.ts'
import { openLoci } from '../../shared/server/main.ts'
import { listen, type ServeOptions } from '../../shared/server/serve.ts'

/** A Loci of this process on a free port over a fresh data directory, and the official client for it. */
export interface TestLoci {
  url: string
  data: string
  loci: Loci
  letta: Letta
  /** Failures that Loci called its own; a test that expects none checks that this is empty. */
  failures: unknown[]
  /** Plain HTTP, for what the client would not send. */
  http(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: unknown; headers: Headers }>
  close(): Promise<void>
}

/** Set where suites run over another store than that of the data directory: answers the address for a directory. */
export const otherStore: { of: ((data: string) => Promise<string>) | null } = { of: null }

/** Opens the store of a data directory as another process would; the caller closes it. */
export async function storeBeside(directory: string): Promise<Store> {
  return openStore({ directory, address: (await otherStore.of?.(directory)) ?? null })
}

/** The uploads that lie where the store of a data directory keeps them, whole or not. */
export async function lyingUploads(directory: string): Promise<string[]> {
  const store = await storeBeside(directory)
  try {
    const found: string[] = []
    for await (const some of store.uploads.lying()) found.push(...some.map(({ name }) => name))
    return found
  } finally {
    await store.close()
  }
}

/** `model_url` is a scripted model's URL: it becomes the provider `openai`. `data` reuses a directory. */
export async function startLoci(
  options: {
    model_url?: string
    data?: string
    env?: Record<string, string>
    serve?: Partial<ServeOptions>
  } = {},
): Promise<TestLoci> {
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'loci-test-')))
  const failures: unknown[] = []
  const loci = await openLoci({
    data,
    env: {
      // Where Python is found.
      ...(process.env['PATH'] === undefined ? {} : { PATH: process.env['PATH'] }),
      ...(options.model_url === undefined
        ? {}
        : { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: options.model_url }),
      ...(otherStore.of ? { LOCI_STORE: await otherStore.of(data) } : {}),
      ...options.env,
    },
    discover_local: false,
    onFailure: (where, error) => failures.push(new Error(where, { cause: error })),
  })
  const listening = await listen(loci, { host: '127.0.0.1', port: 0, ...options.serve })
  return {
    url: listening.url,
    data,
    loci,
    letta: new Letta({ baseURL: listening.url, apiKey: null, maxRetries: 0 }),
    failures,
    async http(method, path, body) {
      const response = await fetch(listening.url + path, {
        method,
        headers: { 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      return {
        status: response.status,
        body: text === '' ? null : JSON.parse(text),
        headers: response.headers,
      }
    },
    async close() {
      await listening.close()
      await loci.close()
      if (options.data === undefined) await rm(data, { recursive: true, force: true })
    },
  }
}

/** The handle of the scripted model's default model. */
export const SCRIPTED = 'openai/test-model'

/** Resolves with the first value that is not null; rejects with `label` when there is none in `ms`. */
export async function eventually<T>(
  label: string,
  probe: () => Promise<T | null> | T | null,
  ms = 15_000,
): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const value = await probe()
    if (value !== null) return value
    if (Date.now() > end) throw new Error(`not in ${ms} ms: ${label}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
