"""The official client of OpenAI for Python against an agent: python openai_chat.py BASE_URL AGENT."""

import asyncio
import json
import sys

import openai
from openai import AsyncOpenAI, OpenAI


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


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

    remember = [{"role": "user", "content": "Remember: I like tea."}]
    answer = client.chat.completions.create(model=agent, messages=remember)
    thoughts = answer.choices[0].message.reasoning_content
    assert "memory_insert" in thoughts and "I like tea." in thoughts, thoughts
    assert answer.choices[0].message.content == "Done: memory_insert", answer
    quiet = client.chat.completions.create(model=agent, messages=remember, extra_body={"tool_display": "none"})
    assert getattr(quiet.choices[0].message, "reasoning_content", None) is None, quiet
    text = ""
    for chunk in client.chat.completions.create(model=agent, messages=remember, stream=True):
        text += getattr(chunk.choices[0].delta, "reasoning_content", None) or ""
    assert "memory_insert" in text, text
    ok("the agent's own tools, shown and not")

    weather = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
    history = [{"role": "user", "content": "Weather?"}]
    asked = client.chat.completions.create(model=agent, messages=history, tools=[weather])
    assert asked.choices[0].finish_reason == "tool_calls", asked
    [call] = asked.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Rome"})
    history += [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "Sunny"}]
    told = client.chat.completions.create(model=agent, messages=history, tools=[weather])
    assert told.choices[0].message.content == "Done: get_weather", told
    ok("tools of the client")

    client.chat.completions.create(model=agent, messages=messages, user="grace")
    ok("a user")

    first = client.responses.create(model=agent, input="Hello")
    assert first.output_text == "You said: Hello", first
    assert first.usage.total_tokens > 0 and first.status == "completed"
    second = client.responses.create(model=agent, input="Count", previous_response_id=first.id)
    assert second.output_text == "Messages of users: 2", second
    assert second.conversation.id == first.conversation.id
    alone = client.responses.create(model=agent, input="Count")
    assert alone.output_text == "Messages of users: 1", alone
    assert client.responses.retrieve(second.id).output_text == second.output_text
    ok("responses, one after another")

    with client.responses.stream(model=agent, input="Remember: I like tea.") as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_response()
    assert {"response.created", "response.output_text.delta", "response.completed"} <= kinds, kinds
    [called] = [item for item in final.output if item.type == "mcp_call"]
    assert called.name == "memory_insert" and called.output, called
    assert final.output_text == "Done: memory_insert", final
    ok("a stream of a response, with the agent's own tools")

    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
    asked = client.responses.create(model=agent, input="Weather?", tools=[tool])
    [call] = [item for item in asked.output if item.type == "function_call"]
    output = [{"type": "function_call_output", "call_id": call.call_id, "output": "Sunny"}]
    told = client.responses.create(model=agent, input=output, tools=[tool], previous_response_id=asked.id)
    assert told.output_text == "Done: get_weather", told
    ok("tools of the client in responses")

    try:
        client.responses.create(model=agent, input="Hi", previous_response_id="resp_none")
        raise AssertionError("there is no such response")
    except openai.NotFoundError as error:
        assert "resp_none" in error.message, error.message
    ok("a response that is not there")

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
