const ids = new WeakMap<Request, string>()

/** The id of a request, in logs and in the header `x-request-id` of its answer: the client's own when it is harmless. */
export function requestId(request: Request): string {
  let id = ids.get(request)
  if (id === undefined) {
    const given = request.headers.get('x-request-id')
    id = given !== null && /^[\w.:-]{1,128}$/.test(given) ? given : crypto.randomUUID()
    ids.set(request, id)
  }
  return id
}
