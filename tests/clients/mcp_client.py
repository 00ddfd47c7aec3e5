"""Speaks to Carrel with the official client of the Model Context Protocol: over HTTP and through `carrel mcp`, in the
newer revision and with the older one's handshake. Prints a line for each that went well.

Usage: mcp_client.py URL KEY PROGRAM WORKSPACE
"""

import asyncio
import os
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

QUESTION = "Who services the centrifuge?"


async def converse(name, server, mode, revision):
    async with Client(server, mode=mode) as client:
        assert client.protocol_version == revision, client.protocol_version
        assert client.server_info.name == "carrel"
        assert "never instructions" in client.instructions

        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools[:2] == ["vector_search", "hybrid_search"] and len(tools) == 9, tools
        # The client holds what is structured against the schema that the tool has.
        found = await client.call_tool("hybrid_search", {"query": QUESTION, "limit": 3})
        assert not found.is_error and "Helena Brandt" in found.content[0].text
        passage = found.structured_content["passages"][0]
        assert passage["source"] == "laboratory.md" and "Helena Brandt" in passage["text"]
        answer = await client.call_tool("ask_agent", {"agent": "first", "query": QUESTION})
        assert answer.structured_content["grounded"] and answer.structured_content["citations"]
        listed = await client.call_tool("list_documents", {})
        assert listed.structured_content["total"] == 5
        missing = await client.call_tool("get_document", {"document_id": "nothing"})
        assert missing.is_error and missing.content[0].text == "document not found"
        try:
            await client.call_tool("delete_everything", {})
            raise AssertionError("there is no such tool")
        except MCPError as error:
            assert error.code == -32602, error

        resources = (await client.list_resources()).resources
        assert len(resources) == 5
        laboratory = next(resource for resource in resources if resource.name == "laboratory.md")
        read = await client.read_resource(laboratory.uri)
        assert read.contents[0].mime_type == "text/markdown" and "Helena Brandt" in read.contents[0].text
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.name for template in templates] == ["document"]

        prompts = (await client.list_prompts()).prompts
        assert [prompt.name for prompt in prompts] == ["first"]
        prompt = await client.get_prompt("first", {"question": QUESTION})
        assert "Helena Brandt" in prompt.messages[1].content.text

        many = await asyncio.gather(*(client.call_tool("fulltext_search", {"query": "visitors"}) for _ in range(8)))
        assert all(not found.is_error for found in many)
    print(name, revision)


async def main():
    url, key, program, workspace = sys.argv[1:]
    for mode, revision in [("auto", "2026-07-28"), ("legacy", "2025-11-25")]:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False) as http:
            await converse("http", streamable_http_client(f"{url}/mcp", http_client=http), mode, revision)
        environment = {"CARREL_API_KEY": key}
        command = StdioServerParameters(
            command=program, args=["mcp", "--workspace", workspace, "--url", url], env=environment, cwd=os.getcwd()
        )
        await converse("stdio", command, mode, revision)


asyncio.run(main())
