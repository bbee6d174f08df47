import { columns, cyan, dim, displayWidth, oneLine } from './terminal.ts'

/** The widest bar, and the narrowest that is worth its room. */
const WIDEST = 30
const NARROWEST = 8

/** Shows how far something is in one line of a terminal on stderr, with a bar where the share is known; nothing where there is none. */
export function progressLine(): { show(text: string, share?: number): void; end(): void } {
  const { stderr } = process
  let shown = ''
  return {
    show(text, share) {
      if (!stderr.isTTY) return
      const line = progressText(text, share, columns(stderr) - 1)
      if (line === shown) return
      stderr.write(`\r\x1b[K${line}`)
      shown = line
    },
    end() {
      if (shown !== '') stderr.write('\r\x1b[K')
      shown = ''
    },
  }
}

/** `Copying ━━━━━───── 45 %`, in this many columns. */
export function progressText(text: string, share: number | undefined, width: number): string {
  if (share === undefined) return oneLine(text, width)
  const part = Math.min(1, Math.max(0, share))
  const percent = ` ${String(Math.floor(part * 100)).padStart(3)} %`
  const room = Math.min(WIDEST, width - displayWidth(text) - 1 - percent.length)
  if (room < NARROWEST) return oneLine(text, width - percent.length) + percent
  const full = Math.round(room * part)
  const bar = cyan('━'.repeat(full), process.stderr) + dim('─'.repeat(room - full), process.stderr)
  return `${text} ${bar}${percent}`
}

/** `3 agents`, `1 agent`. */
export function count(n: number, noun: string): string {
  return `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`
}

/** Bytes for people: `640 B`, `1.2 MB`. */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = n
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ''}`
}

/** A word for a POSIX shell that nothing in it is read as anything but text. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
