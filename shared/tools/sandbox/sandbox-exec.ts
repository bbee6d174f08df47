import { realpathSync } from 'node:fs'
import { looselyLimited } from './limit-script.ts'
import type { WalledCommand } from './walled-command.ts'

/** What every program on macOS reads: libraries, certificates, time zones. */
const SYSTEM = [
  '/usr/lib',
  '/usr/share',
  '/System/Library',
  '/System/Volumes/Preboot/Cryptexes',
  '/Library/Apple',
  '/private/var/db/timezone',
  '/private/var/db/dyld',
  '/private/etc/ssl',
  '/private/etc/localtime',
]
const DEVICES = ['/dev/null', '/dev/zero', '/dev/random', '/dev/urandom']
const NETWORK_FILES = ['/private/etc/resolv.conf', '/private/etc/hosts', '/private/var/run/resolv.conf']
const NETWORK_SERVICES = [
  'com.apple.dnssd.service',
  'com.apple.SystemConfiguration.configd',
  'com.apple.trustd.agent',
  'com.apple.trustd',
]

/** The wall of macOS as a command line: all is denied but what a profile names. `scratch` is a folder of the program alone. */
export function sandboxExec(command: WalledCommand, scratch: string): string[] {
  const { profile, parameters } = sandboxProfile(command, scratch)
  return [
    ...looselyLimited('/bin/sh', command.limits),
    '/usr/bin/sandbox-exec',
    ...parameters.flatMap(([name, path]) => ['-D', `${name}=${path}`]),
    '-p',
    profile,
    command.command,
    ...command.args,
  ]
}

/** The profile, and the paths in it, which come as parameters: no path can be read as a rule. */
export function sandboxProfile(
  command: WalledCommand,
  scratch: string,
): { profile: string; parameters: [string, string][] } {
  const parameters: [string, string][] = []
  const path = (place: string, filter = 'subpath') => {
    const name = `P${parameters.length}`
    parameters.push([name, place])
    return `(${filter} (param "${name}"))`
  }
  const real = (place: string) => realpathSync(place)
  const write = [scratch, ...command.write].map(real)
  const read = [...SYSTEM, ...command.read.map(real), ...write, ...(command.network ? NETWORK_FILES : [])]
  const rules = [
    '(version 1)',
    '(deny default)',
    `(allow process-exec ${path(real(command.command), 'literal')})`,
    ...(command.namespaces ? ['(allow process-fork)', '(allow signal (target same-sandbox))'] : []),
    '(allow signal (target self))',
    '(allow process-info* (target self))',
    '(allow sysctl-read)',
    // Without it no path can be resolved; it tells that a file is there, and not what is in it.
    '(allow file-read-metadata)',
    '(allow file-read* (literal "/"))',
    `(allow file-read* ${path(real(command.command), 'literal')} ${read.map((place) => path(place)).join(' ')})`,
    `(allow file-read* file-write-data file-ioctl ${DEVICES.map((place) => path(place, 'literal')).join(' ')})`,
    `(allow file-write* ${write.map((place) => path(place)).join(' ')})`,
    ...(command.network
      ? [
          '(allow network-outbound)',
          '(allow network-bind network-inbound (local ip "localhost:*"))',
          '(allow system-socket)',
          `(allow mach-lookup ${NETWORK_SERVICES.map((name) => `(global-name "${name}")`).join(' ')})`,
        ]
      : []),
  ]
  return { profile: rules.join('\n'), parameters }
}
