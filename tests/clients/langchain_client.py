"""LangChain's classes for OpenAI against a server: `BASE_URL KEY` as arguments, and the handbook in the workspace."""

import sys

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

base_url, key = sys.argv[1:]
chat = ChatOpenAI(model="first", base_url=base_url, api_key=key, max_retries=0, stream_usage=True)

answer = chat.invoke([("system", "Be brief."), ("human", "Who services the centrifuge?")])
assert "Helena Brandt" in answer.text, answer
assert answer.usage_metadata["total_tokens"] > 0, answer

pieces = list(chat.stream("Who services the centrifuge?"))
assert "".join(piece.text for piece in pieces) == answer.text, pieces
assert any(piece.usage_metadata for piece in pieces), pieces

# It sends token ids where nobody tells it not to.
plain = OpenAIEmbeddings(base_url=base_url, api_key=key, max_retries=0, check_embedding_ctx_length=False)
usual = OpenAIEmbeddings(base_url=base_url, api_key=key, max_retries=0)
text = "Wer wartet die Zentrifuge? 遠心分離機"
query = usual.embed_query(text)
assert len(query) == 384, len(query)
assert query == plain.embed_query(text)
assert usual.embed_documents([text, "Where do visitors park?"])[0] == query
print("langchain_openai done")
