import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { capped } from '../answer.ts'
import { defineTool } from '../tool.ts'
import { LONGEST_WAIT } from '../turn/send.ts'
import { findTool } from './tool-find.ts'

/** What `POST /v1/tools/run` answers, as far as it is told here. */
const outcome = z.object({
  status: z.string(),
  tool_return: z.unknown(),
  stdout: z.array(z.string()).nullish(),
  stderr: z.array(z.string()).nullish(),
})

export const toolTest = defineTool(
  {
    name: 'tool_test',
    title: 'Try a tool',
    description: 'Runs a tool once behind the wall, without an agent: from source, or one that is stored.',
    about: 'agents',
    input: {
      tool: z.string().optional().describe('A stored tool, instead of source_code'),
      source_code: z.string().optional(),
      source_type: z.enum(['typescript', 'python']).default('typescript'),
      args: z.record(z.string(), z.unknown()).default({}),
      wait_seconds: z
        .int()
        .min(1)
        .max(LONGEST_WAIT)
        .default(LONGEST_WAIT)
        .describe('Stop it after this long'),
    },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
    async run({ tool, source_code, source_type, args, wait_seconds }, { client, signal, aside }) {
      if ((tool === undefined) === (source_code === undefined))
        throw new AppError('invalid_argument', 'Give either tool or source_code.')
      const stored = tool === undefined ? null : await findTool(client, tool, signal)
      if (stored && !stored.source_code)
        throw new AppError(
          'invalid_argument',
          `${stored.name} has no source: only tools of one's own run here.`,
        )
      const body = stored
        ? {
            source_code: stored.source_code,
            source_type: stored.source_type,
            json_schema: stored.json_schema,
            pip_requirements: stored.pip_requirements,
            npm_requirements: stored.npm_requirements,
          }
        : { source_code, source_type }
      const timeUp = AbortSignal.timeout(wait_seconds * 1000)
      const answer = await aside(() =>
        client.letta.post('/v1/tools/run', {
          body: { ...body, args },
          signal: AbortSignal.any([signal, timeUp]),
          maxRetries: 0,
        }),
      ).catch((cause: unknown) => {
        if (!timeUp.aborted || signal.aborted) throw cause
        throw new AppError(
          'tool_error',
          `The tool did not end within ${wait_seconds} s and was stopped. Look for a loop without end or a wait for ` +
            `something that does not come, or try it with less to do. Agents may wait longer for it than this test.`,
          { cause },
        )
      })
      const { status, tool_return, stdout, stderr } = outcome.parse(answer)
      const said = typeof tool_return === 'string' ? tool_return : JSON.stringify(tool_return)
      const printed = [...(stdout ?? []), ...(stderr ?? [])].join('\n').trim()
      const lines = [said, printed === '' ? '' : `printed:\n${printed}`]
      return {
        text: capped(lines.filter((line) => line !== '').join('\n\n'), () => 'Return or print less.'),
        failed: status !== 'success',
      }
    },
  },
  'authoring',
)
