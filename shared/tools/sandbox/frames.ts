// What goes over descriptor 3 between us and a process that runs a tool's code, in every language.
//
// A frame is its length in bytes (4 bytes, unsigned, big-endian) and then so many bytes of JSON (UTF-8), an object with a
// `type`. The code of a tool can write to the descriptor itself: all that comes from there is bounded and checked, and
// what is no frame ends the process.
//
//   process → us   { type: 'ready' }                                       once, when it waits for a call
//   us → process   { type: 'call', token, … }                              what to run; the rest is the language's own
//   process → us   { type: 'request', token, id, method, path, headers, body }
//                                                                          a request of the tool's `client`; `id` counts
//                                                                          up; `path` begins with `/`; headers: pairs;
//                                                                          body: base64 or null
//   us → process   { type: 'answer', id, status, headers, body }           its answer; body: base64
//   us → process   { type: 'abort' }                                       the call's signal; the process is ended soon
//   process → us   { type: 'result', token, status: 'success', value, memory_edits }
//   process → us   { type: 'result', token, status: 'error', name, message }
//                                                                          one of the two ends the call. The trace of an
//                                                                          error has been written to stderr before.
//
// `token` is random and of one call; frames with another are not heard, and after the result it is dead.
// Output: before the result the process writes `end mark` = '\n' + token + '\n' to stdout and to stderr; all before it
// is the call's output.
import { z } from 'zod'
import { contentPart } from '../../schema/message.ts'

/** Bytes of a frame from a process: of a return value or the body of a request, with what is around it. */
export const MAX_FRAME = 12 * 1024 * 1024

const base = { token: z.string().max(100) }

/** What becomes of a call: text, or parts when there are images. */
const result = z.discriminatedUnion('status', [
  z.object({
    ...base,
    type: z.literal('result'),
    status: z.literal('success'),
    value: z.union([z.string(), z.array(contentPart).max(1000)]),
    memory_edits: z.record(z.string().max(1000), z.string()).default({}),
  }),
  z.object({
    ...base,
    type: z.literal('result'),
    status: z.literal('error'),
    /** Of the error: `TypeError`. */
    name: z.string().max(200),
    message: z.string(),
  }),
])

const toolFrame = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({
    ...base,
    type: z.literal('request'),
    id: z.number().int().nonnegative(),
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
    path: z.string().startsWith('/').max(20_000),
    headers: z.array(z.tuple([z.string().max(200), z.string().max(20_000)])).max(100),
    body: z.base64().nullable(),
  }),
  result,
])

/** What a process says. */
export type ToolFrame = z.infer<typeof toolFrame>
export type RequestFrame = Extract<ToolFrame, { type: 'request' }>
export type ResultFrame = Extract<ToolFrame, { type: 'result' }>

/** What a process is told. */
export type ServerFrame =
  | { type: 'call'; token: string; [field: string]: unknown }
  | { type: 'answer'; id: number; status: number; headers: [string, string][]; body: string }
  | { type: 'abort' }

/** What a process says, from the bytes of a frame; null for what it must not say. */
export function parseToolFrame(bytes: Buffer): ToolFrame | null {
  try {
    return toolFrame.parse(JSON.parse(bytes.toString()))
  } catch {
    return null
  }
}
