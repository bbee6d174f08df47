import * as z from 'zod'

/** Body of the routes that resume a stream (V1 `RetrieveStreamRequest`). */
export const retrieveStream = z.object({
  /** With the conversation `default`: whose. */
  agent_id: z.string().nullish(),
  /** In a conversation: the run with this id, else the one whose input had this otid, else the newest that is active. */
  run_id: z.string().nullish(),
  otid: z.string().nullish(),
  /** Chunks after this `seq_id`; 0 for all. */
  starting_after: z.number().int().min(0).default(0),
  include_pings: z.boolean().nullish(),
  /** Of V1, in seconds. Changes are noticed at once, so nothing hangs on it. */
  poll_interval: z.number().positive().nullish(),
  /** About how many chunks are read at once. */
  batch_size: z.number().int().min(1).max(10_000).nullish(),
})
export type RetrieveStream = z.infer<typeof retrieveStream>
