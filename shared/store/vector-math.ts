/** The vector of length 1 in this direction. */
export function unit(vector: Float32Array): Float32Array {
  let sum = 0
  for (const x of vector) sum += x * x
  const length = Math.sqrt(sum) || 1
  return vector.map((x) => x / length)
}

/** The numbers as bytes, as they are stored. */
export function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
}

/** The numbers of stored bytes. */
export function vectorOf(bytes: Uint8Array): Float32Array {
  return bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
    : new Float32Array(bytes.slice().buffer)
}

/** 32-bit words that the signs of so many numbers take. */
export function wordsFor(dim: number): number {
  return (dim + 31) >> 5
}

/** One bit a number: whether it is above zero. */
export function signWords(vector: Float32Array): Uint32Array {
  const words = new Uint32Array(wordsFor(vector.length))
  for (const [i, x] of vector.entries()) if (x > 0) words[i >> 5]! |= 1 << (i & 31)
  return words
}

/** `signWords` as bytes, as they are stored. */
export function signsOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(signWords(vector).buffer)
}

/** The cosine of two vectors of length 1. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0)
  return sum
}

/** Writes for each row from `from` to `to` how many of its bits differ from the query's. */
export function differences(
  bits: Uint32Array,
  query: Uint32Array,
  out: Uint16Array,
  from: number,
  to: number,
): void {
  const width = query.length
  let at = from * width
  for (let row = from; row < to; row++) {
    let count = 0
    for (let i = 0; i < width; i++, at++) {
      let x = (bits[at] as number) ^ (query[i] as number)
      x -= (x >>> 1) & 0x55555555
      x = (x & 0x33333333) + ((x >>> 2) & 0x33333333)
      count += Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
    }
    out[row] = count
  }
}
