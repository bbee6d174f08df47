import type { UploadStore } from '../../core/ports/upload-store.ts'

/** Uploads that are kept in `now`; those that came before it was set up are still read from where they were. */
export function movedUploads(now: UploadStore, before: UploadStore): UploadStore {
  return {
    begin: (file_id) => now.begin(file_id),
    fetch: async (file_id, options) =>
      (await now.fetch(file_id, options)) ?? (await before.fetch(file_id, options)),
    async discard(name) {
      await before.discard(name)
      await now.discard(name)
    },
    async *lying() {
      yield* before.lying()
      yield* now.lying()
    },
    check: (options) => now.check(options),
  }
}
