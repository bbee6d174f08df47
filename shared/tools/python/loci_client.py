"""`client`: the official client of the REST API, or what stands in for it, over the pipe of a call.

With the package letta-client among the requirements it is that package's own class. Otherwise it is a small one of ours
with the same methods for agents, blocks, archives, passages, messages, conversations, folders and identities.
"""

import json
import urllib.parse

import loci_agent

BASE_URL = "http://loci.invalid"


def open_client(channel):
    """The client of a call."""
    try:
        import httpx
        import letta_client
    except ImportError:
        return Client(channel)
    # Long, as a message to an agent may be; the time of the call is the limit.
    http = httpx.Client(transport=transport(httpx, channel), timeout=3600, base_url=BASE_URL)
    return letta_client.Letta(base_url=BASE_URL, api_key="local", max_retries=0, http_client=http)


def transport(httpx, channel):
    class PipeTransport(httpx.BaseTransport):
        def handle_request(self, request):
            status, headers, body = channel.request(
                request.method, request.url.raw_path.decode("ascii"), request.headers.items(), request.read()
            )
            return httpx.Response(status, headers=[tuple(each) for each in headers], content=body, request=request)

    return PipeTransport()


class ApiError(Exception):
    """An answer that is none: `status_code` and `body` as the official client has them."""

    def __init__(self, status_code, body):
        detail = body.get("detail", body) if isinstance(body, dict) else body
        super().__init__("Error code: %d - %s" % (status_code, detail))
        self.status_code = status_code
        self.body = body


class Page(list):
    """A list of the API, as far as it was asked for; `items` as the official client has it."""

    @property
    def items(self):
        return self


# Methods by the path of attributes: the HTTP method, and the path with its arguments by name. Arguments that stand in the
# path may be given by position, as the first ones, or by name; the others are the query of a GET or DELETE, or the body.
AGENT = "/v1/agents/{agent_id}"
ROUTES = {
    "agents.list": ("GET", "/v1/agents/"),
    "agents.create": ("POST", "/v1/agents/"),
    "agents.retrieve": ("GET", AGENT),
    "agents.update": ("PATCH", AGENT),
    "agents.delete": ("DELETE", AGENT),
    "agents.blocks.list": ("GET", AGENT + "/core-memory/blocks"),
    "agents.blocks.retrieve": ("GET", AGENT + "/core-memory/blocks/{block_label}", "block_label, agent_id"),
    "agents.blocks.update": ("PATCH", AGENT + "/core-memory/blocks/{block_label}", "block_label, agent_id"),
    "agents.blocks.attach": ("PATCH", AGENT + "/core-memory/blocks/attach/{block_id}", "block_id, agent_id"),
    "agents.blocks.detach": ("PATCH", AGENT + "/core-memory/blocks/detach/{block_id}", "block_id, agent_id"),
    "agents.messages.list": ("GET", AGENT + "/messages"),
    "agents.messages.create": ("POST", AGENT + "/messages"),
    "agents.messages.reset": ("PATCH", AGENT + "/reset-messages"),
    "agents.passages.list": ("GET", AGENT + "/archival-memory"),
    "agents.passages.create": ("POST", AGENT + "/archival-memory"),
    "agents.passages.search": ("GET", AGENT + "/archival-memory/search"),
    "agents.passages.delete": ("DELETE", AGENT + "/archival-memory/{memory_id}", "memory_id, agent_id"),
    "agents.tools.list": ("GET", AGENT + "/tools"),
    "agents.tools.attach": ("PATCH", AGENT + "/tools/attach/{tool_id}", "tool_id, agent_id"),
    "agents.tools.detach": ("PATCH", AGENT + "/tools/detach/{tool_id}", "tool_id, agent_id"),
    "agents.folders.list": ("GET", AGENT + "/folders"),
    "agents.folders.attach": ("PATCH", AGENT + "/folders/attach/{folder_id}", "folder_id, agent_id"),
    "agents.folders.detach": ("PATCH", AGENT + "/folders/detach/{folder_id}", "folder_id, agent_id"),
    "agents.files.list": ("GET", AGENT + "/files"),
    "agents.archives.attach": ("PATCH", AGENT + "/archives/attach/{archive_id}", "archive_id, agent_id"),
    "agents.archives.detach": ("PATCH", AGENT + "/archives/detach/{archive_id}", "archive_id, agent_id"),
    "archives.list": ("GET", "/v1/archives/"),
    "archives.create": ("POST", "/v1/archives/"),
    "archives.retrieve": ("GET", "/v1/archives/{archive_id}"),
    "archives.update": ("PATCH", "/v1/archives/{archive_id}"),
    "archives.delete": ("DELETE", "/v1/archives/{archive_id}"),
    "archives.passages.create": ("POST", "/v1/archives/{archive_id}/passages"),
    "archives.passages.create_many": ("POST", "/v1/archives/{archive_id}/passages/batch"),
    "archives.passages.delete": ("DELETE", "/v1/archives/{archive_id}/passages/{passage_id}", "passage_id, archive_id"),
    "blocks.list": ("GET", "/v1/blocks/"),
    "blocks.create": ("POST", "/v1/blocks/"),
    "blocks.retrieve": ("GET", "/v1/blocks/{block_id}"),
    "blocks.update": ("PATCH", "/v1/blocks/{block_id}"),
    "blocks.delete": ("DELETE", "/v1/blocks/{block_id}"),
    "blocks.agents.list": ("GET", "/v1/blocks/{block_id}/agents"),
    "conversations.list": ("GET", "/v1/conversations/"),
    "conversations.create": ("POST", "/v1/conversations/"),
    "conversations.retrieve": ("GET", "/v1/conversations/{conversation_id}"),
    "conversations.messages.list": ("GET", "/v1/conversations/{conversation_id}/messages"),
    "folders.list": ("GET", "/v1/folders/"),
    "folders.retrieve": ("GET", "/v1/folders/{folder_id}"),
    "folders.files.list": ("GET", "/v1/folders/{folder_id}/files"),
    "identities.list": ("GET", "/v1/identities/"),
    "identities.retrieve": ("GET", "/v1/identities/{identity_id}"),
    "messages.search": ("POST", "/v1/messages/search"),
    "passages.search": ("POST", "/v1/passages/search"),
    "runs.list": ("GET", "/v1/runs/"),
    "runs.retrieve": ("GET", "/v1/runs/{run_id}"),
    "tags.list": ("GET", "/v1/tags/"),
    "models.list": ("GET", "/v1/models/"),
    "health": ("GET", "/v1/health/"),
}


class Client:
    """Attributes lead to methods: `client.agents.blocks.retrieve("human", agent_id=…)`."""

    def __init__(self, channel, path=""):
        self._channel = channel
        self._path = path

    def __getattr__(self, name):
        path = self._path + "." + name if self._path else name
        if name.startswith("_"):
            raise AttributeError(name)
        if path in ROUTES:
            return method(self._channel, path, *ROUTES[path])
        if any(known.startswith(path + ".") for known in ROUTES):
            return Client(self._channel, path)
        raise AttributeError(
            "client.%s is not there: add letta-client to the tool's pip_requirements for all of the API" % path
        )

    def __repr__(self):
        return "<client%s of Loci>" % ("." + self._path if self._path else "")


def method(channel, title, verb, template, positions=None):
    in_path = [piece.partition("}")[0] for piece in template.split("{")[1:]]
    order = [name.strip() for name in positions.split(",")] if positions else in_path

    def call(*args, **kwargs):
        given = dict(kwargs)
        if len(args) > len(order):
            raise TypeError("client.%s takes %d arguments by position" % (title, len(order)))
        given.update(zip(order, args))
        missing = [name for name in in_path if name not in given]
        if missing:
            raise TypeError("client.%s needs %s" % (title, " and ".join(missing)))
        places = {name: urllib.parse.quote(str(given.pop(name)), safe="") for name in in_path}
        path = template.format(**places)
        given = {name: value for name, value in given.items() if value is not None}
        body = None
        if verb in ("GET", "DELETE"):
            query = urllib.parse.urlencode({k: text(v) for k, v in given.items()}, doseq=True)
            path += "?" + query if query else ""
        else:
            body = json.dumps(given, default=plain).encode()
        return answer(*channel.request(verb, path, [("content-type", "application/json")], body))

    call.__name__ = title
    return call


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return [text(item) for item in value] if isinstance(value, (list, tuple)) else str(value)


def plain(value):
    if hasattr(value, "model_dump"):
        return value.model_dump()
    return str(value)


def answer(status, _headers, body):
    try:
        value = json.loads(body) if body else None
    except ValueError:
        value = body.decode("utf-8", "replace")
    if status >= 400:
        raise ApiError(status, value)
    made = loci_agent.record(value)
    return Page(made) if isinstance(made, list) else made
