import type { Readable } from 'node:stream'

/** A frame as bytes: its length (4 bytes, big-endian), then JSON. */
export function encodeFrame(frame: object): Buffer {
  const text = JSON.stringify(frame)
  const length = Buffer.byteLength(text)
  const bytes = Buffer.allocUnsafe(4 + length)
  bytes.writeUInt32BE(length)
  bytes.write(text, 4)
  return bytes
}

/**
 * Hears frames of at most `max` bytes. `onFrame` gets the JSON as bytes and says whether it is one; after a frame that is
 * too long or none, `onViolation` is called once, and nothing is heard any more.
 */
export function readFrameBytes(
  stream: Readable,
  max: number,
  onFrame: (bytes: Buffer) => boolean,
  onViolation: (why: string) => void,
): void {
  let chunks: Buffer[] = []
  let have = 0
  let need: number | null = null
  const take = (size: number) => {
    const all = chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks, have)
    chunks = [all.subarray(size)]
    have -= size
    return all.subarray(0, size)
  }
  const violate = (why: string) => {
    stream.off('data', onData)
    stream.resume()
    chunks = []
    onViolation(why)
  }
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    have += chunk.length
    for (;;) {
      if (need === null) {
        if (have < 4) return
        need = take(4).readUInt32BE()
        if (need > max) return violate(`more than ${Math.round(max / 1024 / 1024)} MB at once`)
      }
      if (have < need) return
      const bytes = take(need)
      need = null
      if (!onFrame(bytes)) return violate('something that is no message')
    }
  }
  stream.on('data', onData)
}
