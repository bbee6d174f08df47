/** What a user does in a page with files in hand. */
import type { Locator } from 'playwright-core'

export interface PastedFile {
  name: string
  type: string
  /** Base64, or that many zeros. */
  bytes: string | number
}

/** What of a browser is used here: its types are no part of these programs. */
interface BrowserScope {
  DataTransfer: new () => { items: { add(file: unknown): void }; setData(type: string, text: string): void }
  File: new (parts: Uint8Array[], name: string, options: { type: string }) => unknown
  ClipboardEvent: new (type: string, init: object) => unknown
  DragEvent: new (type: string, init: object) => unknown
}
interface Target {
  dispatchEvent(event: unknown): boolean
}

/** A PNG of one pixel. */
export const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

/** Pastes a file where the user writes. */
export async function pasteFile(input: Locator, file: PastedFile): Promise<void> {
  await input.evaluate((target, { name, type, bytes }) => {
    const scope = globalThis as unknown as BrowserScope
    const letters = typeof bytes === 'string' ? atob(bytes) : ''
    const data = typeof bytes === 'number' ? new Uint8Array(bytes) : new Uint8Array(letters.length)
    for (let at = 0; at < letters.length; at++) data[at] = letters.charCodeAt(at)
    const clipboardData = new scope.DataTransfer()
    clipboardData.items.add(new scope.File([data], name, { type }))
    const event = new scope.ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true })
    ;(target as unknown as Target).dispatchEvent(event)
  }, file)
}

/** Drops a file of the workspace there. */
export async function dropFile(input: Locator, uri: string): Promise<void> {
  await input.evaluate((target, dropped) => {
    const scope = globalThis as unknown as BrowserScope
    const dataTransfer = new scope.DataTransfer()
    dataTransfer.setData('text/uri-list', `${dropped}\r\n`)
    const event = new scope.DragEvent('drop', {
      dataTransfer,
      bubbles: true,
      cancelable: true,
      composed: true,
    })
    ;(target as unknown as Target).dispatchEvent(event)
  }, uri)
}
