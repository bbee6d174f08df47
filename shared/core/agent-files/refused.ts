import { AppError } from '../../schema/errors.ts'

/** What is wrong with a value, as a schema says it. */
interface Issue {
  code: string
  path: readonly PropertyKey[]
  message: string
  errors?: readonly (readonly Issue[])[]
}

/** A file that cannot be imported: where in it, and why. Nothing of it has been stored. */
export function refused(path: string, why: string): AppError {
  return new AppError('invalid_argument', `The agent file cannot be imported: ${path}: ${why}`, {
    data: { path },
  })
}

/** The same for what a schema found wrong at `path`. */
export function refusedBy(path: string, error: { issues: readonly object[] }): AppError {
  const issue = deepest(error.issues as readonly Issue[])
  const place = (issue?.path ?? [])
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
  return refused(`${path}${place}`.replace(/^\./, ''), issue?.message ?? 'not what was expected')
}

/** Of a union the complaint that lies deepest: that of the alternative that was meant. */
function deepest(issues: readonly Issue[]): Issue | undefined {
  const all = issues.flatMap((issue): Issue[] => {
    if (issue.code !== 'invalid_union') return [issue]
    const inner = deepest((issue.errors ?? []).flat())
    return inner && inner.path.length > 0 ? [{ ...inner, path: [...issue.path, ...inner.path] }] : [issue]
  })
  return all.toSorted((a, b) => b.path.length - a.path.length)[0]
}
