import { IMAGE_TYPES, inMegabytes, LIMITS, type Attachment } from '../../composer-protocol.ts'

/** The images among these files as attachments, and a sentence for each file that cannot be one. */
export async function readImages(
  files: readonly File[],
): Promise<{ images: Attachment[]; refused: string[] }> {
  const images: Attachment[] = []
  const refused: string[] = []
  for (const file of files) {
    const name = file.name || 'image'
    if (!IMAGE_TYPES.includes(file.type)) {
      refused.push(`${name} is no image that models read (PNG, JPEG, GIF, WebP). Add other files with @.`)
    } else if (file.size > LIMITS.image) {
      refused.push(`${name} has ${inMegabytes(file.size)}; an image may have ${inMegabytes(LIMITS.image)}.`)
    } else {
      const data = toBase64(new Uint8Array(await file.arrayBuffer()))
      images.push({ kind: 'image', id: crypto.randomUUID(), name, media_type: file.type, data })
    }
  }
  return { images, refused }
}

function toBase64(bytes: Uint8Array): string {
  let text = ''
  // In pieces: a call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 0x8000)
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(text)
}
