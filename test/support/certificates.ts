/** Certificates of a test's own authority, made when they are needed: X.509 v3 (RFC 5280) in DER, by hand. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

export interface Certificate {
  /** PEM. */
  cert: string
  key: string
}

const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  const { length } = body
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), body])
}
const sequence = (...parts: Buffer[]) => der(0x30, ...parts)
const hex = (text: string) => Buffer.from(text, 'hex')

const ECDSA_SHA256 = sequence(der(0x06, hex('2a8648ce3d040302')))
const nameOf = (common: string) =>
  sequence(der(0x31, sequence(der(0x06, hex('550403')), der(0x0c, Buffer.from(common)))))
const timeOf = (date: Date) => der(0x18, Buffer.from(date.toISOString().replaceAll(/[-:T]|\.\d+/g, '')))
const extension = (oid: string, critical: boolean, value: Buffer) =>
  sequence(der(0x06, hex(oid)), ...(critical ? [der(0x01, hex('ff'))] : []), der(0x04, value))
const pem = (label: string, bytes: Buffer) =>
  `-----BEGIN ${label}-----\n${bytes.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`

/** An authority, and what makes certificates for `localhost` and `127.0.0.1` that it has signed. */
export function createAuthority(): { ca: string; issue(common?: string): Certificate } {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const authority = 'Test authority'
  const make = (subject: string, key: KeyObject, extensions: Buffer[]) => {
    const from = new Date(Date.now() - 3_600_000)
    const until = new Date(Date.now() + 86_400_000)
    const serial = randomBytes(8)
    serial[0] = 1
    const signed = sequence(
      der(0xa0, der(0x02, hex('02'))),
      der(0x02, serial),
      ECDSA_SHA256,
      nameOf(authority),
      sequence(timeOf(from), timeOf(until)),
      nameOf(subject),
      key.export({ type: 'spki', format: 'der' }),
      der(0xa3, sequence(...extensions)),
    )
    const signature = sign('sha256', signed, own.privateKey)
    return pem('CERTIFICATE', sequence(signed, ECDSA_SHA256, der(0x03, hex('00'), signature)))
  }
  const isAuthority = extension('551d13', true, sequence(der(0x01, hex('ff'))))
  const names = extension(
    '551d11',
    false,
    sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1]))),
  )
  return {
    ca: make(authority, own.publicKey, [isAuthority]),
    issue(common = 'localhost') {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return {
        cert: make(common, pair.publicKey, [names]),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      }
    },
  }
}
