/**
 * The portable contract: what our routes answer must be assignable to the official client's own types. There is
 * nothing to run: `npm run check` compiles this file, and a field that drifts fails there.
 */
import type Letta from '@letta-ai/letta-client'
import type { AccessToken, accessTokenList, createAccessToken } from '../../shared/schema/access-token.ts'
import type { AgentState, createAgent, updateAgent } from '../../shared/schema/agent.ts'
import type { Block, createBlock, updateBlock } from '../../shared/schema/block.ts'
import type { Conversation } from '../../shared/schema/conversation.ts'
import type { LettaMessage, LettaResponse, messageRequest, StreamItem } from '../../shared/schema/message.ts'
import type { Model, ModelSettings } from '../../shared/schema/model.ts'
import type {
  ArchivalMemorySearchResponse,
  createArchivalMemory,
  Passage,
} from '../../shared/schema/passage.ts'
import type * as z from 'zod'
import type { CompactionSettings } from '../../shared/schema/compaction.ts'
import type { modifyFeedback, Run, runUsage, stepMetrics, StepState } from '../../shared/schema/run.ts'
import type {
  createdFromTemplate,
  createFromTemplate,
  createTemplate,
  savedTemplate,
  saveTemplate,
  template,
  templateDone,
  updateTemplate,
} from '../../shared/schema/template.ts'
import type { Tool } from '../../shared/schema/tool.ts'

/** A type as JSON carries it: an optional field is absent, never undefined. */
type Wire<T> = T extends (infer U)[]
  ? Wire<U>[]
  : T extends object
    ? { [K in keyof T]: Wire<Exclude<T[K], undefined>> }
    : T

type SettingsOf<Type> = Omit<ModelSettings, 'provider_type'> & { provider_type: Type }

type Assignable<Ours extends Theirs, Theirs> = Ours

export type Contract = [
  Assignable<
    Wire<Omit<AgentState, 'model_settings' | 'compaction_settings'>>,
    Omit<Letta.AgentState, 'model_settings' | 'compaction_settings'>
  >,
  Assignable<
    Omit<CompactionSettings, 'model_settings'>,
    Omit<NonNullable<Letta.AgentState['compaction_settings']>, 'model_settings'>
  >,
  // The client's union has one shape for each provider type; TypeScript relates them one by one.
  Assignable<Wire<SettingsOf<'openai'>>, Letta.OpenAIModelSettings>,
  Assignable<Wire<SettingsOf<'anthropic'>>, Letta.AnthropicModelSettings>,
  Assignable<Wire<SettingsOf<'google_ai'>>, Letta.GoogleAIModelSettings>,
  Assignable<Wire<SettingsOf<'groq'>>, Letta.GroqModelSettings>,
  Assignable<Wire<Block>, Letta.BlockResponse>,
  Assignable<Wire<AccessToken>, Letta.AccessTokenCreateResponse>,
  Assignable<Wire<z.output<typeof template>>, Letta.TemplateCreateResponse>,
  Assignable<Wire<z.output<typeof savedTemplate>>, Letta.TemplateSaveResponse>,
  Assignable<Wire<z.output<typeof templateDone>>, Letta.TemplateRollbackResponse>,
  Assignable<Wire<z.output<typeof templateDone>>, Letta.TemplateUpdateResponse>,
  Assignable<Wire<z.output<typeof createdFromTemplate>>, Letta.Templates.AgentCreateResponse>,
  Assignable<Wire<z.output<typeof accessTokenList>>, Letta.AccessTokenListResponse>,
  Assignable<Wire<Omit<Conversation, 'model_settings'>>, Omit<Letta.Conversation, 'model_settings'>>,
  Assignable<Wire<Passage>, Letta.Passage>,
  Assignable<Wire<ArchivalMemorySearchResponse>, Letta.Agents.PassageSearchResponse>,
  Assignable<Wire<Tool>, Letta.Tool>,
  Assignable<Wire<Model>, Letta.Model>,
  Assignable<Wire<Run>, Letta.Agents.Run>,
  Assignable<Wire<StepState>, Letta.Step>,
  Assignable<Wire<z.output<typeof stepMetrics>>, Letta.Steps.MetricRetrieveResponse>,
  Assignable<Wire<z.output<typeof runUsage>>, Letta.Runs.UsageRetrieveResponse>,
  Assignable<Wire<LettaMessage>, Letta.Agents.Message>,
  Assignable<Wire<LettaResponse>, Letta.Agents.LettaResponse>,
  // The client's type of a stream leaves out the two kinds that the server sends when it is asked to.
  Assignable<
    Wire<Exclude<StreamItem, { message_type: 'summary_message' | 'event_message' }>>,
    Letta.Agents.LettaStreamingResponse
  >,
]

type Parts = (Letta.Agents.TextContent | Letta.Agents.ImageContent)[]

/** Text and images: answers to approvals and client-side tools, and parts of other kinds, are not served yet. */
type Plain<T> = Omit<T, 'messages' | 'input'> & {
  messages?: (Omit<Letta.MessageCreate, 'content'> & { content: string | Parts })[] | null
  input?: string | Parts | null
}

/** Without settings by provider type, of which the client has some that came after V1, and without messages. */
type Settled<T> = Omit<T, 'model_settings' | 'compaction_settings' | 'initial_message_sequence'>

/** What the client may send must be what our routes take. */
export type Requests = [
  Assignable<Wire<Settled<Letta.AgentCreateParams>>, z.input<typeof createAgent>>,
  Assignable<Wire<Settled<Letta.AgentUpdateParams>>, z.input<typeof updateAgent>>,
  Assignable<Wire<Letta.BlockCreateParams>, z.input<typeof createBlock>>,
  Assignable<Wire<Letta.AccessTokenCreateParams>, z.input<typeof createAccessToken>>,
  Assignable<Wire<Letta.TemplateCreateParams>, z.input<typeof createTemplate>>,
  Assignable<Wire<Letta.TemplateUpdateParams>, z.input<typeof updateTemplate>>,
  Assignable<Wire<Letta.TemplateSaveParams>, z.input<typeof saveTemplate>>,
  Assignable<Wire<Letta.Templates.AgentCreateParams>, z.input<typeof createFromTemplate>>,
  Assignable<Wire<Letta.BlockUpdateParams>, z.input<typeof updateBlock>>,
  Assignable<Wire<Plain<Letta.Agents.MessageCreateParamsNonStreaming>>, z.input<typeof messageRequest>>,
  Assignable<Wire<Plain<Letta.Agents.MessageCreateParamsStreaming>>, z.input<typeof messageRequest>>,
  Assignable<Wire<Letta.Agents.PassageCreateParams>, z.input<typeof createArchivalMemory>>,
  Assignable<Wire<Letta.Steps.FeedbackCreateParams>, z.input<typeof modifyFeedback>>,
]
