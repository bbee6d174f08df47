/** The MCP App that shows an agent's memory (SEP-1865). */
export const MEMORY_APP = 'ui://loci/memory'
