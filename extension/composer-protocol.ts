/**
 * What crosses between the composer's two sides: where the user writes (webview) and what finds files, keeps drafts and
 * asks with VS Code's own pickers (host). Part of the chat's channel.
 */
import type { UserContent, UserPart } from './protocol.ts'

/** Something that goes with a message. `id` is of the draft alone. */
export type Attachment =
  /** A text file, read when the message is sent. */
  | { kind: 'file'; id: string; uri: string; path: string }
  /** Lines of a document as they were when they were added; numbers from 1. */
  | { kind: 'selection'; id: string; path: string; from: number; to: number; text: string }
  | { kind: 'image'; id: string; name: string; media_type: string; data: string }

/** What the user has begun to write. */
export interface Draft {
  text: string
  attachments: Attachment[]
}

/** A file of the workspace that may be meant. */
export interface FileChoice {
  uri: string
  name: string
  /** Its folder, from the workspace's. */
  folder: string
}

export interface ComposerRequests {
  /** What was begun in this conversation, in any view of it, and what the conversation is called. */
  'composer.open': { params: null; result: { draft: Draft; conversation: string } }
  /** Keeps what is written; attachments stay as they were when they are null. */
  'composer.keep': { params: { text: string; attachments: Attachment[] | null }; result: null }
  /** Asks with a picker; the chosen conversation is shown by the host. */
  'composer.pickConversation': { params: null; result: null }
  /** Asks with a picker; the agent thinks with it from its next message on. */
  'composer.pickModel': { params: null; result: null }
  /** Asks with a picker for files, the selection or an image. */
  'composer.pickContext': { params: null; result: Attachment[] }
  /** Files whose path has these letters, best first. */
  'composer.findFiles': { params: { query: string }; result: FileChoice[] }
  /** An attachment for each of these files, or a sentence why not. */
  'composer.attach': { params: { uris: string[] }; result: Attachment[] }
  /** The texts of these files as they are now, in order. */
  'composer.read': { params: { uris: string[] }; result: string[] }
}
export type ComposerMethod = keyof ComposerRequests

/** News of the host for the composer. */
export interface ComposerNotifications {
  /** To be added to the draft. */
  'composer.added': { attachments: Attachment[] }
}

/** What a message may carry. Sizes in bytes. */
export const LIMITS = {
  /** Characters that are written, not attached. */
  text: 1_000_000,
  file: 256 * 1024,
  image: 5 * 1024 * 1024,
  images: 10,
  attachments: 20,
  /** All of a message: the server takes 32 MiB, and images grow by a third on their way. */
  message: 20 * 1024 * 1024,
} as const
export const IMAGE_TYPES: readonly string[] = ['image/png', 'image/jpeg', 'image/gif', 'image/webp']

type Given = Record<string, unknown>
/** Parameters of each request as they were sent; undefined when they are not of that shape. */
export const COMPOSER_READERS: {
  [M in ComposerMethod]: (given: Given) => ComposerRequests[M]['params'] | undefined
} = {
  'composer.open': () => null,
  'composer.keep'({ text, attachments }) {
    const read = parseDraft({ text, attachments: attachments ?? [] })
    return read ? { text: read.text, attachments: attachments === null ? null : read.attachments } : undefined
  },
  'composer.pickConversation': () => null,
  'composer.pickModel': () => null,
  'composer.pickContext': () => null,
  'composer.findFiles': ({ query }) => (typeof query === 'string' ? { query } : undefined),
  'composer.attach': ({ uris }) => (isTexts(uris) ? { uris } : undefined),
  'composer.read': ({ uris }) => (isTexts(uris) ? { uris } : undefined),
}

/** Whether a request is one of the composer's. */
export function isComposerMethod(method: string): method is ComposerMethod {
  return Object.hasOwn(COMPOSER_READERS, method)
}

/** Reads a draft as it was kept or sent; null for anything that is not one. */
export function parseDraft(value: unknown): Draft | null {
  if (!isObject(value) || typeof value['text'] !== 'string' || !Array.isArray(value['attachments']))
    return null
  const attachments = value['attachments'].map(parseAttachment)
  return attachments.every((one) => one !== null) ? { text: value['text'], attachments } : null
}

function parseAttachment(value: unknown): Attachment | null {
  if (!isObject(value)) return null
  const { kind, id, uri, path, from, to, text, name, media_type, data } = value
  if (typeof id !== 'string') return null
  if (kind === 'file' && typeof uri === 'string' && typeof path === 'string') return { kind, id, uri, path }
  if (
    kind === 'selection' &&
    typeof path === 'string' &&
    typeof from === 'number' &&
    typeof to === 'number' &&
    typeof text === 'string'
  )
    return { kind, id, path, from, to, text }
  if (
    kind === 'image' &&
    typeof name === 'string' &&
    typeof media_type === 'string' &&
    typeof data === 'string' &&
    IMAGE_TYPES.includes(media_type)
  )
    return { kind, id, name, media_type, data }
  return null
}

/** What an attachment is called. */
export function nameOf(attachment: Attachment): string {
  if (attachment.kind === 'image') return attachment.name
  const name = attachment.path.split('/').at(-1) ?? attachment.path
  return attachment.kind === 'file' ? name : `${name}:${linesOf(attachment)}`
}

/** `3` or `3-5`. */
export function linesOf({ from, to }: { from: number; to: number }): string {
  return from === to ? String(from) : `${from}-${to}`
}

/** Bytes that an attachment adds to a message, as far as they are known before files are read. */
export function sizeOf(attachment: Attachment): number {
  if (attachment.kind === 'image') return Math.floor((attachment.data.length * 3) / 4)
  return attachment.kind === 'selection' ? attachment.text.length : 0
}

/** Why these cannot all go with one message; null when they can. */
export function refusalOf(attachments: readonly Attachment[]): string | null {
  if (attachments.length > LIMITS.attachments)
    return `A message takes at most ${LIMITS.attachments} attachments; these would be ${attachments.length}.`
  const images = attachments.filter(({ kind }) => kind === 'image')
  if (images.length > LIMITS.images)
    return `A message takes at most ${LIMITS.images} images; these would be ${images.length}.`
  const large = attachments.find((one) => sizeOf(one) > LIMITS[one.kind === 'image' ? 'image' : 'file'])
  if (large)
    return `${nameOf(large)} has ${inMegabytes(sizeOf(large))}; at most ${inMegabytes(LIMITS[large.kind === 'image' ? 'image' : 'file'])} can be attached.`
  const all = attachments.reduce((sum, one) => sum + sizeOf(one), 0)
  if (all > LIMITS.message)
    return `The attachments have ${inMegabytes(all)} together; a message takes at most ${inMegabytes(LIMITS.message)}.`
  return null
}

/** `5.1 MB`, `256 KB`. */
export function inMegabytes(bytes: number): string {
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KB`
  // Rounded up: what is too large by a little is not called as large as it may be.
  return `${Math.ceil((bytes / 1024 / 1024) * 10) / 10} MB`
}

/** What is sent for a draft; `texts` are those of its files, in order. Texts follow what the user wrote. */
export function contentOf({ text, attachments }: Draft, texts: readonly string[]): UserContent {
  const files = attachments.filter((one) => one.kind === 'file')
  const parts = attachments.flatMap((one): string[] => {
    if (one.kind === 'image') return []
    const lines = one.kind === 'selection' ? ` lines="${linesOf(one)}"` : ''
    const body = one.kind === 'selection' ? one.text : (texts[files.indexOf(one)] ?? '')
    return [`<attachment path="${one.path.replaceAll('"', '&quot;')}"${lines}>\n${body}\n</attachment>`]
  })
  const whole = [text.trim(), ...parts].filter((part) => part !== '').join('\n\n')
  const images = attachments.flatMap((one): UserPart[] =>
    one.kind === 'image'
      ? [{ type: 'image', source: { type: 'base64', media_type: one.media_type, data: one.data } }]
      : [],
  )
  if (images.length === 0) return whole
  return whole === '' ? images : [{ type: 'text', text: whole }, ...images]
}

/** A text that was sent, apart from what was attached to it. */
export function splitAttachments(sent: string): { text: string; attached: { name: string; text: string }[] } {
  const pieces = sent.split(/(?:^|\n\n)(?=<attachment path="[^"\n]*"(?: lines="[\d-]+")?>\n)/)
  const text = sent.startsWith('<attachment ') ? '' : (pieces.shift() ?? '')
  const attached: { name: string; text: string }[] = []
  for (const piece of pieces.filter((each) => each !== '')) {
    const found = /^<attachment path="([^"\n]*)"(?: lines="([\d-]+)")?>\n([^]*)\n<\/attachment>$/.exec(piece)
    // Something that only looks like one: all of it is what was written.
    if (!found) return { text: sent, attached: [] }
    const [, path = '', lines, body = ''] = found
    const name = path.replaceAll('&quot;', '"')
    attached.push({ name: lines === undefined ? name : `${name}:${lines}`, text: body })
  }
  return { text, attached }
}

/** A message that was sent, in other words: what was attached to it stays. `images` are `data:` addresses. */
export function reworded(text: string, sent: string, images: readonly string[]): UserContent {
  const { text: before } = splitAttachments(sent)
  const attached = sent.slice(before.length).trimStart()
  const whole = [text.trim(), attached].filter((part) => part !== '').join('\n\n')
  const parts = images.flatMap((address): UserPart[] => {
    const [, media_type, data] = /^data:([\w./+-]+);base64,(.*)$/.exec(address) ?? []
    if (media_type === undefined || data === undefined) return []
    return [{ type: 'image', source: { type: 'base64', media_type, data } }]
  })
  return parts.length === 0 ? whole : [{ type: 'text', text: whole }, ...parts]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
