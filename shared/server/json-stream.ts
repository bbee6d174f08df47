import { breather } from './json-slices.ts'

const encoder = new TextEncoder()

/** An answer of JSON, written as its pieces are made. `onFailure` is told what breaks it off. */
export function jsonStream(pieces: AsyncGenerator<string>, onFailure: (error: unknown) => void): Response {
  const breathe = breather()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        await breathe()
        const { done, value } = await pieces.next()
        if (done) controller.close()
        else controller.enqueue(encoder.encode(value))
      } catch (error) {
        // The answer has begun: all that is left is to break it off, so that nobody takes it for whole.
        onFailure(error)
        controller.error(error)
      }
    },
    async cancel() {
      await pieces.return(undefined)
    },
  })
  return new Response(body, { headers: { 'content-type': 'application/json' } })
}
