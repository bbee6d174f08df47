import * as z from 'zod'
import type { UncalledRun } from '../core/ports/turn-store.ts'
import { messageType } from '../schema/message.ts'
import { callBack } from './callback.ts'
import type { ServerContext } from './context.ts'
import { StreamMapper, type StreamShape } from './letta-stream.ts'
import { toResponse } from './turn-response.ts'

/** `StreamShape` as it was stored with a run, perhaps by another version. */
const storedShape = z.object({
  stream_tokens: z.boolean().default(false),
  types: z.array(messageType).nullable().default(null),
  speaking: z
    .object({
      use_assistant_message: z.boolean().default(true),
      assistant_message_tool_name: z.string().default('send_message'),
      assistant_message_tool_kwarg: z.string().default('message'),
      include_compaction_messages: z.boolean().default(false),
    })
    .prefault({}),
})

/** The encoder of a run's stream, from what was stored of the request that began it. */
export function encoderOf(run_id: string, wire: Record<string, unknown>): StreamMapper {
  return new StreamMapper(run_id, storedShape.parse(wire))
}

/** Goes on with background runs whose processes are gone. Never rejects. */
export async function resumeRuns(context: ServerContext, run_ids: readonly string[]): Promise<void> {
  for (const run_id of run_ids) {
    try {
      let shape: StreamShape = storedShape.parse({})
      const active = await context.runs.resume(run_id, (id, wire) => {
        shape = storedShape.parse(wire)
        return new StreamMapper(id, shape)
      })
      const url = active?.run.callback_url
      if (active && url != null && active.run.callback_sent_at === null)
        callBack(context, active, url, (result) => toResponse(result, shape))
    } catch (error) {
      context.onFailure(`going on with run ${run_id}`, error)
    }
  }
}

/** Calls back for ended runs whose process died before it did. Never rejects. */
export async function callBackLate(context: ServerContext, uncalled: readonly UncalledRun[]): Promise<void> {
  for (const { run, organization_id } of uncalled) {
    try {
      const actor = { user_id: '', organization_id }
      const result = await context.runs.endOf(actor, run)
      const config = run.request_config ?? {}
      const shape = storedShape.parse({
        types: config['include_return_message_types'] ?? null,
        speaking: config,
      })
      if (result && run.callback_url !== null)
        callBack(
          context,
          { run, actor, done: Promise.resolve(result), handedOver: () => false },
          run.callback_url,
          (end) => toResponse(end, shape),
        )
    } catch (error) {
      context.onFailure(`calling back for run ${run.id}`, error)
    }
  }
}
