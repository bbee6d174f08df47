// Loaded into a server by `node --import`: connections leave this machine for nobody, as on one whose cable is pulled.
import dns from 'node:dns'
import { isIP, Socket } from 'node:net'

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/
const unreachable = (host) =>
  Object.assign(new Error(`connect ENETUNREACH ${host}`), { code: 'ENETUNREACH', syscall: 'connect' })

// oxlint-disable-next-line typescript/unbound-method -- below it is called on the socket that it is of
const { connect } = Socket.prototype
Socket.prototype.connect = function (...args) {
  // Node itself passes what it has normalised already.
  const given = Array.isArray(args[0]) ? args[0][0] : args[0]
  const host = typeof given === 'object' && given !== null ? given.host : args[1]
  const isLocal =
    (typeof given === 'object' && given?.path !== undefined) ||
    typeof host !== 'string' ||
    LOOPBACK.test(host)
  if (isLocal) return connect.apply(this, args)
  process.nextTick(() => this.destroy(unreachable(host)))
  return this
}

const unknown = (name) =>
  Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND', syscall: 'getaddrinfo' })
const { lookup } = dns
dns.lookup = function (name, ...rest) {
  if (LOOPBACK.test(name) || isIP(name)) return lookup.call(dns, name, ...rest)
  process.nextTick(rest.at(-1), unknown(name))
}
const { lookup: promised } = dns.promises
dns.promises.lookup = async (name, ...rest) => {
  if (LOOPBACK.test(name) || isIP(name)) return promised.call(dns.promises, name, ...rest)
  throw unknown(name)
}
