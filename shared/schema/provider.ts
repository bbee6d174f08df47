import * as z from 'zod'
import { providerType } from './model.ts'

/** Milliseconds a provider may stay silent; each has a default in `models/`, longer for local providers. */
const providerTimeouts = z.object({
  /** Until the connection stands. */
  connect_ms: z.number().int().positive().optional(),
  /** From the request to the first byte of the answer. */
  first_token_ms: z.number().int().positive().optional(),
  /** Between two pieces of a streamed answer. */
  between_tokens_ms: z.number().int().positive().optional(),
})

/** Provider name: the part of a handle before the first '/'. */
const providerName = z
  .string()
  .min(1)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "letters, digits, '.', '_' and '-' only")

/** An endpoint that serves models, as config.json and the environment name it. `api_key` is a secret. */
export const providerConfig = z.object({
  name: providerName,
  provider_type: providerType,
  /** Root of the API, for example `https://api.openai.com/v1`. */
  base_url: z.url({ protocol: /^https?$/, error: 'expected a URL that begins with http:// or https://' }),
  api_key: z.string().nullish(),
  /**
   * The protocol: OpenAI's chat completions or Responses, or Anthropic's messages. Default: the one that the provider is
   * known for, else chat completions.
   */
  api: z.enum(['chat', 'responses', 'messages']).optional(),
  /** Azure's `api-version`. */
  api_version: z.string().nullish(),
  /** 'base' comes from the environment or this machine, 'byok' was added by a user. */
  category: z.enum(['base', 'byok']).default('byok'),
  /** Sent with each request, for gateways that want their own. */
  headers: z.record(z.string(), z.string()).optional(),
  timeouts: providerTimeouts.optional(),
})
export type ProviderConfig = z.infer<typeof providerConfig>
