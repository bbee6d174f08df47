import { Agent, get } from 'node:http'
import { listen, openLoci, type Loci } from '../../shared/server/main.ts'
import { VERSION } from '../../shared/schema/version.ts'
import { complain, Failure, logFailure } from '../failure.ts'
import { curlLines, DEMO, describeModels, firstModel } from '../models.ts'
import { untilStopped } from '../shutdown.ts'
import { bold, columns, dim, plain, wrap } from '../terminal.ts'

/** A provider that takes longer is left out of the greeting, not of the server. In milliseconds. */
const DISCOVERY = 5_000

/** `loci server`: returns when a signal has stopped it and everything is closed. */
export async function runServer(options: { port: number; host: string; data?: string }): Promise<void> {
  const stopped = untilStopped()
  const loci = await openLoci({ data: options.data, onFailure: logFailure })
  try {
    const server = await listen(loci, { host: options.host, port: options.port })
    try {
      const url = reachable(server.url)
      await untilHealthy(url)
      say(`${bold(`Loci ${VERSION}`)} on ${url}`)
      say(dim(plain(`Data in ${loci.data}`)))
      if (!isLoopback(options.host)) {
        complain(`warning: it listens on ${options.host} without a password: who reaches it can use it.`)
      }
      await Promise.race([greet(loci, url, options.data), stopped])
      await stopped
    } finally {
      await server.close()
    }
  } finally {
    await loci.close()
  }
}

async function greet(loci: Loci, url: string, data: string | undefined): Promise<void> {
  const found = await Promise.race([loci.models(), after(DISCOVERY)])
  say('')
  if (found) say(describeModels(found, columns()))
  else say('Models: the providers have not all answered yet; GET /v1/models/ shows them.')
  say(`\n${wrap('Try it: this creates an agent and tells it something.', columns())}`)
  say(curlLines(url, found ? firstModel(found.models) : DEMO))
  const where = data === undefined ? '' : ` --data '${plain(data).replaceAll("'", "'\\''")}'`
  say(`\n${wrap(`Then talk to it: loci chat first${where}`, columns())}`)
  say(dim('Ctrl-C stops the server.'))
}

/** The server answers itself before its address is told to anyone. */
async function untilHealthy(url: string): Promise<void> {
  // An agent of its own: the global one may send even loopback through the user's proxy.
  const agent = new Agent()
  try {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      get(`${url}/v1/health/`, { agent, timeout: 10_000 }, (response) => {
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
  return `${protocol}//${host}:${port || '80'}`
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function after(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(resolve, ms, null).unref())
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
