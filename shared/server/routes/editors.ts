import * as z from 'zod'
import { editorBody, editorId, editorState } from '../../schema/editor.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ editor_id: editorId })

export const routes = [
  route({
    method: 'GET',
    path: '/v1/editors',
    summary: 'List the editor windows that offer their models as provider vscode',
    answer: z.array(editorState),
    handle: ({ context }) => context.editors.list(),
  }),
  route({
    demands: 'owner',
    method: 'PUT',
    path: '/v1/editors/:editor_id',
    summary: 'Offer the models of an editor window as provider vscode, for as long as it answers',
    params,
    body: editorBody,
    answer: editorState,
    handle: ({ context, params, body }) => context.editors.put(params.editor_id, body),
  }),
  route({
    demands: 'owner',
    method: 'DELETE',
    path: '/v1/editors/:editor_id',
    summary: 'Take the models of an editor window back',
    params,
    answer: 'empty',
    async handle({ context, params }) {
      if (!(await context.editors.delete(params.editor_id))) throw notFound('Editor', params.editor_id)
      return new Response(null, { status: 204 })
    },
  }),
]
