import assert from 'node:assert/strict'
import type { DeriveOptions, SourceLanguage } from '../../../shared/core/ports/custom-tools.ts'
import { isAppError } from '../../../shared/schema/errors.ts'
import { createToolSources } from '../../../shared/tools/source/sources.ts'

/** A source and what it comes to. */
export interface Golden {
  says: string
  source: string
  properties: Record<string, unknown>
  /** All of them by default. */
  required?: string[]
}

/** A source that is refused, where, and with what words. */
export interface Refused {
  says: string
  source: string
  line: number
  message: RegExp
}

const sources = createToolSources()

/** A test for each source. */
export function describeGolden(source_type: SourceLanguage, goldens: readonly Golden[]): void {
  for (const { says, source, properties, required = Object.keys(properties) } of goldens)
    it(says, async () => {
      const { json_schema } = await sources.derive({ source_type, source_code: source })
      assert.deepEqual(json_schema.parameters, { type: 'object', properties, required })
    })
}

export function describeRefused(
  source_type: SourceLanguage,
  refused: readonly Refused[],
  options?: DeriveOptions,
): void {
  for (const { says, source, line, message } of refused)
    it(says, async () => {
      await assert.rejects(sources.derive({ source_type, source_code: source }, options), (error) => {
        assert.ok(isAppError(error, 'invalid_argument'), String(error))
        assert.match(error.message, message)
        assert.equal(error.data['line'], line, error.message)
        assert.ok(error.message.startsWith(`Line ${line}: `), error.message)
        return true
      })
    })
}
