import * as z from 'zod'
import { idSchema } from './ids.ts'
import { job } from './job.ts'
import { callbackUrl, contentPart, oneInput, turnRequest } from './message.ts'
import { timestamp } from './page.ts'

/** Requests of one batch at the most. */
export const MAX_REQUESTS = 10_000

/** One request of a batch (V1 `LettaBatchRequest`): a message as it is sent to an agent, and to which. */
export const batchRequest = z
  .object({ ...turnRequest, agent_id: idSchema('agent') })
  .refine(oneInput.check, oneInput.error)

/** Body of `POST /v1/messages/batches`. */
export const createBatch = z.object({
  requests: z.array(batchRequest).min(1).max(MAX_REQUESTS),
  callback_url: callbackUrl,
  /** Send the model calls in batches of the providers, which take up to a day and cost less: not of V1. */
  provider_batch: z.boolean().default(false),
})

/** How many requests of a batch are in which state. */
const batchCounts = z.object({
  total: z.number().int(),
  pending: z.number().int(),
  running: z.number().int(),
  completed: z.number().int(),
  failed: z.number().int(),
  cancelled: z.number().int(),
})
export type BatchCounts = z.infer<typeof batchCounts>

/** What of a batch for the providers' batches did not go there. */
const providerBatchState = z.object({
  /** Requests whose models were asked themselves. */
  local_requests: z.number().int(),
  /** Why the first of them was. */
  local_reason: z.string().nullable(),
})
export type ProviderBatchState = z.infer<typeof providerBatchState>

/** A batch (V1 `BatchJob`); what is in `metadata` is ours. */
export const batch = job.extend({
  job_type: z.literal('batch'),
  status: z.enum(['running', 'completed', 'failed', 'cancelled']),
  metadata: z.object({ requests: batchCounts, provider_batch: providerBatchState.optional() }),
})
export type Batch = z.infer<typeof batch>

const batchItemError = z.object({ type: z.string(), message: z.string(), detail: z.string() })
export type BatchItemError = z.infer<typeof batchItemError>

/** What has become of one request of a batch: not of V1. */
export const batchItem = z.object({
  id: z.string(),
  batch_id: z.string(),
  agent_id: z.string(),
  status: z.enum(['pending', 'running', 'completed', 'failed', 'cancelled']),
  /** Its run, once it has begun. */
  run_id: z.string().nullable(),
  error: batchItemError.nullable(),
  created_at: timestamp,
  completed_at: timestamp.nullable(),
})
export type BatchItem = z.infer<typeof batchItem>

const toolReturn = z.object({
  tool_call_id: z.string(),
  status: z.enum(['success', 'error']),
  stdout: z.array(z.string()).nullable(),
  stderr: z.array(z.string()).nullable(),
  func_response: z.union([z.string(), z.array(contentPart)]),
})

/** A message of a batch: V1's internal `Message`. */
const batchMessage = z.object({
  id: z.string(),
  agent_id: z.string(),
  conversation_id: z.string().nullable(),
  batch_item_id: z.string().nullable(),
  role: z.enum(['system', 'user', 'assistant', 'tool', 'approval']),
  content: z.array(contentPart),
  name: z.string().nullable(),
  model: z.string().nullable(),
  tool_calls: z
    .array(
      z.object({
        id: z.string(),
        type: z.literal('function'),
        function: z.object({ name: z.string(), arguments: z.string() }),
      }),
    )
    .nullable(),
  tool_call_id: z.string().nullable(),
  tool_returns: z.array(toolReturn),
  step_id: z.string().nullable(),
  run_id: z.string().nullable(),
  otid: z.string().nullable(),
  group_id: z.string().nullable(),
  sender_id: z.string().nullable(),
  is_err: z.boolean(),
  approval_request_id: z.string().nullable(),
  approve: z.boolean().nullable(),
  denial_reason: z.string().nullable(),
  approvals: z
    .array(
      z.union([
        z.object({
          type: z.literal('approval'),
          tool_call_id: z.string(),
          approve: z.boolean(),
          reason: z.string().nullable(),
        }),
        toolReturn,
      ]),
    )
    .nullable(),
  created_by_id: z.null(),
  last_updated_by_id: z.null(),
  created_at: timestamp,
  updated_at: timestamp.nullable(),
})
export type BatchMessage = z.infer<typeof batchMessage>

/** Answer of `GET /v1/messages/batches/{id}/messages` (V1 `LettaBatchMessages`). */
export const batchMessages = z.object({ messages: z.array(batchMessage) })
