import { ask, isInteractive } from './ask.ts'
import { Failure } from './failure.ts'

/**
 * Goes on when the user says yes, or has said so with `--yes`. Throws a `Failure` for a no, and where nobody is there to
 * be asked.
 */
export async function confirm(question: string, { yes }: { yes?: boolean | undefined }): Promise<void> {
  if (yes) return
  if (!isInteractive())
    throw new Failure(
      `${question} There is no terminal to answer on, so nothing was changed. To go ahead, add --yes.`,
    )
  const answer = await ask(`${question} [y/N] `)
  if (!/^y(es)?$/i.test(answer)) throw new Failure('Nothing was changed.')
}
