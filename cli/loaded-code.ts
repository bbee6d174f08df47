import nodeModule from 'node:module'
import { AppError } from '../shared/schema/errors.ts'

/** How long after the start code is loaded that nobody has asked for yet, in milliseconds: a host waits for the first answer. */
const AFTER_MS = 2_000

/**
 * A process that runs for days meets an update of Loci, which removes the files that it was started from. From soon after the
 * start on, code that is loaded stays usable without its file; code that is not says what happened. `preload` loads what may
 * be needed; `failed` hears why it could not. Resolves once that is so; keeps no process alive.
 */
export function outliveUpdates(
  preload: () => Promise<unknown>,
  failed: (error: unknown) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const load = () => void preload().then(keepLoadedCode).catch(failed).then(resolve)
    setTimeout(load, AFTER_MS).unref()
  })
}

function keepLoadedCode(): void {
  const { registerHooks } = nodeModule as Partial<typeof nodeModule>
  registerHooks?.({
    resolve(specifier, context, next) {
      try {
        return next(specifier, context)
      } catch (error) {
        // Node looks for the file of a module that it has long loaded.
        if (!isMissing(error) || !specifier.startsWith('.') || context.parentURL === undefined) throw error
        return { url: new URL(specifier, context.parentURL).href, format: 'module', shortCircuit: true }
      }
    },
    load(url, context, next) {
      try {
        return next(url, context)
      } catch (error) {
        if (!isMissing(error)) throw error
        throw new AppError(
          'store_newer',
          'A part of Loci is not there any more: it was updated or removed while this process ran. Restart it; an MCP ' +
            'server is restarted by its host.',
          { cause: error },
        )
      }
    },
  })
}

function isMissing(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'ENOENT'
}
