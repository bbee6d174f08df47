/** A package registry on this machine, with packages made up by a test. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'

export interface NpmRegistry {
  url: string
  /** Paths that were asked for. */
  hits: string[]
  /** A lockfile of its packages; `wrong` gives one of them another hash. */
  lock(wrong?: string): string
  close(): Promise<void>
}

/**
 * Serves packages by their names: the source of each is all there is in it, at version 1.0.0. Nothing is answered before
 * `opens`. The caller closes it.
 */
export async function startNpmRegistry(
  packages: Record<string, string>,
  opens: Promise<void> = Promise.resolve(),
): Promise<NpmRegistry> {
  const hits: string[] = []
  const tarballs = Object.fromEntries(
    Object.entries(packages).map(([name, source]) => [name, aPackage(name, source)]),
  )
  const server = createServer((request, response) => {
    void opens.then(() => answer(request, response))
  })
  function answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(request.url ?? '')
    hits.push(path)
    const name = path.slice(1).split('/')[0] ?? ''
    const tarball = tarballs[name]
    if (!tarball) {
      response.writeHead(404).end('{}')
      return
    }
    if (path.endsWith('.tgz')) {
      response.end(tarball)
      return
    }
    const dist = { tarball: `${url}/${name}/-/${name}-1.0.0.tgz`, integrity: integrityOf(tarball) }
    const body = {
      name,
      'dist-tags': { latest: '1.0.0' },
      versions: { '1.0.0': { name, version: '1.0.0', dist } },
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    hits,
    lock(wrong) {
      const entry = ([name, tarball]: [string, Buffer]) => [
        `node_modules/${name}`,
        {
          version: '1.0.0',
          integrity: name === wrong ? integrityOf(Buffer.from('other')) : integrityOf(tarball),
        },
      ]
      const dependencies = Object.fromEntries(Object.keys(tarballs).map((name) => [name, '1.0.0']))
      const locked = Object.fromEntries(Object.entries(tarballs).map(entry))
      return JSON.stringify({
        lockfileVersion: 3,
        requires: true,
        packages: { '': { dependencies }, ...locked },
      })
    },
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
}

function integrityOf(bytes: Buffer): string {
  return `sha512-${createHash('sha512').update(bytes).digest('base64')}`
}

/** A package as npm packs it: its manifest and one module. */
function aPackage(name: string, source: string): Buffer {
  const manifest = {
    name,
    version: '1.0.0',
    type: 'module',
    exports: { '.': './index.js', './node': './index.js' },
  }
  const files = { 'package/package.json': JSON.stringify(manifest), 'package/index.js': source }
  const entries = Object.entries(files).flatMap(([path, text]) => tarEntry(path, Buffer.from(text)))
  return gzipSync(Buffer.concat([...entries, Buffer.alloc(1024)]))
}

/** A file in the ustar format. */
function tarEntry(path: string, content: Buffer): Buffer[] {
  const header = Buffer.alloc(512)
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`
  header.write(path, 0)
  header.write(octal(0o644, 8), 100)
  header.write(octal(0, 8), 108)
  header.write(octal(0, 8), 116)
  header.write(octal(content.length, 12), 124)
  header.write(octal(0, 12), 136)
  header.write(' '.repeat(8), 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
}
