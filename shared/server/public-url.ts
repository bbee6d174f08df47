/**
 * An address of ours as others reach it: by the name that the request was sent to, and over HTTPS also where a proxy
 * before us is what speaks it (`X-Forwarded-Proto`). Who says so falsely misleads nobody but themselves.
 */
export function publicUrl(path: string, request: Request): string {
  const url = new URL(path, request.url)
  const proto = request.headers.get('x-forwarded-proto')?.split(',')[0]?.trim().toLowerCase()
  if (proto === 'https') url.protocol = 'https:'
  return url.href
}
