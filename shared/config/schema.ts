import * as z from 'zod'
import { providerConfig } from '../schema/provider.ts'

/** A provider as config.json may hold it. */
export const provider = providerConfig.loose().refine(({ name }) => name !== 'loci' && name !== 'letta', {
  path: ['name'],
  message: 'this name is taken by Loci itself',
})

const providers = z.array(provider).superRefine((list, context) => {
  for (const [index, { name }] of list.entries()) {
    if (list.findIndex((other) => other.name === name) === index) continue
    context.addIssue({ code: 'custom', path: [index, 'name'], message: `'${name}' is there twice` })
  }
})

const handle = z.string().regex(/^[^/]+\/.+$/, "expected a handle like 'openai/gpt-4.1-mini'")

/** An address of PostgreSQL, or the variable that it is in. */
const storeAddress = z
  .string()
  .regex(
    /^(?:postgres(?:ql)?:\/\/.+|\$\{env:[A-Za-z_][A-Za-z0-9_]*\})$/i,
    "expected postgres://user:password@host:port/database, or '${env:NAME}'",
  )

const days = z.number().min(1).max(36_500).nullable().default(null)

/** What config.json may hold. Keys of a newer Loci, or of the user's own, are kept and left alone. */
export const configSchema = z.looseObject({
  providers: providers.default([]),
  defaults: z
    .looseObject({
      /** Handle that agents get when they name none. */
      model: handle.nullable().default(null),
      embedding: handle.nullable().default(null),
    })
    .prefault({}),
  server: z
    .looseObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: z.number().int().min(0).max(65_535).default(8283),
      /** Values of the Host header to accept beside loopback's, for proxies and tunnels; `*.name` for all below it. */
      allowed_hosts: z
        .array(
          z
            .string()
            .regex(/^(?:\*\.)?[^\s/*]+$/, "expected a host name like 'loci.example.com' or '*.example.com'"),
        )
        .default([]),
      /** Origins of web pages that may use the API, as `--cors` names them. */
      cors_origins: z
        .array(
          z
            .string()
            .refine(
              (text) => URL.parse(text)?.origin === text,
              "expected an origin like 'https://app.example.com'",
            ),
        )
        .default([]),
      /** PEM files of a certificate and its key; a relative path begins at the data directory. With them the server speaks HTTPS. */
      tls: z
        .looseObject({ cert: z.string().min(1), key: z.string().min(1) })
        .nullable()
        .default(null),
      /** Connections at once. */
      max_connections: z.number().int().min(1).max(1_000_000).default(4096),
      /** How long the head of a request may take to come. */
      headers_timeout_seconds: z.number().min(0.1).max(3600).default(15),
      /** How long a request may take to come whole, with its body. */
      request_timeout_seconds: z.number().min(0.1).max(86_400).default(300),
      /** How long a client may read nothing of an answer that waits for it, or send nothing of a request. */
      stalled_timeout_seconds: z.number().min(0.1).max(86_400).default(120),
      /** How long a connection stays open for its next request. */
      keep_alive_seconds: z.number().min(0.1).max(3600).default(75),
      /** How long turns that run may go on when the server is told to stop. */
      shutdown_grace_seconds: z.number().min(0).max(3600).default(10),
      /** Go on with background runs whose process has ended or died. */
      resume_background_runs: z.boolean().default(true),
      /** Requests of batches that run at once, of all processes on this data together. */
      batch_concurrency: z.number().int().min(1).max(64).default(4),
      /** Requests of batches whose model calls go through batches of the providers. */
      provider_batches: z
        .looseObject({
          /** How many of them are under way at once, of all processes on this data together. */
          max_waiting: z.number().int().min(1).max(1000).default(100),
          /** How long a call waits for others that are sent with it. */
          collect_seconds: z.number().min(0).max(600).default(2),
          /** How long until the first look at a batch; the waits grow from there. */
          first_poll_seconds: z.number().min(0.01).max(3600).default(10),
          max_poll_seconds: z.number().min(0.01).max(3600).default(300),
        })
        .prefault({}),
      /** How long the stream of a background run is stored after its end. */
      stream_retention_hours: z
        .number()
        .min(0)
        .max(24 * 365)
        .default(3),
      /** How long traces are kept: what went to a model in each step and what came back. 0: for the day they are made on. */
      trace_retention_days: z.number().min(0).max(3650).default(30),
      /** Largest file that can be uploaded, in megabytes of 1024 × 1024 bytes. */
      max_upload_mb: z.number().min(1).max(2048).default(100),
      /** Chunks that are stored of one run; the oldest go first. */
      stream_max_chunks: z.number().int().min(1000).default(100_000),
      /** Answer `/metrics`, for Prometheus. */
      metrics: z.boolean().default(false),
      /** Start MCP servers that are programs of this machine, also when others can reach the server. */
      allow_stdio_mcp: z.boolean().default(false),
    })
    .prefault({}),
  /** Where uploads are kept until they were read, when not beside the store or in it. */
  storage: z
    .looseObject({
      /** A bucket of S3, or of what speaks like it; what is null comes from the environment. In use when `bucket` is set. */
      s3: z
        .looseObject({
          /** Address of the service without the bucket; null: Amazon's of the region. */
          endpoint: z.string().min(1).nullable().default(null),
          bucket: z.string().min(1).nullable().default(null),
          region: z.string().min(1).nullable().default(null),
          /** In front of every key. */
          prefix: z.string().nullable().default(null),
          /** The bucket is in the path of an address, not in the name of its host; null: with an `endpoint`. */
          path_style: z.boolean().nullable().default(null),
          access_key_id: z.string().min(1).nullable().default(null),
          secret_access_key: z.string().min(1).nullable().default(null),
          session_token: z.string().min(1).nullable().default(null),
        })
        .prefault({}),
    })
    .prefault({}),
  store: z
    .looseObject({
      /** The database that agents are kept in; null: the data directory. */
      address: storeAddress.nullable().default(null),
    })
    .prefault({}),
  /** After how many days what is stored is deleted, by kind; null: never. */
  retention: z
    .looseObject({
      /** Messages that are in no context. */
      messages_days: days,
      /** Runs that have ended, and their steps. */
      runs_days: days,
      batches_days: days,
      /** Changes that the live feed can go back to; beyond the newest ten thousand they go after a week in any case. */
      events_days: days,
      /** What `/v1/usage` adds up. */
      usage_days: days,
    })
    .prefault({}),
  /** What each user may use, unless the user has limits of their own; null: no limit. The owner has none. */
  limits: z
    .looseObject({
      /** By all keys of a user together. */
      requests_per_hour: z.number().int().min(1).nullable().default(1000),
      agents: z.number().int().min(0).nullable().default(100),
      /** Besides those that come with Loci. */
      tools: z.number().int().min(0).nullable().default(1000),
      /** Largest file, in megabytes of 1024 × 1024 bytes; `server.max_upload_mb` holds as well. */
      file_mb: z.number().min(0).nullable().default(100),
    })
    .prefault({}),
  /** Servers of MCP whose tools agents use. */
  mcp: z
    .looseObject({
      connect_timeout_seconds: z.number().min(1).max(600).default(30),
      list_timeout_seconds: z.number().min(1).max(600).default(30),
      /** How long a call may go without a sign of life. */
      execute_timeout_seconds: z.number().min(1).max(3600).default(60),
      /** How long a call may take that keeps reporting progress. */
      execute_max_seconds: z.number().min(1).max(86_400).default(600),
      /** After which time a connection that nobody uses is closed. */
      idle_minutes: z.number().min(1).max(10_080).default(10),
      /** Largest message that is read of a server, in megabytes of 1024 × 1024 bytes. */
      max_message_mb: z.number().min(1).max(64).default(8),
    })
    .prefault({}),
  /** Embed messages too, with the embedding model of their agent, so that they are found by meaning. */
  embed_messages: z.boolean().default(false),
  /** Look for Ollama and LM Studio on this machine. */
  discover_local: z.boolean().default(true),
})

/** Checked settings with every default filled in. */
export type ConfigData = z.infer<typeof configSchema>
