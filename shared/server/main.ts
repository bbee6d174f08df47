/** Wires one process: the only file that picks adapters. */
import type { Socket } from 'node:net'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { openConfig } from '../config/config.ts'
import type { ConfigData } from '../config/schema.ts'
import { unknownKeys } from '../config/settings.ts'
import { storeAddress } from '../config/store-address.ts'
import { ActiveRuns } from '../core/active-runs.ts'
import { FileIngest } from '../core/files/ingest.ts'
import type { CoreDeps } from '../core/ports/deps.ts'
import { McpFollower } from '../core/tools/mcp-follow.ts'
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
import { openStore, placeOf } from '../store/open-store.ts'
import { openUploads } from '../store/open-uploads.ts'
import { lazyFileParser } from '../tools/files/lazy-parser.ts'
import { lazyMcpConnections } from '../tools/mcp/lazy-connections.ts'
import { lazyCustomTools, removeUnfinished, toolsHadNetwork } from '../tools/lazy-custom-tools.ts'
import { createToolRunner } from '../tools/tool-runner.ts'
import { OWNER, toolAccess } from './access.ts'
import { AnswerCache } from './answer-cache.ts'
import { ProviderBatches } from '../core/provider-batches.ts'
import { BatchQueue } from './batch-queue.ts'
import { MAX_BODY, MAX_IMPORT } from './body.ts'
import { createApp, failedAnswer } from './app.ts'
import { DEFAULT_ACTOR, type ServerContext } from './context.ts'
import { absentEditorModel, createEditorModel } from './editor-model.ts'
import { createEditors } from './editors.ts'
import type { ConnectionLimits } from './http-server.ts'
import { isLoopback } from './listen.ts'
import type { Loci } from './loci.ts'
import { openLog, parseLogLevel } from './log.ts'
import { type Observability, openObservability } from './observability.ts'
import { observe } from './observe.ts'
import { OneAtATime } from './one-at-a-time.ts'
import { watchOutages } from './outages.ts'
import { createProviders } from './providers.ts'
import { providersNow, secretsOf, withEditor } from './provider-sources.ts'
import { RepeatedCalls } from './repeated-calls.ts'
import { retentionRules } from './retention.ts'
import { TurnQueue } from './turn-queue.ts'
import { keepUp } from './upkeep.ts'
import { forUsers, holderOf } from './users.ts'
import { loadSockets } from './ws/sockets.ts'

type Environment = Record<string, string | undefined>

export interface LociOptions {
  /** Data directory; default `LOCI_HOME`, else `.loci` in the user's home. Created when missing. */
  data?: string | undefined
  /**
   * `postgres://…`: the database that agents are kept in; default `LOCI_STORE`, else `store.address` of config.json,
   * else the data directory. */
  store?: string | undefined
  /** Where providers and settings are read from; default `process.env`. */
  env?: Environment
  /** Look for Ollama and LM Studio on localhost; default true. */
  discover_local?: boolean
  /** Hears of failures that are ours; default: the log, else a line on stderr. Must not throw. */
  onFailure?: (where: string, error: unknown, request_id?: string) => void
  /** Log requests and failures on stderr from this level on; default: no log. Throws `invalid_argument`. */
  log_level?: string | undefined
}

const DEBUG_REFUSED =
  'Tools are not debugged while others can reach this server: whoever reaches it could run any file of this machine. ' +
  'Debug on a server that listens on loopback alone.'

/** When the routes that nobody has asked for yet are loaded, in milliseconds after the start. */
const PRELOAD_AFTER_MS = 2_000

/** The data directory that `env` asks for. */
export function resolveDataDirectory(env: Environment): string {
  const asked = env['LOCI_HOME']
  return asked === undefined || asked === '' ? join(homedir(), '.loci') : resolve(asked)
}

/** Milliseconds; 0 for the usual. */
function readStaleAfter(text: string | undefined): number {
  if (text === undefined || /^\d{0,9}$/.test(text.trim())) return Number(text ?? 0)
  throw new AppError(
    'invalid_argument',
    `LOCI_STALE_AFTER_MS is ${text}, and not a whole number of milliseconds.`,
  )
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
  const outages = log && watchOutages(log, () => store.ready())
  const onFailure = options.onFailure ?? outages?.failure ?? reportOnStderr
  const stale_after_ms = readStaleAfter(env['LOCI_STALE_AFTER_MS'])
  log?.redactor.knowEnvironment(env)
  let observability: Observability | null = null
  const config = await openConfig(data, {
    env,
    onBroken: (error) => onFailure('reading config.json', error),
  })
  const address = storeAddress(options.store, env, config)
  if (address !== null) log?.redactor.know([address])
  const store = await openStore({
    directory: data,
    address,
    version: VERSION,
    allow_network_fs: env['LOCI_ALLOW_NETWORK_FS'] === '1',
    encryption_key: env['LOCI_ENCRYPTION_KEY'] || null,
    ...(stale_after_ms > 0 ? { stale_after_ms } : {}),
    onWrite: (timing) => observability?.metrics?.written(timing),
    onNotice: (sentence) => log?.warn('store', sentence),
  })
  try {
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
    const { server } = config.value
    const observed = observe({ models: catalog, tools }, seen.observers)
    const deps: CoreDeps = {
      store,
      ...observed,
      provider_batches: new ProviderBatches(
        { calls: store.provider_calls, batches: store.batches, models: observed.models },
        {
          collect_ms: server.provider_batches.collect_seconds * 1000,
          first_poll_ms: server.provider_batches.first_poll_seconds * 1000,
          max_poll_ms: server.provider_batches.max_poll_seconds * 1000,
          local_at_once: server.batch_concurrency,
        },
        onFailure,
      ),
      embeddings: createEmbeddings({
        providers,
        default_handle: config.value.defaults.embedding ?? env['LETTA_DEFAULT_EMBEDDING_HANDLE'] ?? null,
        discover_local: options.discover_local ?? config.value.discover_local,
      }),
      custom,
      mcp,
      clock: { now: () => store.now(), monotonic: () => performance.now() },
    }
    await store.tools.seed(DEFAULT_ACTOR, deps.tools.builtins)
    await store.vectors.embedMessages(config.value.embed_messages)
    await store.turns.recover()
    const tasks = new Set<Promise<void>>()
    const busy_ms = Number(env['LOCI_AGENT_BUSY_MS'] ?? 0)
    const runs = new ActiveRuns(deps, onFailure, {
      resume: server.resume_background_runs,
      max_chunks: server.stream_max_chunks,
      loadEncoder: async () => (await import('./resume-runs.ts')).encoderOf,
      ...(busy_ms > 0 ? { busy_ms } : {}),
    })
    const { s3 } = config.value.storage
    log?.redactor.know([s3.secret_access_key, s3.session_token])
    const uploads = await openUploads({ s3, env, store, directory: data })
    const ingest = new FileIngest(
      { files: store.files, uploads, parser: lazyFileParser({ parsers: join(data, 'parsers') }) },
      onFailure,
      {
        upload_ms: server.request_timeout_seconds * 1000,
        onRefused: (file_id) =>
          log?.warn('reading files', `${file_id} could not be read; its error_message says why`),
      },
    )
    const batches = new BatchQueue(() => context, {
      at_once: server.batch_concurrency,
      at_providers: server.provider_batches.max_waiting,
    })
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
      uploads: { store: uploads, max_bytes: server.max_upload_mb * 1024 * 1024, ingest },
      onFailure,
      download: async (url, options) =>
        (await import('../tools/web/download.ts')).download(url, { ...options, allow_private }),
      tasks,
      closing: closing.signal,
    }
    const app = createApp(context)
    seen.metrics?.queues(async () => ({ messages: context.queue.waiting, ...(await store.backlog()) }))
    const upkeep = keepUp(context, {
      server,
      ingest,
      removeUnfinished: () => removeUnfinished(data),
      onEmbeddingFailure: ({ owner, model, code, wait_ms }) =>
        log?.warn(
          'embedding',
          `${model} failed for ${owner} (${code}); it is asked again in ${wait_ms / 1000} s`,
        ),
    })
    const preload = setTimeout(() => {
      upkeep.tidy()
      // What is wrong with it does not wait for the first upload; everything else works without.
      uploads.check({ signal: closing.signal }).catch((error: unknown) => {
        if (!closing.signal.aborted) onFailure('looking at where uploads are kept', error)
      })
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
        store.access_tokens.hasOrigin(
          origin,
          new Date(store.now().getTime() - KEEP_EXPIRED_MS).toISOString(),
        ),
      forUsers: (serve) =>
        forUsers(serve, {
          users: store.users,
          now: () => store.now(),
          limits: () => config.value.limits,
          refuse: (request, error) => failedAnswer(error, request, context),
        }),
      data,
      store: address === null ? null : placeOf(address),
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
      drain(grace_ms) {
        store.hurry(grace_ms)
        return runs.stop(grace_ms)
      },
      async close() {
        store.hurry(0)
        clearTimeout(preload)
        closing.abort()
        await Promise.all([upkeep.stop(), ingest.stop()])
        await runs.stop()
        await batches.ended()
        await Promise.allSettled(tasks)
        await Promise.all([follower.close(), mcp.close(), custom.close()])
        await seen.close()
        outages?.stop()
        await store.close()
        log?.close()
      },
    }
  } catch (error) {
    await observability?.close()
    outages?.stop()
    await store.close()
    throw error
  }
}

const TOOL_REFUSED =
  'A tool does not reach Loci over the network: `client` in a tool asks as its agent. If this is no tool, Loci cannot ' +
  'tell it from one: start the server with --auth, and send its key.'

async function refusalOf(socket: Socket): Promise<string | null> {
  const { isToolPeer } = await import('../tools/sandbox/tool-peer.ts')
  return (await isToolPeer(socket)) ? TOOL_REFUSED : null
}

/** Backup, restore, examination and purge of a store. Loaded when asked for: a server needs none of it. */
export async function loadMaintenance() {
  const [
    { backUp },
    { restore },
    { examineStore },
    { planPurge, purge },
    { readAddress },
    { examineDatabase },
  ] = await Promise.all([
    import('../store/sqlite/backup.ts'),
    import('../store/sqlite/restore.ts'),
    import('../store/sqlite/doctor.ts'),
    import('../store/sqlite/purge.ts'),
    import('../store/postgres/address.ts'),
    import('../store/postgres/doctor.ts'),
  ])
  return {
    backUp,
    restore,
    examineStore,
    planPurge,
    purge,
    examineDatabase,
    readAddress,
    /** The data directory that is meant, and the database in whose place it would be; null: none. */
    storeOf: async ({ data, store }: { data?: string; store?: string }, env: Environment) => {
      const directory = data === undefined ? resolveDataDirectory(env) : resolve(data)
      const address = storeAddress(store, env, await openConfig(directory))
      return { directory, database: address === null ? null : readAddress(address) }
    },
  }
}

/** The copy of a whole store to another engine. Loaded when asked for. */
export async function loadStoreCopy() {
  const [{ copyStore, discardCopy }, { verifyCopy }] = await Promise.all([
    import('../store/copy-store.ts'),
    import('../store/verify-copy.ts'),
  ])
  return { copyStore, discardCopy, verifyCopy }
}

/** config.json and the providers as the local commands work on them. Loaded when asked for. */
export async function loadSettings() {
  const [
    { referenceIn },
    { mask, masked, parseProvider, setValue },
    { PRESETS },
    { checkProvider },
    { examineObjectStorage },
    { readAddress },
  ] = await Promise.all([
    import('../config/config.ts'),
    import('../config/settings.ts'),
    import('../models/providers.ts'),
    import('./provider-check.ts'),
    import('../store/open-uploads.ts'),
    import('../store/postgres/address.ts'),
  ])
  return {
    mask,
    masked,
    parseProvider,
    setValue,
    unknownKeys,
    openConfig,
    referenceIn,
    storeAddress,
    /** Throws `invalid_argument` when an address of a database cannot be read; of a variable there is nothing to say. */
    checkStoreAddress: (address: string) => void (referenceIn(address) === null && readAddress(address)),
    presets: PRESETS,
    providersFromEnv,
    examineObjectStorage,
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
