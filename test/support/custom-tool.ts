import type {
  CustomToolCall,
  CustomToolResult,
  SourceLanguage,
  ToolPermissions,
} from '../../shared/core/ports/custom-tools.ts'
import type { LanguageTools } from '../../shared/tools/sandbox/language-tools.ts'
import { DEFAULT_ORGANIZATION_ID } from '../../shared/schema/ids.ts'

/** What a source declares that declares nothing. */
export const NO_PERMISSIONS: ToolPermissions = {
  network: false,
  read: [],
  write: [],
  timeout_ms: null,
  memory_mb: null,
  keep_state: false,
}

/** Runs a source once, as a developer who tries a tool. */
export function tryTool(
  tools: Pick<LanguageTools, 'run'>,
  source_type: SourceLanguage,
  source_code: string,
  call: Partial<Omit<CustomToolCall, 'permissions'>> & {
    permissions?: Partial<ToolPermissions>
    signal?: AbortSignal
  } = {},
): Promise<CustomToolResult> {
  const { permissions, signal = new AbortController().signal, ...given } = call
  return tools.run(
    {
      actor: { user_id: 'user-1', organization_id: DEFAULT_ORGANIZATION_ID },
      name: 'attempt',
      source: { source_type, source_code, pip_requirements: [], npm_requirements: [] },
      arguments: {},
      env: {},
      agent: null,
      run_id: null,
      permissions: { ...NO_PERMISSIONS, ...permissions },
      ...given,
    },
    { signal },
  )
}
