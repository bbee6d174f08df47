import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isAppError } from '../../shared/schema/errors.ts'
import { loadSettings, resolveDataDirectory } from '../../shared/server/main.ts'
import { complain, EXIT } from '../failure.ts'
import { print, printJson } from '../print.ts'
import { plain } from '../terminal.ts'
import { unknownSettings } from '../unknown-settings.ts'

interface Options {
  data?: string
  json?: boolean
}

/** `loci config path`: where the settings are, whether or not the file is there. */
export function runConfigPath(options: Options): void {
  const path = join(directoryOf(options), 'config.json')
  if (options.json) printJson({ path, exists: existsSync(path) })
  else print(path)
}

/** `loci config show`: the settings as JSON with every default, secrets masked. */
export async function runConfigShow(options: Options): Promise<void> {
  const { openConfig, masked } = await loadSettings()
  const config = await openConfig(directoryOf(options))
  process.stdout.write(`${plain(JSON.stringify(masked(config.stored), null, 2))}\n`)
}

/** `loci config check`: one line when the file is right, or not there; otherwise what is wrong and where, and exit code 1. */
export async function runConfigCheck(options: Options): Promise<void> {
  const { checkStoreAddress, openConfig, referenceIn, unknownKeys } = await loadSettings()
  const config = await openConfig(directoryOf(options))
  const { address } = config.stored.store
  const problems = [
    ...unknownKeys(config.stored).map((key) => `${key} is not a setting this Loci knows; is it mistyped?`),
    ...config.stored.providers.flatMap(({ name, api_key }) => {
      const variable = referenceIn(api_key ?? '')
      return variable === null || process.env[variable]
        ? []
        : [`provider '${name}' takes its key from ${variable}, which is not set here.`]
    }),
    ...problemOf(() => address !== null && checkStoreAddress(address)).map((why) => `store.address: ${why}`),
  ]
  if (problems.length > 0) process.exitCode = EXIT.failure
  if (options.json) return printJson({ path: config.path, ok: problems.length === 0, problems })
  for (const problem of problems) complain(`${config.path}: ${problem}`)
  if (problems.length > 0) return
  if (!existsSync(config.path))
    process.stdout.write(`${plain(`There is no ${config.path}: the defaults hold.`)}\n`)
  else process.stdout.write(`${plain(config.path)} is right.\n`)
}

/** `loci config set`: changes one setting, or says why it cannot be; prints what changed. */
export async function runConfigSet(key: string, value: string, options: Options): Promise<void> {
  const { checkStoreAddress, openConfig, setValue, unknownKeys } = await loadSettings()
  const config = await openConfig(directoryOf(options))
  let change = { key, before: '', after: '' }
  await config.update((data) => {
    change = setValue(data, key, value)
    if (key === 'store.address' && data.store.address !== null) checkStoreAddress(data.store.address)
  })
  const unknown = unknownKeys(config.stored)
  if (unknown.length > 0) complain(unknownSettings(config.path, unknown))
  if (options.json) return printJson({ ...change, path: config.path })
  const same = change.before === change.after ? ' (as before)' : ''
  process.stdout.write(`${plain(`${change.key}: ${change.before} → ${change.after}${same}`)}\n`)
  process.stderr.write(
    `${plain(`Saved in ${config.path}. A Loci that is running uses it after a restart.`)}\n`,
  )
}

/** What a check throws of it; nothing when it is right. */
function problemOf(check: () => unknown): string[] {
  try {
    check()
    return []
  } catch (error) {
    if (!isAppError(error)) throw error
    return [error.message]
  }
}

function directoryOf(options: Options): string {
  return options.data === undefined ? resolveDataDirectory(process.env) : resolve(options.data)
}
