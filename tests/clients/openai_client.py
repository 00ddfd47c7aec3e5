"""OpenAI's own package against a server: `BASE_URL KEY FOREIGN_MODEL` as arguments, and the handbook in the workspace."""

import sys

import openai

base_url, key, foreign = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
question = [{"role": "user", "content": "Who services the centrifuge?"}]

models = client.models.list()
assert [model.id for model in models] == ["first", "gpt-4o"], models
assert client.models.retrieve("first").object == "model"

whole = client.chat.completions.create(model="first", messages=question, temperature=0, seed=7)
assert whole.object == "chat.completion" and whole.id.startswith("chatcmpl-"), whole
choice = whole.choices[0]
assert "Helena Brandt" in choice.message.content and choice.finish_reason == "stop", choice
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
annotation = choice.message.annotations[0]
assert annotation.type == "url_citation", annotation
place = annotation.url_citation
assert choice.message.content[place.start_index : place.end_index] == "[1]", place
assert place.url.startswith(base_url.removesuffix("/v1") + "/workspaces/"), place
assert whole.citations[0]["quote"] and whole.carrel["grounded"] is True, whole

options = {"include_usage": True}
with client.chat.completions.create(model="first", messages=question, stream=True, stream_options=options) as stream:
    chunks = list(stream)
assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant", chunks
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == choice.message.content
assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == whole.usage.total_tokens, chunks[-1]
assert chunks[-2].choices[0].finish_reason == "stop", chunks[-2]

# The helper that puts a stream together.
with client.chat.completions.stream(model="first", messages=question) as stream:
    final = stream.get_final_completion()
assert final.choices[0].message.content == choice.message.content, final

one = client.embeddings.create(model="all-MiniLM-L6-v2", input="Who services the centrifuge?")
many = client.embeddings.create(
    model="text-embedding-3-small", input=["Who services the centrifuge?", "Where do visitors park?"], encoding_format="float"
)
assert one.model == many.model == "all-MiniLM-L6-v2" and len(many.data) == 2
assert len(one.data[0].embedding) == 384
# Where nobody asks otherwise the package takes the numbers' bytes.
assert all(abs(a - b) < 1e-6 for a, b in zip(one.data[0].embedding, many.data[0].embedding, strict=True))
assert one.usage.prompt_tokens > 0


def refused(kind, code, call):
    try:
        call()
    except kind as error:
        assert error.code == code, error
        assert error.request_id, error
    else:
        raise AssertionError(f"not refused with {kind}")


def ask(model="first", **more):
    return client.chat.completions.create(model=model, messages=question, **more)


refused(openai.NotFoundError, "model_not_found", lambda: ask(model=foreign))
refused(openai.NotFoundError, "model_not_found", lambda: client.models.retrieve(foreign))
refused(openai.BadRequestError, "invalid_value", lambda: ask(n=2))
refused(openai.BadRequestError, "invalid_value", lambda: ask(response_format={"type": "json_object"}))
stranger = openai.OpenAI(base_url=base_url, api_key="sk_live_nobody", max_retries=0)
refused(openai.AuthenticationError, "invalid_api_key", lambda: stranger.models.list())
print("openai", openai.__version__, "done")
