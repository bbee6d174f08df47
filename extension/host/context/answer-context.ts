import type { ContextRequest } from '../../context-protocol.ts'
import type { ContextSession } from './context-session.ts'

/** What `session` has to say to a request of the webview. Rejects with what it throws. */
export async function answerContext(session: ContextSession, request: ContextRequest): Promise<unknown> {
  const { method, params } = request
  switch (method) {
    case 'context.open':
      return session.open(params.conversationId)
    case 'context.text':
      return session.text(params.kind, params.key)
    case 'context.compact':
      return session.compact(params.mode)
    case 'context.cancel':
      session.cancel()
      return null
    case 'compaction.summary':
      return session.summary(params.messageId)
    case 'runs.earlier':
      return session.earlierRuns(params.before)
    case 'run.steps':
      return session.steps(params.runId)
    case 'step.trace':
      return session.trace(params.stepId)
  }
}
