"""The official client of OpenAI for Python against an agent: python openai_chat.py BASE_URL AGENT."""

import asyncio
import sys

import openai
from openai import AsyncOpenAI, OpenAI


def ok(what):
    print(f"ok: {what}", flush=True)


def main(base_url, agent):
    client = OpenAI(base_url=base_url, api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "Hello"}]

    listed = [model.id for model in client.models.list()]
    assert agent in listed, listed
    assert client.models.retrieve(agent).id == agent
    ok("models")

    answer = client.chat.completions.create(model=agent, messages=messages)
    assert answer.choices[0].message.content == "You said: Hello", answer
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens > 0
    ok("a completion")

    text = ""
    usage = None
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(
        model=agent, messages=messages, stream=True, stream_options=options
    ):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage
    assert text == "You said: Hello", text
    assert usage.total_tokens > 0
    ok("a stream")

    with client.chat.completions.stream(model=agent, messages=messages) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "You said: Hello"
    ok("the helper of streams")

    answer = client.chat.completions.create(
        model=agent,
        messages=messages,
        user="ada",
        store=False,
        extra_body={"tool_display": "none"},
    )
    assert answer.choices[0].message.content == "You said: Hello"
    assert answer.conversation_id is None
    ok("nothing kept")

    try:
        client.chat.completions.create(model="nobody", messages=messages)
        raise AssertionError("there is nobody")
    except openai.NotFoundError as error:
        assert "There is no agent 'nobody'" in error.message, error.message
    ok("an error")

    async def together():
        many = AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0)
        return await asyncio.gather(
            *(many.chat.completions.create(model=agent, messages=messages) for _ in range(3))
        )

    for answer in asyncio.run(together()):
        assert answer.choices[0].message.content == "You said: Hello"
    ok("several at once")


main(*sys.argv[1:])
