import * as z from 'zod'
import { usageStatistics } from './message.ts'
import { jsonObject } from './page.ts'

/** Body of `POST /v1/agents/{id}/generate`. */
export const generateRequest = z.object({
  prompt: z.string().refine((text) => text.trim() !== '', 'a prompt needs more than spaces'),
  system_prompt: z.string().nullish(),
  /** Handle of the model to ask instead of the agent's. */
  override_model: z.string().nullish(),
  /** JSON schema of an object that the answer has to be. */
  response_schema: jsonObject.nullish(),
})
export type GenerateRequest = z.infer<typeof generateRequest>

/** `content` is text, or the JSON text of an object when a schema was given. */
export const generateResponse = z.object({ content: z.string(), model: z.string(), usage: usageStatistics })
export type GenerateResponse = z.infer<typeof generateResponse>
