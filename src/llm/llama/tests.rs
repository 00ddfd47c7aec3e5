//! The whole of it on a tiny model of random weights, made by `tests/tiny_gguf.py`: what it says is nonsense, and the form is not.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::Llama;
use crate::config;
use crate::llm::model::ChatModel;
use crate::llm::request::{Message, Request, Shape, Tool};
use crate::llm::speech::{Completion, Failure, Finish, Piece, Speech};

/// A directory with the model `tiny`.
fn models(arguments: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), "tiny", arguments);
    directory
}

fn make(directory: &Path, name: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny_gguf.py");
    let file = directory.join(format!("{name}.gguf"));
    let made = Command::new("python3").arg(script).arg(file).args(arguments).status().unwrap();
    assert!(made.success(), "python3 makes a model");
}

fn provider(settings: &str) -> config::Provider {
    toml::from_str(&format!("kind = \"llama\"\nthreads = 1\n{settings}")).unwrap()
}

fn llama(directory: &TempDir, settings: &str) -> ChatModel {
    // The program of these tests tries no models.
    ChatModel::Llama(Llama::tried_by(None, directory.path(), &provider(settings)).unwrap())
}

fn question(text: &str, max_tokens: u32) -> Request {
    let messages = vec![Message::User(text.into())];
    Request { model: "tiny".into(), messages, max_tokens, temperature: Some(1.0), ..Request::default() }
}

const SILENCE: Duration = Duration::from_secs(60);

/// All that is said, piece by piece.
async fn listen(mut speech: Speech) -> Result<(Vec<String>, Completion), Failure> {
    let mut pieces = Vec::new();
    loop {
        match speech.next().await? {
            Piece::Text(text) => pieces.push(text),
            Piece::End(end) => return Ok((pieces.clone(), Completion { text: pieces.concat(), end })),
        }
    }
}

#[tokio::test]
async fn it_speaks_in_pieces_and_counts_its_tokens() {
    let directory = models(&[]);
    let model = llama(&directory, "");
    let (pieces, said) = listen(model.stream(&question("Hello", 50), SILENCE).await.unwrap()).await.unwrap();
    assert!(pieces.len() > 5, "{pieces:?}");
    assert_eq!(said.end.finish, Finish::Length);
    let tokens = said.end.tokens.unwrap();
    assert_eq!(tokens.completion, 50);
    // The marks, the roles and the texts: every letter is a token here.
    assert!((20..60).contains(&tokens.prompt), "{tokens:?}");
    // The same question is answered in the same way, whether it is read anew or remembered.
    assert_eq!(model.complete(&question("Hello", 50)).await.unwrap(), said);
}

#[tokio::test]
async fn an_answer_ends_where_the_model_ends_it() {
    let directory = models(&[]);
    let model = llama(&directory, "");
    let said = model.complete(&question("Go on", 4000)).await.unwrap();
    assert_eq!(said.end.finish, Finish::Stop);
    assert!(said.end.tokens.unwrap().completion < 4000);
}

#[tokio::test]
async fn without_a_temperature_of_its_own_the_likeliest_word_is_taken() {
    let directory = models(&[]);
    let model = llama(&directory, "");
    let greedy = Request { temperature: Some(0.0), ..question("Hello", 20) };
    let said = model.complete(&greedy).await.unwrap();
    assert_eq!(model.complete(&greedy).await.unwrap(), said);
    assert_ne!(model.complete(&question("Hello", 20)).await.unwrap().text, said.text);
}

#[tokio::test]
async fn a_question_longer_than_the_context_is_refused_in_tokens() {
    let directory = models(&["--context", "512"]);
    let model = llama(&directory, "context_tokens = 8192");
    let failure = model.complete(&question(&"word ".repeat(300), 10)).await.unwrap_err();
    let Failure::Refused(why) = failure else { panic!("{failure}") };
    assert!(why.contains("tokens") && why.contains("512"), "{why}");
    // What fits is answered as far as the context reaches.
    let said = model.complete(&question(&"wo ".repeat(130), 4000)).await.unwrap();
    let tokens = said.end.tokens.unwrap();
    assert!(tokens.prompt + tokens.completion <= 512, "{tokens:?}");
}

#[tokio::test]
async fn questions_wait_for_each_other_and_too_many_are_refused() {
    let directory = models(&[]);
    let model = llama(&directory, "");
    let mut speeches = Vec::new();
    let refused = loop {
        match model.stream(&question("Hello", 300), SILENCE).await {
            Ok(speech) => speeches.push(speech),
            Err(failure) => break failure,
        }
    };
    assert_eq!(refused, Failure::Unavailable("it is busy".into()));
    assert!(speeches.len() >= super::worker::WAITING);
    for speech in speeches {
        listen(speech).await.unwrap();
    }
}

/// A model that does not end by itself, and a question to it that takes it longer than its provider's timeout.
fn endless() -> (TempDir, ChatModel, Request) {
    let directory = models(&["--context", "131072", "--endless"]);
    let model = llama(&directory, "context_tokens = 131072\ntimeout_seconds = 3");
    (directory, model, question("Hello", 131_000))
}

#[tokio::test]
async fn who_listens_no_more_holds_up_nobody() {
    let (_directory, model, endless) = endless();
    let mut first = model.stream(&endless, SILENCE).await.unwrap();
    let second = model.stream(&endless, SILENCE).await.unwrap();
    first.next().await.unwrap();
    // One that is answered, and one that waits.
    drop((first, second));
    assert_eq!(model.complete(&question("Hello", 5)).await.unwrap().end.tokens.unwrap().completion, 5);
    // One that takes nothing while it is answered gets it all the same.
    let slow = model.stream(&question("Hello", 300), SILENCE).await.unwrap();
    let next = model.complete(&question("Hello", 300)).await.unwrap();
    assert_eq!(listen(slow).await.unwrap().1, next);
    // Nor does the end of the process wait for one that goes on.
    let mut last = model.stream(&endless, SILENCE).await.unwrap();
    last.next().await.unwrap();
    drop(model);
    assert_eq!(listen(last).await.unwrap_err(), super::stopped());
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_late() {
    let (_directory, model, endless) = endless();
    assert_eq!(model.complete(&endless).await.unwrap_err(), Failure::Late);
}

#[tokio::test]
async fn what_cannot_be_loaded_is_said_and_others_are_still_loaded() {
    let directory = models(&[]);
    make(directory.path(), "other", &["--seed", "1", "--template", "none"]);
    let whole = std::fs::read(directory.path().join("tiny.gguf")).unwrap();
    std::fs::write(directory.path().join("cut.gguf"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(directory.path().join("letter.gguf"), "Dear Sir or Madam").unwrap();
    let model = llama(&directory, "");
    for (name, expected) in [
        ("cut", "cannot be loaded"),
        ("letter", "no file of the format GGUF"),
        ("missing", "is not in the folder"),
        ("../tiny", "is not in the folder"),
    ] {
        let request = Request { model: name.into(), ..question("Hello", 5) };
        let Failure::Unavailable(why) = model.complete(&request).await.unwrap_err() else { panic!("{name}") };
        assert!(why.contains(name) && why.contains(expected), "{why}");
    }
    let other = Request { model: "other".into(), ..question("Hello", 5) };
    let tiny = question("Hello", 5);
    let (first, second) = tokio::join!(model.complete(&tiny), model.complete(&other));
    assert_ne!(first.unwrap().text, second.unwrap().text);
}

#[test]
fn the_models_of_a_directory_are_those_that_write() {
    let directory = tempfile::tempdir().unwrap();
    for name in
        ["b.gguf", "a.gguf", "mmproj-a.gguf", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf", "c.txt", ".gguf"]
    {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    assert_eq!(Llama::models(directory.path(), &provider("")), ["a", "b", "big-00001-of-00002"]);
    assert_eq!(Llama::models(directory.path(), &provider("models = [\"b.gguf\"]")), ["b"]);
    assert!(Llama::models(&directory.path().join("missing"), &provider("")).is_empty());
}

/// Schemas of values, as tools have them, that a model of random weights comes to the end of.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "boolean"})),
        (0..50_i64, 0..1000_i64)
            .prop_map(|(from, more)| json!({"type": "integer", "minimum": from, "maximum": from + more})),
        Just(json!({"type": "number", "description": "How \"much\""})),
        Just(json!({"type": "string", "maxLength": 12})),
        prop::collection::btree_set("[a-z\"\\\\é{}]{1,6}", 1..4).prop_map(|words| json!({"enum": words})),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| json!({"type": "array", "items": items, "maxItems": 3})),
            objects(inner),
        ]
    })
}

fn objects(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let properties = prop::collection::btree_map("[a-z_]{1,8}", (values, any::<bool>()), 0..4);
    properties.prop_map(|properties| {
        let required: Vec<&String> = properties.iter().filter(|(_, (_, is))| *is).map(|(name, _)| name).collect();
        let schemas: Map<String, Value> =
            properties.iter().map(|(name, (schema, _))| (name.clone(), schema.clone())).collect();
        json!({"type": "object", "properties": schemas, "required": required})
    })
}

/// Whether a value is as a schema of those above wants it.
fn is_valid(value: &Value, schema: &Value) -> bool {
    if let Some(words) = schema["enum"].as_array() {
        return words.contains(value);
    }
    match schema["type"].as_str().unwrap() {
        "boolean" => value.is_boolean(),
        "integer" => {
            let bounds = schema["minimum"].as_i64().unwrap()..=schema["maximum"].as_i64().unwrap();
            value.as_i64().is_some_and(|number| bounds.contains(&number))
        }
        "number" => value.is_number(),
        // Bytes that are no character count as one here, and become several that stand for them.
        "string" => value.as_str().is_some_and(|text| text.contains('\u{FFFD}') || text.chars().count() <= 12),
        "array" => {
            value.as_array().is_some_and(|all| all.len() <= 3 && all.iter().all(|one| is_valid(one, &schema["items"])))
        }
        _ => {
            let Some(object) = value.as_object() else { return false };
            let known = object
                .iter()
                .all(|(name, value)| schema["properties"].get(name).is_some_and(|schema| is_valid(value, schema)));
            known
                && schema["required"].as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
        }
    }
}

/// Whether a text is JSON of a schema; the largest numbers, which are JSON as well, cannot be read.
fn holds(text: &str, schema: &Value) -> bool {
    match serde_json::from_str(text) {
        Ok(value) => is_valid(&value, schema),
        Err(error) => error.to_string().starts_with("number out of range"),
    }
}

/// Asks a model that begins with `{` for many schemas of objects; `check` says whether an answer came to its end.
async fn with_schemas(check: impl Fn(&tokio::runtime::Handle, &ChatModel, Value, f64) -> bool + Send + 'static) {
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        let directory = models(&["--calls"]);
        let model = llama(&directory, "");
        let mut runner = TestRunner::new(Cases { cases: 40, ..Cases::default() });
        let ended = std::cell::Cell::new(0);
        let cases = (objects(schemas()), prop_oneof![Just(0.0), 0.5..2.0]);
        let checked = runner.run(&cases, |(schema, temperature)| {
            ended.set(ended.get() + u32::from(check(&runtime, &model, schema, temperature)));
            Ok(())
        });
        checked.map(|()| ended.get())
    };
    assert!(tokio::task::spawn_blocking(run).await.unwrap().unwrap() >= 20, "most answers came to their end");
}

#[tokio::test]
async fn an_answer_has_the_shape_that_was_asked_for() {
    with_schemas(|runtime, model, schema, temperature| {
        let shape = Shape { name: "answer", schema: schema.clone() };
        let request = Request { shape: Some(shape), temperature: Some(temperature), ..question("Say it", 1500) };
        let said = runtime.block_on(model.complete(&request)).unwrap();
        if said.end.finish == Finish::Stop {
            assert!(holds(&said.text, &schema), "{} is not of {schema}", said.text);
        }
        assert!(said.end.calls.is_empty());
        said.end.finish == Finish::Stop
    })
    .await;
}

#[tokio::test]
async fn a_call_has_the_arguments_that_its_tool_takes() {
    with_schemas(|runtime, model, schema, temperature| {
        let other = json!({"type": "object", "properties": {}, "required": []});
        let tools = vec![
            Tool { name: "find", description: "Finds", parameters: schema.clone() },
            Tool { name: "list_documents", description: "Lists", parameters: other.clone() },
        ];
        let request = Request { tools, temperature: Some(temperature), ..question("Find it", 1500) };
        let said = runtime.block_on(model.complete(&request)).unwrap();
        if said.end.calls.is_empty() {
            assert!(!said.text.starts_with('{'), "a call is not told: {}", said.text);
            return false;
        }
        assert_eq!(said.text, "");
        for call in &said.end.calls {
            assert_eq!(said.end.finish, Finish::ToolCalls);
            let schema = if call.name == "find" { &schema } else { &other };
            assert!(holds(&call.arguments, schema), "{} are not of {schema}", call.arguments);
        }
        said.end.calls.len() == 1
    })
    .await;
}

#[tokio::test]
async fn a_model_that_must_answer_calls_no_more() {
    let directory = models(&["--calls"]);
    let model = llama(&directory, "");
    let tools =
        vec![Tool { name: "find", description: "Finds", parameters: json!({"type": "object", "properties": {}}) }];
    let request = Request { tools, must_answer: true, temperature: Some(0.0), ..question("Find it", 30) };
    let said = model.complete(&request).await.unwrap();
    assert!(said.end.calls.is_empty() && !said.text.is_empty() && !said.text.starts_with('{'), "{}", said.text);
}

#[tokio::test]
async fn a_model_that_wants_no_tool_answers_in_text() {
    let directory = models(&[]);
    let model = llama(&directory, "");
    let tool = Tool { name: "find", description: "Finds", parameters: json!({"type": "object", "properties": {}}) };
    let mut told = 0;
    for text in ["Hello", "Who", "Why", "When", "Where", "How"] {
        let request = Request { tools: vec![tool.clone()], ..question(text, 30) };
        let said = model.complete(&request).await.unwrap();
        assert!(said.end.calls.is_empty() && !said.text.starts_with('{'), "{}", said.text);
        told += said.text.len();
    }
    assert!(told > 100);
}
