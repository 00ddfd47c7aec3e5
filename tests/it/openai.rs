//! OpenAI's API: agents as models, chat completions whole and in chunks, embeddings; its clients' shapes, errors and
//! limits, and nobody else's agents.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Client};
use crate::model::{Asked, Deed, Model, say};
use crate::routes::{Ids, OPENAI, Verdict};
use crate::server::{PATIENCE, Server};
use crate::tenant::{SCOPES, Tenant, markers};
use crate::wire::redacted;

const COMPLETIONS: &str = "/v1/chat/completions";
const QUESTION: &str = "Who services the centrifuge?";
const SERVICED: &str = "The centrifuge is serviced by Helena Brandt";

async fn with_handbook(server: &Server) -> Tenant {
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    tenant
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn assistant(text: &Value) -> Value {
    json!({"role": "assistant", "content": text})
}

fn asking(messages: &[Value]) -> Value {
    json!({"model": "first", "messages": messages})
}

async fn complete(tenant: &Tenant, body: &Value) -> Value {
    tenant.client.post(COMPLETIONS, body).await.is(200).json()
}

fn content(completion: &Value) -> &Value {
    &completion["choices"][0]["message"]["content"]
}

/// Asserts an error in OpenAI's shape and gives it.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.header("x-request-id").is_empty());
    let body = answer.json();
    let fields: Vec<&String> = body["error"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["code", "message", "param", "type"], "{body}");
    assert_eq!((body.as_object().unwrap().len(), &body["error"]["code"]), (1, &json!(code)), "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    body["error"].clone()
}

/// The chunks of a stream, and whether it came to its end.
fn chunks(answer: &Answer) -> (Vec<Value>, bool) {
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    let text = answer.text();
    let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let done = data.last() == Some(&"[DONE]");
    let chunks = &data[..data.len() - usize::from(done)];
    (chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect(), done)
}

fn text_of(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn the_shapes_are_openais() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    let models = tenant.client.get("/v1/models").await.is(200).json();
    assert_json_snapshot!(models, {".data[].created" => "[seconds]", ".data[].owned_by" => "[slug]"}, @r#"
    {
      "data": [
        {
          "created": "[seconds]",
          "id": "first",
          "object": "model",
          "owned_by": "[slug]"
        }
      ],
      "object": "list"
    }
    "#);
    assert_eq!(tenant.client.get("/v1/models/first").await.is(200).json(), models["data"][0]);
    let completion = complete(&tenant, &asking(&[user(QUESTION)])).await;
    assert_json_snapshot!(redacted(&completion), {
        ".created" => "[seconds]",
        ".choices[].message.annotations[].url_citation.url" => "[url]",
    }, @r#"
    {
      "carrel": {
        "grounded": true,
        "message_id": "[id]",
        "session_id": "[id]",
        "unsupported": []
      },
      "choices": [
        {
          "finish_reason": "stop",
          "index": 0,
          "logprobs": null,
          "message": {
            "annotations": [
              {
                "type": "url_citation",
                "url_citation": {
                  "end_index": 145,
                  "start_index": 142,
                  "title": "laboratory.md, line 5",
                  "url": "[url]"
                }
              }
            ],
            "content": "The centrifuge is serviced by Helena Brandt from Kranich Instruments. The service of the centrifuge takes three hours and is due every March. [1]",
            "refusal": null,
            "role": "assistant"
          }
        }
      ],
      "citations": [
        {
          "chunk_id": "[id]",
          "document_id": "[id]",
          "end": 170,
          "file": "[path]",
          "heading_path": [
            "Laboratory",
            "Centrifuge"
          ],
          "label": "laboratory.md, line 5",
          "location": {
            "label": "line 5",
            "line": 5
          },
          "marker": 1,
          "quote": "The centrifuge is serviced by Helena Brandt from Kranich Instruments. The service of the centrifuge takes three hours and is due every March.",
          "score": "[0..=1]",
          "source": "laboratory.md",
          "start": 29,
          "title": "Laboratory"
        }
      ],
      "created": "[seconds]",
      "id": "[id]",
      "model": "first",
      "object": "chat.completion",
      "system_fingerprint": "carrel-0.1.0",
      "usage": {
        "completion_tokens": "[tokens]",
        "prompt_tokens": "[tokens]",
        "total_tokens": "[tokens]"
      }
    }
    "#);
    let message = completion["carrel"]["message_id"].as_str().unwrap();
    assert_eq!(completion["id"], format!("chatcmpl-{message}"));
    let created = completion["created"].as_i64().unwrap();
    assert!((created - jiff::Timestamp::now().as_second()).abs() < 3_600, "{created}");

    let streamed = json!({"model": "first", "messages": [user(QUESTION)], "stream": true, "stream_options": {"include_usage": true}});
    let (chunks, done) = chunks(&tenant.client.post(COMPLETIONS, &streamed).await.is(200));
    assert!(done);
    assert_eq!(json!(text_of(&chunks)), *content(&completion));
    let ids: Vec<&Value> = chunks.iter().map(|chunk| &chunk["id"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0] && id.as_str().unwrap().len() == "chatcmpl-".len() + 36), "{ids:?}");
    let chunks: Vec<Value> = chunks.iter().map(redacted).collect();
    assert_json_snapshot!(chunks, {
        "[].created" => "[seconds]",
        "[].choices[].delta.annotations[].url_citation.url" => "[url]",
        "[].citations" => "[citations]",
    }, @r#"
    [
      {
        "choices": [
          {
            "delta": {
              "content": "",
              "role": "assistant"
            },
            "finish_reason": null,
            "index": 0,
            "logprobs": null
          }
        ],
        "created": "[seconds]",
        "id": "[id]",
        "model": "first",
        "object": "chat.completion.chunk",
        "system_fingerprint": "carrel-0.1.0",
        "usage": null
      },
      {
        "choices": [
          {
            "delta": {
              "content": "The centrifuge is serviced by Helena Brandt from Kranich Instruments. The service of the centrifuge takes three hours and is due every March. [1]"
            },
            "finish_reason": null,
            "index": 0,
            "logprobs": null
          }
        ],
        "created": "[seconds]",
        "id": "[id]",
        "model": "first",
        "object": "chat.completion.chunk",
        "system_fingerprint": "carrel-0.1.0",
        "usage": null
      },
      {
        "carrel": {
          "grounded": true,
          "message_id": "[id]",
          "session_id": "[id]",
          "unsupported": []
        },
        "choices": [
          {
            "delta": {
              "annotations": [
                {
                  "type": "url_citation",
                  "url_citation": {
                    "end_index": 145,
                    "start_index": 142,
                    "title": "laboratory.md, line 5",
                    "url": "[url]"
                  }
                }
              ]
            },
            "finish_reason": null,
            "index": 0,
            "logprobs": null
          }
        ],
        "citations": "[citations]",
        "created": "[seconds]",
        "id": "[id]",
        "model": "first",
        "object": "chat.completion.chunk",
        "system_fingerprint": "carrel-0.1.0",
        "usage": null
      },
      {
        "choices": [
          {
            "delta": {},
            "finish_reason": "stop",
            "index": 0,
            "logprobs": null
          }
        ],
        "created": "[seconds]",
        "id": "[id]",
        "model": "first",
        "object": "chat.completion.chunk",
        "system_fingerprint": "carrel-0.1.0",
        "usage": null
      },
      {
        "choices": [],
        "created": "[seconds]",
        "id": "[id]",
        "model": "first",
        "object": "chat.completion.chunk",
        "system_fingerprint": "carrel-0.1.0",
        "usage": {
          "completion_tokens": "[tokens]",
          "prompt_tokens": "[tokens]",
          "total_tokens": "[tokens]"
        }
      }
    ]
    "#);

    let body = json!({"model": "all-MiniLM-L6-v2", "input": ["one", "two"]});
    let embeddings = tenant.client.post("/v1/embeddings", &body).await.is(200).json();
    assert_json_snapshot!(embeddings, {".data[].embedding" => insta::dynamic_redaction(|value, _| {
        assert_eq!(value.as_slice().map(<[_]>::len), Some(384));
        "[numbers]"
    })}, @r#"
    {
      "data": [
        {
          "embedding": "[numbers]",
          "index": 0,
          "object": "embedding"
        },
        {
          "embedding": "[numbers]",
          "index": 1,
          "object": "embedding"
        }
      ],
      "model": "all-MiniLM-L6-v2",
      "object": "list",
      "usage": {
        "prompt_tokens": 2,
        "total_tokens": 2
      }
    }
    "#);
}

#[tokio::test]
async fn citations_stand_where_their_annotations_say() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    for question in [QUESTION, "Wie viele Tage beträgt der Urlaubsanspruch?", "面会時間は何時までですか"] {
        let completion = complete(&tenant, &asking(&[user(question)])).await;
        let text = content(&completion).as_str().unwrap().to_owned();
        let characters: Vec<char> = text.chars().collect();
        let annotations = completion["choices"][0]["message"]["annotations"].as_array().unwrap();
        let marked: Vec<String> = annotations
            .iter()
            .map(|annotation| {
                let place = &annotation["url_citation"];
                let (start, end) = (place["start_index"].as_u64().unwrap(), place["end_index"].as_u64().unwrap());
                characters[start as usize..end as usize].iter().collect()
            })
            .collect();
        let expected: Vec<String> = markers(&text).iter().map(|marker| format!("[{marker}]")).collect();
        assert!(!expected.is_empty());
        assert_eq!(marked, expected, "{text}");
        let url = annotations[0]["url_citation"]["url"].as_str().unwrap();
        assert!(url.starts_with(&server.url), "{url}");
        tenant.client.get(url).await.is(200);
        let answer = json!({"message": text, "citations": completion["citations"]});
        tenant.check_citations(&answer).await;
    }
    let headers = [("content-type", "application/json"), ("host", "carrel.example"), ("x-forwarded-proto", "https")];
    let body = asking(&[user(QUESTION)]).to_string();
    let completion = tenant.client.raw("POST", COMPLETIONS, &headers, body).await.is(200).json();
    let url = &completion["choices"][0]["message"]["annotations"][0]["url_citation"]["url"];
    assert!(url.as_str().unwrap().starts_with("https://carrel.example/workspaces/"), "{url}");
}

#[tokio::test]
async fn a_stream_tells_tokens_only_where_asked() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    for options in [json!(null), json!({}), json!({"include_usage": false, "include_obfuscation": false})] {
        let body = json!({"model": "first", "messages": [user(QUESTION)], "stream": true, "stream_options": options});
        let (chunks, done) = chunks(&tenant.client.post(COMPLETIONS, &body).await.is(200));
        assert!(done && chunks.iter().all(|chunk| chunk.get("usage").is_none()), "{chunks:?}");
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    }
    let body = asking(&[user("What is the capital of Mongolia?")]);
    let completion = complete(&tenant, &body).await;
    assert_eq!(completion["carrel"]["grounded"], false);
    assert_eq!(
        (&completion["citations"], &completion["choices"][0]["message"]["annotations"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn a_conversation_that_its_client_keeps_is_one_session() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    let first = complete(&tenant, &asking(&[user(QUESTION)])).await;
    let second_question = user("And how long does it take?");
    let history = [user(QUESTION), assistant(content(&first)), second_question.clone()];
    let session = &first["carrel"]["session_id"];
    let stranger = tenant.key(&["chat"]).await.post(COMPLETIONS, &asking(&history)).await.is(200).json();
    assert_ne!(&stranger["carrel"]["session_id"], session, "another key's conversation is another");
    let second = complete(&tenant, &asking(&history)).await;
    assert!(content(&second).as_str().unwrap().contains("three hours"), "{second}");
    assert_eq!(&second["carrel"]["session_id"], session);
    let path = tenant.path(&format!("/sessions/{}/messages", session.as_str().unwrap()));
    let kept = tenant.client.get(&path).await.is(200).json();
    assert_eq!((&kept["total"], &kept["messages"][3]["id"]), (&json!(4), &second["carrel"]["message_id"]));

    // What was said before is another thing now.
    let edited = [user(QUESTION), assistant(&json!("Nobody does.")), second_question.clone()];
    let other = complete(&tenant, &asking(&edited)).await;
    assert_ne!(&other["carrel"]["session_id"], session);
    // The session went on, so this is a branch of it.
    let branch = complete(&tenant, &asking(&history)).await;
    assert_ne!(&branch["carrel"]["session_id"], session);
    let streamed = json!({"model": "first", "messages": [user(QUESTION)], "stream": true});
    let (chunks, _) = chunks(&tenant.client.post(COMPLETIONS, &streamed).await.is(200));
    let told = chunks.iter().find(|chunk| chunk["carrel"].is_object()).unwrap();
    let next = [user(QUESTION), assistant(&json!(text_of(&chunks))), second_question];
    let next = complete(&tenant, &asking(&next)).await;
    assert_eq!(next["carrel"]["session_id"], told["carrel"]["session_id"]);
    assert_eq!(tenant.client.pages(&tenant.path("/sessions")).await.len(), 5);
}

#[tokio::test]
async fn what_is_not_to_be_stored_leaves_nothing() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    for stream in [false, true] {
        let body = json!({"model": "first", "messages": [user(QUESTION)], "store": false, "stream": stream});
        let answer = tenant.client.post(COMPLETIONS, &body).await.is(200);
        let last = if stream {
            chunks(&answer).0.into_iter().find(|c| c["carrel"].is_object()).unwrap()
        } else {
            answer.json()
        };
        assert_eq!(
            (&last["carrel"]["session_id"], &last["carrel"]["message_id"]),
            (&json!(null), &json!(null)),
            "{last}"
        );
    }
    assert_eq!(tenant.client.pages(&tenant.path("/sessions")).await, Vec::<Value>::new());
    let body = json!({"model": "first", "messages": [user(QUESTION)], "user": "u-7", "metadata": {"page": "home"}});
    complete(&tenant, &body).await;
    let sessions = tenant.client.pages(&tenant.path("/sessions")).await;
    assert_eq!((&sessions[0]["user_id"], &sessions[0]["metadata"]), (&json!("u-7"), &json!({"page": "home"})));
}

#[tokio::test]
async fn each_scope_opens_its_routes_and_no_others() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    let ids = Ids::from([("*model", "first".to_owned())]);
    let unknown = tenant.client.anonymous().with_token(&format!("sk_live_{}", "b".repeat(51)));
    for route in OPENAI {
        for scope in SCOPES {
            let key = tenant.key(&[scope]).await;
            let answer = key.send(route.method, &route.path(&ids), route.body(&ids).as_ref()).await;
            match route.verdict(scope) {
                Verdict::Allowed => assert_eq!(answer.status, route.status, "{scope}: {}", answer.text()),
                _ => assert_eq!(refused(&answer, 403, "insufficient_permissions")["param"], json!(null)),
            }
        }
        for client in [&tenant.client.anonymous(), &unknown] {
            let answer = client.send(route.method, &route.path(&ids), route.body(&ids).as_ref()).await;
            assert_eq!(refused(&answer, 401, "invalid_api_key")["type"], "invalid_request_error");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        // OpenAI's routes stand under `/v1` alone.
        let bare = route.path(&ids).replace("/v1/", "/");
        tenant.client.send(route.method, &bare, route.body(&ids).as_ref()).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_key_names_no_agent_of_another_workspace() {
    let server = Server::shared();
    let (victim, attacker) = (Tenant::new(&server.admin()).await, Tenant::new(&server.admin()).await);
    let body = json!({"name": "Secret", "slug": "marmalade"});
    victim.client.post(&victim.path("/agents"), &body).await.is(201);
    let slug = victim.admin.get(&victim.path("")).await.is(200).json()["slug"].as_str().unwrap().to_owned();
    let sibling = Tenant::within(&victim.admin, &victim.organization).await;
    for client in [&attacker.client, &sibling.client] {
        let nothing = client.get("/v1/models/nobody").await;
        refused(&nothing, 404, "model_not_found");
        let names = [
            "marmalade".to_owned(),
            format!("{slug}/marmalade"),
            format!("{slug}/first"),
            format!("{}/first", victim.workspace),
            victim.agent.clone(),
            format!("{}/first", Uuid::now_v7()),
            "/first".to_owned(),
            "first/".to_owned(),
            "a/b/c".to_owned(),
            "../../models".to_owned(),
        ];
        for name in names {
            let path = format!("/v1/models/{}", name.replace('/', "%2F"));
            for answer in [
                client.get(&path).await,
                client.post(COMPLETIONS, &json!({"model": name, "messages": [user(QUESTION)]})).await,
                client.post(COMPLETIONS, &json!({"model": name, "messages": [user(QUESTION)], "stream": true})).await,
            ] {
                refused(&answer, 404, "model_not_found");
                assert_eq!(answer.bytes, nothing.bytes, "{name}");
            }
        }
        let listed = client.get("/v1/models").await.is(200).text();
        assert!(!listed.contains("marmalade") && !listed.contains(&slug), "{listed}");
    }
    assert_eq!(victim.client.pages(&victim.path("/sessions")).await, Vec::<Value>::new());
    // Its owner reaches it by every name.
    for name in ["marmalade".to_owned(), format!("{slug}/marmalade"), format!("{}/marmalade", victim.workspace)] {
        let completion = complete(&victim, &json!({"model": name, "messages": [user(QUESTION)]})).await;
        assert_eq!(completion["model"], name);
        assert_eq!(victim.client.get(&format!("/v1/models/{name}")).await.is(200).json()["id"], "marmalade");
    }
}

#[tokio::test]
async fn an_inactive_agent_is_no_model() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.client.patch(&tenant.path(&format!("/agents/{}", tenant.agent)), &json!({"is_active": false})).await.is(200);
    assert_eq!(tenant.client.get("/v1/models").await.is(200).json()["data"], json!([]));
    refused(&tenant.client.get("/v1/models/first").await, 404, "model_not_found");
    refused(&tenant.client.post(COMPLETIONS, &asking(&[user(QUESTION)])).await, 404, "model_not_found");
}

#[tokio::test]
async fn the_instance_admin_names_workspaces() {
    let server = Server::start();
    let admin = server.admin();
    let organization = |slug: &str| json!({"name": "An organization", "slug": slug, "contact_email": "a@example.com"});
    let mut workspaces = Vec::new();
    for (owner, slug) in [("one", "same"), ("other", "same"), ("third", "alone")] {
        let owner = admin.post("/v1/organizations", &organization(owner)).await.is(201).json();
        let path = format!("/v1/organizations/{}/workspaces", owner["id"].as_str().unwrap());
        let made = admin.post(&path, &json!({"name": "Theirs", "slug": slug})).await.is(201).json();
        let workspace = made["id"].as_str().unwrap().to_owned();
        let agent = json!({"name": "An agent", "slug": "helper"});
        admin.post(&format!("/v1/workspaces/{workspace}/agents"), &agent).await.is(201);
        workspaces.push(workspace);
    }
    let listed = admin.get("/v1/models").await.is(200).json();
    let ids: Vec<&str> = listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    let (one, other) = (format!("{}/helper", workspaces[0]), format!("{}/helper", workspaces[1]));
    assert_eq!(ids, ["default/general", &one, &other, "alone/helper"]);
    assert_eq!(listed["data"][3]["owned_by"], "alone");
    for id in ids {
        assert_eq!(admin.get(&format!("/v1/models/{id}")).await.is(200).json()["id"], id);
        let body = json!({"model": id, "messages": [user(QUESTION)]});
        assert_eq!(admin.post(COMPLETIONS, &body).await.is(200).json()["model"], id);
    }
    refused(&admin.get("/v1/models/same/helper").await, 404, "model_not_found");
    // Without a workspace it is the default one's, as for the original's clients.
    assert_eq!(admin.get("/v1/models/general").await.is(200).json()["id"], "default/general");
    let body = json!({"model": "all-MiniLM-L6-v2", "input": "Hello"});
    admin.post("/v1/embeddings", &body).await.is(200);
}

#[tokio::test]
async fn wrong_requests_are_refused_in_openais_shape() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let image =
        json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]});
    let with = |field: &str, value: Value| {
        let mut body = asking(&[user(QUESTION)]);
        body[field] = value;
        body
    };
    let wrong = [
        (json!({}), json!("body")),
        (json!([]), json!("body")),
        (json!({"model": "first"}), json!("body")),
        (json!({"messages": [user(QUESTION)]}), json!("body")),
        (with("model", json!(7)), json!("model")),
        (with("messages", json!("Hello?")), json!("messages")),
        (with("messages", json!([])), json!("messages")),
        (with("messages", json!([user(QUESTION), assistant(&json!("She."))])), json!("messages")),
        (with("messages", json!([image])), json!("messages[0].content[0]")),
        (with("messages", json!([{"role": "wizard", "content": "Hi"}])), json!("messages[0].role")),
        (with("messages", json!([{"content": "Hi"}])), json!("messages[0]")),
        (with("n", json!(128)), json!("n")),
        (with("n", json!(0)), json!("n")),
        (with("temperature", json!(3)), json!("temperature")),
        (with("temperature", json!("hot")), json!("temperature")),
        (with("max_tokens", json!(0)), json!("max_tokens")),
        (with("max_completion_tokens", json!(-1)), json!("max_completion_tokens")),
        (with("stream", json!("yes")), json!("stream")),
        (with("user", json!("u".repeat(600))), json!("user")),
        (with("metadata", json!([])), json!("metadata")),
        (with("tool_choice", json!("required")), json!("tool_choice")),
        (with("tool_choice", json!({"type": "function", "function": {"name": "f"}})), json!("tool_choice")),
        (with("function_call", json!({"name": "f"})), json!("function_call")),
        (with("response_format", json!({"type": "json_object"})), json!("response_format")),
        (with("response_format", json!({"type": "json_schema", "json_schema": {}})), json!("response_format")),
    ];
    for (body, param) in wrong {
        let answer = tenant.client.post(COMPLETIONS, &body).await;
        let error = refused(&answer, 400, "invalid_value");
        assert_eq!((&error["param"], &error["type"]), (&param, &json!("invalid_request_error")), "{body}: {error}");
        assert!(!answer.text().contains("serde"), "{error}");
    }
    let long = "word ".repeat(10_000);
    for messages in [json!([user(&long)]), json!([{"role": "system", "content": "a".repeat(200_000)}, user("Hi?")])] {
        let answer = tenant.client.post(COMPLETIONS, &with("messages", messages)).await;
        assert_eq!(refused(&answer, 400, "context_length_exceeded")["param"], "messages");
    }
    let many = vec![user("Hi?"); 2_001];
    refused(&tenant.client.post(COMPLETIONS, &asking(&many)).await, 400, "invalid_value");
    for bytes in ["", "{", "{\"model\": \"\u{0}\"}", "null"] {
        let json = [("content-type", "application/json")];
        refused(&tenant.client.raw("POST", COMPLETIONS, &json, bytes).await, 400, "invalid_value");
    }
    let plain = [("content-type", "text/plain")];
    refused(&tenant.client.raw("POST", COMPLETIONS, &plain, "{}").await, 415, "unsupported_media_type");
    refused(&tenant.client.get(COMPLETIONS).await, 405, "method_not_allowed");
    refused(&tenant.client.delete("/v1/models/first").await, 405, "method_not_allowed");
    refused(&tenant.client.get("/v1/embeddings/7").await, 404, "not_found");
    assert_eq!(tenant.client.pages(&tenant.path("/sessions")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_in_openais_shape() {
    let server = Server::with(&[("CARREL_LIMITS_JSON_BYTES", "2000")]);
    let tenant = Tenant::new(&server.admin()).await;
    for path in [COMPLETIONS, "/v1/embeddings"] {
        let answer = tenant.client.post(path, &json!({"model": "first", "input": "a".repeat(3_000)})).await;
        refused(&answer, 413, "payload_too_large");
    }
}

#[tokio::test]
async fn what_clients_send_besides_is_no_hindrance() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    let function = json!({"type": "function", "function": {"name": "weather", "parameters": {}}});
    let body = json!({
        "model": "first",
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}], "name": "setup"},
            {"role": "user", "content": "What is the weather?"},
            {"role": "assistant", "content": null, "refusal": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        ],
        "tools": [function], "tool_choice": "auto", "parallel_tool_calls": true, "response_format": {"type": "text"},
        "n": 1, "temperature": 0.2, "top_p": 0.9, "max_tokens": 1_000_000_000, "stop": ["###"], "seed": 7,
        "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}, "logprobs": null, "reasoning_effort": "low",
        "verbosity": "low", "prompt_cache_key": "k", "service_tier": "auto", "stream": null, "stream_options": null,
        "metadata": null, "user": null, "store": null, "a_field_of_next_year": {"x": [1]},
    });
    let completion = complete(&tenant, &body).await;
    assert!(content(&completion).as_str().unwrap().contains("Helena Brandt"), "{completion}");
    // What Open WebUI asks beside a chat, for its title.
    let task =
        format!("### Task:\nGenerate a concise title as JSON.\n### Chat History:\n{}", "USER: hello\n".repeat(500));
    let body = json!({"model": "first", "messages": [user(&task)], "stream": false, "max_completion_tokens": 1000});
    assert!(content(&complete(&tenant, &body).await).is_string());
    let long: Vec<Value> =
        (0..1_999).map(|n| if n % 2 == 0 { user("And now?") } else { assistant(&json!("No.")) }).collect();
    complete(&tenant, &asking(&long)).await;
}

async fn embedded(client: &Client, body: Value) -> Value {
    client.post("/v1/embeddings", &body).await.is(200).json()
}

#[tokio::test]
async fn embeddings_come_in_every_form() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    let client = tenant.key(&["search"]).await;
    let embedded = |body: Value| embedded(&client, body);
    let model = "all-MiniLM-L6-v2";
    let one =
        embedded(json!({"model": model, "input": "hello world", "encoding_format": "float", "dimensions": 384})).await;
    let vector = &one["data"][0]["embedding"];
    assert_eq!(one["usage"], json!({"prompt_tokens": 2, "total_tokens": 2}));
    let many =
        embedded(json!({"model": "text-embedding-ada-002", "input": ["hello world", "good night"], "user": "me"}))
            .await;
    assert_eq!((&many["model"], &many["usage"]["total_tokens"]), (&json!(model), &json!(4)));
    assert_eq!((&many["data"][0]["embedding"], &many["data"][1]["index"]), (vector, &json!(1)));
    for ids in [json!([15339, 1917]), json!([[15339, 1917]])] {
        assert_eq!(embedded(json!({"model": model, "input": ids})).await["data"][0]["embedding"], *vector);
    }
    let packed = embedded(json!({"model": model, "input": "hello world", "encoding_format": "base64"})).await;
    let bytes = STANDARD.decode(packed["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    let told: Vec<f32> = vector.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect();
    assert_eq!((numbers.len(), rest.len(), &numbers), (384, 0, &told));
    let length: f32 = numbers.iter().map(|number| number * number).sum();
    assert!((length - 1.0).abs() < 1e-4, "{length}");
    // A text of many windows counts as a whole.
    let long = format!("{} zebra", "The quick brown fox jumps over the lazy dog. ".repeat(100));
    let beginning = embedded(json!({"model": model, "input": long.replace("zebra", "")})).await;
    assert_ne!(embedded(json!({"model": model, "input": long})).await["data"][0], beginning["data"][0]);
}

#[tokio::test]
async fn wrong_inputs_are_not_embedded() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let model = "all-MiniLM-L6-v2";
    let wrong = [
        (json!({"input": "x"}), "body", "invalid_value"),
        (json!({"model": model}), "body", "invalid_value"),
        (json!({"model": model, "input": ""}), "input", "invalid_value"),
        (json!({"model": model, "input": []}), "input", "invalid_value"),
        (json!({"model": model, "input": ["a", ""]}), "input", "invalid_value"),
        (json!({"model": model, "input": [1, "a"]}), "input", "invalid_value"),
        (json!({"model": model, "input": [4_000_000]}), "input", "invalid_value"),
        (json!({"model": model, "input": {"text": "a"}}), "input", "invalid_value"),
        (json!({"model": model, "input": vec!["a"; 2_049]}), "input", "invalid_value"),
        (json!({"model": model, "input": vec![1; 8_193]}), "input", "context_length_exceeded"),
        (json!({"model": model, "input": "a ".repeat(17_000)}), "input", "context_length_exceeded"),
        (json!({"model": model, "input": "x", "dimensions": 256}), "dimensions", "invalid_value"),
        (json!({"model": model, "input": "x", "encoding_format": "int8"}), "encoding_format", "invalid_value"),
    ];
    for (body, param, code) in wrong {
        let answer = tenant.client.post("/v1/embeddings", &body).await;
        let start: String = body.to_string().chars().take(100).collect();
        assert_eq!(refused(&answer, 400, code)["param"], param, "{start}");
        assert!(!answer.text().contains("serde") && !answer.text().contains("untagged"), "{}", answer.text());
    }
    let body = json!({"model": "nobodys-embedding", "input": "x"});
    assert_eq!(refused(&tenant.client.post("/v1/embeddings", &body).await, 404, "model_not_found")["param"], "model");
}

/// A tenant of `server` with the handbook whose agent speaks with the provider's model.
async fn with_model(server: &Server) -> Tenant {
    let tenant = with_handbook(server).await;
    let body =
        json!({"model_provider": "local", "model_name": "small", "system_prompt": "You help.", "max_tokens": 300});
    tenant.client.patch(&tenant.path(&format!("/agents/{}", tenant.agent)), &body).await.is(200);
    tenant
}

fn knows(asked: &Asked) -> Deed {
    say(format!("Helena Brandt services the centrifuge [{}].", asked.passage(SERVICED)))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_asks_for_reaches_the_model() {
    let model = Model::start(knows).await;
    let server = model.server("openai", "");
    let tenant = with_model(&server).await;
    let messages = [json!({"role": "system", "content": "Speak like a pirate."}), user(QUESTION)];
    let mut body = asking(&messages);
    body["temperature"] = json!(0.7);
    body["max_completion_tokens"] = json!(50);
    let completion = complete(&tenant, &body).await;
    assert_eq!(content(&completion), "Helena Brandt services the centrifuge [1].");
    assert_eq!(completion["usage"], json!({"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60}));
    body["stream"] = json!(true);
    body["max_completion_tokens"] = json!(1_000_000_000);
    let (chunks, done) = chunks(&tenant.client.post(COMPLETIONS, &body).await.is(200));
    assert!(done && chunks.len() > 5, "it comes in pieces: {chunks:?}");
    assert_eq!(json!(text_of(&chunks)), *content(&completion));
    let asked = model.asked();
    assert!(asked[0].text().contains("You help.") && asked[0].text().contains("Speak like a pirate."));
    assert_eq!((&asked[0].body["temperature"], &asked[0].body["max_tokens"]), (&json!(0.7), &json!(50)));
    assert_eq!(asked[1].body["max_tokens"], 300, "an agent's limit holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_is_told_of_before_or_within_a_stream() {
    let model = Model::start(|asked| match asked.number {
        1 => Deed::BreakOff("Helena Brandt services the"),
        _ => Deed::Fail(400, None),
    })
    .await;
    let server = model.server("openai", "");
    let tenant = with_model(&server).await;
    let mut body = asking(&[user(QUESTION)]);
    body["stream"] = json!(true);
    let (chunks, done) = chunks(&tenant.client.post(COMPLETIONS, &body).await.is(200));
    assert!(!done, "what broke off is not done: {chunks:?}");
    let error = &chunks.last().unwrap()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("server_error")), "{error}");
    assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()));
    body["stream"] = json!(false);
    let answer = tenant.client.post(COMPLETIONS, &body).await;
    assert_eq!(refused(&answer, 503, "server_error")["type"], "server_error");
    assert_eq!(tenant.client.pages(&tenant.path("/sessions")).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_turn() {
    let model = Model::start(|_| Deed::Stall("Helena Brandt")).await;
    let server = model.server("openai", "");
    let tenant = with_model(&server).await;
    let mut body = asking(&[user(QUESTION)]);
    body["stream"] = json!(true);
    let mut events = tenant.client.stream("POST", COMPLETIONS, Some(&body)).await;
    assert_eq!(events.next().await.unwrap()["choices"][0]["delta"]["role"], "assistant");
    while events.next().await.unwrap()["choices"][0]["delta"]["content"] == "" {}
    drop(events);
    tokio::time::timeout(PATIENCE, model.left.notified()).await.expect("the model is left, too");
    assert_eq!(tenant.client.pages(&tenant.path("/sessions")).await, Vec::<Value>::new());
}
