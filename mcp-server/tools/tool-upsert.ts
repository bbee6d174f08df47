import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { defineTool } from '../tool.ts'

export const toolUpsert = defineTool(
  {
    name: 'tool_upsert',
    title: 'Make or change a tool',
    description:
      'Makes a tool from source, or changes the one of its name. TypeScript: one exported function with types and JSDoc. Python: one function with type hints and a Google docstring. Test it first with tool_test.',
    about: 'agents',
    input: {
      source_code: z.string().min(1),
      source_type: z.enum(['typescript', 'python']).default('typescript'),
      requires_approval: z.boolean().optional().describe('Its calls wait for a yes of the user'),
    },
    output: z.object({ id: z.string(), name: z.string(), warnings: z.array(z.string()) }),
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    async run({ source_code, source_type, requires_approval }, { client, signal }) {
      const body = { source_code, source_type }
      const { checkedTool } = await import('../../shared/schema/custom-tool.ts')
      const checked = checkedTool.parse(await client.letta.post('/v1/tools/check', { body, signal }))
      const place = ({ line, message }: { line: number | null; message: string }) =>
        line === null ? message : `line ${line}: ${message}`
      if (checked.errors.length > 0)
        throw new AppError('validation', `Nothing was stored.\n${checked.errors.map(place).join('\n')}`)
      const made = await client.letta.tools.upsert(
        {
          ...body,
          // What the source itself asks for.
          pip_requirements: checked.pip_requirements.map(named),
          npm_requirements: checked.npm_requirements.map(named),
          ...(requires_approval === undefined ? {} : { default_requires_approval: requires_approval }),
        },
        { signal },
      )
      const warnings = checked.warnings.map(place)
      const name = made.name ?? ''
      return {
        text: [`Stored ${name} (${made.id}). tool_attach gives it to an agent.`, ...warnings].join('\n'),
        structured: { id: made.id, name, warnings },
      }
    },
  },
  'authoring',
)

function named({ name, version }: { name: string; version?: string | null | undefined }) {
  return { name, ...(version == null ? {} : { version }) }
}
