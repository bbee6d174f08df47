"""The official client of Anthropic for Python against an agent: python anthropic_messages.py BASE_URL AGENT."""

import asyncio
import sys

import anthropic
from anthropic import Anthropic, AsyncAnthropic

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def ok(what):
    print(f"ok: {what}", flush=True)


def said(message):
    return "".join(block.text for block in message.content if block.type == "text")


def main(base_url, agent):
    client = Anthropic(base_url=base_url, api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "Hello"}]

    answer = client.messages.create(model=agent, max_tokens=100, messages=messages)
    assert said(answer) == "You said: Hello", answer
    assert (answer.role, answer.stop_reason) == ("assistant", "end_turn"), answer
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    ok("a message")

    with client.messages.stream(model=agent, max_tokens=100, messages=messages) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == said(final) == "You said: Hello", text
    assert final.usage.output_tokens > 0
    ok("a stream")

    remember = [{"role": "user", "content": "Remember: I like tea."}]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    answer = client.messages.create(model=agent, max_tokens=2000, messages=remember, thinking=thinking)
    thoughts = "".join(block.thinking for block in answer.content if block.type == "thinking")
    assert "memory_insert" in thoughts, answer
    assert said(answer) == "Done: memory_insert", answer
    plain = client.messages.create(model=agent, max_tokens=100, messages=remember)
    assert {block.type for block in plain.content} == {"text"}, plain
    ok("the agent's own tools, shown and not")

    tools = [{"name": "get_weather", "input_schema": WEATHER}]
    history = [{"role": "user", "content": "Weather?"}]
    asked = client.messages.create(model=agent, max_tokens=100, messages=history, tools=tools)
    assert asked.stop_reason == "tool_use", asked
    [call] = [block for block in asked.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("get_weather", {"city": "Rome"}), call
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Sunny"}
    history += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    told = client.messages.create(model=agent, max_tokens=100, messages=history, tools=tools)
    assert said(told) == "Done: get_weather", told
    ok("tools of the client")

    user = {"user_id": "grace"}
    kept = client.messages.create(
        model=agent, max_tokens=100, messages=messages, metadata=user, extra_body={"store": False}
    )
    assert said(kept) == "You said: Hello", kept
    client.messages.create(model=agent, max_tokens=100, messages=messages, metadata=user)
    ok("a user, and nothing kept")

    try:
        client.messages.create(model="nobody", max_tokens=100, messages=messages)
        raise AssertionError("there is nobody")
    except anthropic.NotFoundError as error:
        assert "There is no agent 'nobody'" in str(error), error
    ok("an error")

    async def together():
        many = AsyncAnthropic(base_url=base_url, api_key="none", max_retries=0)
        asks = (many.messages.create(model=agent, max_tokens=100, messages=messages) for _ in range(3))
        return await asyncio.gather(*asks)

    for answer in asyncio.run(together()):
        assert said(answer) == "You said: Hello"
    ok("several at once")


main(*sys.argv[1:])
