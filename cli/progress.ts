/** Shows how far something is in one line of a terminal on stderr; nothing where there is none. */
export function progressLine(): { show(text: string, share?: number): void; end(): void } {
  const { stderr } = process
  let shown = ''
  return {
    show(text, share) {
      const line = share === undefined ? text : `${text} ${Math.floor(share * 100)} %`
      if (!stderr.isTTY || line === shown) return
      stderr.write(`\r${line.padEnd(shown.length)}`)
      shown = line
    },
    end() {
      if (shown !== '') stderr.write(`\r${' '.repeat(shown.length)}\r`)
      shown = ''
    },
  }
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
