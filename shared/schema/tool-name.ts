/** Characters of a tool's name: what models and their providers take (reference 8.1). */
export const MAX_TOOL_NAME = 48
