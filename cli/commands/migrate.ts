import { writeFile } from 'node:fs/promises'
import { describeFailure, type LociClient } from '../../shared/client/http.ts'
import { ask, isInteractive, readSecret } from '../ask.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { countAll } from '../migrate/count.ts'
import { idOf, itemsOf, textIn } from '../migrate/lists.ts'
import { type Part, PARTS, pull } from '../migrate/pull.ts'
import { Report } from '../migrate/report.ts'
import { Target } from '../migrate/target.ts'
import { V1Server } from '../migrate/v1-server.ts'
import { progressLine } from '../progress.ts'
import { untilStopped } from '../shutdown.ts'
import { plain } from '../terminal.ts'
import { withClient } from '../with-client.ts'

export interface MigrateOptions {
  from: string
  token?: string
  tokenStdin?: boolean
  askToken?: boolean
  to?: string
  data?: string
  only?: string
  agent?: string[]
  dryRun?: boolean
  json?: boolean
  report?: string
}

/** `loci migrate`: brings what another V1 server has; the report on stdout. Exit code 1 when something could not come. */
export async function runMigrate(options: MigrateOptions): Promise<void> {
  const only = partsOf(options.only)
  const token = await tokenOf(options)
  // Tests shorten what a patient program waits.
  const env = (name: string) => (process.env[name] === undefined ? {} : { value: Number(process.env[name]) })
  const wait = env('LOCI_MIGRATE_PAUSE_MS').value
  const idle = env('LOCI_MIGRATE_IDLE_MS').value
  const stop = new AbortController()
  const kept = options.dryRun
    ? 'Nothing was brought.'
    : 'What has come is kept: run the same command again to go on.'
  void untilStopped().then(() => stop.abort(new Failure(`Stopped. ${kept}`)))
  const server = new V1Server({
    url: options.from,
    token,
    signal: stop.signal,
    ...(wait === undefined ? {} : { pause_ms: wait }),
    ...(idle === undefined ? {} : { idle_ms: idle }),
  })
  const place = {
    ...(options.to === undefined ? {} : { url: options.to }),
    ...(options.data === undefined ? {} : { data: options.data }),
  }
  const progress = progressLine()
  const show = (text: string, share?: number) => progress.show(plain(text), share)
  server.onWait = (why) => show(`Waiting for ${server.url}: ${why} …`)
  const report = new Report(server.url)
  try {
    report.version = await server.version()
    if (options.dryRun) return await print(options, await countAll(server, only, options.agent ?? null, show))
    await withClient(place, async (client) => {
      await refuseItself(server, client)
      await pull({
        server,
        target: new Target(client, report),
        report,
        only,
        agents: options.agent ?? null,
        show,
        async addProvider({ name, provider_type, api_key, base_url, api_version }) {
          const body = { name, provider_type, api_key, base_url, api_version }
          await client.letta.post('/v1/providers/', { body }).catch((error: unknown) => {
            throw new Failure(describeFailure(error, client.url), { cause: error })
          })
        },
        async knownProviders() {
          const known = itemsOf(await client.letta.get('/v1/providers/', { query: { limit: 1000 } })) ?? []
          return new Set(known.map((one) => textIn(one, 'name')))
        },
      })
    })
  } catch (error) {
    progress.end()
    if (stop.signal.aborted) process.exitCode = EXIT.interrupted
    // What has come is told also when the rest could not.
    if (Object.keys(report.counts).length > 0) {
      report.stopped = error instanceof Error ? error.message : String(error)
      await print(options, report)
    }
    throw error
  } finally {
    progress.end()
  }
  await print(options, report)
  if (!report.whole) {
    complain(
      'Not everything could come: see the report. Run the same command again after you changed something.',
    )
    process.exitCode = EXIT.failure
  }
}

async function print(
  { json, report: file }: MigrateOptions,
  result: { toText(): string; toJson(): string },
): Promise<void> {
  if (file !== undefined) await writeFile(file, `${result.toJson()}\n`, { mode: 0o600 })
  process.stdout.write(json ? `${result.toJson()}\n` : result.toText())
}

function partsOf(text: string | undefined): ReadonlySet<Part> | null {
  if (text === undefined) return null
  const names = text.split(',').map((name) => name.trim())
  for (const name of names)
    if (!PARTS.some((part) => part === name))
      throw new Failure(
        `--only does not know '${name}'; it takes ${PARTS.join(', ')}, with commas between them.`,
      )
  return new Set(names as Part[])
}

/** From the option, a pipe, a question or the environment, in this order. */
async function tokenOf(options: MigrateOptions): Promise<string | null> {
  if (options.token !== undefined) return options.token
  if (options.tokenStdin) return readSecret()
  if (options.askToken) {
    if (!isInteractive())
      throw new Failure('--ask-token needs a terminal; set LETTA_API_KEY, or use --token-stdin.')
    return ask('Token of the old server (not shown): ', { hidden: true })
  }
  const { LETTA_API_KEY: key } = process.env
  return key === undefined || key === '' ? null : key
}

/** A Loci may be the source, but not of itself. */
async function refuseItself(server: V1Server, client: LociClient): Promise<void> {
  const itself = new Failure(
    `${server.url} is the Loci that everything would be brought to. Name the old server with --from, or another place with --data or --to.`,
  )
  if (client.url.replace(/\/+$/, '') === server.url) throw itself
  // Each store numbers the built-in tools anew.
  const query = { name: 'conversation_search', limit: 1 }
  const [there] = itemsOf(await server.get('/v1/tools/', query)) ?? []
  const [here] = itemsOf(await client.letta.get('/v1/tools/', { query })) ?? []
  if (there && here && there['name'] === here['name'] && idOf(there) === idOf(here)) throw itself
}
