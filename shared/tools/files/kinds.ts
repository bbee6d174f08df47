/** What the first bytes of a file say it is; its name only tells texts apart. */
export type Kind = 'pdf' | 'zip' | 'image' | 'html' | 'text' | { problem: string }

/** Formats that are named when they are refused. */
const REFUSED: { magic: readonly number[]; what: string }[] = [
  {
    magic: [0xd0, 0xcf, 0x11, 0xe0],
    what: 'it is an old Office document (DOC, XLS, PPT) or an encrypted new one; save it as DOCX, XLSX or PDF without a password',
  },
  { magic: [0x1f, 0x8b], what: 'it is gzip-compressed; unpack it and upload what is in it' },
  { magic: [0x42, 0x5a, 0x68], what: 'it is bzip2-compressed; unpack it and upload what is in it' },
  { magic: [0xfd, 0x37, 0x7a, 0x58], what: 'it is xz-compressed; unpack it and upload what is in it' },
  { magic: [0x37, 0x7a, 0xbc, 0xaf], what: 'it is a 7z archive; unpack it and upload what is in it' },
  { magic: [0x52, 0x61, 0x72, 0x21], what: 'it is a RAR archive; unpack it and upload what is in it' },
  { magic: [0x7f, 0x45, 0x4c, 0x46], what: 'it is a program, and there is no text in it' },
  { magic: [0x4d, 0x5a, 0x90], what: 'it is a program, and there is no text in it' },
]

/** What a file is, by its first bytes. */
export function sniff(head: Uint8Array, name: string): Kind {
  const starts = (magic: readonly number[], at = 0) => magic.every((byte, i) => head[at + i] === byte)
  const ascii = (text: string, at = 0) =>
    starts(
      Array.from(text, (c) => c.charCodeAt(0)),
      at,
    )
  if (ascii('%PDF-')) return 'pdf'
  if (starts([0x50, 0x4b, 0x03, 0x04]) || starts([0x50, 0x4b, 0x05, 0x06])) return 'zip'
  if (starts([0x89, 0x50, 0x4e, 0x47]) || starts([0xff, 0xd8, 0xff]) || ascii('GIF8')) return 'image'
  if (ascii('RIFF') && ascii('WEBP', 8)) return 'image'
  for (const { magic, what } of REFUSED) if (starts(magic)) return { problem: what }
  if (!isText(head)) return { problem: `it is binary, and no format that can be read${namedLike(name)}` }
  const text = Buffer.from(head).toString('latin1').trimStart().slice(0, 200).toLowerCase()
  return /^(<!doctype html|<html[\s>])/.test(text) || /\.(html?|xhtml)$/i.test(name) ? 'html' : 'text'
}

function namedLike(name: string): string {
  const extension = /\.([A-Za-z0-9]{1,8})$/.exec(name)?.[1]
  return extension === undefined ? '' : `, although its name ends in .${extension}`
}

/** UTF-16 has a mark at its beginning; other text has hardly a NUL and few control characters. */
function isText(head: Uint8Array): boolean {
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) return true
  if (hasManyNuls(head)) return false
  let odd = 0
  for (const byte of head) {
    if (byte !== 0 && byte < 32 && byte !== 9 && byte !== 10 && byte !== 13 && byte !== 12 && byte !== 27)
      odd++
  }
  return odd <= head.length / 50
}

/** A slip of some program, which is left out, is one in a thousand bytes at the most. */
function hasManyNuls(bytes: Uint8Array): boolean {
  const most = 1 + bytes.length / 1000
  let nuls = 0
  for (let at = bytes.indexOf(0); at >= 0 && nuls <= most; at = bytes.indexOf(0, at + 1)) nuls++
  return nuls > most
}

/**
 * Text as UTF-8, UTF-16 with a mark, or else Windows-1252. UTF-8 with some bytes that are wrong is still UTF-8. Throws for
 * what turns out to be binary.
 */
export function decodeText(bytes: Uint8Array): { text: string } {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return { text: new TextDecoder('utf-16le').decode(bytes) }
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return { text: new TextDecoder('utf-16be').decode(bytes) }
  if (hasManyNuls(bytes))
    throw new Error('it begins as text and goes on as something binary, which cannot be read')
  const text = new TextDecoder('utf-8').decode(bytes)
  return { text: isMostlyUtf8(text, bytes) ? text : new TextDecoder('windows-1252').decode(bytes) }
}

/** Whether most bytes beyond ASCII make characters: in another encoding hardly any do. */
function isMostlyUtf8(text: string, bytes: Uint8Array): boolean {
  let wrong = 0
  for (let at = text.indexOf('\uFFFD'); at >= 0; at = text.indexOf('\uFFFD', at + 1)) wrong++
  if (wrong === 0) return true
  let beyond = 0
  for (const byte of bytes) if (byte >= 0x80) beyond++
  return beyond - wrong >= wrong
}
