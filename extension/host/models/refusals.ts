/** A request that is answered with an error of OpenAI's shape. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string

  /** `message` says what happened and what to do. */
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The command that asks for consent, by its title. */
const ALLOW = 'Run "Loci: Use the Editor’s Models…" in VS Code'

/** The user was not asked yet whether Loci may use the model, or said no. */
export function withoutConsent(name: string, access: 'refused' | 'unasked'): Refusal {
  return access === 'unasked'
    ? new Refusal(
        403,
        'no_permissions',
        `VS Code has to ask you before Loci may use ${name}. ${ALLOW} and allow it.`,
      )
    : new Refusal(
        403,
        'no_permissions',
        `VS Code does not let Loci use ${name}: you have refused it. ${ALLOW}, or choose another model.`,
      )
}

/** No such model is there now. */
export function noSuchModel(id: string, known: readonly string[]): Refusal {
  const there =
    known.length === 0 ? 'none; is an extension with models (such as Copilot) signed in?' : known.join(', ')
  return new Refusal(404, 'model_not_found', `The editor has no model '${id}'. It has: ${there}`)
}

/**
 * What the editor said when a model could not be asked, in words of its own and what to do. Nothing of it passes by
 * asking again, except what has no known reason.
 */
export function refusalOf(error: unknown, name: string): Refusal {
  if (error instanceof Refusal) return error
  const { code } = error as { code?: unknown }
  const text = saidBy(error)
  if (/off[_ -]?topic/i.test(text))
    return new Refusal(400, 'off_topic', `${name} refused the question as off its topic (${text})`)
  if (code === 'NoPermissions')
    return new Refusal(403, 'no_permissions', `VS Code does not let Loci use ${name} (${text}) ${ALLOW}.`)
  if (code === 'NotFound')
    return new Refusal(
      404,
      'model_not_found',
      `${name} is not there any more (${text}) Choose another model.`,
    )
  if (code === 'Blocked' || /quota|rate.?limit|too many requests|\b429\b/i.test(text))
    return new Refusal(
      429,
      'insufficient_quota',
      `${name} is at its limit (${text}) Wait, or choose another model.`,
    )
  if (/token.{0,40}(limit|exceed)|context.{0,20}(length|window)|too (long|large)/i.test(text))
    return new Refusal(400, 'context_length_exceeded', `${name}: ${text}`)
  if (/filter|responsible ai/i.test(text))
    return new Refusal(400, 'content_filter', `${name} filtered the question or its answer (${text})`)
  return new Refusal(502, 'editor_error', `${name} could not be asked: ${text}`)
}

/** The text of an error and of its cause, ended as a sentence. */
function saidBy(error: unknown): string {
  if (!(error instanceof Error)) return `${String(error)}.`
  const cause = error.cause instanceof Error ? error.cause.message : ''
  const text = [error.message, cause]
    .filter((part, index, all) => part !== '' && all.indexOf(part) === index)
    .join(' ')
  const said = text.trim() || error.name
  return /[.!?]$/.test(said) ? said : `${said}.`
}
