"""What programs on letta-client do every day, with either generation of it. Asserts each effect; prints what was shown."""

import asyncio
import inspect
import sys
import time

import letta_client
from letta_client import AsyncLetta, Letta

BASE_URL, MODEL = sys.argv[1:3]
MODERN = not hasattr(letta_client, "MessageCreate")
client = Letta(base_url=BASE_URL)


def user(text):
    if MODERN:
        return {"role": "user", "content": text}
    return letta_client.MessageCreate(role="user", content=text)


def blocks(**values):
    make = dict if MODERN else letta_client.CreateBlock
    return [make(label=label, value=value) for label, value in values.items()]


def create(name):
    return client.agents.create(name=name, model=MODEL, memory_blocks=blocks(human="Name: Sarah", persona="Kind."))


def show(what):
    print(f"ok: {what}", flush=True)


def create_and_send():
    agent = create("Sender")
    response = client.agents.messages.create(agent_id=agent.id, messages=[user("Hello!")])
    assert response.messages[-1].content == "Hello.", response.messages
    assert response.usage.total_tokens > 0
    assert response.messages[-1].message_type == "assistant_message"
    show("create with memory_blocks, send")


def stream():
    agent = create("Streamer")
    arguments = {"agent_id": agent.id, "messages": [user("Hello!")], "stream_tokens": True}
    messages = client.agents.messages
    chunks = list(messages.stream(**arguments) if MODERN else messages.create_stream(**arguments))
    said = "".join(c.content for c in chunks if c.message_type == "assistant_message")
    assert said == "Hello.", chunks
    kinds = [c.message_type for c in chunks]
    assert "stop_reason" in kinds and "usage_statistics" in kinds, kinds
    show("stream")


def asynchronous():
    async def work():
        own = AsyncLetta(base_url=BASE_URL)
        agent = await own.agents.create(name="Async", model=MODEL, memory_blocks=blocks(human="Name: Bo"))
        answers = await asyncio.gather(
            *[own.agents.messages.create(agent_id=a.id, messages=[user("Hi")]) for a in (agent, create("Other"))]
        )
        assert [a.messages[-1].content for a in answers] == ["Hello.", "Hello."]

    asyncio.run(work())
    show("async client, two turns at once")


def errors():
    missing = "agent-00000000-0000-4000-8000-000000000000"
    if MODERN:
        family = letta_client.APIStatusError
    else:
        from letta_client.core.api_error import ApiError as family
    for call, status in [
        (lambda: client.agents.retrieve(agent_id=missing), 404),
        (lambda: client.agents.retrieve(agent_id="nobody"), 422),
        (lambda: client.agents.create(name="x", model="openai/none", memory_blocks=[]), 404),
    ]:
        try:
            call()
        except family as error:
            assert error.status_code == status, error
            assert "detail" in str(error.body), error.body
        else:
            raise AssertionError("an error was expected")
    show("errors with status_code")


def paging():
    made = [create(f"Page {n}").id for n in range(5)]
    if MODERN:
        found = [agent.id for agent in client.agents.list(limit=2, query_text="Page ")]
    else:
        found, after = [], None
        while page := client.agents.list(limit=2, query_text="Page ", after=after):
            found += [agent.id for agent in page]
            after = page[-1].id
    assert sorted(found) == sorted(made), (found, made)
    show("list, paged to its end")


def memory():
    agent = create("Rememberer")
    own = client.agents.blocks
    change = own.update if MODERN else own.modify
    change(agent_id=agent.id, block_label="human", value="Name: Sarah. Likes tea.")
    assert own.retrieve(agent_id=agent.id, block_label="human").value == "Name: Sarah. Likes tea."
    block = client.blocks.create(label="shared", value="one")
    own.attach(agent_id=agent.id, block_id=block.id)
    (client.blocks.update if MODERN else client.blocks.modify)(block_id=block.id, value="two")
    values = {b.label: b.value for b in own.list(agent_id=agent.id)}
    assert values["shared"] == "two", values
    show("blocks: update, attach, share")


def passages():
    agent = create("Archivist")
    client.agents.passages.create(agent_id=agent.id, text="The keys are under the mat.")
    texts = [p.text for p in client.agents.passages.list(agent_id=agent.id)]
    assert texts == ["The keys are under the mat."], texts
    show("archival memory")


def files():
    agent = create("Reader")
    folder = client.folders.create(name="Papers", **({} if MODERN else {"embedding": None}))
    text = b"The keys are under the mat."
    made = client.folders.files.upload(folder_id=folder.id, file=("keys.txt", text))
    end = time.monotonic() + 20
    while (status := read_file(folder.id, made.id).processing_status) != "completed":
        assert status != "error" and time.monotonic() < end, status
        time.sleep(0.05)
    client.agents.folders.attach(agent_id=agent.id, folder_id=folder.id)
    assert [f.id for f in client.agents.folders.list(agent_id=agent.id)] == [folder.id]
    assert [f.file_name for f in client.folders.files.list(folder_id=folder.id)] == [made.file_name]
    client.agents.messages.create(agent_id=agent.id, messages=[user("Hello!")])
    show("upload a file, attach its folder")


def read_file(folder_id, file_id):
    if MODERN:
        return client.folders.files.retrieve(folder_id=folder_id, file_id=file_id)
    return client.folders.files.list(folder_id=folder_id)[0]


def roll_dice(sides: int, agent_state: "AgentState") -> str:
    """
    Rolls a die.

    Args:
        sides (int): How many sides the die has.

    Returns:
        str: What fell.
    """
    import os

    print("rolling")
    agent_state.memory.update_block_value("human", "Rolled a die.")
    return f"{os.environ['LUCK']} of {sides}"


def tools():
    own = client.tools
    source = inspect.getsource(roll_dice)
    tool = own.upsert(source_code=source) if MODERN else own.upsert_from_function(func=roll_dice)
    assert tool.name == "roll_dice" and tool.json_schema["parameters"]["required"] == ["sides"], tool
    again = own.upsert(source_code=source, tags=["dice"])
    assert (again.id, again.tags) == (tool.id, ["dice"]), again
    secrets = {"secrets": {"LUCK": "6"}} if MODERN else {"tool_exec_environment_variables": {"LUCK": "6"}}
    agent = client.agents.create(name="Gambler", model=MODEL, memory_blocks=blocks(human="New."), **secrets)
    client.agents.tools.attach(agent_id=agent.id, tool_id=tool.id)
    assert tool.id in [t.id for t in client.agents.tools.list(agent_id=agent.id)]
    if MODERN:
        rolled = client.agents.tools.run(tool_name="roll_dice", agent_id=agent.id, args={"sides": 20})
        assert (rolled.status, rolled.func_return, rolled.stdout) == ("success", "6 of 20", ["rolling"]), rolled
        assert client.agents.blocks.retrieve(agent_id=agent.id, block_label="human").value == "Rolled a die."
    else:
        run = own.run_tool_from_source(
            source_code="def add(a: int, b: int) -> int:\n    \"\"\"Adds.\"\"\"\n    return a + b\n", args={"a": 1, "b": 2}
        )
        assert (run.status, run.tool_return) == ("success", "3"), run
    (own.update if MODERN else own.modify)(tool_id=tool.id, return_char_limit=100)
    assert own.retrieve(tool_id=tool.id).return_char_limit == 100
    own.delete(tool_id=tool.id)
    assert tool.id not in [t.id for t in client.agents.tools.list(agent_id=agent.id)]
    show("tools of one's own: from a function, attached, run, changed, deleted")


def older_nouns():
    if MODERN:
        return
    identity = client.identities.create(identifier_key="sarah", name="Sarah", identity_type="user")
    agent = client.agents.create(name="Hers", model=MODEL, memory_blocks=[], identity_ids=[identity.id])
    assert [a.id for a in client.agents.list(identity_id=identity.id)] == [agent.id]
    assert agent.identity_ids == [identity.id]
    client.agents.messages.create(agent_id=agent.id, messages=[user("Hello!")])
    assert client.jobs.list()[0].status == "completed"
    assert client.providers.list() == []
    show("identities, jobs, providers")


for step in (create_and_send, stream, asynchronous, errors, paging, memory, passages, files, tools, older_nouns):
    step()
