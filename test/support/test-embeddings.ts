/** Deterministic embeddings for tests: texts that share words, parts of words or spellings are near each other. */

/** A vector of hashed trigrams of the text's words, small words left out. */
export function testVector(text: string, dim = 256): number[] {
  const vector = Array.from<number>({ length: dim }).fill(0)
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    if (word.length < 3) continue
    const padded = ` ${word} `
    for (let i = 0; i + 3 <= padded.length; i++) {
      const hash = hashOf(padded.slice(i, i + 3))
      vector[hash % dim]! += (hash >>> 16) % 2 === 0 ? 1 : -1
    }
  }
  // Something of every text, so that none is without direction.
  vector[0]! += 0.01
  return vector
}

function hashOf(text: string): number {
  let hash = 2_166_136_261
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16_777_619)
  return hash >>> 0
}

/** The answer of `POST /v1/embeddings` for a request's body. */
export function embeddingsAnswer(body: Record<string, unknown>, dim = 256) {
  const input = body['input'] as string[]
  return {
    object: 'list',
    model: body['model'],
    data: input.map((text, index) => ({ object: 'embedding', index, embedding: testVector(text, dim) })),
    usage: { prompt_tokens: 0, total_tokens: 0 },
  }
}
