import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

const RESERVED = new BlockList()
/** What IANA reserves of IPv4: this host, private, shared, link-local, for tests and documentation, multicast, the rest. */
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  RESERVED.addSubnet(network, prefix, 'ipv4')
/** Within the global unicast addresses of IPv6: Teredo and other protocols, benchmarks, documentation. */
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
] as const)
  RESERVED.addSubnet(network, prefix, 'ipv6')

const GLOBAL = new BlockList()
GLOBAL.addSubnet('2000::', 3, 'ipv6')
/** An IPv4 address in IPv6 clothes is checked as the former by BlockList itself. */
GLOBAL.addSubnet('::ffff:0:0', 96, 'ipv6')

/**
 * Whether a stranger's URL should not reach an address: one of this machine (`own`, those of its interfaces), of a private
 * network, or one that is reserved, also as the IPv4 address within an IPv6 one (6to4, NAT64).
 */
export function isPrivate(address: string, own: readonly string[] = ownAddresses()): boolean {
  const [bare = ''] = address.split('%')
  const family = isIP(bare)
  if (family === 0) return true
  const mine = new BlockList()
  for (const one of own) mine.addAddress(one, isIP(one) === 6 ? 'ipv6' : 'ipv4')
  const refused = (ip: string, type: 'ipv4' | 'ipv6') => RESERVED.check(ip, type) || mine.check(ip, type)
  if (family === 4) return refused(bare, 'ipv4')
  const within = embeddedIpv4(bare)
  if (within !== null) return refused(within, 'ipv4') || mine.check(bare, 'ipv6')
  return !GLOBAL.check(bare, 'ipv6') || refused(bare, 'ipv6')
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).map(({ address }) => address.split('%')[0] ?? address),
  )
}

/** The IPv4 address in one of 6to4 (RFC 3056), of NAT64 (RFC 6052) or mapped; null for another. */
function embeddedIpv4(address: string): string | null {
  const words = wordsOf(address)
  const ipv4 = (high = 0, low = 0) => [high >> 8, high & 255, low >> 8, low & 255].join('.')
  if (words[0] === 0x2002) return ipv4(words[1], words[2])
  const [a, b, ...rest] = words
  if (a === 0x64 && b === 0xff9b && rest.slice(0, 4).every((word) => word === 0))
    return ipv4(words[6], words[7])
  if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff) return ipv4(words[6], words[7])
  return null
}

/** The eight numbers of an IPv6 address. */
function wordsOf(address: string): number[] {
  // Written in the one way that the URL standard knows.
  const { hostname } = new URL(`http://[${address}]`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const numbers = (text: string) => (text === '' ? [] : text.split(':').map((word) => parseInt(word, 16)))
  if (tail === undefined) return numbers(head)
  const [first, last] = [numbers(head), numbers(tail)]
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last]
}
