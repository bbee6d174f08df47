/** MCP hosts for tests: both official clients, each over stdio and HTTP, behind one face. */
import assert from 'node:assert/strict'
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttp,
} from '@modelcontextprotocol/client'
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as LegacyStdio } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as LegacyHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { ElicitRequestSchema, ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { LOCI, type Running, start } from './cli-process.ts'

export interface Answer {
  text: string
  isError: boolean
  structured: Record<string, unknown> | undefined
}

/** A question to the host's user, and what the user says. */
export interface Question {
  message: string
  requestedSchema: { properties: Record<string, unknown> }
}
type Reply = { action: 'accept' | 'decline' | 'cancel'; content?: Record<string, string | boolean> }

export interface HostOptions {
  /** Answers questions; without it the host cannot ask its user. */
  onQuestion?: (question: Question) => Reply | Promise<Reply>
  /** The host shows MCP Apps. */
  apps?: boolean
}

export interface CallOptions {
  signal?: AbortSignal
  onprogress?: (progress: { progress: number; message?: string }) => void
}

/** What the tests need of a client, in either SDK. */
export interface Host {
  readonly protocol: string | undefined
  instructions(): string | undefined
  serverInfo(): unknown
  tools(): Promise<{ name: string; inputSchema: unknown; outputSchema?: unknown; annotations?: unknown }[]>
  call(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<Answer>
  resources(): Promise<{ uri: string; name: string }[]>
  templates(): Promise<string[]>
  read(uri: string): Promise<string>
  /** Subscribes and calls back with each URI that changes; resolves when the server knows. */
  subscribe(uri: string, changed: (uri: string) => void): Promise<void>
  prompts(): Promise<{ name: string; arguments?: { name: string }[] | undefined }[]>
  prompt(name: string, args: Record<string, string>): Promise<string>
  complete(
    of: { prompt: string } | { template: string },
    argument: { name: string; value: string },
    context?: Record<string, string>,
  ): Promise<string[]>
  close(): Promise<void>
}

/** Starts `loci mcp` with these arguments and connects; `close` ends both. */
export type Connect = (args: string[], env: Record<string, string>, options?: HostOptions) => Promise<Host>

const CLIENT = { name: 'test', version: '1' }
const UI = { 'io.modelcontextprotocol/ui': { mimeTypes: ['text/html;profile=mcp-app'] } }
const capabilitiesOf = ({ onQuestion, apps }: HostOptions) => ({
  ...(onQuestion ? { elicitation: { form: {} } } : {}),
  ...(apps ? { extensions: UI } : {}),
})

function answerOf(result: unknown): Answer {
  const { content, isError, structuredContent } = result as {
    content: { type: string; text: string }[]
    isError?: boolean
    structuredContent?: Record<string, unknown>
  }
  assert.equal(content.length, 1)
  assert.equal(content[0]?.type, 'text')
  return { text: content[0].text, isError: isError ?? false, structured: structuredContent }
}

function textOf(result: unknown): string {
  const { contents } = result as { contents: { text: string }[] }
  assert.equal(contents.length, 1)
  return contents[0]!.text
}

function promptText(result: unknown): string {
  const { messages } = result as { messages: { role: string; content: { type: string; text: string } }[] }
  assert.deepEqual(
    messages.map(({ role, content }) => [role, content.type]),
    [['user', 'text']],
  )
  return messages[0]!.content.text
}

const refOf = (of: { prompt: string } | { template: string }) =>
  'prompt' in of
    ? { type: 'ref/prompt' as const, name: of.prompt }
    : { type: 'ref/resource' as const, uri: of.template }

async function connectV1(
  transport: Transport,
  options: HostOptions,
  end: () => Promise<void>,
): Promise<Host> {
  const client = new LegacyClient(CLIENT, { capabilities: capabilitiesOf(options) })
  const { onQuestion } = options
  if (onQuestion)
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => onQuestion(params as Question))
  await client.connect(transport)
  const heard = new Map<string, (uri: string) => void>()
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) =>
    heard.get(params.uri)?.(params.uri),
  )
  return {
    protocol: '2025-11-25',
    instructions: () => client.getInstructions(),
    serverInfo: () => client.getServerVersion(),
    tools: async () => (await client.listTools()).tools,
    call: async (name, args, more) =>
      answerOf(
        await client.callTool(
          { name, arguments: args },
          undefined,
          more as Parameters<typeof client.callTool>[2],
        ),
      ),
    resources: async () => (await client.listResources()).resources,
    templates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map((one) => one.uriTemplate),
    read: async (uri) => textOf(await client.readResource({ uri })),
    async subscribe(uri, changed) {
      heard.set(uri, changed)
      await client.subscribeResource({ uri })
    },
    prompts: async () => (await client.listPrompts()).prompts,
    prompt: async (name, args) => promptText(await client.getPrompt({ name, arguments: args })),
    complete: async (of, argument, context) =>
      (
        await client.complete({
          ref: refOf(of),
          argument,
          ...(context ? { context: { arguments: context } } : {}),
        })
      ).completion.values,
    async close() {
      await client.close()
      await end()
    },
  }
}

async function connectV2(
  transport: Parameters<ModernClient['connect']>[0],
  options: HostOptions,
  end: () => Promise<void>,
): Promise<Host> {
  const client = new ModernClient(CLIENT, {
    capabilities: capabilitiesOf(options),
    versionNegotiation: { mode: 'auto' },
  })
  const { onQuestion } = options
  if (onQuestion)
    client.setRequestHandler('elicitation/create', async ({ params }) => onQuestion(params as Question))
  await client.connect(transport)
  const heard = new Map<string, (uri: string) => void>()
  client.setNotificationHandler('notifications/resources/updated', ({ params }) =>
    heard.get(params.uri)?.(params.uri),
  )
  return {
    protocol: client.getNegotiatedProtocolVersion(),
    instructions: () => client.getInstructions(),
    serverInfo: () => client.getServerVersion(),
    tools: async () => (await client.listTools()).tools,
    call: async (name, args, more) =>
      answerOf(
        await client.callTool({ name, arguments: args }, more as Parameters<typeof client.callTool>[1]),
      ),
    resources: async () => (await client.listResources()).resources,
    templates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map((one) => one.uriTemplate),
    read: async (uri) => textOf(await client.readResource({ uri })),
    async subscribe(uri, changed) {
      heard.set(uri, changed)
      const subscription = await client.listen({ resourceSubscriptions: [uri] })
      assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, [uri])
    },
    prompts: async () => (await client.listPrompts()).prompts,
    prompt: async (name, args) => promptText(await client.getPrompt({ name, arguments: args })),
    complete: async (of, argument, context) =>
      (
        await client.complete({
          ref: refOf(of),
          argument,
          ...(context ? { context: { arguments: context } } : {}),
        })
      ).completion.values,
    async close() {
      await client.close()
      await end()
    },
  }
}

const stdio = (args: string[], env: Record<string, string>) => ({
  command: process.execPath,
  args: [LOCI, 'mcp', ...args],
  env,
  stderr: 'ignore' as const,
})
const nothing = () => Promise.resolve()

/** `loci mcp --http` on a free port. The caller stops it. */
export async function startMcpHttp(
  args: string[],
  env: Record<string, string>,
): Promise<{ server: Running; url: URL }> {
  const server = start(process.execPath, [LOCI, 'mcp', '--http', '--port', '0', ...args], env)
  const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+\/mcp/)
  return { server, url: new URL(url) }
}

/** Both official clients over both transports. */
export const HOSTS: readonly (readonly [name: string, connect: Connect])[] = [
  [
    'SDK v1 over stdio',
    (args, env, options = {}) => connectV1(new LegacyStdio(stdio(args, env)), options, nothing),
  ],
  [
    'SDK v2 over stdio',
    (args, env, options = {}) => connectV2(new ModernStdio(stdio(args, env)), options, nothing),
  ],
  [
    'SDK v1 over HTTP',
    async (args, env, options = {}) => {
      const { server, url } = await startMcpHttp(args, env)
      return connectV1(new LegacyHttp(url), options, () => stopped(server))
    },
  ],
  [
    'SDK v2 over HTTP',
    async (args, env, options = {}) => {
      const { server, url } = await startMcpHttp(args, env)
      return connectV2(new ModernHttp(url), options, () => stopped(server))
    },
  ],
]

/** The clients on a server that runs already. */
export const connectV1Http = (url: URL, options: HostOptions = {}) =>
  connectV1(new LegacyHttp(url), options, nothing)
export const connectV2Http = (url: URL, options: HostOptions = {}) =>
  connectV2(new ModernHttp(url), options, nothing)

async function stopped(server: Running): Promise<void> {
  assert.deepEqual(await server.stop(), { code: 0, signal: null }, server.stderr)
}
