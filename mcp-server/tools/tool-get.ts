import * as z from 'zod'
import { capped } from '../answer.ts'
import { defineTool, READS } from '../tool.ts'
import { findTool } from './tool-find.ts'

export const toolGet = defineTool(
  {
    name: 'tool_get',
    title: 'Look at a tool',
    description: 'The arguments of a tool and, where it was made from source, its code.',
    about: 'agents',
    input: { tool: z.string().min(1).describe('Tool name or id') },
    annotations: READS,
    async run({ tool }, { client, signal }) {
      const found = await findTool(client, tool, signal)
      const packages = [...(found.pip_requirements ?? []), ...(found.npm_requirements ?? [])]
      const lines = [
        `${found.name} (${found.id}) · ${found.tool_type}`,
        found.description ?? '',
        `arguments: ${JSON.stringify(found.json_schema?.['parameters'] ?? {})}`,
        packages.length > 0 ? `packages: ${packages.map(({ name }) => name).join(', ')}` : '',
        found.default_requires_approval ? 'Its calls wait for approval.' : '',
        found.source_code ? `source (${found.source_type}):\n${found.source_code}` : '',
      ]
      return capped(
        lines.filter((line) => line !== '').join('\n'),
        () => 'The rest is on GET /v1/tools/{id}.',
      )
    },
  },
  'authoring',
)
