/**
 * The official client under watch: every answer it gets over its socket is held against V1's contract and the golden
 * shapes, and every method of it that a test calls is noted.
 */
import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import differences from '../contract/differences.json' with { type: 'json' }
import { type GoldenShapes, loadGoldenShapes } from './contract-shapes.ts'
import { openApiDocument } from '../../shared/server/openapi.ts'
import { SCRIPTED, startLoci, type TestLoci } from './loci.ts'
import { type Contract, createContract, loadContract, type OpenApiDocument } from './openapi.ts'
import { type ScriptedModel, startScriptedModel } from './scripted-model.ts'

/** One item of an event stream, as it came. */
export interface SentEvent {
  event: string | null
  data: string
}

export interface RecordedCall {
  method: string
  /** Path and query. */
  url: string
  status: number
  /** Name of the operation in the golden list, for example `GET /v1/agents/{agent_id}`; null: not written down. */
  operation: string | null
  body: unknown
  /** Filled when the answer was an event stream that has ended. */
  events: SentEvent[]
  /** Whether the contract's schema for this answer was there to be held against it. */
  validated: boolean
}

export interface Recorder {
  fetch: typeof fetch
  calls: RecordedCall[]
  /** Waits for streams to end, then throws with every deviation seen since the last time. */
  verify(): Promise<void>
}

/** How long a stream may go on once its test is at its end. */
const STREAM_END_MS = 10_000

let own: Promise<Contract> | undefined

/** Our own OpenAPI document, which our answers must keep to as well. */
function ownContract(): Promise<Contract> {
  own ??= openApiDocument().then((document) => createContract(document as unknown as OpenApiDocument))
  return own
}

/** A `fetch` that checks what it answers; without the contract's file only the other two are checked. */
export async function createRecorder(): Promise<Recorder> {
  const golden = loadGoldenShapes()
  const contract = loadContract()
  const ours = await ownContract()
  const calls: RecordedCall[] = []
  const problems: string[] = []
  const reading = new Map<RecordedCall, Promise<void>>()
  const readStream = async (call: RecordedCall, response: Response) => {
    try {
      call.events = parseEvents(await response.text())
    } catch {
      // A test that leaves early breaks its stream off; there is nothing to check in it then.
      return
    }
    problems.push(...streamProblems(contract, golden, call))
  }
  return {
    calls,
    async fetch(input, init) {
      const response = await fetch(input, init)
      const { protocol, pathname, search } = new URL(input instanceof Request ? input.url : input)
      // With `data:,` the client finds out what this runtime can upload.
      if (protocol === 'data:') return response
      const method = (init?.method ?? 'GET').toUpperCase()
      const call: RecordedCall = {
        method,
        url: pathname + search,
        status: response.status,
        operation: golden.answerOf(method, pathname)?.name ?? null,
        body: null,
        events: [],
        validated: false,
      }
      calls.push(call)
      const copy = response.clone()
      if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
        reading.set(
          call,
          readStream(call, copy).finally(() => reading.delete(call)),
        )
        return response
      }
      const text = await copy.text()
      call.body = text === '' ? null : (JSON.parse(text) as unknown)
      problems.push(...answerProblems({ contract, ours, golden }, call))
      return response
    },
    async verify() {
      const ended = Promise.all(reading.values()).then(() => 'all')
      const late = new Promise<'late'>((resolve) => setTimeout(resolve, STREAM_END_MS, 'late').unref())
      if ((await Promise.race([ended, late])) === 'late')
        for (const { method, url } of reading.keys())
          problems.push(`${method} ${url}: the stream does not end`)
      const found = [...new Set(problems.splice(0))]
      assert.ok(found.length === 0, `answers that are not V1's:\n- ${found.join('\n- ')}`)
    },
  }
}

function answerProblems(
  { contract, ours, golden }: { contract: Contract | null; ours: Contract; golden: GoldenShapes },
  call: RecordedCall,
): string[] {
  const { pathname } = new URL(call.url, 'http://localhost')
  const at = `${call.method} ${call.url.slice(0, 120)} -> ${call.status}`
  if (call.status >= 400) return golden.check(errorShape(call), call.body, `${at}: error`)
  const written = golden.answerOf(call.method, pathname)
  if (!written) return [`${at}: golden/operations.json does not say what this operation answers`]
  const operation = contract?.find(call.method, pathname) ?? null
  const theirs = withoutOurOwn(call.body, golden.kindsOf(written.expression))
  const bySchema = operation ? contract?.check(operation, call.status, theirs) : null
  call.validated = bySchema != null
  const described = ours.find(call.method, pathname)
  const byOurs = described ? ours.check(described, call.status, call.body) : null
  return [
    ...golden.check(written.expression, call.body, `${at}: answer`),
    ...(bySchema ?? [])
      .filter((problem) => !isOurOwn(problem))
      .map((problem) => `${at}: by the schema: ${problem}`),
    ...(byOurs ?? [`not described for ${call.status}`]).map(
      (problem) => `${at}: by our document: ${problem}`,
    ),
  ]
}

/** Keys that we answer beside V1's, each with its reason; the golden shapes say where. */
const OUR_OWN = new Set(Object.values(differences.shapes).flatMap((shape) => Object.keys(shape)))

function isOurOwn(problem: string): boolean {
  const [, key = ''] = /must NOT have additional properties \("(\w+)"\)/.exec(problem) ?? []
  return OUR_OWN.has(key)
}

/** The kinds of a union are told apart by their keys: with one more, the contract finds none that fits. */
function withoutOurOwn(body: unknown, kinds: readonly string[]): unknown {
  if (kinds.length === 0) return body
  if (Array.isArray(body)) return body.map((item) => withoutOurOwn(item, kinds))
  if (typeof body !== 'object' || body === null) return body
  const ours: Record<string, object> = differences.shapes
  const own = new Set(kinds.flatMap((kind) => Object.keys(ours[kind] ?? {})))
  return Object.fromEntries(Object.entries(body).filter(([key]) => !own.has(key)))
}

function errorShape(call: RecordedCall): string {
  if (call.status === 422) return 'ValidationError'
  const body = typeof call.body === 'object' && call.body !== null ? call.body : {}
  if ('error' in body) return 'LLMError'
  return 'detail' in body && typeof body.detail === 'object' ? 'PendingApprovalError' : 'Error'
}

/** Streams whose items are none of a run's. */
const CONNECTING = /^\/v1\/(mcp-servers\/connect\/|tools\/mcp\/servers\/connect)/

function streamProblems(contract: Contract | null, golden: GoldenShapes, call: RecordedCall): string[] {
  call.validated = contract !== null
  return call.events.flatMap((item, i) => {
    if (item.data === '[DONE]') return []
    const at = `${call.method} ${call.url}: item ${i}`
    const value = JSON.parse(item.data) as unknown
    const shape = CONNECTING.test(call.url) ? 'MCPConnectEvent' : 'StreamItem'
    return [
      ...golden.check(shape, value, at),
      ...(shape === 'StreamItem' ? (contract?.checkSchema('LettaStreamingResponse', value) ?? []) : []).map(
        (problem) => `${at}: by the schema: ${problem}`,
      ),
    ]
  })
}

/** Items of an event stream's text (comments are left out). */
export function parseEvents(text: string): SentEvent[] {
  return text.split('\n\n').flatMap((block) => {
    const lines = block.split('\n')
    const data = lines.filter((l) => l.startsWith('data: ')).map((l) => l.slice('data: '.length))
    if (data.length === 0) return []
    const event = lines.find((l) => l.startsWith('event: '))?.slice('event: '.length) ?? null
    return [{ event, data: data.join('\n') }]
  })
}

/** A client whose resource methods report their dotted name, for example `agents.messages.create`, when called. */
export function watchMethods<T extends object>(
  target: T,
  onCall: (name: string) => void,
  path: string[] = [],
): T {
  return new Proxy(target, {
    get(object, key) {
      const value: unknown = Reflect.get(object, key)
      if (typeof key !== 'string' || key.startsWith('_')) return value
      if (typeof value === 'function')
        return (...args: unknown[]) => {
          onCall([...path, key].join('.'))
          return Reflect.apply(value, object, args) as unknown
        }
      return isResource(value) ? watchMethods(value, onCall, [...path, key]) : value
    },
  })
}

function isResource(value: unknown): value is object {
  return typeof value === 'object' && value !== null && '_client' in value
}

/** All items of a list, paged by the client itself. */
export async function collect<T>(list: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of list) items.push(item)
  return items
}

/** Dotted names of every resource method of the official client, found by walking its resources. */
export function clientMethods(
  client: object = new Letta({ apiKey: null, baseURL: 'http://127.0.0.1' }),
): string[] {
  const walk = (resource: object, path: string[]): string[] => [
    ...Object.getOwnPropertyNames(Object.getPrototypeOf(resource))
      .filter((key) => key !== 'constructor' && typeof Reflect.get(resource, key) === 'function')
      .map((key) => [...path, key].join('.')),
    ...below(resource, path),
  ]
  const below = (object: object, path: string[]): string[] =>
    Object.entries(object).flatMap(([key, value]) =>
      isResource(value) && !key.startsWith('_') ? walk(value, [...path, key]) : [],
    )
  return ['health', ...below(client, [])]
}

/** A Loci with a scripted model, and the watched client for it. */
export interface ContractTest {
  /** Fails when an answer deviates, at `verify`. */
  letta: Letta
  model: ScriptedModel
  recorder: Recorder
  loci: TestLoci
  /** Dotted names of the client's methods called so far. */
  called: Set<string>
  /** Plain HTTP, watched too. */
  http(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>
  /** An agent on the scripted model with blocks `human` and `persona`. */
  newAgent(body?: Letta.AgentCreateParams): Promise<Letta.AgentState>
  /** One message and its scripted answer. */
  say(agent_id: string, input: string, reply: string): Promise<Letta.Agents.LettaResponse>
  /** Ends everything, and throws when the script was not kept to or Loci failed. */
  close(): Promise<void>
  /** Ends everything, whatever became of the script: for a test that has failed already. */
  abandon(): Promise<void>
}

/** Starts what `ContractTest` names; the caller closes it. */
export async function startContractTest(): Promise<ContractTest> {
  const model = await startScriptedModel([])
  const loci = await startLoci({ model_url: model.url })
  const recorder = await createRecorder()
  const called = new Set<string>()
  const plain = new Letta({ baseURL: loci.url, apiKey: null, maxRetries: 0, fetch: recorder.fetch })
  const letta = watchMethods(plain, (name) => called.add(name))
  return {
    letta,
    model,
    recorder,
    loci,
    called,
    async http(method, path, body) {
      const response = await recorder.fetch(loci.url + path, {
        method,
        headers: { 'content-type': 'application/json', 'x-stainless-package-version': '1.12.1' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, body: text === '' ? null : (JSON.parse(text) as unknown) }
    },
    newAgent: (body) =>
      letta.agents.create({
        model: SCRIPTED,
        memory_blocks: [
          { label: 'human', value: 'Name: Ada' },
          { label: 'persona', value: 'Kind.' },
        ],
        ...body,
      }),
    async say(agent_id, input, reply) {
      model.add({ reply: { text: reply } })
      return letta.agents.messages.create(agent_id, { input })
    },
    async abandon() {
      await model.close()
      await loci.close()
    },
    async close() {
      await loci.close()
      await model.close()
      await model.done()
      assert.deepEqual(loci.failures, [], 'failures that Loci called its own')
    },
  }
}

/** Hooks of the suite around: a fresh `ContractTest` for each test, whose answers were all V1's when it ends. */
export function withContractTestEach(take: (started: ContractTest) => void): void {
  let t: ContractTest
  beforeEach(async () => {
    t = await startContractTest()
    take(t)
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') return t.abandon()
    try {
      await t.recorder.verify()
    } finally {
      await t.close()
    }
  })
}
