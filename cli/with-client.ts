import { connect, describeFailure, type LociClient } from '../shared/client/http.ts'
import { Failure, logFailure } from './failure.ts'
import { tokenOf } from './token.ts'

/** What a command works on: a server, or a data directory of this machine (neither: the usual one). */
export interface Place {
  url?: string
  data?: string
}

/** A client of the place; the caller closes it. With a URL nothing was sent yet. */
export async function openClient({ url, data }: Place): Promise<LociClient> {
  if (url !== undefined) return connect({ url, token: tokenOf(process.env) })
  const { openInProcess } = await import('../shared/client/in-process.ts')
  return openInProcess({ data, onFailure: logFailure })
}

/** Does something with a client and closes it; whatever it throws becomes one readable `Failure`. */
export async function withClient<T>(place: Place, work: (client: LociClient) => Promise<T>): Promise<T> {
  const client = await openClient(place)
  try {
    // Says at once, without retries, that nothing is there, or something else.
    if (place.url !== undefined) await client.health()
    return await work(client)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(describeFailure(error, client.url), { cause: error })
  } finally {
    await client.close()
  }
}
