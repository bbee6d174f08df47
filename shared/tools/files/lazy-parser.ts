import type { FileParser } from '../../core/ports/file-parser.ts'
import type { FileParserOptions } from './file-parser.ts'

/** The parser of uploads, loaded with the first of them: a server that gets none does not pay for it. */
export function lazyFileParser(options: FileParserOptions): FileParser {
  let loading: Promise<FileParser> | undefined
  const parser = () =>
    (loading ??= import('./file-parser.ts').then(({ createFileParser }) => createFileParser(options)))
  return {
    async *parse(claim, signal) {
      return yield* (await parser()).parse(claim, signal)
    },
    discard: async (file_id) => (await parser()).discard(file_id),
    leftovers: async () => (await parser()).leftovers(),
  }
}
