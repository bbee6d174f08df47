import { t } from '../l10n.ts'

/** What the status bar says of a block of this length. */
export function limitLook(
  {
    label,
    limit,
    read_only,
    characters,
  }: { label: string; limit: number; read_only: boolean; characters: number },
  language: string,
): { text: string; tooltip: string; over: boolean } {
  const number = (value: number) => value.toLocaleString(language)
  const over = limit > 0 && characters > limit
  const icon = over ? 'warning' : read_only ? 'lock' : 'note'
  const counted = limit > 0 ? `${number(characters)} / ${number(limit)}` : number(characters)
  const lines = [
    t('Memory block {0}: {1} of {2} characters.', label, number(characters), number(limit)),
    ...(over
      ? [
          t(
            '{0} more than its limit: it is saved, and its agents are told that it is too long.',
            number(characters - limit),
          ),
        ]
      : []),
    ...(read_only ? [t('Its agents can read it, and not change it.')] : []),
  ]
  return { text: `$(${icon}) ${counted}`, tooltip: lines.join(' '), over }
}
