const routes = new WeakMap<Request, string>()

/** Remembers which route answers a request. */
export function answeredBy(request: Request, route: string): void {
  routes.set(request, route)
}

/** The pattern of the route that answered a request, never its path; null when none did. */
export function routeOf(request: Request): string | null {
  return routes.get(request) ?? null
}
