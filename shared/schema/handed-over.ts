/**
 * The `detail` of the error that ends a stream before its run ends: the server stops, and another one goes on with the
 * run. Whoever reads it asks for the rest, as after a broken connection.
 */
export const HANDED_OVER = 'handed_over'
