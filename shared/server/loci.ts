import type { Socket } from 'node:net'
import type { Models } from '../core/ports/models.ts'
import type { Access } from './access.ts'
import type { Serve } from './gate.ts'
import type { ConnectionLimits } from './http-server.ts'
import type { Log } from './log.ts'
import type { Observability } from './observability.ts'
import type { TlsFiles } from './tls.ts'

/** One Loci instance over its data directory; several may share one. */
export interface Loci {
  /** The REST API, without a socket; for the owner unless it is said for whom. Never rejects. */
  fetch(request: Request, access?: Access): Promise<Response>
  /** Whom the key of a user or an access token stands for; null: it is none, revoked or expired. */
  holder(key: string): Promise<Access | null>
  /** Whether there are access tokens for web pages of this origin. */
  hasPagesOf(origin: string): Promise<boolean>
  /** The same answers, once the user whom a request names is known and their limits are kept. */
  forUsers(serve: Serve): Serve
  /** Absolute path of the data directory. */
  data: string
  /** The database that agents are kept in, for people: without user and password; null: the data directory. */
  store: string | null
  models(): ReturnType<Models['list']>
  /** Hosts besides loopback that requests may be addressed to, from config.json. */
  allowed_hosts: readonly string[]
  /** config.json, and what it holds that this Loci does not know: mistyped, or of a newer one. */
  config: { path: string; unknown_keys: readonly string[] }
  /** Where config.json says that `loci server` listens. */
  address: { host: string; port: number }
  /** The certificate that config.json names, as absolute paths; null: none. */
  tls: TlsFiles | null
  /** Web page origins that config.json names; null: none. */
  cors: readonly string[] | null
  limits: ConnectionLimits
  /** What `server.shutdown_grace_seconds` in config.json says, in milliseconds. */
  shutdown_grace_ms: number
  log: Log | null
  /** What log, metrics and traces want of what a server does. */
  seen: Pick<Observability, 'requests' | 'socket'>
  /** Hears of failures that are ours. */
  onFailure: (where: string, error: unknown) => void
  /** Says where requests come from: what must not be done for others is refused once they can reach this. */
  reachableAt(host: string): void
  /** Why a connection to a server without a key gets no answer; null when everybody who connects does. */
  refusal: (socket: Socket) => Promise<string | null> | null
  /** Ends the streams that never end by themselves; turns go on, and so do theirs. */
  endStreams(): void
  /** Begins no more turns, waits this long for those that run, and cancels the rest. */
  drain(grace_ms: number): Promise<void>
  /** Ends streams, cancels turns, closes the store. */
  close(): Promise<void>
}
