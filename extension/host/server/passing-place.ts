import type { ServerSettings } from '../settings.ts'

/** Where the home of a user is thrown away with the machine; null where it stays. */
export function passingPlace(
  remote: string | undefined,
  environment: NodeJS.ProcessEnv,
  { url, dataDirectory }: ServerSettings,
): string | null {
  if (url !== null || dataDirectory !== null || environment['LOCI_HOME']) return null
  if (remote === 'codespaces' || environment['CODESPACES'] === 'true') return 'codespace'
  if (remote === 'dev-container' || remote === 'attached-container') return 'container'
  return null
}
