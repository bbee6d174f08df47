import type { Requirement } from '../../core/ports/custom-tools.ts'
import { AppError } from '../../schema/errors.ts'

/** PEP 508, with extras. */
const PIP_NAME = /^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9][\w.-]*(?:, ?[A-Za-z0-9][\w.-]*)*\])?$/
/** PEP 440: a version, or what it is compared with. */
const PIP_VERSION = /^(?:(?:===|==|~=|!=|<=|>=|<|>) ?)?[A-Za-z0-9][\w.*+!-]*$/
const NPM_NAME = /^(?:@[a-z0-9~][\w.~-]*\/)?[a-z0-9~][\w.~-]*$/i
/** A range of semver, or a tag. */
const NPM_VERSION = /^(?:[\^~]|[<>]=?|=)? ?[A-Za-z0-9*][\w.*+-]*$/

/**
 * The lines of a requirements file, sorted. Throws `invalid_argument` for what is not a package of the index by its name
 * and version: an option, an address, a path.
 */
export function pipPackages(requirements: readonly Requirement[]): string[] {
  return requirements
    .map(({ name, version }) => {
      const parts = (version ?? '').split(',').map((part) => part.trim())
      check(
        'pip',
        { name, version },
        PIP_NAME,
        version ? parts : [],
        PIP_VERSION,
        'requests 2.32.0 or >=2,<3',
      )
      const wanted = version ? parts.map((part) => (/^[\w*]/.test(part) ? `==${part}` : part)).join(',') : ''
      return `${name}${wanted}`
    })
    .sort()
}

/** The dependencies of a package.json, sorted by name. Throws as `pipPackages`. */
export function npmPackages(requirements: readonly Requirement[]): [name: string, range: string][] {
  return requirements
    .map(({ name, version }): [string, string] => {
      const parts = (version ?? '').split(/\|\|| - |(?<=[\w*]) (?=[\^~<>=\w*])/).map((part) => part.trim())
      check('npm', { name, version }, NPM_NAME, version ? parts : [], NPM_VERSION, 'zod 4.1.0 or ^4')
      return [name, version || '*']
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function check(
  kind: string,
  { name, version }: Requirement,
  namePattern: RegExp,
  parts: readonly string[],
  versionPattern: RegExp,
  example: string,
): void {
  const wrong = !namePattern.test(name)
    ? name
    : parts.every((part) => versionPattern.test(part))
      ? null
      : version
  if (wrong === null) return
  throw new AppError(
    'invalid_argument',
    `'${String(wrong).slice(0, 200)}' cannot be a ${kind} requirement: name a package of the index and a version, ` +
      `such as ${example}; options, addresses and paths are refused`,
  )
}
