import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import { AppError, messageOf } from '../schema/errors.ts'

/** Files of PEM: the certificate with those that it is signed by, and its key. */
export interface TlsFiles {
  cert: string
  key: string
}

/** How often the files are looked at, in milliseconds: certificates are renewed by programs that tell nobody. */
const LOOK_EVERY_MS = 5_000

/**
 * Reads a certificate and its key. Throws `invalid_argument` with what to do when a file cannot be read, is no PEM, or
 * the two do not belong together.
 */
export async function readTls(files: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  const found = await readFiles(files)
  checkTls(found, files)
  return found
}

async function readFiles(files: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  return { cert: await readPem(files.cert, 'certificate'), key: await readPem(files.key, 'key') }
}

function checkTls({ cert, key }: { cert: Buffer; key: Buffer }, files: TlsFiles): void {
  const certificate = attempt(
    () => new X509Certificate(cert),
    `${files.cert} holds no certificate; give the file with -----BEGIN CERTIFICATE----- (often fullchain.pem)`,
  )
  const secret = attempt(
    () => createPrivateKey(key),
    `${files.key} holds no private key that can be read without a passphrase; give the file with -----BEGIN PRIVATE KEY-----`,
  )
  if (!certificate.checkPrivateKey(secret))
    throw new AppError(
      'invalid_argument',
      `the key in ${files.key} is not that of the certificate in ${files.cert}; give the two that were made together`,
    )
  attempt(() => createSecureContext({ cert, key }), `${files.cert} and ${files.key} cannot be used for TLS`)
}

/**
 * Gives a server the certificate of these files whenever they have changed; connections that are open keep theirs. While
 * they cannot be used, as in the middle of a renewal, the last ones stay, and `onOutcome` hears why, else null. The caller stops it.
 */
export function followTls(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  options: {
    present: { cert: Buffer; key: Buffer }
    onOutcome: (failure: unknown) => void
    every_ms?: number
  },
): { stop(): void } {
  let last = options.present
  let complaint = ''
  let looking = false
  const look = async () => {
    if (looking) return
    looking = true
    try {
      const found = await readFiles(files)
      if (found.cert.equals(last.cert) && found.key.equals(last.key)) return
      last = found
      checkTls(found, files)
      server.setSecureContext({ ...found, minVersion: 'TLSv1.2' })
      complaint = ''
      options.onOutcome(null)
    } catch (error) {
      if (complaint === messageOf(error)) return
      complaint = messageOf(error)
      options.onOutcome(error)
    } finally {
      looking = false
    }
  }
  const timer = setInterval(() => void look(), options.every_ms ?? LOOK_EVERY_MS).unref()
  return { stop: () => clearInterval(timer) }
}

async function readPem(path: string, what: 'certificate' | 'key'): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why =
      code === 'ENOENT'
        ? 'is not there'
        : code === 'EACCES'
          ? 'may not be read by this user'
          : `cannot be read: ${messageOf(error)}`
    throw new AppError('invalid_argument', `the ${what} file ${path} ${why}`, { cause: error })
  }
}

function attempt<T>(work: () => T, otherwise: string): T {
  try {
    return work()
  } catch (error) {
    throw new AppError('invalid_argument', otherwise, { cause: error })
  }
}
