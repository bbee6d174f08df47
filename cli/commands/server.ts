import { Agent, get } from 'node:http'
import { Agent as TlsAgent, get as tlsGet } from 'node:https'
import { resolve } from 'node:path'
import type { Loci } from '../../shared/server/loci.ts'
import { openLoci } from '../../shared/server/main.ts'
import { type Endpoint, listen } from '../../shared/server/serve.ts'
import { VERSION } from '../../shared/schema/version.ts'
import { complain, Failure, logFailure } from '../failure.ts'
import { outliveUpdates } from '../loaded-code.ts'
import { mountMcp } from '../mcp-mount.ts'
import { curlLines, DEMO, describeModels, firstModel } from '../models.ts'
import { printJson } from '../print.ts'
import { keyFor } from '../server-key.ts'
import { untilStopped } from '../shutdown.ts'
import { unknownSettings } from '../unknown-settings.ts'
import { bold, columns, dim, plain, wrap } from '../terminal.ts'

/** A provider that takes longer is left out of the greeting, not of the server. In milliseconds. */
const DISCOVERY = 5_000

export interface ServerOptions {
  /** Default: what config.json says. */
  port?: number
  host?: string
  data?: string
  /** `postgres://…` */
  store?: string
  /** Ask every request for the key. */
  auth?: boolean
  /** True: pages of any origin may use the API. */
  cors?: true | string[]
  /** PEM files; each needs the other. */
  tlsCert?: string
  tlsKey?: string
  /** False: HTTP, whatever config.json says. */
  tls?: boolean
  docs?: boolean
  logLevel?: string
  /** One line that says where it is, instead of a greeting. */
  json?: boolean
}

/** `loci server`: returns when a signal has stopped it and everything is closed. */
export async function runServer(options: ServerOptions): Promise<void> {
  const stopped = untilStopped()
  const { env } = process
  const tls = tlsOf(options)
  const key = keyFor(options.auth === true || env['LETTA_SERVER_SECURE']?.toLowerCase() === 'true', env)
  const loci = await openLoci({
    data: options.data,
    store: options.store,
    log_level: options.logLevel ?? (env['LOCI_LOG_LEVEL'] || 'info'),
  })
  const { path, unknown_keys } = loci.config
  if (unknown_keys.length > 0) complain(unknownSettings(path, unknown_keys))
  try {
    const server = await listen(loci, {
      host: options.host ?? loci.address.host,
      port: options.port ?? loci.address.port,
      key: key?.text ?? null,
      ...(options.cors ? { cors: options.cors === true ? '*' : options.cors.map(originOf) } : {}),
      ...(tls || options.tls === false ? { tls } : {}),
      docs: options.docs ?? false,
      grace_ms: loci.shutdown_grace_ms,
      mcp: mountMcp<Parameters<Endpoint['fetch']>[1]>({
        data: loci.data,
        fetch: (request, access) => loci.fetch(request, access),
      }),
    })
    try {
      const url = reachable(server.url)
      await untilHealthy(url)
      // What is needed later is loaded by the server itself.
      void outliveUpdates(
        () => Promise.resolve(),
        (error) => logFailure('preparing for updates', error),
      )
      if (options.json) {
        const made = key?.made ? key.text : null
        printJson({
          url,
          mcp: `${url}/mcp`,
          data: loci.data,
          ...(loci.store === null ? {} : { store: loci.store }),
          version: VERSION,
          auth: key !== null,
          key: made,
        })
        await stopped
        return
      }
      say(`${bold(`Loci ${VERSION}`)} on ${url}`)
      if (loci.store !== null) say(dim(plain(`Agents in PostgreSQL: ${loci.store}`)))
      say(dim(plain(`${loci.store === null ? 'Data' : 'Settings'} in ${loci.data}`)))
      if (key)
        say(key.made ? `Key, made for this run (LOCI_API_KEY sets one): ${key.text}` : `Key: ${key.from}`)
      say(dim(`MCP hosts: ${url}/mcp`))
      if (options.docs) say(`API documentation on ${url}/docs`)
      await Promise.race([greet(loci, url, options, key !== null), stopped])
      await stopped
    } finally {
      await server.close()
    }
  } finally {
    await loci.close()
  }
}

/** The certificate that the options name; null: none. */
function tlsOf({ tlsCert: cert, tlsKey: key }: ServerOptions): { cert: string; key: string } | null {
  if (cert === undefined && key === undefined) return null
  if (cert === undefined || key === undefined)
    throw new Failure(
      `--tls-cert and --tls-key go together; ${cert === undefined ? '--tls-cert' : '--tls-key'} is missing.`,
    )
  return { cert: resolve(cert), key: resolve(key) }
}

/** `https://app.example/path` → `https://app.example`, as browsers send it. */
function originOf(text: string): string {
  const origin = URL.parse(text)?.origin
  if (origin === undefined || origin === 'null')
    throw new Failure(`'${text}' is no origin for --cors; write it like https://app.example.com.`)
  return origin
}

async function greet(
  loci: Loci,
  url: string,
  { data, store }: ServerOptions,
  secured: boolean,
): Promise<void> {
  const found = await Promise.race([loci.models(), after(DISCOVERY)])
  say('')
  if (found) say(describeModels(found, columns()))
  else say('Models: the providers have not all answered yet; GET /v1/models/ shows them.')
  say(`\n${wrap('Try it: this creates an agent and tells it something.', columns())}`)
  if (secured) say(dim('With the key in it: curl -H "Authorization: Bearer $LOCI_API_KEY" …'))
  const name = await freeName(loci)
  say(curlLines(url, found ? firstModel(found.models) : DEMO, name))
  const folder = data === undefined ? '' : ` --data '${plain(data).replaceAll("'", "'\\''")}'`
  // Only this process knows what was said on its command line.
  const where = store === undefined ? folder : ` --url ${url}`
  say(`\n${wrap(`Then talk to it: ${ownName()} chat ${name}${where}`, columns())}`)
  say(dim('Ctrl-C stops the server.'))
}

/** `first`, or the next that no agent has: what is pasted again at the next start makes no second agent of one name. */
async function freeName(loci: Loci): Promise<string> {
  const response = await loci.fetch(new Request('http://127.0.0.1/v1/agents/?query_text=first&limit=1000'))
  const taken = new Set(((await response.json()) as { name: string }[]).map((agent) => agent.name))
  let name = 'first'
  for (let n = 2; taken.has(name); n++) name = `first-${n}`
  return name
}

/** How this command is called here: in a clone, after `npm start`, there is no `loci` on the PATH. */
function ownName(): string {
  return process.env['npm_lifecycle_event'] === 'start' ? 'npx loci' : 'loci'
}

/** The server answers itself before its address is told to anyone. */
async function untilHealthy(url: string): Promise<void> {
  // An agent of its own: the global one may send even loopback through the user's proxy.
  const secure = url.startsWith('https:')
  // The certificate is for the name that others use.
  const agent = secure ? new TlsAgent({ rejectUnauthorized: false }) : new Agent()
  const ask = secure ? tlsGet : get
  try {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      ask(`${url}/v1/health/`, { agent, timeout: 10_000 }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('timeout', () => reject(new Error('no answer in 10 s')))
        .on('error', reject)
    })
    if (status !== 200) throw new Error(`status ${status}`)
  } catch (cause) {
    throw new Failure(
      `The server listens on ${url}, but its health check failed (${cause instanceof Error ? cause.message : String(cause)}).`,
      { cause },
    )
  } finally {
    agent.destroy()
  }
}

/** A listener on every address is reached on loopback. */
function reachable(url: string): string {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname === '0.0.0.0' || hostname === '[::]' ? '127.0.0.1' : hostname
  return `${protocol}//${host}:${port || (protocol === 'https:' ? '443' : '80')}`
}

function after(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(resolve, ms, null).unref())
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
