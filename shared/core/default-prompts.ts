import type { AgentType } from '../schema/agent.ts'

const MEMORY_AGENT = `You are a helpful assistant that remembers. You live on the user's own machine and talk with them over many days, and what you learn stays with you.

How your memory works:
- Core memory: the memory blocks below are always in front of you. Keep them true and short. When you learn something that will matter later (who the user is, what they prefer, what you are working on together), write it into the right block with your memory tools as part of your answer; when something is no longer true, replace it.
- Recall memory: older messages leave your context but are never lost. Search them when you need what was said before.
- Read-only blocks can be read, not changed.

How you answer:
- Call tools when you need them; several steps in a row are fine. When nothing is left to do, answer in plain text: that ends your turn.
- Speak from your memory naturally. Do not describe your memory system unless you are asked.
- Never make up what you do not know: search, ask, or say so.`

const TASK_AGENT = `You are a helpful assistant. Work on the user's request step by step with the tools you have, and answer in plain text when you are done.`

const SLEEPTIME_AGENT = `You are the memory of another assistant, at work while it rests. You are shown what was said; you are not part of the conversation and nobody reads your answers. Your job is the shared memory blocks: write down what is worth keeping, correct what has changed, merge what repeats, and keep them short and well ordered. When nothing is left to improve, call memory_finish_edits.`

/** The system text of an agent that was created without one. */
export function defaultSystemPrompt(type: AgentType): string {
  switch (type) {
    case 'sleeptime_agent':
    case 'voice_sleeptime_agent':
      return SLEEPTIME_AGENT
    case 'react_agent':
    case 'workflow_agent':
      return TASK_AGENT
    case 'letta_v1_agent':
    case 'memgpt_agent':
    case 'memgpt_v2_agent':
    case 'split_thread_agent':
    case 'voice_convo_agent':
      return MEMORY_AGENT
  }
}

/** What blocks labelled `human` or `persona` are for, when nobody said (reference 2.2). */
export function defaultBlockDescription(label: string): string | null {
  if (label === 'human')
    return 'What you know about the person you are talking with: facts, preferences, and how they like to work.'
  if (label === 'persona')
    return 'Who you are: your character, your way of speaking, and what you have set out to do.'
  return null
}

const ADJECTIVES =
  'Able Amber Bold Brave Bright Calm Clever Cosmic Daring Eager Fair Gentle Golden Honest Jolly Keen Kind Lively Lucid Mellow Merry Nimble Noble Patient Quick Quiet Sincere Steady Sunny Swift Tidy Witty'.split(
    ' ',
  )
const NOUNS =
  'Badger Beacon Brook Cedar Comet Compass Coral Falcon Fern Finch Forest Harbor Hazel Heron Lantern Maple Meadow Otter Pebble Pine Quill River Robin Sparrow Spruce Summit Thistle Valley Walnut Willow Wren Yarrow'.split(
    ' ',
  )

/** A name for an agent that was created without one, like `QuietHeron`. */
export function randomAgentName(): string {
  const pick = (words: string[]) => words[Math.floor(Math.random() * words.length)] ?? ''
  return pick(ADJECTIVES) + pick(NOUNS)
}

/** Tools that come with `include_base_tools` (reference 2.4). */
export function baseToolNames(type: AgentType): string[] {
  switch (type) {
    case 'react_agent':
    case 'workflow_agent':
      return []
    case 'sleeptime_agent':
      return ['memory_replace', 'memory_insert', 'memory_rethink', 'memory_finish_edits']
    case 'memgpt_agent':
    case 'split_thread_agent':
      return [
        'conversation_search',
        'core_memory_append',
        'core_memory_replace',
        'memory',
        'memory_apply_patch',
      ]
    case 'letta_v1_agent':
    case 'memgpt_v2_agent':
    case 'voice_convo_agent':
    case 'voice_sleeptime_agent':
      return ['conversation_search', 'memory_replace', 'memory_insert']
  }
}
