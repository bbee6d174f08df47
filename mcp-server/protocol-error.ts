/** An answer to an HTTP request that reached no MCP server (JSON-RPC 2.0, section 5.1). */
export function protocolError(status: number, code: number, message: string): Response {
  return Response.json({ jsonrpc: '2.0', id: null, error: { code, message } }, { status })
}
