import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '../schema/errors.ts'

/** A value as it lies on disk. */
export interface Sealed {
  /** Names the key that it was encrypted with; says nothing about it. */
  key_id: string
  /** Nonce, tag and text of AES-256-GCM. */
  data: Uint8Array
}

interface Key {
  id: string
  bytes: Buffer
}

/** What all processes of one store agree on, where they do not share a data directory. */
export interface Agreement {
  /** The key that the store's secrets are encrypted with: this one, where there is none yet. */
  agree(key_id: string): Promise<string>
  /** The same; null where there is none yet. */
  agreed(): Promise<string | null>
}

/** The name of the key file in the data directory. */
export const KEY_FILE = 'secrets.key'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** The cost of trying one passphrase (about 60 ms); a key of 32 bytes is not stretched. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

/** Keys that are at hand: the first one encrypts. */
export class SecretKeys {
  readonly #keys: readonly Key[]
  readonly #where: string

  constructor(keys: readonly Key[], where: string) {
    this.#keys = keys
    this.#where = where
  }

  /** Names the key that encrypts; null when there is none. */
  get first(): string | null {
    return this.#keys[0]?.id ?? null
  }

  /** Whether values of this key can be read. */
  has(key_id: string): boolean {
    return this.#keys.some(({ id }) => id === key_id)
  }

  /** Encrypts a value; it can be read with the same `context` only, which is not stored with it. */
  seal(value: string, context: string): Sealed {
    const [key] = this.#keys
    if (!key) throw new Error('there is no key to encrypt with')
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce)
    cipher.setAAD(Buffer.from(context))
    const text = Buffer.concat([cipher.update(value, 'utf8'), cipher.final()])
    return { key_id: key.id, data: Buffer.concat([nonce, cipher.getAuthTag(), text]) }
  }

  /** Throws `secrets_unreadable` when its key is not at hand, or it was changed on disk. */
  open({ key_id, data }: Sealed, context: string): string {
    const key = this.#keys.find(({ id }) => id === key_id)
    if (!key) throw this.#unreadable(`they were encrypted with the key '${key_id}', which is not here`)
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, data.subarray(0, NONCE_BYTES))
      decipher.setAAD(Buffer.from(context))
      decipher.setAuthTag(data.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
      const text = data.subarray(NONCE_BYTES + TAG_BYTES)
      return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8')
    } catch {
      throw this.#unreadable('what is stored was damaged')
    }
  }

  #unreadable(why: string): AppError {
    return new AppError(
      'secrets_unreadable',
      `Secrets cannot be read: ${why}. Nothing was lost: set LOCI_ENCRYPTION_KEY to the key they were stored with, put ` +
        `${this.#where} back, or set the secrets anew.`,
    )
  }
}

/**
 * Encrypts what is secret in a store: with `passphrase` (LOCI_ENCRYPTION_KEY) when there is one, else with a key that
 * is made on first use and kept in the data directory, for this user only. Both read. A file may hold several keys, one
 * a line: the first encrypts.
 */
export class SecretBox {
  readonly #file: string
  readonly #agreement: Agreement | null
  readonly #passphrase: string | null
  #given: Promise<Key> | null = null
  #stored: { keys: Key[]; mtime: number } | null = null

  /** With an `agreement` nothing is encrypted that the other processes cannot read. */
  constructor({
    directory,
    passphrase,
    agreement = null,
  }: {
    directory: string
    passphrase: string | null
    agreement?: Agreement | null
  }) {
    this.#agreement = agreement
    this.#file = join(directory, KEY_FILE)
    this.#passphrase = passphrase
  }

  /** The keys that are there. Throws `secrets_unreadable` for a key file that is none. */
  async keys(): Promise<SecretKeys> {
    const given = await this.#fromPassphrase()
    return new SecretKeys([...given, ...(await this.#fromFile())], this.#file)
  }

  /**
   * The same, with one to encrypt with: it is made when there is none. Throws `secrets_unreadable` when others of this
   * store have agreed on a key that is not here.
   */
  async keysToWrite(): Promise<SecretKeys> {
    const given = await this.#fromPassphrase()
    let stored = await this.#fromFile()
    if (given.length + stored.length === 0) {
      const agreed = await this.#agreement?.agreed()
      if (agreed) throw otherKey(agreed)
      await this.#makeFile()
      stored = await this.#fromFile()
    }
    const [first] = [...given, ...stored]
    const keys = new SecretKeys([...given, ...stored], this.#file)
    const agreed = first && (await this.#agreement?.agree(first.id))
    if (agreed !== undefined && !keys.has(agreed)) throw otherKey(agreed)
    return keys
  }

  /** Throws `secrets_unreadable` when the key that others of this store use is not here; agrees on ours if there is none. */
  async checkAgreement(): Promise<void> {
    if (!this.#agreement) return
    const keys = [...(await this.#fromPassphrase()), ...(await this.#fromFile())]
    const [first] = keys
    const agreed = first ? await this.#agreement.agree(first.id) : await this.#agreement.agreed()
    if (agreed !== null && !keys.some(({ id }) => id === agreed)) throw otherKey(agreed)
  }

  async #fromPassphrase(): Promise<Key[]> {
    if (this.#passphrase === null) return []
    return [await (this.#given ??= keyOfText(this.#passphrase))]
  }

  async #fromFile(): Promise<Key[]> {
    const found = await fs.stat(this.#file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw this.#broken(error.message, error)
    })
    if (!found) return []
    if (this.#stored?.mtime === found.mtimeMs) return this.#stored.keys
    const text = await fs.readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw this.#broken(error.message, error)
    })
    const lines = text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
    const keys = lines.map((line, i) => {
      const bytes = keyBytes(line)
      if (!bytes) throw this.#broken(`its line ${i + 1} is not a key of ${KEY_BYTES} bytes in base64`)
      return keyOf(bytes)
    })
    if (keys.length === 0) throw this.#broken('it is empty')
    this.#stored = { keys, mtime: found.mtimeMs }
    return keys
  }

  /** Whole or not at all, and by one process: the others read what that one made. */
  async #makeFile(): Promise<void> {
    const draft = `${this.#file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`
    try {
      const file = await fs.open(draft, 'wx', 0o600)
      try {
        await file.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await fs.link(draft, this.#file).catch(async (error: NodeJS.ErrnoException) => {
        // Not every file system has links.
        if (error.code !== 'EEXIST') await fs.copyFile(draft, this.#file, fs.constants.COPYFILE_EXCL)
      })
    } finally {
      await fs.rm(draft, { force: true })
    }
  }

  #broken(why: string, cause?: unknown): AppError {
    return new AppError(
      'secrets_unreadable',
      `The key file ${this.#file} cannot be used: ${why}. Put the right one back; without it no secret can be read.`,
      { cause },
    )
  }
}

function otherKey(agreed: string): AppError {
  return new AppError(
    'secrets_unreadable',
    `The secrets of this store are encrypted with the key '${agreed}', which is not here. Give this Loci the same ` +
      `LOCI_ENCRYPTION_KEY as the others, or put the ${KEY_FILE} of the one that began into its data directory.`,
  )
}

/** A key of 32 bytes in base64 or hex is taken as it is, any other text is stretched to one. */
async function keyOfText(text: string): Promise<Key> {
  const stretch = promisify<string, string, number, typeof SCRYPT, Buffer>(scrypt)
  return keyOf(keyBytes(text) ?? (await stretch(text, 'loci secrets 1', KEY_BYTES, SCRYPT)))
}

function keyBytes(text: string): Buffer | null {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  if (!/^[\w+/-]{43}=?$/.test(text)) return null
  return Buffer.from(text, 'base64')
}

function keyOf(bytes: Buffer): Key {
  return { bytes, id: createHash('sha256').update('loci key id\0').update(bytes).digest('hex').slice(0, 16) }
}
