// What goes between us and the process that forks one for each call of a Python tool: see loci_tool_server.py.
import type { Readable } from 'node:stream'

export const CHANNEL = { control: 0, pipe: 1, stdout: 2, stderr: 3 } as const

/** A piece of what a call's process said; `body` is only valid until the next packet. */
export interface Packet {
  call: number
  channel: number
  body: Buffer
}

/** Bytes after the length: the number of the call and the channel. */
const REST_OF_HEAD = 5
const MAX_PACKET = 1024 * 1024

/** A packet as bytes. */
export function encodePacket(call: number, channel: number, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(4 + REST_OF_HEAD + body.length)
  bytes.writeUInt32BE(REST_OF_HEAD + body.length)
  bytes.writeUInt32BE(call, 4)
  bytes.writeUInt8(channel, 8)
  bytes.set(body, 9)
  return bytes
}

/** Hears the packets of a stream. `onViolation` is called at most once, for what is no packet; nothing is heard after it. */
export function readPackets(
  stream: Readable,
  onPacket: (packet: Packet) => void,
  onViolation: () => void,
): void {
  let rest: Buffer = Buffer.alloc(0)
  const onData = (chunk: Buffer) => {
    let have = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (have.length >= 4) {
      const length = have.readUInt32BE()
      if (length < REST_OF_HEAD || length > MAX_PACKET) {
        stream.off('data', onData)
        stream.resume()
        return onViolation()
      }
      if (have.length < 4 + length) break
      onPacket({
        call: have.readUInt32BE(4),
        channel: have.readUInt8(8),
        body: have.subarray(4 + REST_OF_HEAD, 4 + length),
      })
      have = have.subarray(4 + length)
    }
    rest = have
  }
  stream.on('data', onData)
}
