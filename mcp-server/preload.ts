/**
 * Loads what the server would load when it is first needed: hosts keep it running for days, and an update of the extension
 * removes the files that it was started from.
 */
export async function preload(): Promise<void> {
  await Promise.all([
    import('../shared/client/http.ts'),
    import('../shared/schema/folder.ts'),
    import('../shared/schema/custom-tool.ts'),
    import('./app/memory-page.ts'),
  ])
}
