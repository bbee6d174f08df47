/**
 * Text that comes in pieces, as every engine can store it and every client read it: without NUL and lone surrogates. A
 * pair that is cut apart is put together; half of one at the very end is left out.
 */
export class StreamText {
  #half = ''

  next(piece: string): string {
    if (this.#half === '' && piece.isWellFormed() && !piece.includes('\0')) return piece
    const whole = this.#half + piece
    const cut = isHighSurrogate(whole.charCodeAt(whole.length - 1))
    this.#half = cut ? whole.slice(-1) : ''
    return wellFormed(cut ? whole.slice(0, -1) : whole)
  }
}

/** The same for a text that is whole. */
export function wellFormed(text: string): string {
  return text.replaceAll('\0', '').toWellFormed()
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff
}
