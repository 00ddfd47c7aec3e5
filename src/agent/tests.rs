//! Turns in conversations that clients keep, and what a turn was asked with.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;
use uuid::Uuid;

use super::*;
use crate::clock;
use crate::embed::{Embedder, ModelInfo, Purpose};
use crate::error::Result;
use crate::llm::{EXTRACTIVE, Providers};
use crate::sqlite::Access;
use crate::workspace::agents::Agent;
use crate::workspace::{Manifest, ModelIdentity, Workspace};

/// Nothing is searched here.
struct Idle(ModelInfo);

impl Embedder for Idle {
    fn model(&self) -> &ModelInfo {
        &self.0
    }

    fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|_| vec![1.0]).collect())
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split(' ').count()
    }

    fn token_offsets(&self, _: &str) -> Vec<(usize, usize)> {
        Vec::new()
    }
}

/// An empty workspace with an agent that has no tools.
fn desk(directory: &tempfile::TempDir) -> (Desk, Uuid) {
    let root = directory.path().join("workspace");
    let (name, sha256) = ("m".to_owned(), "0".repeat(64));
    let model = ModelInfo { name: name.clone(), dimension: 1, sha256: sha256.clone(), max_tokens: 9 };
    let identity = ModelIdentity { name, dimension: 1, sha256 };
    Workspace::create(&root, &Manifest::new(Uuid::now_v7(), "Clinic", "en", identity)).unwrap();
    let agent = Agent {
        id: Uuid::now_v7(),
        name: "An agent".into(),
        slug: "first".into(),
        description: None,
        system_prompt: String::new(),
        model_provider: EXTRACTIVE.into(),
        model_name: EXTRACTIVE.into(),
        temperature: 0.5,
        max_tokens: 500,
        enabled_tools: Vec::new(),
        tool_config: Map::new(),
        is_active: true,
        settings: Map::new(),
        created_at: clock::now(),
        updated_at: clock::now(),
    };
    let workspace = Workspace::open(&root, Access::Write).unwrap();
    workspace.put_agent(&agent).unwrap();
    let desk = Desk {
        workspace,
        name: "Clinic".into(),
        description: None,
        embedder: Arc::new(Idle(model)),
        providers: Arc::new(Providers::default()),
        queue: Arc::new(Queue::new(8)),
        patience: Duration::from_secs(60),
    };
    (desk, agent.id)
}

fn held(agent_id: Uuid, owner: &str, before: &[(&str, &str)]) -> Chat {
    let line = |by_agent, text: &str| Line { by_agent, text: text.to_owned() };
    let before = before.iter().flat_map(|(asked, answered)| [line(false, asked), line(true, answered)]).collect();
    Chat {
        agent_id,
        owner: owner.to_owned(),
        query: "Where do visitors park their cars?".to_owned(),
        thread: Thread::Held { before, is_kept: true },
        user_id: None,
        metadata: Map::new(),
        search_type: None,
        instructions: Vec::new(),
        temperature: None,
        max_tokens: None,
    }
}

async fn take(desk: &Desk, chat: Chat) -> Reply {
    take_turn(desk, chat, &Listener::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_a_client_keeps_is_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (desk, agent) = desk(&directory);
    let first = take(&desk, held(agent, "key 1", &[])).await;
    let before = [("Where do visitors park their cars?", first.message.as_str())];
    let other = take(&desk, held(agent, "key 2", &before)).await;
    assert_ne!(other.session_id, first.session_id, "another caller's conversation is another");
    let reader = Chat { user_id: Some("kim".into()), ..held(agent, "key 1", &before) };
    assert_ne!(take(&desk, reader).await.session_id, first.session_id, "so is another reader's");
    assert_eq!(take(&desk, held(agent, "key 1", &before)).await.session_id, first.session_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_turns_at_once_one_goes_on_in_the_session_that_a_client_keeps() {
    let directory = tempfile::tempdir().unwrap();
    let (desk, agent) = desk(&directory);
    let first = take(&desk, held(agent, "key 1", &[])).await;
    let before = [("Where do visitors park their cars?", first.message.as_str())];
    let turn = desk.queue.enter(desk.workspace.id(), first.session_id).await.unwrap();
    let asking = (0..2).map(|_| {
        let (desk, chat) = (desk.clone(), held(agent, "key 1", &before));
        tokio::spawn(async move { take(&desk, chat).await.session_id })
    });
    let asking: Vec<_> = asking.collect();
    drop(turn);
    let mut sessions = Vec::new();
    for one in asking {
        sessions.push(one.await.unwrap());
    }
    assert_eq!(sessions.iter().filter(|session| **session == first.session_id).count(), 1, "{sessions:?}");
    let (_, messages) = desk.workspace.messages(first.session_id, 10, 0).unwrap();
    assert_eq!(messages, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_asked_for_instead_of_the_agents_own_is_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let (desk, agent) = desk(&directory);
    let chat = Chat { temperature: Some(1.5), max_tokens: Some(20), ..held(agent, "key 1", &[]) };
    let answer = take(&desk, chat).await;
    let replayed = replay(&desk, answer.message_id).await.unwrap();
    assert_eq!(replayed.rested.record["parameters"]["max_tokens"], 20);
    assert_eq!(replayed.parameters, Vec::<String>::new());
    desk.workspace
        .update_agent(agent, |agent| {
            (agent.temperature, agent.max_tokens) = (0.0, 10);
            Ok(())
        })
        .unwrap();
    assert_eq!(replay(&desk, answer.message_id).await.unwrap().parameters, ["max_tokens"], "the agent's bound holds");
}
