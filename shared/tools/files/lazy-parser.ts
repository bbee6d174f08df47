import type { FileParser } from '../../core/ports/file-parser.ts'
import type { FileParserOptions } from './file-parser.ts'

/** The parser of uploads, loaded with the first of them: a server that gets none does not pay for it. */
export function lazyFileParser(options: FileParserOptions): FileParser {
  let loading: Promise<FileParser> | undefined
  const parser = () =>
    (loading ??= Promise.all([import('./file-parser.ts'), import('./install-parsers.ts')]).then(
      ([{ createFileParser }, { openParserInstaller }]) => {
        const installer = options.installer ?? openParserInstaller(options.parsers)
        return createFileParser(installer ? { ...options, installer } : options)
      },
    ))
  return {
    async *parse(claim, options) {
      return yield* (await parser()).parse(claim, options)
    },
    close() {
      loading?.then((made) => made.close()).catch(() => undefined)
    },
  }
}
