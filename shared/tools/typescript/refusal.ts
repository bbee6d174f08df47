/** What Node's permission model refuses, in words for who writes or calls a tool; Node's own name its flags. */
const REFUSED: Record<string, (resource: string) => string> = {
  FileSystemRead: (resource) =>
    `a tool reads its scratch folder and what its source declares: '// loci: read PATH'${of(resource)}`,
  FileSystemWrite: (resource) =>
    `a tool writes its scratch folder and what its source declares: '// loci: write PATH'${of(resource)}`,
  ChildProcess: () => 'a tool starts no other programs or processes',
  WorkerThreads: () => 'a tool starts no threads',
  Addons: () => 'a tool loads no native code',
  WASI: () => 'a tool uses no WASI',
  Inspector: () => 'a tool opens no inspector',
  Net: () => NO_NETWORK,
}

const NO_NETWORK = `this tool has no network; a line '// loci: network' in its source declares it`

/** What a call of the system fails with where there is no network. */
const UNREACHABLE = new Set(['ENETUNREACH', 'EAI_AGAIN', 'ENOTFOUND', 'ECONNREFUSED'])

/** The text of an error that a tool threw; of a refusal, what it means and how to declare more. `network`: the tool has it. */
export function textOf(error: Error, network: boolean): string {
  const refused = refusedText(error)
  if (refused !== null) return refused
  // It may be anything.
  const { message } = error as { message: unknown }
  const text = String(message)
  return !network && isUnreachable(error) ? `${text}: ${NO_NETWORK}` : text
}

/** What an error of the permission model means; null for every other one. */
export function refusedText(error: Error): string | null {
  const { code, permission, resource } = error as unknown as Record<string, unknown>
  if (code !== 'ERR_ACCESS_DENIED' || typeof permission !== 'string') return null
  if (!Object.hasOwn(REFUSED, permission)) return null
  return REFUSED[permission]?.(typeof resource === 'string' ? resource : '') ?? null
}

function of(resource: string): string {
  return resource === '' ? '' : ` (${resource})`
}

function isUnreachable(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 3) return false
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown }
  if (typeof code === 'string' && UNREACHABLE.has(code)) return true
  return [cause, ...(Array.isArray(errors) ? errors.slice(0, 4) : [])].some((one) =>
    isUnreachable(one, depth + 1),
  )
}
