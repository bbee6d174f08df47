import { inflateRawSync } from 'node:zlib'

/** What an Office document may unpack to; a well-meant one of a hundred megabytes stays below. */
const MAX_UNPACKED = 256 * 1024 * 1024
const MAX_ENTRIES = 20_000

/**
 * The names in a ZIP archive. Unpacks it once, so that what lies about its size is found out before a parser believes it:
 * throws for an archive that is broken, encrypted, or unpacks to far more than a document does.
 */
export function checkZip(bytes: Buffer): Set<string> {
  const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]))
  if (end < 0 || end + 22 > bytes.length) throw new Error('it is a broken or incomplete ZIP archive')
  const names = new Set<string>()
  const count = bytes.readUInt16LE(end + 10)
  if (count > MAX_ENTRIES) throw new Error(`it is a ZIP archive of more than ${MAX_ENTRIES} files`)
  let left = MAX_UNPACKED
  let at = bytes.readUInt32LE(end + 16)
  try {
    for (let i = 0; i < count; i++) {
      if (bytes.readUInt32LE(at) !== 0x02014b50) throw new RangeError('no entry')
      const encrypted = (bytes.readUInt16LE(at + 8) & 1) === 1
      const method = bytes.readUInt16LE(at + 10)
      const packed = bytes.readUInt32LE(at + 20)
      const [name, extra, comment] = [28, 30, 32].map((place) => bytes.readUInt16LE(at + place)) as [
        number,
        number,
        number,
      ]
      const local = bytes.readUInt32LE(at + 42)
      if (encrypted) throw new Error('it is encrypted; save it without a password')
      names.add(bytes.toString('utf8', at + 46, at + 46 + name))
      const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28)
      left -= unpackedSize(bytes.subarray(start, start + packed), method, left)
      at += 46 + name + extra + comment
    }
  } catch (error) {
    if (error instanceof RangeError || (error as { code?: string }).code?.startsWith('Z_'))
      throw new Error('it is a broken or incomplete ZIP archive', { cause: error })
    throw error
  }
  return names
}

function unpackedSize(data: Buffer, method: number, left: number): number {
  const tooLarge = `it unpacks to more than ${MAX_UNPACKED / 1024 / 1024} MB, which no document does`
  if (method === 0) {
    if (data.length > left) throw new Error(tooLarge)
    return data.length
  }
  try {
    return inflateRawSync(data, { maxOutputLength: Math.max(1, left) }).length
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE')
      throw new Error(tooLarge, { cause: error })
    throw error
  }
}
