/**
 * The portable contract: what our routes answer must be assignable to the official client's own types. There is
 * nothing to run: `npm run check` compiles this file, and a field that drifts fails there.
 */
import type Letta from '@letta-ai/letta-client'
import type { AgentState } from '../../shared/schema/agent.ts'
import type { Block } from '../../shared/schema/block.ts'
import type { LettaMessage, LettaResponse, StreamItem } from '../../shared/schema/message.ts'
import type { Model, ModelSettings } from '../../shared/schema/model.ts'
import type { ArchivalMemorySearchResponse, Passage } from '../../shared/schema/passage.ts'
import type { Run, Step } from '../../shared/schema/run.ts'
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
  Assignable<Wire<Omit<AgentState, 'model_settings'>>, Omit<Letta.AgentState, 'model_settings'>>,
  // The client's union has one shape for each provider type; TypeScript relates them one by one.
  Assignable<Wire<SettingsOf<'openai'>>, Letta.OpenAIModelSettings>,
  Assignable<Wire<SettingsOf<'anthropic'>>, Letta.AnthropicModelSettings>,
  Assignable<Wire<SettingsOf<'google_ai'>>, Letta.GoogleAIModelSettings>,
  Assignable<Wire<SettingsOf<'groq'>>, Letta.GroqModelSettings>,
  Assignable<Wire<Block>, Letta.BlockResponse>,
  Assignable<Wire<Passage>, Letta.Passage>,
  Assignable<Wire<ArchivalMemorySearchResponse>, Letta.Agents.PassageSearchResponse>,
  Assignable<Wire<Tool>, Letta.Tool>,
  Assignable<Wire<Model>, Letta.Model>,
  Assignable<Wire<Run>, Letta.Agents.Run>,
  Assignable<Wire<Step>, Letta.Step>,
  Assignable<Wire<LettaMessage>, Letta.Agents.Message>,
  Assignable<Wire<LettaResponse>, Letta.Agents.LettaResponse>,
  Assignable<Wire<StreamItem>, Letta.Agents.LettaStreamingResponse>,
]
