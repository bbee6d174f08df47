import type { Route } from '../../route.ts'
import { routes as chatRoutes } from './chat.ts'
import { routes as modelRoutes } from './models.ts'
import { routes as responseRoutes } from './responses.ts'

/** What OpenAI's clients ask for, with agents in the place of models. */
export const routes: Route[] = [...chatRoutes, ...modelRoutes, ...responseRoutes]
