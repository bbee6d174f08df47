/**
 * An MCP server with every tool, resource and prompt that the official conformance suite asks for, to be served by the
 * product's transport. What each does is written in the suite's own requirements.
 */
import {
  acceptedContent,
  completable,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  type InputRequests,
  type McpRequestContext,
  McpServer,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server'
import * as z from 'zod'

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA='

const codec = createRequestStateCodec({ key: crypto.getRandomValues(new Uint8Array(32)), ttlSeconds: 60 })
const pause = () => new Promise((resolve) => setTimeout(resolve, 50))
const text = (words: string) => ({ content: [{ type: 'text' as const, text: words }] })
const image = { type: 'image' as const, data: PNG, mimeType: 'image/png' }
const said = (role: 'user', words: string) => ({ role, content: { type: 'text' as const, text: words } })

type Field = { type: 'string' } | { type: 'boolean' }
const form = (message: string, properties: Record<string, Field>) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties, required: Object.keys(properties) },
  })
const askName = () => form('What is your name?', { name: { type: 'string' } })
const askModel = (words: string) =>
  inputRequired.createMessage({ messages: [said('user', words)], maxTokens: 100 })

/** Makes the server for one connection or request. */
export function everything({ era }: Pick<McpRequestContext, 'era'>): McpServer {
  const server = new McpServer(
    { name: 'everything', version: '1' },
    {
      capabilities: {
        logging: {},
        completions: {},
        tools: {},
        prompts: {},
        resources: { subscribe: true, listChanged: true },
      },
      requestState: { verify: (state, context) => codec.verify(state, context) },
    },
  )
  addContent(server)
  addAsking(server)
  if (era === 'legacy') addPushed(server)
  addRounds(server)
  addResources(server)
  addPrompts(server)
  return server
}

type Answer = Awaited<ReturnType<Parameters<McpServer['registerTool']>[2]>>

function tool(
  server: McpServer,
  name: string,
  run: (context: ServerContext) => Answer | Promise<Answer>,
): void {
  server.registerTool(name, { description: name, inputSchema: z.object({}) }, (_, context) => run(context))
}

function addContent(server: McpServer): void {
  tool(server, 'test_simple_text', () => text('This is a simple text response for testing.'))
  tool(server, 'test_image_content', () => ({ content: [image] }))
  tool(server, 'test_audio_content', () => ({
    content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
  }))
  const resource = (uri: string, mimeType: string, body: string) => ({
    type: 'resource' as const,
    resource: { uri, mimeType, text: body },
  })
  tool(server, 'test_embedded_resource', () => ({
    content: [resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  }))
  tool(server, 'test_multiple_content_types', () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      image,
      resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  }))
  tool(server, 'test_error_handling', () => {
    throw new Error('This tool intentionally returns an error for testing')
  })
  tool(server, 'test_tool_with_progress', async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined)
        await mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 100 },
        })
      await pause()
    }
    return text('Done.')
  })
  tool(server, 'test_logging_tool', async ({ mcpReq }) => {
    await mcpReq.log('info', 'Called')
    return text('Done.')
  })
  tool(server, 'test_tool_with_logging', async ({ mcpReq }) => {
    for (const words of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await mcpReq.log('info', words)
      await pause()
    }
    return text('Done.')
  })
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object' as const,
    $defs: {
      address: { type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } },
    },
    properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
    additionalProperties: false,
  }
  server.registerTool(
    'json_schema_2020_12_tool',
    { description: 'A schema of 2020-12', inputSchema: fromJsonSchema(schema) },
    () => text('Done.'),
  )
}

/** Questions that both eras can be asked; the SDK turns them into requests for the older one. */
function addAsking(server: McpServer): void {
  const asks = (
    name: string,
    questions: () => InputRequests,
    done: (responses: Record<string, unknown>) => Answer | null,
  ) =>
    tool(server, name, ({ mcpReq }) => {
      const answer = mcpReq.inputResponses && done(mcpReq.inputResponses)
      return answer ?? inputRequired({ inputRequests: questions() })
    })
  asks(
    'test_input_required_result_elicitation',
    () => ({ user_name: askName() }),
    (responses) => {
      const given = acceptedContent(responses, 'user_name', z.object({ name: z.string() }))
      return given ? text(`Hello, ${given.name}!`) : null
    },
  )
  asks(
    'test_input_required_result_sampling',
    () => ({ capital_question: askModel('What is the capital of France?') }),
    (responses) => (responses['capital_question'] ? text('The model answered.') : null),
  )
  asks(
    'test_input_required_result_list_roots',
    () => ({ client_roots: inputRequired.listRoots() }),
    (responses) => (responses['client_roots'] ? text(JSON.stringify(responses['client_roots'])) : null),
  )
  tool(server, 'test_input_required_result_capabilities', ({ mcpReq }) => {
    if (mcpReq.inputResponses) return text('Done.')
    const envelope = mcpReq.envelope as Record<string, Record<string, unknown>> | undefined
    const declared = envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? {}
    const questions: InputRequests = {
      ...(declared['elicitation'] ? { user_name: askName() } : {}),
      ...(declared['sampling'] ? { question: askModel('What is the capital of France?') } : {}),
    }
    return Object.keys(questions).length > 0 ? inputRequired({ inputRequests: questions }) : text('Done.')
  })
  tool(server, 'test_streaming_elicitation', async ({ mcpReq }) => {
    if (mcpReq.inputResponses) return text('Done.')
    await mcpReq.log('info', 'Asking')
    return inputRequired({ inputRequests: { user_name: askName() } })
  })
  // Whoever calls it has not declared that it samples.
  tool(server, 'test_missing_capability', () =>
    inputRequired({ inputRequests: { question: askModel('Hi') } }),
  )
}

function addRounds(server: McpServer): void {
  tool(server, 'test_input_required_result_request_state', async (context) => {
    const { mcpReq } = context
    if (mcpReq.requestState() !== undefined && acceptedContent(mcpReq.inputResponses, 'confirm'))
      return text('state-ok')
    return inputRequired({
      inputRequests: { confirm: form('Please confirm', { ok: { type: 'boolean' } }) },
      requestState: await codec.mint('confirm', context),
    })
  })
  tool(server, 'test_input_required_result_tampered_state', async (context) => {
    if (context.mcpReq.requestState() !== undefined) return text('state-ok')
    return inputRequired({
      inputRequests: { confirm: form('Please confirm', { ok: { type: 'boolean' } }) },
      requestState: await codec.mint('confirm', context),
    })
  })
  tool(server, 'test_input_required_result_multiple_inputs', async (context) => {
    const given = context.mcpReq.inputResponses ?? {}
    if (['user_name', 'greeting', 'client_roots'].every((key) => key in given)) return text('All given.')
    return inputRequired({
      inputRequests: {
        user_name: askName(),
        greeting: askModel('Generate a greeting'),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await codec.mint('all', context),
    })
  })
  tool(server, 'test_input_required_result_multi_round', async (context) => {
    const { mcpReq } = context
    const state = mcpReq.requestState()
    if (state === 'two' && mcpReq.inputResponses) return text('Both given.')
    if (state === 'one' && mcpReq.inputResponses)
      return inputRequired({
        inputRequests: { step2: form('Step 2: What is your favorite color?', { color: { type: 'string' } }) },
        requestState: await codec.mint('two', context),
      })
    return inputRequired({
      inputRequests: { step1: form('Step 1: What is your name?', { name: { type: 'string' } }) },
      requestState: await codec.mint('one', context),
    })
  })
}

/** Requests to the client, of the protocol before 2026-07-28. */
function addPushed(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    { description: 'Samples', inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, { mcpReq }) => {
      const { content } = await mcpReq.requestSampling({ messages: [said('user', prompt)], maxTokens: 100 })
      return text(`LLM response: ${JSON.stringify(content)}`)
    },
  )
  type Schema = Extract<Parameters<ServerContext['mcpReq']['elicitInput']>[0], { requestedSchema: unknown }>
  const elicit = async (
    { mcpReq }: ServerContext,
    message: string,
    properties: Schema['requestedSchema']['properties'],
    required: string[] = [],
  ) => {
    const requestedSchema = { type: 'object' as const, properties, required }
    const { action, content } = await mcpReq.elicitInput({ message, requestedSchema })
    return `action=${action}, content=${JSON.stringify(content ?? {})}`
  }
  server.registerTool(
    'test_elicitation',
    { description: 'Asks', inputSchema: z.object({ message: z.string() }) },
    async ({ message }, context) => {
      const username = { type: 'string' as const, description: "User's response" }
      const email = { type: 'string' as const, description: "User's email address" }
      return text(
        `User response: ${await elicit(context, message, { username, email }, ['username', 'email'])}`,
      )
    },
  )
  tool(server, 'test_elicitation_sep1034_defaults', async (context) => {
    const properties: Schema['requestedSchema']['properties'] = {
      name: { type: 'string', default: 'John Doe' },
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
      verified: { type: 'boolean', default: true },
    }
    return text(`Elicitation completed: ${await elicit(context, 'Defaults', properties)}`)
  })
  tool(server, 'test_elicitation_sep1330_enums', async (context) => {
    const options = ['option1', 'option2', 'option3']
    const titled = ['First', 'Second', 'Third'].map((title, i) => ({ const: `value${i + 1}`, title }))
    const properties: Schema['requestedSchema']['properties'] = {
      untitledSingle: { type: 'string', enum: options },
      titledSingle: { type: 'string', oneOf: titled },
      legacyEnum: { type: 'string', enum: ['opt1', 'opt2'], enumNames: ['Option One', 'Option Two'] },
      untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
      titledMulti: { type: 'array', items: { anyOf: titled } },
    }
    return text(`Elicitation completed: ${await elicit(context, 'Choices', properties)}`)
  })
  server.server.setRequestHandler('resources/subscribe', () => ({}))
  server.server.setRequestHandler('resources/unsubscribe', () => ({}))
}

function addResources(server: McpServer): void {
  const add = (name: string, uri: string, mimeType: string, body: { text: string } | { blob: string }) =>
    server.registerResource(name, uri, { description: name, mimeType }, () => ({
      contents: [{ uri, mimeType, ...body }],
    }))
  add('static-text', 'test://static-text', 'text/plain', {
    text: 'This is the content of the static text resource.',
  })
  add('static-binary', 'test://static-binary', 'image/png', { blob: PNG })
  add('watched', 'test://watched-resource', 'text/plain', { text: 'Watched.' })
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'A template', mimeType: 'application/json' },
    (uri, { id }) => ({
      contents: [
        {
          uri: uri.href,
          mimeType: 'application/json',
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` }),
        },
      ],
    }),
  )
}

function addPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'Simple' }, () => ({
    messages: [said('user', 'This is a simple prompt for testing.')],
  }))
  const argument = completable(z.string(), (typed) =>
    ['paris', 'park'].filter((word) => word.startsWith(typed)),
  )
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'With arguments', argsSchema: z.object({ arg1: argument, arg2: z.string() }) },
    ({ arg1, arg2 }) => ({
      messages: [said('user', `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
    }),
  )
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'With a resource', argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => ({
      messages: [
        {
          role: 'user',
          content: {
            type: 'resource',
            resource: {
              uri: resourceUri,
              mimeType: 'text/plain',
              text: 'Embedded resource content for testing.',
            },
          },
        },
        said('user', 'Please process the embedded resource above.'),
      ],
    }),
  )
  server.registerPrompt('test_prompt_with_image', { description: 'With an image' }, () => ({
    messages: [{ role: 'user', content: image }, said('user', 'Please analyze the image above.')],
  }))
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks' }, ({ mcpReq }) => {
    const given = acceptedContent(mcpReq.inputResponses, 'user_context')
    if (!given)
      return inputRequired({
        inputRequests: {
          user_context: form('What context should be used?', { context: { type: 'string' } }),
        },
      })
    return { messages: [said('user', `With ${JSON.stringify(given)}`)] }
  })
}
