import { t } from './l10n.ts'
/** The server's rule for names, told before it has to be asked (shared/schema/agent.ts). */
const NAME = /^[\p{L}\p{M}\p{N}_ '-]+$/u

/** What is wrong with a name, in a sentence; null for a good one. */
export function checkAgentName(value: string, taken: readonly string[]): string | null {
  const name = value.trim()
  if (name === '') return t('An agent needs a name.')
  if (!NAME.test(name)) return t('Letters, digits, spaces, apostrophes, underscores and hyphens only.')
  if (taken.includes(name)) return t('There is an agent called {0} already.', name)
  return null
}

/** A name that no agent has: `Scout`, then `Scout 2` and so on. */
export function freeName(taken: readonly string[]): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? 'Scout' : `Scout ${n}`
    if (!taken.includes(name)) return name
  }
}

/** Memory about the user, empty at first: the agent fills it. */
export function humanBlock() {
  return {
    label: 'human',
    value: '',
    description:
      'What I know about the person I am talking with. I add to it whenever I learn something lasting.',
  }
}

/** Memory of the agent about itself. */
export function personaBlock(name: string) {
  return {
    label: 'persona',
    value: `My name is ${name}. I am friendly and to the point, and I remember what people tell me.`,
    description: 'Who I am and how I behave.',
  }
}
