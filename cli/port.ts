import { InvalidArgumentError } from 'commander'

/** A port as an option's value. */
export function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new InvalidArgumentError('A port is a number from 0 (any free one) to 65535.')
}
