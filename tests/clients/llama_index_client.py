"""LlamaIndex's classes for OpenAI against a server: `BASE_URL KEY` as arguments, and the handbook in the workspace."""

import sys

from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike

base_url, key = sys.argv[1:]
question = [ChatMessage(role="user", content="Who services the centrifuge?")]

# This one knows OpenAI's names alone, so there is an agent with one.
strict = OpenAI(model="gpt-4o", api_base=base_url, api_key=key, max_retries=0)
answer = strict.chat(question).message.content
assert "Helena Brandt" in answer, answer

free = OpenAILike(model="first", api_base=base_url, api_key=key, is_chat_model=True, max_retries=0)
assert free.chat(question).message.content == answer
assert "".join(piece.delta or "" for piece in free.stream_chat(question)) == answer
assert "Helena Brandt" in free.complete("Who services the centrifuge?").text

usual = OpenAIEmbedding(api_base=base_url, api_key=key, max_retries=0)
vector = usual.get_text_embedding("Who services the centrifuge?")
assert len(vector) == 384, len(vector)
named = OpenAIEmbedding(model_name="all-MiniLM-L6-v2", api_base=base_url, api_key=key, max_retries=0)
assert named.get_text_embedding_batch(["Who services the centrifuge?"]) == [vector]
assert usual.get_query_embedding("Who services the centrifuge?") == vector
print("llama_index done")
