//! The Model Context Protocol, in both of its revisions: over HTTP, on standard input and output, and as its official
//! client speaks it.

use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::model::{Deed, Model};
use crate::server::{Home, PATIENCE, Server, finish, lines};
use crate::tenant::{Tenant, assert_stands, id};

const NEW: &str = "2026-07-28";
const OLD: &str = "2025-11-25";
const QUESTION: &str = "Who services the centrifuge?";
const TOOLS: [&str; 9] = [
    "vector_search",
    "hybrid_search",
    "fulltext_search",
    "graph_search",
    "get_document",
    "list_documents",
    "get_entity_relationships",
    "get_entity_timeline",
    "ask_agent",
];

/// A request of the newer revision.
fn request(method: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEW,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

async fn send(client: &Client, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let own = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    client.raw("POST", path, &[&own[..], headers].concat(), body.to_string()).await
}

/// The answer to a request of the newer revision with its headers.
async fn ask(client: &Client, method: &str, params: Value) -> Answer {
    let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
    let mut headers = vec![("mcp-protocol-version", NEW), ("mcp-method", method)];
    headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
    send(client, "/mcp", &headers, &request(method, params)).await
}

/// The result of a request of the newer revision.
async fn result(client: &Client, method: &str, params: Value) -> Value {
    let answer = ask(client, method, params).await.is(200).json();
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    answer["result"].clone()
}

async fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    result(client, "tools/call", json!({"name": tool, "arguments": arguments})).await
}

/// The error of a message that was refused.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: i64) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    let message = answer.json();
    assert_eq!((&message["jsonrpc"], &message["error"]["code"]), (&json!("2.0"), &json!(code)), "{message}");
    message
}

fn names(listed: &Value, of: &str) -> Vec<String> {
    listed[of].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_client_of_the_older_revision_shakes_hands_and_goes_on() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let hello = |revision: &str| {
        let params =
            json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        json!({"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": params})
    };
    for (asked, agreed) in [(OLD, OLD), ("2025-06-18", "2025-06-18"), ("1999-01-01", OLD), (NEW, OLD)] {
        let answer = send(&tenant.client, "/v1/mcp", &[], &hello(asked)).await.is(200);
        assert!(answer.headers.get("mcp-session-id").is_none(), "nothing is kept");
        let answer = answer.json();
        assert_eq!((&answer["id"], &answer["result"]["protocolVersion"]), (&json!("a"), &json!(agreed)), "{answer}");
        let result = &answer["result"];
        assert_eq!(result["serverInfo"]["name"], "carrel");
        assert!(result["instructions"].as_str().unwrap().contains("never instructions"), "{result}");
        for kind in ["tools", "resources", "prompts"] {
            assert!(result["capabilities"][kind].is_object(), "{kind}: {result}");
        }
    }
    let revision = [("mcp-protocol-version", OLD)];
    let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let noted = send(&tenant.client, "/mcp", &revision, &done).await.is(202);
    assert_eq!(noted.text(), "");
    let own = tenant.path("/mcp");
    for path in ["/mcp", "/v1/mcp", own.as_str()] {
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let listed = send(&tenant.client, path, &revision, &list).await.is(200).json();
        assert_eq!(names(&listed["result"], "tools"), TOOLS, "{path}");
        assert!(listed["result"].get("resultType").is_none(), "{listed}");
    }
    let search = json!({"name": "hybrid_search", "arguments": {"query": QUESTION}});
    let search = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": search});
    let found = send(&tenant.client, "/mcp", &revision, &search).await.is(200).json();
    assert!(found["result"]["content"][0]["text"].as_str().unwrap().contains("Helena Brandt"), "{found}");
    let ping = json!({"jsonrpc": "2.0", "id": 3, "method": "ping"});
    assert_eq!(send(&tenant.client, "/mcp", &revision, &ping).await.is(200).json()["result"], json!({}));
    let unknown = json!({"jsonrpc": "2.0", "id": 4, "method": "tools/forget"});
    refused(&send(&tenant.client, "/mcp", &revision, &unknown).await, 200, -32601);
}

#[tokio::test]
async fn tools_find_passages_that_stand_in_their_documents() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let known = result(&tenant.client, "server/discover", json!({})).await;
    assert_eq!(known["supportedVersions"], json!(["2025-06-18", OLD, NEW]));
    let listed = result(&tenant.client, "tools/list", json!({})).await;
    assert_eq!(names(&listed, "tools"), TOOLS);
    assert_eq!(listed["cacheScope"], "private");
    assert!(listed["ttlMs"].is_u64(), "{listed}");
    assert_eq!(listed, result(&tenant.client, "tools/list", json!({})).await, "the order stays");
    for tool in listed["tools"].as_array().unwrap() {
        let hints = &tool["annotations"];
        assert_eq!((&hints["readOnlyHint"], &hints["openWorldHint"]), (&json!(true), &json!(false)), "{tool}");
        assert_eq!((&tool["inputSchema"]["type"], &tool["outputSchema"]["type"]), (&json!("object"), &json!("object")));
    }
    for tool in ["hybrid_search", "vector_search", "fulltext_search"] {
        let found = call(&tenant.client, tool, json!({"query": "centrifuge service", "limit": 2})).await;
        let passage = &found["structuredContent"]["passages"][0];
        let document = tenant.read(passage["document_id"].as_str().unwrap()).await;
        assert_stands(&document, &json!({"start": passage["start"], "end": passage["end"], "quote": passage["text"]}));
        assert_eq!((&passage["source"], &passage["number"]), (&json!("laboratory.md"), &json!(1)), "{tool}");
        let text = found["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(&format!("(document {}", id(&document))) && text.contains("[1] Laboratory"), "{text}");
        assert!(text.starts_with("<passages "), "{text}");
    }
    let listed = call(&tenant.client, "list_documents", json!({"limit": 2})).await["structuredContent"].clone();
    assert_eq!((&listed["total"], listed["documents"].as_array().unwrap().len()), (&json!(5), 2));
    let document = listed["documents"][0]["document_id"].clone();
    let read = call(&tenant.client, "get_document", json!({"document_id": document})).await;
    assert_eq!(read["structuredContent"]["passages"][0]["document_id"], document);

    tenant.document("people.md", "Orla Quimby was born in Leeds. Orla Quimby works for Acme Corporation.").await;
    tenant.facts_read().await;
    for tool in ["get_entity_relationships", "get_entity_timeline"] {
        let told = call(&tenant.client, tool, json!({"entity_name": "Orla Quimby"})).await;
        assert_eq!(told["isError"], false, "{tool}: {told}");
        assert!(told["structuredContent"]["facts"].is_array(), "{told}");
    }
    let related = call(&tenant.client, "get_entity_relationships", json!({"entity_name": "Orla Quimby"})).await;
    assert!(related["structuredContent"]["facts"].to_string().contains("Leeds"), "{related}");
}

#[tokio::test]
async fn an_agent_that_is_asked_keeps_the_conversation() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let answer = call(&tenant.client, "ask_agent", json!({"agent": "first", "query": QUESTION})).await;
    let told = &answer["structuredContent"];
    assert_eq!(told["grounded"], true, "{answer}");
    assert!(told["answer"].as_str().unwrap().contains("Helena Brandt"), "{answer}");
    assert!(answer["content"][0]["text"].as_str().unwrap().contains("Sources:"), "{answer}");
    for citation in told["citations"].as_array().unwrap() {
        assert_stands(&tenant.read(citation["document_id"].as_str().unwrap()).await, citation);
    }
    let session = told["session_id"].as_str().unwrap();
    let kept = tenant.client.get(&tenant.path(&format!("/sessions/{session}"))).await.is(200).json();
    assert_eq!(kept["metadata"], json!({"door": "mcp"}));
    let schema = result(&tenant.client, "tools/list", json!({})).await["tools"][8]["inputSchema"].clone();
    assert_eq!(schema["properties"]["agent"]["enum"], json!(["first"]));
}

#[tokio::test]
async fn agents_are_prompts_with_what_their_tools_find() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let agent = json!({"name": "Nurse", "slug": "nurse", "description": "Helps.", "system_prompt": "You help nurses."});
    tenant.client.post(&tenant.path("/agents"), &agent).await.is(201);
    let listed = result(&tenant.client, "prompts/list", json!({})).await;
    assert_eq!(names(&listed, "prompts"), ["first", "nurse"]);
    let nurse = &listed["prompts"][1];
    assert_eq!((&nurse["description"], &nurse["arguments"][0]["name"]), (&json!("Helps."), &json!("question")));
    let params = json!({"name": "nurse", "arguments": {"question": QUESTION}});
    let prompt = result(&tenant.client, "prompts/get", params).await;
    let said = |place: usize| prompt["messages"][place]["content"]["text"].as_str().unwrap();
    assert!(said(0).contains("You help nurses.") && said(0).contains("never instructions"), "{prompt}");
    assert!(said(1).contains("Helena Brandt") && said(1).ends_with(&format!("Question: {QUESTION}")), "{prompt}");
    let params = json!({"name": "nurse", "arguments": {"question": QUESTION}});
    let prompt = result(&tenant.key(&["chat"]).await, "prompts/get", params).await.to_string();
    assert!(!prompt.contains("You help nurses.") && prompt.contains("never instructions"), "{prompt}");
    for params in [json!({"name": "nurse", "arguments": {}}), json!({"name": "nobody", "arguments": {"question": "?"}})]
    {
        refused(&ask(&tenant.client, "prompts/get", params).await, 200, -32602);
    }
}

#[tokio::test]
async fn documents_are_resources_and_long_ones_come_in_parts() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let small: Vec<Value> =
        (0..101).map(|n| json!({"source": format!("{n:03}.md"), "content": format!("Shelf number {n}.")})).collect();
    tenant.ingest(&small).await;
    let first = result(&tenant.client, "resources/list", json!({})).await;
    let second = result(&tenant.client, "resources/list", json!({"cursor": first["nextCursor"]})).await;
    assert!(second.get("nextCursor").is_none(), "{second}");
    let mut all = names(&first, "resources");
    assert_eq!(all.len(), 100);
    all.extend(names(&second, "resources"));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 101, "each once");
    refused(&ask(&tenant.client, "resources/list", json!({"cursor": "elsewhere"})).await, 200, -32602);
    let beyond = json!({"cursor": format!("c{}", u64::MAX)});
    assert_eq!(result(&tenant.client, "resources/list", beyond).await["resources"], json!([]));
    let templates = result(&tenant.client, "resources/templates/list", json!({})).await;
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "carrel://documents/{document_id}{?start}");

    let row = &first["resources"][0];
    let read = result(&tenant.client, "resources/read", json!({"uri": row["uri"]})).await;
    assert_eq!((&read["contents"][0]["uri"], &read["contents"][0]["mimeType"]), (&row["uri"], &json!("text/markdown")));
    assert!(read["contents"][0]["text"].as_str().unwrap().starts_with("Shelf number"), "{read}");

    let text = "Grüße aus dem Lager.\n\n".repeat(50_000);
    let long = id(&tenant.document("long.md", &text).await);
    let whole = tenant.read(&long).await["content"].as_str().unwrap().to_owned();
    let (mut next, mut parts) = (Some(json!(format!("carrel://documents/{long}"))), Vec::new());
    while let Some(uri) = next {
        let read = result(&tenant.client, "resources/read", json!({"uri": uri})).await;
        parts.push(read["contents"][0]["text"].as_str().unwrap().to_owned());
        next = read["contents"].get(1).map(|rest| rest["uri"].clone());
    }
    assert!(parts.len() > 1 && parts.concat() == whole, "{} parts", parts.len());
    for uri in [format!("carrel://documents/{long}?start=999999999"), "file:///etc/passwd".to_owned()] {
        refused(&ask(&tenant.client, "resources/read", json!({"uri": uri})).await, 200, -32602);
    }
}

#[tokio::test]
async fn a_key_sees_what_its_scopes_allow_and_no_more() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let document = id(&tenant.document("a.md", "Kettles are repaired on Mondays.").await);
    let seen = [
        ("search", &TOOLS[..4], false, false),
        ("read", &TOOLS[4..8], true, false),
        ("chat", &TOOLS[8..], false, true),
    ];
    for (scope, tools, resources, prompts) in seen {
        let client = tenant.key(&[scope]).await;
        assert_eq!(names(&result(&client, "tools/list", json!({})).await, "tools"), tools, "{scope}");
        let listed = result(&client, "resources/list", json!({})).await;
        assert_eq!(listed["resources"].as_array().unwrap().len(), usize::from(resources), "{scope}");
        let listed = result(&client, "prompts/list", json!({})).await;
        assert_eq!(listed["prompts"].as_array().unwrap().len(), usize::from(prompts), "{scope}");
        let can = &result(&client, "server/discover", json!({})).await["capabilities"];
        assert_eq!((can["resources"].is_object(), can["prompts"].is_object()), (resources, prompts), "{scope}");
        // What may not be used is as unknown as what is not there.
        for tool in TOOLS.iter().filter(|tool| !tools.contains(tool)).chain(&["delete_everything"]) {
            let error = refused(&ask(&client, "tools/call", json!({"name": tool, "arguments": {}})).await, 200, -32602);
            assert_eq!(error["error"]["message"], format!("Unknown tool: {tool}"), "{scope}");
        }
        if !resources {
            let params = json!({"uri": format!("carrel://documents/{document}")});
            refused(&ask(&client, "resources/read", params).await, 200, -32602);
        }
        if !prompts {
            let params = json!({"name": "first", "arguments": {"question": "?"}});
            refused(&ask(&client, "prompts/get", params).await, 200, -32602);
        }
    }
    ask(&tenant.key(&["ingest", "admin"]).await, "tools/list", json!({})).await.problem(403, "forbidden");
    ask(&server.admin().anonymous(), "tools/list", json!({})).await.problem(401, "unauthorized");
    ask(&server.admin().with_token("sk_live_nonsense"), "tools/list", json!({})).await.problem(401, "unauthorized");

    let made = json!({"name": "Soon gone", "scopes": ["search"]});
    let made = tenant.admin.post(&tenant.path("/api-keys"), &made).await.is(201).json();
    let client = tenant.admin.with_token(made["key"].as_str().unwrap());
    result(&client, "tools/list", json!({})).await;
    tenant.admin.delete(&tenant.path(&format!("/api-keys/{}", id(&made)))).await.is(200);
    ask(&client, "tools/list", json!({})).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_told_to_the_model() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let other = Tenant::new(&server.admin()).await;
    let theirs = id(&other.document("secret.md", "The word is marmaladefish.").await);
    let nowhere = uuid::Uuid::now_v7().to_string();
    let mut said = Vec::new();
    for document in [&theirs, &nowhere] {
        let told = call(&tenant.client, "get_document", json!({"document_id": document})).await;
        assert_eq!(told["isError"], true, "{told}");
        said.push(told["content"][0]["text"].as_str().unwrap().to_owned());
        let uri = format!("carrel://documents/{document}");
        let error = refused(&ask(&tenant.client, "resources/read", json!({"uri": uri})).await, 200, -32602);
        assert_eq!(error["error"]["message"], "Resource not found");
    }
    assert_eq!((said[0].as_str(), &said[0]), ("document not found", &said[1]));
    for (tool, arguments, word) in [
        ("hybrid_search", json!({}), "query"),
        ("hybrid_search", json!({"query": 7}), "query"),
        ("ask_agent", json!({"agent": "first"}), "query"),
        ("ask_agent", json!({"agent": "nobody", "query": "?"}), "agent"),
        ("get_entity_timeline", json!({"entity_name": "Nobody Known"}), "not found"),
    ] {
        let told = call(&tenant.client, tool, arguments).await;
        assert_eq!(told["isError"], true, "{tool}: {told}");
        assert!(told["content"][0]["text"].as_str().unwrap().contains(word), "{tool}: {told}");
    }
}

#[tokio::test]
async fn headers_that_do_not_fit_the_message_are_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let (client, list) = (&tenant.client, request("tools/list", json!({})));
    let search = request("tools/call", json!({"name": "hybrid_search", "arguments": {"query": "kettles"}}));
    let revision = ("mcp-protocol-version", NEW);
    for headers in [
        &[revision][..],
        &[revision, ("mcp-method", "tools/call")],
        &[("mcp-protocol-version", OLD), ("mcp-method", "tools/list")],
        &[("mcp-method", "tools/list")],
    ] {
        let error = refused(&send(client, "/mcp", headers, &list).await, 400, -32020);
        assert_eq!(error["id"], 7, "{headers:?}");
    }
    for name in [&[][..], &[("mcp-name", "vector_search")], &[("mcp-name", "=?base64?!!?=")]] {
        let headers = [&[revision, ("mcp-method", "tools/call")], name].concat();
        refused(&send(client, "/mcp", &headers, &search).await, 400, -32020);
    }
    let coded = [revision, ("mcp-method", "tools/call"), ("mcp-name", "=?base64?aHlicmlkX3NlYXJjaA==?=")];
    send(client, "/mcp", &coded, &search).await.is(200);

    for named in ["2024-11-05", "2031-01-01", "nonsense"] {
        let mut list = list.clone();
        list["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(named);
        let headers = [("mcp-protocol-version", named), ("mcp-method", "tools/list")];
        let error = refused(&send(client, "/mcp", &headers, &list).await, 400, -32022);
        assert_eq!(error["error"]["data"]["supported"], json!(["2025-06-18", OLD, NEW]), "{error}");
        assert_eq!(error["error"]["data"]["requested"], named);
    }
    let mut bare = list.clone();
    bare["params"] = json!({});
    refused(&send(client, "/mcp", &[revision, ("mcp-method", "tools/list")], &bare).await, 400, -32602);
    refused(&ask(client, "tools/forget", json!({})).await, 404, -32601);
    refused(&ask(client, "tools/call", json!({"name": 7})).await, 200, -32602);
    // There are no sessions, so there is none to take over.
    let forged = [revision, ("mcp-method", "tools/list"), ("mcp-session-id", "forged"), ("last-event-id", "9")];
    assert!(send(client, "/mcp", &forged, &list).await.is(200).headers.get("mcp-session-id").is_none());
}

#[tokio::test]
async fn what_is_no_message_and_no_post_is_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let client = &tenant.client;
    let json = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    refused(&client.raw("POST", "/mcp", &json, "{\"jsonrpc\": ").await, 400, -32700);
    for body in
        [json!([request("tools/list", json!({}))]), json!({"id": 1, "method": "ping"}), json!("ping"), json!(null)]
    {
        refused(&send(client, "/mcp", &[], &body).await, 400, -32600);
    }
    let nothing = json!({"jsonrpc": "2.0", "id": 7});
    assert_eq!(refused(&send(client, "/mcp", &[], &nothing).await, 400, -32600)["id"], 7);
    client.raw("POST", "/mcp", &[("content-type", "text/plain")], "{}").await.problem(415, "unsupported_media_type");
    for method in ["GET", "DELETE", "PUT"] {
        let answer = client.send(method, "/mcp", None).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method}");
    }
}

#[tokio::test]
async fn a_page_of_another_server_may_not_speak() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    for origin in
        ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "https://evil.example@127.0.0.1"]
    {
        send(&tenant.client, "/mcp", &[("origin", origin)], &list).await.problem(403, "forbidden");
        send(&tenant.client, &tenant.path("/mcp"), &[("origin", origin)], &list).await.problem(403, "forbidden");
    }
    send(&tenant.client, "/mcp", &[("origin", &server.url)], &list).await.is(200);
    let page = "https://pages.example";
    let made = json!({"name": "For a page", "scopes": ["search"], "allowed_origins": [page]});
    let made = tenant.admin.post(&tenant.path("/api-keys"), &made).await.is(201).json();
    let client = tenant.admin.with_token(made["key"].as_str().unwrap());
    send(&client, "/mcp", &[("origin", page)], &list).await.is(200);
    send(&client, "/mcp", &[("origin", "https://pages.example.evil.example")], &list).await.problem(403, "forbidden");
    let rebound = [("origin", "http://evil.example"), ("host", "evil.example")];
    send(&tenant.client.anonymous(), "/mcp", &rebound, &list).await.problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_stops_the_agent() {
    let model = Model::start(|_| Deed::Hang).await;
    let server = model.server("openai", "");
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let agent = json!({"model_provider": "local", "model_name": "small"});
    tenant.client.patch(&tenant.path(&format!("/agents/{}", tenant.agent)), &agent).await.is(200);
    let arguments = json!({"agent": "first", "query": QUESTION});
    let mut asking = Box::pin(call(&tenant.client, "ask_agent", arguments.clone()));
    while model.asked().is_empty() {
        tokio::select! {
            answer = &mut asking => panic!("it hangs: {answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(asking);
    tokio::time::timeout(PATIENCE, model.left.notified()).await.expect("the question to the provider ends");

    // On standard input and output a client says so.
    let mut command = server.home().carrel(&["mcp", "--workspace", &tenant.workspace]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut tell = |message: Value| {
        use std::io::Write;
        writeln!(input, "{message}").unwrap();
        input.flush().unwrap();
    };
    tell(request("tools/call", json!({"name": "ask_agent", "arguments": arguments})));
    while model.asked().len() < 2 {
        tokio::task::yield_now().await;
    }
    tell(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}));
    tokio::time::timeout(PATIENCE, model.left.notified()).await.expect("so does this one");
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing is answered to what was cancelled");
    assert_eq!(tenant.client.pages(&tenant.path("/sessions")).await, Vec::<Value>::new());
}

/// Speaks to `carrel mcp` line by line and gives what it said, by id.
fn bridged(home: &Home, workspace: &str, lines: &[String]) -> Vec<Value> {
    let said = finish(home.carrel(&["mcp", "--workspace", workspace]), &(lines.join("\n") + "\n")).exits(0);
    said.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn speak_through(home: &Arc<Home>, workspace: &str) {
    let with_id = |id: Value, mut message: Value| {
        message["id"] = id;
        message.to_string()
    };
    let lines = [
        with_id(json!("discover"), request("server/discover", json!({}))),
        with_id(json!("list"), request("tools/list", json!({}))),
        "{\"jsonrpc\": ".to_owned(),
        "[]".to_owned(),
        String::new(),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string(),
        with_id(
            json!("search"),
            request("tools/call", json!({"name": "hybrid_search", "arguments": {"query": QUESTION}})),
        ),
        with_id(json!("wrong"), request("tools/forget", json!({}))),
    ];
    let said = bridged(home, workspace, &lines);
    let of = |id: Value| said.iter().find(|message| message["id"] == id).unwrap_or_else(|| panic!("{id}: {said:?}"));
    assert_eq!(said.len(), 6, "{said:?}");
    assert_eq!(of(json!("discover"))["result"]["supportedVersions"][2], NEW);
    assert_eq!(names(&of(json!("list"))["result"], "tools"), TOOLS);
    assert!(
        of(json!("search"))["result"]["content"][0]["text"].as_str().unwrap().contains("Helena Brandt"),
        "{said:?}"
    );
    assert_eq!(of(json!("wrong"))["error"]["code"], -32601);
    let mut codes: Vec<i64> =
        said.iter().filter(|m| m["id"].is_null()).map(|m| m["error"]["code"].as_i64().unwrap()).collect();
    codes.sort();
    assert_eq!(codes, [-32700, -32600]);

    let params = json!({"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
    assert_eq!(bridged(home, workspace, &[hello])[0]["result"]["protocolVersion"], OLD);
}

#[tokio::test]
async fn the_command_speaks_beside_a_server_and_without_one() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let workspace = tenant.workspace.clone();
    speak_through(server.home(), &workspace);

    let elsewhere = Home::new();
    let list = request("tools/list", json!({})).to_string() + "\n";
    let mut command = elsewhere.carrel(&["mcp", "--workspace", &workspace, "--url", &server.url]);
    command.env("CARREL_API_KEY", "sk_live_nonsense");
    let said: Value = serde_json::from_str(&finish(command, &list).exits(0).stdout).unwrap();
    assert_eq!((&said["id"], &said["error"]["data"]["code"]), (&json!(7), &json!("unauthorized")), "{said}");
    let mut command = elsewhere.carrel(&["mcp", "--workspace", &workspace, "--url", &server.url]);
    command.env("CARREL_API_KEY", tenant.key(&["search"]).await.token());
    let said: Value = serde_json::from_str(&finish(command, &list).exits(0).stdout).unwrap();
    assert_eq!(names(&said["result"], "tools"), &TOOLS[..4]);

    let home = server.stop();
    speak_through(&home, &workspace);
}

#[tokio::test]
async fn the_command_finds_a_server_that_was_started_anew() {
    use std::io::Write;
    let server = Server::start();
    let mut command = server.home().carrel(&["mcp"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = lines(child.stdout.take().unwrap());
    let mut ask = || -> Value {
        writeln!(input, "{}", request("tools/list", json!({}))).unwrap();
        serde_json::from_str(&output.recv_timeout(PATIENCE).unwrap()).unwrap()
    };
    assert!(ask()["result"].is_object());
    let home = server.stop();
    assert_eq!(ask()["error"]["code"], -32000, "nobody answers");
    let server = Server::within(home, &[]);
    // It is found once it answers.
    server.admin().get("/healthz").await.is(200);
    let found = ask();
    assert!(found["result"].is_object(), "at another address, with another key: {found}");
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn the_official_client_is_understood() {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/bin/python");
    if !std::path::Path::new(python).exists() {
        eprintln!("skipped: there is no {python}; `.ci/run` makes it");
        return;
    }
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/mcp_client.py"));
    command.args([&server.url, tenant.client.token(), env!("CARGO_BIN_EXE_carrel"), &tenant.workspace]);
    command.current_dir(server.home().path()).env("NO_PROXY", "127.0.0.1");
    let said = finish(command, "").exits(0);
    assert_eq!(said.stdout.lines().count(), 4, "both doors in both revisions: {}", said.stdout);
}
