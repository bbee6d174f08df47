/** The package brings no types: a plugin for Turndown that knows tables, strikethrough and task lists. */
declare module '@joplin/turndown-plugin-gfm' {
  import type Turndown from 'turndown'
  export const gfm: (turndown: Turndown) => void
}
