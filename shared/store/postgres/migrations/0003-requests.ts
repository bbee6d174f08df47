/**
 * Which request began the last run of a conversation: one that is repeated joins it on whichever server it comes to.
 * Older servers leave it as it is.
 */
export const requests = `
ALTER TABLE conversations
  ADD COLUMN IF NOT EXISTS last_run_id text COLLATE "C",
  ADD COLUMN IF NOT EXISTS last_request text COLLATE "C";
`
