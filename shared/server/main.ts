/** Wires one process: the only file that picks adapters. */
import type { Socket } from 'node:net'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Config, openConfig } from '../config/config.ts'
import type { ConfigData } from '../config/schema.ts'
import { unknownKeys } from '../config/settings.ts'
import { ActiveRuns } from '../core/active-runs.ts'
import { FileIngest } from '../core/files/ingest.ts'
import type { CoreDeps } from '../core/ports/deps.ts'
import { embedWaiting } from '../core/search/embed.ts'
import { McpFollower } from '../core/tools/mcp-follow.ts'
import type { Models } from '../core/ports/models.ts'
import { createModel, preloadAdapters } from '../models/adapters.ts'
import { createModels } from '../models/catalog.ts'
import { createEmbeddings } from '../models/embedding-catalog.ts'
import { PRESETS, providersFromEnv } from '../models/providers.ts'
import { KEEP_EXPIRED_MS } from '../schema/access-token.ts'
import { WINDOW_HEADER } from '../schema/editor.ts'
import { AppError, isAppError, messageOf } from '../schema/errors.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { VERSION } from '../schema/version.ts'
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts'
import { lazyFileParser } from '../tools/files/lazy-parser.ts'
import { lazyMcpConnections } from '../tools/mcp/lazy-connections.ts'
import { lazyCustomTools, removeUnfinished, toolsHadNetwork } from '../tools/lazy-custom-tools.ts'
import { createToolRunner } from '../tools/tool-runner.ts'
import { type Access, OWNER, toolAccess } from './access.ts'
import { AnswerCache } from './answer-cache.ts'
import { BatchQueue } from './batch-queue.ts'
import { MAX_BODY, MAX_IMPORT } from './body.ts'
import { createApp, failedAnswer, pathOf } from './app.ts'
import { DEFAULT_ACTOR, type ServerContext } from './context.ts'
import { withDocs } from './docs.ts'
import { absentEditorModel, createEditorModel } from './editor-model.ts'
import { createEditors, type Editors } from './editors.ts'
import { type Serve } from './gate.ts'
import type { ConnectionLimits } from './http-server.ts'
import { isLoopback, listenOn } from './listen.ts'
import { type Log, openLog, parseLogLevel } from './log.ts'
import { type Observability, openObservability } from './observability.ts'
import { observe } from './observe.ts'
import { OneAtATime } from './one-at-a-time.ts'
import { createProviders } from './providers.ts'
import { repeat } from './repeat.ts'
import { RepeatedCalls } from './repeated-calls.ts'
import { applyRetention, retentionRules } from './retention.ts'
import { TurnQueue } from './turn-queue.ts'
import type { TlsFiles } from './tls.ts'
import { forUsers, holderOf } from './users.ts'
import { loadSockets, type SocketLimits, webSockets } from './ws/sockets.ts'

type Environment = Record<string, string | undefined>

export interface LociOptions {
  /** Data directory; default `LOCI_HOME`, else `.loci` in the user's home. Created when missing. */
  data?: string | undefined
  /** Where providers and settings are read from; default `process.env`. */
  env?: Environment
  /** Look for Ollama and LM Studio on localhost; default true. */
  discover_local?: boolean
  /** Hears of failures that are ours; default: the log, else a line on stderr. Must not throw. */
  onFailure?: (where: string, error: unknown, request_id?: string) => void
  /** Log requests and failures on stderr from this level on; default: no log. Throws `invalid_argument`. */
  log_level?: string | undefined
}

export interface ServeOptions {
  host: string
  port: number
  /** What every request must carry as a bearer token; null (the default) lets everybody in who reaches loopback. */
  key?: string | null
  /** Web page origins that may use the API; `'*'` for any. */
  cors?: '*' | readonly string[] | null
  /** Serve `/docs` and `/openapi.json`. */
  docs?: boolean
  /** How long turns that run may go on when the server closes, in milliseconds; 0 by default. */
  grace_ms?: number
  /** Speak HTTPS with these files, whose renewal is noticed; by default what config.json says, null for HTTP. */
  tls?: TlsFiles | null
  /** Where they differ from what config.json says. */
  limits?: Partial<ConnectionLimits>
  /** What WebSockets may cost, where it is not the usual. */
  sockets?: Partial<SocketLimits>
  /** How often it is looked whether who reads a stream is still let in, in milliseconds; 30,000 by default. */
  recheck_ms?: number
  /** Answers what is asked of `/mcp`; closed with the server. */
  mcp?: Endpoint
}

/** A part of a server that is none of the API's routes. */
export interface Endpoint {
  /** Never rejects. */
  fetch: Serve
  /** Ends its streams. */
  close(): Promise<void>
}

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

const DEBUG_REFUSED =
  'Tools are not debugged while others can reach this server: whoever reaches it could run any file of this machine. ' +
  'Debug on a server that listens on loopback alone.'

/** How often runs of instances that are gone are looked for, in milliseconds. */
const RECOVER_EVERY_MS = 1_000
/** How often schedules that are due are looked for, in milliseconds. */
const FIRE_EVERY_MS = 1_000
/** How often texts that wait for vectors are looked for, in milliseconds. */
const EMBED_EVERY_MS = 500
/** How often streams past their retention are looked for, in milliseconds. */
const PRUNE_EVERY_MS = 10 * 60_000

/** How often what is older than the rules of retention say is deleted, in milliseconds. */
const RETAIN_EVERY_MS = 60 * 60_000

/** When the routes that nobody has asked for yet are loaded, in milliseconds after the start. */
const PRELOAD_AFTER_MS = 2_000

/** The data directory that `env` asks for. */
export function resolveDataDirectory(env: Environment): string {
  const asked = env['LOCI_HOME']
  return asked === undefined || asked === '' ? join(homedir(), '.loci') : resolve(asked)
}

/** Opens Loci. Throws `store_unavailable`, `store_newer` or `config_invalid` with what to do; the caller closes it. */
export async function openLoci(options: LociOptions = {}): Promise<Loci> {
  const env = options.env ?? process.env
  if (options.data?.trim() === '')
    throw new AppError(
      'invalid_argument',
      'the data directory is empty text; name a folder, or leave --data out',
    )
  const data = options.data === undefined ? resolveDataDirectory(env) : resolve(options.data)
  const log = options.log_level === undefined ? null : openLog(parseLogLevel(options.log_level))
  const onFailure = options.onFailure ?? (log ? log.failure : reportOnStderr)
  const stale_after_ms = Number(env['LOCI_STALE_AFTER_MS'] ?? 0)
  log?.redactor.knowEnvironment(env)
  let observability: Observability | null = null
  const store = await openSqliteStore({
    directory: data,
    version: VERSION,
    allow_network_fs: env['LOCI_ALLOW_NETWORK_FS'] === '1',
    encryption_key: env['LOCI_ENCRYPTION_KEY'] || null,
    ...(stale_after_ms > 0 ? { stale_after_ms } : {}),
    onWrite: (timing) => observability?.metrics?.written(timing),
  })
  try {
    const config = await openConfig(data, {
      env,
      onBroken: (error) => onFailure('reading config.json', error),
    })
    const seen = (observability = await openObservability({ metrics: config.value.server.metrics, env, log }))
    const fromEnv = providersFromEnv(env)
    const hideKeys = (list: readonly ProviderConfig[]) => log?.redactor.know(list.flatMap(secretsOf))
    hideKeys(config.value.providers)
    const providers = providersNow(config, fromEnv, hideKeys)
    const editors = createEditors(data)
    const catalog = createModels({
      providers: withEditor(providers, editors),
      create_model: (provider, model) =>
        provider.headers?.[WINDOW_HEADER] === undefined
          ? createModel(provider, model)
          : createEditorModel(`${provider.name}/${model.name}`, editors, (now) => createModel(now, model)),
      absent: absentEditorModel,
      default_handle: config.value.defaults.model ?? env['LETTA_DEFAULT_LLM_HANDLE'] ?? null,
      discover_local: options.discover_local ?? config.value.discover_local,
    })
    const allow_private = env['LOCI_ALLOW_PRIVATE_URLS'] === '1'
    const closing = new AbortController()
    const reach: { refusal: string | null } = { refusal: null }
    const follower = new McpFollower(
      async (actor, server_id) => {
        const { followMcpServer } = await import('../core/tools/mcp-servers.ts')
        await followMcpServer(deps, actor, server_id, { signal: closing.signal })
      },
      (error) => {
        // What a server does wrong stands in its state.
        if (!isAppError(error)) onFailure('reading the tools of an MCP server', error)
      },
    )
    const mcp = lazyMcpConnections({
      limits: mcpLimits(config.value),
      stdioRefused: () => (config.value.server.allow_stdio_mcp ? null : reach.refusal),
      credentials: (actor, server_id) => ({
        load: () => store.mcp_servers.credentials(actor, server_id),
        save: (text) => store.mcp_servers.setCredentials(actor, server_id, text),
      }),
      onToolsChanged: (actor, server_id) => follower.changed(actor, server_id),
    })
    const custom = lazyCustomTools({
      data,
      env,
      api: ({ actor }, request) => app.fetch(request, toolAccess(actor)),
      debugRefused: () => (reach.refusal === null ? null : DEBUG_REFUSED),
    })
    const tools = createToolRunner({
      web: {
        allow_private,
        exa: { api_key: env['EXA_API_KEY'] || null, base_url: env['EXA_BASE_URL'] || null },
      },
      custom,
      mcp: async ({ actor, tool, ...call }, options) => {
        const { runMcpTool } = await import('../core/tools/mcp-servers.ts')
        const given = { arguments: call.arguments, secrets: () => call.secrets() }
        return runMcpTool({ store, mcp }, actor, tool, given, options)
      },
    })
    const deps: CoreDeps = {
      store,
      ...observe({ models: catalog, tools }, seen.observers),
      embeddings: createEmbeddings({
        providers,
        default_handle: config.value.defaults.embedding ?? env['LETTA_DEFAULT_EMBEDDING_HANDLE'] ?? null,
        discover_local: options.discover_local ?? config.value.discover_local,
      }),
      custom,
      mcp,
      clock: { now: () => new Date(), monotonic: () => performance.now() },
    }
    await store.tools.seed(DEFAULT_ACTOR, deps.tools.builtins)
    await store.vectors.embedMessages(config.value.embed_messages)
    await store.turns.recover()
    const tasks = new Set<Promise<void>>()
    const { server } = config.value
    const busy_ms = Number(env['LOCI_AGENT_BUSY_MS'] ?? 0)
    const runs = new ActiveRuns(deps, onFailure, {
      resume: server.resume_background_runs,
      max_chunks: server.stream_max_chunks,
      loadEncoder: async () => (await import('./resume-runs.ts')).encoderOf,
      ...(busy_ms > 0 ? { busy_ms } : {}),
    })
    const uploaded = join(data, 'files')
    const ingest = new FileIngest(
      store.files,
      lazyFileParser({ directory: uploaded, parsers: join(data, 'parsers') }),
      onFailure,
      {
        onRefused: (file_id) =>
          log?.warn('reading files', `${file_id} could not be read; its error_message says why`),
      },
    )
    const batches = new BatchQueue(() => context, { at_once: server.batch_concurrency })
    const context: ServerContext = {
      deps,
      runs,
      editors,
      providers: createProviders({
        config,
        taken: fromEnv.map(({ name }) => name),
        usual_url: (type) => PRESETS.find(({ provider_type }) => provider_type === type)?.base_url ?? '',
        models: catalog,
        models_of: (provider) => createModels({ providers: [provider], discover_local: false }),
      }),
      calls: new RepeatedCalls(),
      answers: new AnswerCache(),
      queue: new TurnQueue(),
      batches,
      retention: retentionRules(config.value.retention),
      metrics: seen.metrics,
      names: new OneAtATime(),
      uploads: { directory: uploaded, max_bytes: server.max_upload_mb * 1024 * 1024, ingest },
      onFailure,
      download: async (url, options) =>
        (await import('../tools/web/download.ts')).download(url, { ...options, allow_private }),
      tasks,
      closing: closing.signal,
    }
    const app = createApp(context)
    seen.metrics?.queues(async () => ({ messages: context.queue.waiting, ...(await store.backlog()) }))
    const unlessClosing = (error: unknown) => {
      if (!closing.signal.aborted) onFailure('looking after runs', error)
    }
    const recovery = repeat(RECOVER_EVERY_MS, unlessClosing, async () => {
      await store.turns.recover()
      const left = await store.turns.interrupted()
      if (left.length > 0) await (await import('./resume-runs.ts')).resumeRuns(context, left)
      const uncalled = await store.turns.takeUncalled()
      if (uncalled.length > 0) await (await import('./resume-runs.ts')).callBackLate(context, uncalled)
      ingest.wake()
      batches.wake()
    })
    const firing = repeat(FIRE_EVERY_MS, unlessClosing, async () =>
      (await import('./schedules.ts')).fireSchedules(context),
    )
    const embedding = repeat(EMBED_EVERY_MS, unlessClosing, () =>
      embedWaiting(deps, closing.signal, ({ owner, model, code, wait_ms }) =>
        log?.warn(
          'embedding',
          `${model} failed for ${owner} (${code}); it is asked again in ${wait_ms / 1000} s`,
        ),
      ),
    )
    const pruning = repeat(PRUNE_EVERY_MS, unlessClosing, async () => {
      await store.streams.prune(new Date(Date.now() - server.stream_retention_hours * 3_600_000))
      await ingest.tidy()
      await removeUnfinished(data)
      await store.traces.prune(new Date(Date.now() - server.trace_retention_days * 86_400_000))
    })
    const ageing = repeat(RETAIN_EVERY_MS, unlessClosing, async () => {
      await applyRetention(store.retention, context.retention, new Date(), { signal: closing.signal })
    })
    const preload = setTimeout(() => {
      pruning.now()
      ageing.now()
      const mcpTools = store.tools.count(DEFAULT_ACTOR, { tool_types: ['external_mcp'] })
      const loading = [
        app.preload(),
        import('./resume-runs.ts'),
        loadSockets(),
        import('../core/ports/tool-code.ts'),
        preloadAdapters([...config.value.providers, ...fromEnv]),
        mcpTools.then((count) => (count > 0 ? mcp.preload() : undefined)),
      ]
      Promise.all(loading).catch((error: unknown) => {
        if (!closing.signal.aborted) onFailure('loading the routes', error)
      })
    }, PRELOAD_AFTER_MS)
    preload.unref()
    let hadNetwork = false
    return {
      fetch: (request, access = OWNER) => app.fetch(request, access),
      holder: (key) => holderOf(store, key),
      hasPagesOf: (origin) =>
        store.access_tokens.hasOrigin(origin, new Date(Date.now() - KEEP_EXPIRED_MS).toISOString()),
      forUsers: (serve) =>
        forUsers(serve, {
          users: store.users,
          limits: () => config.value.limits,
          refuse: (request, error) => failedAnswer(error, request, context),
        }),
      data,
      models: () => deps.models.list(DEFAULT_ACTOR),
      allowed_hosts: config.value.server.allowed_hosts,
      config: { path: config.path, unknown_keys: unknownKeys(config.stored) },
      address: { host: server.host, port: server.port },
      seen,
      tls: server.tls && { cert: resolve(data, server.tls.cert), key: resolve(data, server.tls.key) },
      cors: server.cors_origins.length > 0 ? server.cors_origins : null,
      limits: connectionLimits(server),
      shutdown_grace_ms: config.value.server.shutdown_grace_seconds * 1000,
      log,
      onFailure,
      reachableAt(host) {
        if (isLoopback(host) && config.value.server.allowed_hosts.length === 0) return
        reach.refusal =
          'MCP servers that are programs of this machine are not started while others can reach this server: whoever ' +
          'reaches it could run any program. Set server.allow_stdio_mcp in config.json to allow it, or reach the MCP ' +
          'server over HTTP.'
      },
      refusal(socket) {
        hadNetwork ||= toolsHadNetwork(data)
        return hadNetwork ? refusalOf(socket) : null
      },
      endStreams: () => closing.abort(),
      drain: (grace_ms) => runs.stop(grace_ms),
      async close() {
        clearTimeout(preload)
        closing.abort()
        await Promise.all([
          recovery.stop(),
          firing.stop(),
          embedding.stop(),
          pruning.stop(),
          ageing.stop(),
          ingest.stop(),
        ])
        await runs.stop()
        await batches.ended()
        await Promise.allSettled(tasks)
        await Promise.all([follower.close(), mcp.close(), custom.close()])
        await seen.close()
        await store.close()
        log?.close()
      },
    }
  } catch (error) {
    await observability?.close()
    await store.close()
    throw error
  }
}

/**
 * Serves Loci on a socket. Closing lets turns end within their grace, then cancels them; close Loci afterwards. Throws
 * `invalid_argument` for an address that cannot be had, or that others can reach when there is no key.
 */
export async function listen(
  loci: Loci,
  options: ServeOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const { allowed_hosts, log, seen } = loci
  const { host, port, key = null, cors = loci.cors, tls = loci.tls, grace_ms = 0 } = options
  loci.reachableAt(host)
  log?.redactor.know([key])
  const api: Serve = (request, access) => loci.fetch(request, access)
  const routed = loci.forUsers(options.mcp ? withMcp(options.mcp, api) : api)
  const listening = await listenOn(options.docs ? withDocs(routed) : routed, {
    host,
    port,
    allowed_hosts,
    key,
    holder: (text) => loci.holder(text),
    pages: (origin) => loci.hasPagesOf(origin),
    cors,
    recheck_ms: options.recheck_ms,
    onFailure: loci.onFailure,
    tls,
    onCertificate: (failure) => {
      const text =
        failure === null ? 'renewed; new connections use it' : `the old one stays: ${messageOf(failure)}`
      if (log) log.warn('the certificate', text)
      else if (failure !== null) loci.onFailure('reading the certificate', failure)
    },
    limits: { ...loci.limits, ...options.limits },
    upgrades: webSockets({ limits: options.sockets, onFailure: loci.onFailure, onCount: seen.socket }),
    ...(key === null ? { refusal: loci.refusal } : {}),
    around: seen.requests,
  })
  return {
    url: listening.url,
    async close() {
      loci.endStreams()
      await listening.close(Promise.all([options.mcp?.close(), loci.drain(grace_ms)]), grace_ms)
    },
  }
}

/** Serves MCP alone on a socket, as `listen` does. Closing closes `mcp` too. */
export async function listenMcp(
  mcp: Endpoint,
  options: {
    host: string
    port: number
    key: string | null
    allowed_hosts: readonly string[]
    refusal?: Loci['refusal']
  },
): Promise<{ url: string; close(): Promise<void> }> {
  const elsewhere: Serve = () =>
    Promise.resolve(Response.json({ detail: 'This is an MCP server; it answers on /mcp.' }, { status: 404 }))
  const { refusal, ...address } = options
  const listening = await listenOn(withMcp(mcp, elsewhere), {
    ...address,
    cors: null,
    ...(refusal && options.key === null ? { refusal } : {}),
  })
  return {
    url: listening.url,
    close: () => listening.close(mcp.close()),
  }
}

const TOOL_REFUSED =
  'A tool does not reach Loci over the network: `client` in a tool asks as its agent. If this is no tool, Loci cannot ' +
  'tell it from one: start the server with --auth, and send its key.'

async function refusalOf(socket: Socket): Promise<string | null> {
  const { isToolPeer } = await import('../tools/sandbox/tool-peer.ts')
  return (await isToolPeer(socket)) ? TOOL_REFUSED : null
}

/** `/mcp` beside everything else. */
function withMcp(mcp: Endpoint, others: Serve): Serve {
  return (request, access) => {
    if (pathOf(request) !== '/mcp') return others(request, access)
    // Its tools reach every agent of the organisation.
    return access.scope ? Promise.resolve(notForTokens()) : mcp.fetch(request, access)
  }
}

function notForTokens(): Response {
  return Response.json({ detail: 'MCP is not for access tokens.' }, { status: 403 })
}

/** Backup, restore, examination and purge of a data directory. Loaded when asked for: a server needs none of it. */
export async function loadMaintenance() {
  const [{ backUp }, { restore }, { examineStore }, { planPurge, purge }] = await Promise.all([
    import('../store/sqlite/backup.ts'),
    import('../store/sqlite/restore.ts'),
    import('../store/sqlite/doctor.ts'),
    import('../store/sqlite/purge.ts'),
  ])
  return { backUp, restore, examineStore, planPurge, purge }
}

/** config.json and the providers as the local commands work on them. Loaded when asked for. */
export async function loadSettings() {
  const [{ referenceIn }, { mask, masked, parseProvider, setValue }, { PRESETS }, { checkProvider }] =
    await Promise.all([
      import('../config/config.ts'),
      import('../config/settings.ts'),
      import('../models/providers.ts'),
      import('./provider-check.ts'),
    ])
  return {
    mask,
    masked,
    parseProvider,
    setValue,
    unknownKeys,
    openConfig,
    referenceIn,
    presets: PRESETS,
    providersFromEnv,
    /** Asks a provider for its models now, within `timeout_ms`. Never rejects. */
    checkProvider: (provider: ProviderConfig, timeout_ms: number) =>
      checkProvider(
        createModels({ providers: [provider], discover_local: false, list_timeout_ms: timeout_ms }),
        DEFAULT_ACTOR,
        provider,
      ),
    /** Models of an Ollama or LM Studio that runs on this machine, by provider name. */
    async discover(): Promise<Model[]> {
      const { models } = await createModels({ providers: [], discover_local: true }).list(DEFAULT_ACTOR)
      return models.filter(({ provider_name }) => provider_name !== 'loci')
    },
  }
}

function secretsOf({ api_key, headers }: ProviderConfig): (string | null | undefined)[] {
  return [api_key, ...Object.values(headers ?? {})]
}

/** The providers of config.json as it is at each call, and those of the environment: one array while nothing changes. */
function providersNow(
  config: Config,
  fromEnv: readonly ProviderConfig[],
  onChange: (providers: readonly ProviderConfig[]) => void,
) {
  let last: ConfigData | null = null
  let providers: readonly ProviderConfig[] = []
  const all = (data: ConfigData) => {
    if (last !== data) {
      providers = [...data.providers, ...fromEnv]
      onChange(providers)
    }
    last = data
    return providers
  }
  return () => {
    const data = config.current()
    return data instanceof Promise ? data.then(all) : all(data)
  }
}

/** The models of an editor's window beside those of the providers: one array while nothing changes. */
function withEditor(named: ReturnType<typeof providersNow>, editors: Editors) {
  let before: {
    list: readonly ProviderConfig[]
    editor: ProviderConfig
    all: readonly ProviderConfig[]
  } | null = null
  const join = (list: readonly ProviderConfig[], editor: ProviderConfig | null) => {
    if (!editor) return list
    if (before?.list !== list || before.editor !== editor) before = { list, editor, all: [...list, editor] }
    return before.all
  }
  return () => {
    const list = named()
    const editor = editors.provider()
    if (!(list instanceof Promise) && !(editor instanceof Promise)) return join(list, editor)
    return Promise.all([list, editor]).then(([list, editor]) => join(list, editor))
  }
}

function connectionLimits(server: ConfigData['server']): ConnectionLimits {
  return {
    connections: server.max_connections,
    headers_ms: server.headers_timeout_seconds * 1000,
    request_ms: server.request_timeout_seconds * 1000,
    stalled_ms: server.stalled_timeout_seconds * 1000,
    keep_alive_ms: server.keep_alive_seconds * 1000,
    // A file, and what a form puts around it.
    body_bytes: Math.max(MAX_BODY, MAX_IMPORT, (server.max_upload_mb + 1) * 1024 * 1024),
  }
}

function mcpLimits({ mcp }: ConfigData) {
  return {
    connect_ms: mcp.connect_timeout_seconds * 1000,
    list_ms: mcp.list_timeout_seconds * 1000,
    execute_ms: mcp.execute_timeout_seconds * 1000,
    execute_total_ms: Math.max(mcp.execute_timeout_seconds, mcp.execute_max_seconds) * 1000,
    idle_ms: mcp.idle_minutes * 60_000,
    message_bytes: mcp.max_message_mb * 1024 * 1024,
  }
}

function reportOnStderr(where: string, error: unknown, request_id?: string): void {
  const stack = error instanceof Error ? error.stack : undefined
  const request = request_id === undefined ? '' : ` (request ${request_id})`
  process.stderr.write(`loci: ${where}${request}: ${stack ?? messageOf(error)}\n`)
}
