/** Values (objects, lists, members, strings) of one message, and how deep they may lie in each other. */
const MAX_VALUES = 200_000
const MAX_DEPTH = 100
/** Smaller messages cannot hold enough to matter, but for their depth. */
const SMALL = 1024

const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * What is wrong with the bytes of a JSON message before it is parsed; null when it can be. Parsing takes as long as
 * there are values in it, on the one thread that everybody shares; looking takes a fraction of that.
 */
export function messageProblem(bytes: Uint8Array): string | null {
  if (bytes.length < SMALL) return null
  let values = 0
  let depth = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    switch (byte) {
      case QUOTE: {
        i = endOfString(bytes, i)
        values++
        break
      }
      case 0x7b: // {
      case 0x5b: // [
        depth++
        values++
        if (depth > MAX_DEPTH) return `values nested more than ${MAX_DEPTH} deep`
        break
      case 0x7d: // }
      case 0x5d: // ]
        depth--
        break
      case 0x2c: // ,
        values++
        break
    }
    if (values > MAX_VALUES) return `more than ${MAX_VALUES} values`
  }
  return null
}

/** Where the string that begins at `start` ends. */
function endOfString(bytes: Uint8Array, start: number): number {
  let end = start
  for (;;) {
    end = bytes.indexOf(QUOTE, end + 1)
    if (end < 0) return bytes.length
    let before = end - 1
    while (before > start && bytes[before] === BACKSLASH) before--
    if ((end - before) % 2 === 1) return end
  }
}
