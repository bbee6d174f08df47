import * as z from 'zod'

/** The provider whose models are those of an editor: the first part of their handles. */
export const EDITOR_PROVIDER = 'vscode'

/** Names a window of an editor, chosen by itself. */
export const editorId = z
  .string()
  .regex(
    /^editor-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    "expected an id like 'editor-<uuid>'",
  )

/** Body of `PUT /v1/editors/{id}`: where a window serves its models (OpenAI's chat completions), and with which key. */
export const editorBody = z.object({
  /** On this machine, for example `http://127.0.0.1:49152/v1`. */
  base_url: z
    .url({ protocol: /^http$/, hostname: /^(127\.0\.0\.1|\[::1\]|localhost)$/ })
    .describe('On the machine of the server itself'),
  api_key: z.string().min(16).max(1000),
  /** Says which models there are; another text after each change of them. */
  revision: z.string().max(200).default(''),
})
export type EditorBody = z.infer<typeof editorBody>

/** A window that offers its models, as routes answer it: without its key. */
export const editorState = z.object({
  id: editorId,
  base_url: z.string(),
  /** When it came. */
  since: z.string(),
})
export type EditorState = z.infer<typeof editorState>

/** The same as it is kept for all instances. */
export const editorRecord = editorBody.extend({ id: editorId, since: z.string() })
export type EditorRecord = z.infer<typeof editorRecord>

/** Header of requests to a window: the id of the window that is meant. */
export const WINDOW_HEADER = 'x-loci-window'
