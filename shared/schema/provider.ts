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
  /** When it was changed through the API. */
  updated_at: z.string().optional(),
})
export type ProviderConfig = z.infer<typeof providerConfig>

/** Keys are values here: `${env:NAME}` is for those who write config.json, not for those who send requests. */
const key = z
  .string()
  .max(10_000)
  .regex(/^(?!\s*\$\{)/, 'expected a key; references such as ${env:NAME} are written in config.json by hand')
const url = providerConfig.shape.base_url

const connection = {
  base_url: url.nullish(),
  api_version: z.string().nullish(),
  /** Of Bedrock, which Loci does not speak: given, they are refused rather than lost. */
  access_key: z.null('Loci does not speak with Bedrock, whose access keys these are').optional(),
  region: z.null('Loci does not speak with Bedrock, whose regions these are').optional(),
}

/** Body of `POST /v1/providers/`. */
export const createProvider = z.object({
  name: providerName.refine(
    (name) => name !== 'loci' && name !== 'letta',
    'this name is taken by Loci itself',
  ),
  provider_type: providerType,
  api_key: key,
  ...connection,
})
export type CreateProvider = z.infer<typeof createProvider>

/** Body of `PATCH /v1/providers/{id}`: null or absent leaves a field as it is. */
export const updateProvider = z.object({ api_key: key.nullish(), ...connection })
export type UpdateProvider = z.infer<typeof updateProvider>

/** Body of `POST /v1/providers/check`. */
export const checkProvider = z.object({ provider_type: providerType, api_key: key, ...connection })
export type CheckProvider = z.infer<typeof checkProvider>

/** A provider as routes answer it (V1 `Provider`): without its key, and its URL without a password. */
export const providerState = z.object({
  id: z.string(),
  name: z.string(),
  provider_type: providerType,
  provider_category: z.enum(['base', 'byok']),
  base_url: z.string().nullable(),
  api_version: z.string().nullable(),
  region: z.null(),
  api_key: z.null(),
  access_key: z.null(),
  api_key_enc: z.null(),
  access_key_enc: z.null(),
  updated_at: z.string().nullable(),
  last_synced: z.string().nullable(),
})
export type ProviderState = z.infer<typeof providerState>
