import { type Child, type ChildOptions, startNode } from './child.ts'
import type { Place } from './context.ts'
import { call, type Streamed, stream } from './http.ts'

/** The built command: what users run. */
export const LOCI = new URL('../../dist/loci.js', import.meta.url)
export const BARE = new URL('../bare-server.mjs', import.meta.url)
const DOUBLE = new URL('../double.ts', import.meta.url)

/** The handle of the double's model in Loci. */
export const MODEL = 'openai/bench'

const LISTENING = /http:\/\/127\.0\.0\.1:\d+/

/** A server that passes messages on to a model. */
export interface Target extends AsyncDisposable {
  readonly name: 'loci' | 'bare'
  readonly url: string
  readonly child: Child
  /** Makes an agent with its memory, or what comes nearest; gives its id. */
  create(): Promise<string>
  /** A conversation; `history` is whether the model sees the messages before the present one. */
  converse(history: boolean): Promise<Conversation>
}

export interface Conversation {
  send(text: string): Promise<unknown>
  stream(text: string): Promise<Streamed>
}

/** The model of a benchmark, in a process of its own. */
export interface Double extends AsyncDisposable {
  readonly url: string
  readonly child: Child
  /** Milliseconds it had each request since it was last asked, in order. */
  held(): Promise<number[]>
  /** Raw bodies since it was last asked; kept from the first time on. */
  bodies(): Promise<string[]>
}

export async function startDouble(): Promise<Double> {
  const child = startNode(DOUBLE, [])
  const [url] = await child.waitFor(LISTENING)
  return {
    url,
    child,
    held: () => call('GET', `${url}/bench/held`),
    bodies: () => call('GET', `${url}/bench/bodies`),
    [Symbol.asyncDispose]: () => child.stop(),
  }
}

/** The environment in which both servers find the double and nothing else; the user's LOCI_LOG_LEVEL holds. */
export function modelEnvironment(double: Double, home: string): Record<string, string> {
  const level = process.env['LOCI_LOG_LEVEL']
  return {
    ...(level === undefined ? {} : { LOCI_LOG_LEVEL: level }),
    HOME: home,
    OPENAI_API_KEY: 'bench',
    OPENAI_BASE_URL: `${double.url}/v1`,
    // Nothing listens there: a model server of this machine must not be looked at.
    OLLAMA_BASE_URL: 'http://127.0.0.1:1',
    LMSTUDIO_BASE_URL: 'http://127.0.0.1:1',
  }
}

export async function startBare(double: Double, probe: ChildOptions['probe'] = true): Promise<Target> {
  const child = startNode(BARE, [], { env: modelEnvironment(double, '/'), probe })
  const [url] = await child.waitFor(LISTENING)
  const create = async () => {
    const system = 'You answer in few words.'
    return (await call<{ id: string }>('POST', `${url}/conversations`, { system })).id
  }
  return {
    name: 'bare',
    url,
    child,
    create,
    async converse(history) {
      const conversation = history ? await create() : null
      return {
        send: (text) => call('POST', `${url}/messages`, { conversation, text }),
        stream: (text) => stream(`${url}/messages`, { conversation, text, streaming: true }, '"delta"'),
      }
    },
    [Symbol.asyncDispose]: () => child.stop(),
  }
}

/** `loci server` over this data directory, or this database. */
export async function startLoci(
  double: Double,
  place: string | Place,
  probe: ChildOptions['probe'] = true,
  more: { args?: readonly string[]; env?: Record<string, string> } = {},
): Promise<Target> {
  const { directory, address } = typeof place === 'string' ? { directory: place, address: null } : place
  const args = ['server', '--port', '0', '--data', directory, ...(more.args ?? [])]
  const store = address === null ? {} : { LOCI_STORE: address }
  const env = { ...modelEnvironment(double, directory), ...store, ...more.env }
  const child = startNode(LOCI, args, { env, probe })
  const [url] = await child.waitFor(LISTENING)
  return {
    name: 'loci',
    url,
    child,
    create: () => createAgent(url),
    async converse(history) {
      return agentAt(url, await createAgent(url, { message_buffer_autoclear: !history }))
    },
    [Symbol.asyncDispose]: () => child.stop(),
  }
}

/** A new agent of the double's model with the tools and memory that agents have by default; gives its id. */
export async function createAgent(
  url: string,
  more: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<string> {
  const body = {
    model: MODEL,
    context_window_limit: 1_000_000,
    memory_blocks: [
      { label: 'persona', value: 'I answer in few words.' },
      { label: 'human', value: 'Works with numbers.' },
    ],
    ...more,
  }
  return (await call<{ id: string }>('POST', `${url}/v1/agents/`, body, headers)).id
}

/** The agent of this id as a conversation, whose streams are those of background runs if wanted. */
export function agentAt(url: string, id: string, background = false): Conversation {
  const messages = `${url}/v1/agents/${id}/messages`
  return {
    async send(text) {
      const { stop_reason } = await call<{ stop_reason: { stop_reason: string } }>('POST', messages, {
        input: text,
      })
      if (stop_reason.stop_reason !== 'end_turn')
        throw new Error(`a turn ended with ${stop_reason.stop_reason}: ${text}`)
    },
    stream: (text) =>
      stream(
        messages,
        { input: text, streaming: true, stream_tokens: true, include_pings: false, background },
        '"assistant_message"',
      ),
  }
}
