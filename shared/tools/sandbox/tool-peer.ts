import { readdirSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isIPv4, type Socket } from 'node:net'
import { endianness } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { NOBODY } from './linux-layout.ts'

/** The two ends of a connection, as `net.Socket` names them. */
export type Ends = Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>

/** How long processes are looked at before others of this process have their turn, in milliseconds. */
const SLICE_MS = 2

/** Programs that connected before, which are asked first. */
const known = new Set<number>()
const MAX_KNOWN = 8

/**
 * Whether a connection of this machine was made by a tool behind the wall, or by something that cannot be told from one:
 * who has gone already, or holds its end where nobody sees it. Linux only; elsewhere nobody is taken for a tool. Where the
 * server is root, tools are nobody; otherwise they have its user, and are told by their user namespace. Never rejects.
 */
export async function isToolPeer(ends: Ends): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const own = process.getuid?.() ?? 0
  try {
    const peer = await peerOf(ends)
    if (!peer) return true
    if (peer.uid === NOBODY && own !== NOBODY) return true
    if (own === 0 || peer.uid !== own) return false
    return !(await isHeldByUs(peer.inode))
  } catch {
    // Without /proc nothing can be told.
    return true
  }
}

/** Whose the other end is; null when nobody has it any more. */
async function peerOf(ends: Ends): Promise<{ uid: number; inode: string } | null> {
  for (const [file, wide] of [
    ['/proc/net/tcp', false],
    ['/proc/net/tcp6', true],
  ] as const) {
    const text = await readFile(file, 'utf8').catch(() => '')
    const here = kernelAddress(ends.remoteAddress ?? '', ends.remotePort ?? 0, wide)
    const there = kernelAddress(ends.localAddress ?? '', ends.localPort ?? 0, wide)
    const line = text.split('\n').find((each) => each.includes(` ${here} ${there} `))
    const [, , , , , , , uid, , inode = '0'] = line?.trim().split(/\s+/) ?? []
    if (uid !== undefined && inode !== '0') return { uid: Number(uid), inode }
  }
  return null
}

/** An address as /proc/net/tcp (`wide`: tcp6) writes it: words of four bytes in the machine's order, and the port. */
function kernelAddress(address: string, port: number, wide: boolean): string {
  const bytes = bytesOf(address)
  const all = wide ? bytes : bytes.subarray(12)
  const words = Array.from({ length: all.length / 4 }, (_, index) => {
    const word = all.subarray(index * 4, index * 4 + 4)
    return endianness() === 'LE' ? word.toReversed() : word
  })
  return `${Buffer.concat(words).toString('hex')}:${port.toString(16).padStart(4, '0')}`.toUpperCase()
}

/** The 16 bytes of an address; one of IPv4 as IPv6 maps it. */
function bytesOf(address: string): Buffer {
  const last = address.slice(address.lastIndexOf(':') + 1)
  if (isIPv4(last))
    return Buffer.from([...Array<number>(10).fill(0), 255, 255, ...last.split('.').map(Number)])
  const [head = '', tail = ''] = address.split('%', 1)[0]?.split('::') ?? []
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => parseInt(word, 16)))
  const [first, rest] = [words(head), words(tail)]
  const all = [...first, ...Array<number>(8 - first.length - rest.length).fill(0), ...rest]
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 255]))
}

/** Whether a process in our own user namespace holds a socket, and none in another one that can be seen. */
async function isHeldByUs(inode: string): Promise<boolean> {
  const ours = readlinkSync('/proc/self/ns/user')
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  // Who connects was often started lately.
  const order = [...known, ...pids.map(Number).sort((a, b) => b - a)]
  let since = performance.now()
  for (const pid of order) {
    if (performance.now() - since > SLICE_MS) {
      await setImmediate()
      since = performance.now()
    }
    if (!holds(pid, inode)) continue
    known.delete(pid)
    if (readlinkSync(`/proc/${pid}/ns/user`) !== ours) return false
    known.add(pid)
    const [oldest] = known
    if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
    return true
  }
  return false
}

function holds(pid: number, inode: string): boolean {
  const folder = `/proc/${pid}/fd`
  try {
    return readdirSync(folder).some((fd) => readsAs(`${folder}/${fd}`, `socket:[${inode}]`))
  } catch {
    // It has ended, or is not ours to look at.
    return false
  }
}

function readsAs(link: string, target: string): boolean {
  try {
    return readlinkSync(link) === target
  } catch {
    // It was closed.
    return false
  }
}
