import type { PreparedToolInvocation } from 'vscode'
import { t } from '../l10n.ts'

/** What the user is asked before an agent is asked: it may do what it can. */
export function beforeAsking({
  agent,
  message,
}: {
  agent?: string
  message: string
}): PreparedToolInvocation {
  return {
    invocationMessage: agent ? t('Asking {0}', agent) : t('Asking an agent of Loci'),
    confirmationMessages: {
      title: agent ? t('Ask {0}?', agent) : t('Ask an agent of Loci?'),
      message: t('It may use its tools and change its memory. The message: {0}', message),
    },
  }
}

/** What the user is asked before a fact is kept. */
export function beforeRemembering({ agent, text }: { agent?: string; text: string }): PreparedToolInvocation {
  return {
    invocationMessage: t('Remembering'),
    confirmationMessages: {
      title: agent ? t('Let {0} remember this?', agent) : t('Remember this in Loci?'),
      message: text,
    },
  }
}

/** Looking something up changes nothing: nobody is asked. */
export function beforeRecalling({ query }: { query: string }): PreparedToolInvocation {
  return { invocationMessage: t('Recalling what is known of "{0}"', query) }
}
