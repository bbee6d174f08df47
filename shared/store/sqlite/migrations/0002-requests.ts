/** Which request began the last run of a conversation: one that is repeated joins it in whichever process it comes to. */
export const requests = `
ALTER TABLE conversations ADD COLUMN last_run_id TEXT;
ALTER TABLE conversations ADD COLUMN last_request TEXT;
`
