//! The knowledge graph over HTTP: what is read, with which evidence, when it was true, and how it follows documents.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};

use crate::server::Server;
use crate::tenant::{Tenant, id};

/// Documents that name and state.
const NORWIND: &str = "# Norwind Energy\n\nNorwind Energy is a company based in Bergen. Mara Lindqvist is the CEO of Norwind Energy. In March 2021 \
                       Norwind Energy acquired Solvik Turbines.";
const SOLVIK: &str =
    "# Solvik Turbines\n\nSolvik Turbines was founded by Tor Haugland in 1998. Solvik Turbines is based in Stavanger.";
const HAUGLAND: &str =
    "# Tor Haugland\n\nTor Haugland was born in Haugesund. Haugland studied the vibration of rotor blades.";

async fn three(tenant: &Tenant) {
    for (source, content) in [("norwind.md", NORWIND), ("solvik.md", SOLVIK), ("haugland.md", HAUGLAND)] {
        tenant.document(source, content).await;
    }
    tenant.facts_read().await;
}

/// The entity of this name.
async fn entity(tenant: &Tenant, name: &str) -> Value {
    let path = tenant.path(&format!("/graph/entities?q={}", name.replace(' ', "%20")));
    let found = tenant.client.get(&path).await.is(200).json();
    assert_eq!(found[0]["name"], name, "{found}");
    found[0].clone()
}

async fn get(tenant: &Tenant, rest: &str) -> Value {
    tenant.client.get(&tenant.path(&format!("/graph{rest}"))).await.is(200).json()
}

/// The facts of a list, as `subject – predicate – object`.
fn said(facts: &Value) -> Vec<String> {
    let text = |fact: &Value, name: &str| fact[name].as_str().unwrap().to_owned();
    let facts = facts.as_array().unwrap().iter();
    facts.map(|fact| ["subject", "predicate", "object"].map(|name| text(fact, name)).join(" – ")).collect()
}

#[tokio::test]
async fn facts_are_read_with_the_sentence_that_states_them() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    three(&tenant).await;
    let mara = entity(&tenant, "Mara Lindqvist").await;
    assert_eq!(mara["type"], "person");
    let told = get(&tenant, &format!("/entities/{}", id(&mara))).await;
    let facts = told["facts"].as_array().unwrap();
    let fact = facts.iter().find(|fact| fact["object"] == "Norwind Energy").unwrap_or_else(|| panic!("{told}"));
    assert_eq!((&fact["subject"], &fact["predicate"]), (&json!("Mara Lindqvist"), &json!("ceo of")), "{fact}");
    let evidence = &fact["evidence"][0];
    assert_eq!(evidence["quote"], "Mara Lindqvist is the CEO of Norwind Energy.");
    let document = tenant.read(fact["document_id"].as_str().unwrap()).await;
    let (start, end) = (evidence["start"].as_u64().unwrap() as usize, evidence["end"].as_u64().unwrap() as usize);
    assert_eq!(&document["content"].as_str().unwrap()[start..end], evidence["quote"].as_str().unwrap());
    assert_eq!(evidence["document_source"], "norwind.md");
    for place in told["chunks"].as_array().unwrap() {
        assert!(place["quote"].as_str().unwrap().contains("Lindqvist"), "{place}");
    }
    let stats = tenant.client.get(&tenant.path("/stats")).await.json();
    assert!(stats["entities"].as_u64().unwrap() >= 6 && stats["relations"].as_u64().unwrap() >= 4, "{stats}");
}

#[tokio::test]
async fn names_are_found_with_a_slip_and_by_their_kind() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    three(&tenant).await;
    let found = get(&tenant, "/entities?q=norwnd").await;
    assert_eq!(found[0]["name"], "Norwind Energy");
    let people = get(&tenant, "/entities?type=person").await;
    assert!(people.as_array().unwrap().iter().all(|found| found["type"] == "person"), "{people}");
    assert!(people.to_string().contains("Tor Haugland"), "{people}");
    tenant.client.get(&tenant.path("/graph/entities?type=unicorn")).await.problem(422, "validation_failed");
    tenant
        .client
        .get(&tenant.path(&format!("/graph/entities/{}", uuid::Uuid::now_v7())))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn what_is_around_an_entity_reaches_as_far_as_asked() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    three(&tenant).await;
    let mara = id(&entity(&tenant, "Mara Lindqvist").await);
    let names = |picture: &Value| -> Vec<(String, u64)> {
        let nodes = picture["nodes"].as_array().unwrap().iter();
        nodes.map(|n| (n["name"].as_str().unwrap().to_owned(), n["distance"].as_u64().unwrap())).collect()
    };
    let near = names(&get(&tenant, &format!("/entities/{mara}/relationships")).await);
    assert!(
        near.contains(&("Norwind Energy".into(), 1)) && near.iter().all(|(_, distance)| *distance <= 1),
        "{near:?}"
    );
    let far = names(&get(&tenant, &format!("/entities/{mara}/relationships?depth=3")).await);
    assert!(far.contains(&("Tor Haugland".into(), 3)), "{far:?}");
    for wrong in ["depth=0", "depth=5", "limit=0", "as_of=yesterday"] {
        let path = tenant.path(&format!("/graph/entities/{mara}/relationships?{wrong}"));
        tenant.client.get(&path).await.problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn a_path_says_what_each_of_its_steps_rests_on() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    three(&tenant).await;
    let (from, to) = (id(&entity(&tenant, "Mara Lindqvist").await), id(&entity(&tenant, "Tor Haugland").await));
    let path = get(&tenant, &format!("/path?from={from}&to={to}")).await;
    assert_eq!((&path["found"], &path["length"]), (&json!(true), &json!(3)), "{path}");
    let names: Vec<&str> = path["nodes"].as_array().unwrap().iter().filter_map(|node| node["name"].as_str()).collect();
    assert_eq!(names, ["Mara Lindqvist", "Norwind Energy", "Solvik Turbines", "Tor Haugland"]);
    for edge in path["edges"].as_array().unwrap() {
        assert!(!edge["evidence"][0]["quote"].as_str().unwrap().is_empty(), "{edge}");
    }
    let alone = tenant.document("alone.md", "Quilla Marsh was born in Timaru.").await;
    tenant.facts_read().await;
    let apart = id(&entity(&tenant, "Quilla Marsh").await);
    assert_eq!(get(&tenant, &format!("/path?from={from}&to={apart}")).await["found"], false, "{alone}");
}

#[tokio::test]
async fn a_newer_fact_ends_the_older_and_both_stay() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("old.md", "Ada Brandt has been the CEO of Kestrel Systems since 2015.").await;
    tenant.document("new.md", "Joel Varga has been the CEO of Kestrel Systems since 2020.").await;
    tenant.document("else.md", "Kestrel Systems acquired Marlow Labs in 2017.").await;
    tenant.facts_read().await;
    let kestrel = id(&entity(&tenant, "Kestrel Systems").await);
    let timeline = get(&tenant, &format!("/entities/{kestrel}/timeline")).await;
    let when = |subject: &str| {
        let facts = timeline.as_array().unwrap().iter();
        let mut found = facts.filter(|fact| fact["subject"] == subject && fact["predicate"] == "ceo of");
        let fact = found.next().unwrap_or_else(|| panic!("{subject} in {timeline}"));
        (fact["valid_at"].clone(), fact["invalid_at"].clone())
    };
    assert_eq!(when("Ada Brandt"), (json!("2015-01-01"), json!("2020-01-01")));
    assert_eq!(when("Joel Varga"), (json!("2020-01-01"), Value::Null));
    let acquired = timeline.as_array().unwrap().iter().find(|fact| fact["predicate"] == "acquired").unwrap();
    assert_eq!(acquired["invalid_at"], Value::Null, "nothing else is ended");
    let then = said(&get(&tenant, &format!("/entities/{kestrel}?as_of=2018-06-01")).await["facts"]);
    assert!(then.iter().any(|fact| fact.starts_with("Ada Brandt")), "{then:?}");
    assert!(!then.iter().any(|fact| fact.starts_with("Joel Varga")), "{then:?}");
    let before = get(&tenant, &format!("/entities/{kestrel}?as_known_at=2020-01-01T00:00:00Z")).await;
    assert_eq!(before["facts"], json!([]), "nothing was recorded by then");
    let within = get(&tenant, &format!("/entities/{kestrel}/timeline?start_date=2016-01-01&end_date=2018-01-01")).await;
    assert_eq!(said(&within), ["Kestrel Systems – acquired – Marlow Labs"]);
}

#[tokio::test]
async fn what_a_dated_document_says_is_so_was_not_so_before_where_one_alone_can_be() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for (source, name, date) in [("a.md", "Paula Reyes", "2022-01-10"), ("b.md", "Mark Tan", "2024-09-01")] {
        let content = format!("{name} is the CEO of Norwood Labs. {name} is a cyclist.");
        let document = json!({"source": source, "content": content, "metadata": {"date": date}});
        tenant.client.post(&tenant.path("/documents"), &document).await.is(201);
    }
    tenant.facts_read().await;
    let norwood = id(&entity(&tenant, "Norwood Labs").await);
    let then = async |day: &str| said(&get(&tenant, &format!("/entities/{norwood}?as_of={day}")).await["facts"]);
    assert_eq!(then("2021-06-01").await, Vec::<String>::new());
    assert_eq!(then("2023-06-01").await, ["Paula Reyes – ceo of – Norwood Labs"]);
    assert_eq!(then("2024-10-01").await, ["Mark Tan – ceo of – Norwood Labs"]);
}

#[tokio::test]
async fn facts_go_with_the_last_document_that_states_them() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let first = tenant.document("first.md", "Ilse Drach is the CEO of Tarn Optics.").await;
    let second =
        tenant.document("second.md", "Ilse Drach is the CEO of Tarn Optics. Tarn Optics acquired Velden Glass.").await;
    tenant.facts_read().await;
    let ilse = id(&entity(&tenant, "Ilse Drach").await);
    let facts = get(&tenant, &format!("/entities/{ilse}")).await["facts"].clone();
    assert_eq!((said(&facts).len(), &facts[0]["evidence_count"]), (1, &json!(2)), "{facts}");
    tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&first)))).await.is(200);
    let facts = get(&tenant, &format!("/entities/{ilse}")).await["facts"].clone();
    assert_eq!((said(&facts).len(), &facts[0]["evidence_count"]), (1, &json!(1)), "at once: {facts}");
    assert_eq!(facts[0]["evidence"][0]["document_source"], "second.md");
    let path = tenant.path(&format!("/documents/{}", id(&second)));
    tenant.client.put(&path, &json!({"content": "Tarn Optics acquired Velden Glass."})).await.is(200);
    tenant.facts_read().await;
    tenant.client.get(&tenant.path(&format!("/graph/entities/{ilse}"))).await.problem(404, "not_found");
    assert_eq!(said(&get(&tenant, "?limit=10").await["edges"]), ["Tarn Optics – acquired – Velden Glass"]);
    tenant.client.delete(&path).await.is(200);
    let stats = tenant.client.get(&tenant.path("/stats")).await.json();
    assert_eq!((&stats["entities"], &stats["relations"]), (&json!(0), &json!(0)));
}

/// The graph without what differs from one reading of the same to another.
async fn exported(tenant: &Tenant) -> Value {
    let mut graph = get(tenant, "/export?format=json").await;
    for part in ["entities", "facts"] {
        let rows = graph[part].as_array_mut().unwrap_or_else(|| panic!("no {part}"));
        for row in rows.iter_mut() {
            for name in ["recorded_at", "chunk_id"] {
                row.as_object_mut().unwrap().remove(name);
            }
        }
        rows.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    }
    graph
}

/// What documents say in turn: names in several forms, facts that end others, and one that does so in one document alone.
const SAYINGS: [(&str, Option<&str>); 8] = [
    ("Ada Brandt has been the CEO of Kestrel Systems since 2015. Kestrel is based in Aarhus.", None),
    ("Joel Varga has been the CEO of KESTREL SYSTEMS since 2020.", None),
    ("Kestrel Systems Inc. acquired Marlow Labs in 2017. Marlow Labs is based in Leeds.", None),
    ("Dr. Ada Brandt was born in Odense. Brandt founded Brandt Foundation.", None),
    ("Marlow Labs was founded by Joel Varga.", None),
    ("Ada Brandt was the CEO of Kestrel Systems.", Some("2019-05-01")),
    ("Ada Brandt is the CEO of Kestrel Systems.", Some("2018-02-01")),
    ("Mika Toivonen is the CEO of Kestrel Systems.", Some("2022-03-01")),
];

/// A document comes or changes to a saying, or goes; then its facts are waited for, or not.
type Step = (usize, Option<usize>, bool);

async fn store(tenant: &Tenant, place: usize, saying: usize) -> Value {
    let (content, date) = SAYINGS[saying];
    let metadata = date.map_or(json!({}), |date| json!({"date": date}));
    let body = json!({"source": format!("{place}.md"), "content": content, "metadata": metadata});
    tenant.client.post(&tenant.path("/documents"), &body).await.json()
}

async fn leaves_nothing_behind(steps: Vec<Step>) {
    let server = Server::shared();
    let (busy, fresh) = (Tenant::new(&server.admin()).await, Tenant::new(&server.admin()).await);
    let mut there: BTreeMap<usize, (String, usize)> = BTreeMap::new();
    for (place, saying, waits) in steps {
        match saying {
            Some(saying) => {
                let stored = store(&busy, place, saying).await;
                there.insert(place, (id(&stored), saying));
            }
            None => {
                if let Some((document, _)) = there.remove(&place) {
                    busy.client.delete(&busy.path(&format!("/documents/{document}"))).await.is(200);
                }
            }
        }
        if waits {
            busy.facts_read().await;
        }
    }
    for (place, (_, saying)) in there.iter().rev() {
        store(&fresh, *place, *saying).await;
    }
    busy.facts_read().await;
    fresh.facts_read().await;
    assert_eq!(exported(&busy).await, exported(&fresh).await);
}

proptest! {
    #![proptest_config(Config { cases: 6, max_shrink_iters: 40, failure_persistence: None, ..Config::default() })]

    #[test]
    fn no_order_of_changes_leaves_anything_behind(
        steps in prop::collection::vec((0usize..5, prop::option::weighted(0.75, 0..SAYINGS.len()), any::<bool>()), 4..16),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(leaves_nothing_behind(steps));
    }
}

#[tokio::test]
async fn what_one_document_says_ends_a_fact_no_longer_than_the_document_is_there() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    store(&tenant, 0, 5).await;
    let current = store(&tenant, 1, 6).await;
    store(&tenant, 2, 7).await;
    tenant.facts_read().await;
    let ada = id(&entity(&tenant, "Ada Brandt").await);
    let ended = async || get(&tenant, &format!("/entities/{ada}")).await["facts"][0]["invalid_at"].clone();
    assert_eq!(ended().await, "2022-03-01");
    tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&current)))).await.is(200);
    assert_eq!(ended().await, Value::Null, "of what was, nobody says until when");
}

#[tokio::test]
async fn the_graph_is_the_same_after_a_restart_and_in_a_copy() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    three(&tenant).await;
    let before = exported(&tenant).await;
    let copy = json!({"name": "A copy", "slug": "a-copy"});
    let copied = server.admin().post(&tenant.path("/copy"), &copy).await.is(201).json();
    let path = format!("/v1/workspaces/{}/graph/export", id(&copied));
    let facts = |graph: &Value| graph["facts"].as_array().unwrap().len();
    assert_eq!(facts(&server.admin().get(&path).await.is(200).json()), facts(&before));
    let server = Server::within(server.stop(), &[]);
    let tenant = tenant.on(&server);
    assert_eq!(exported(&tenant).await, before);
}

#[tokio::test]
async fn a_search_finds_the_second_document_of_a_question_in_two_steps() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    three(&tenant).await;
    for number in 0..12 {
        let text = format!(
            "# Note {number}\n\nThe founder of club {number} was born in a town with {number} mills, in a year of storms."
        );
        tenant.document(&format!("note-{number}.md"), &text).await;
    }
    tenant.facts_read().await;
    let query = "Where was the founder of Solvik Turbines born?";
    let found = tenant.search(json!({"query": query, "limit": 3, "explain": true})).await;
    let sources: Vec<&str> =
        found["results"].as_array().unwrap().iter().filter_map(|hit| hit["document_source"].as_str()).collect();
    assert!(sources[..2].contains(&"haugland.md") && sources.contains(&"solvik.md"), "{sources:?}");
    let hit = found["results"].as_array().unwrap().iter().find(|hit| hit["document_source"] == "haugland.md").unwrap();
    assert_eq!(hit["explain"]["graph"]["through"], "Tor Haugland", "{hit}");
    assert!(
        said(&found["graph_results"]).iter().any(|fact| fact.contains("Tor Haugland")),
        "{}",
        found["graph_results"]
    );
    let facts = tenant.search(json!({"query": "Who founded Solvik Turbines?", "search_type": "graph"})).await;
    assert_eq!(facts["graph_results"][0]["subject"], "Tor Haugland", "{}", facts["graph_results"]);
    assert_eq!(facts["results"][0]["document_source"], "solvik.md");
    assert_eq!(facts["results"][0]["chunk_id"], facts["graph_results"][0]["chunk_id"]);
    let filtered = json!({"query": "Who founded Solvik Turbines?", "search_type": "graph", "filters": {"sources": ["norwind.md"]}});
    let filtered = tenant.search(filtered).await;
    for hit in filtered["results"].as_array().unwrap() {
        assert_eq!(hit["document_source"], "norwind.md");
    }
    assert!(!filtered["graph_results"].to_string().contains("solvik.md"), "{}", filtered["graph_results"]);
}

#[tokio::test]
async fn agents_use_the_tools_that_tell_of_an_entity() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    three(&tenant).await;
    let tools = json!({"enabled_tools": ["hybrid_search", "get_entity_timeline", "get_entity_relationships"]});
    tenant.client.patch(&tenant.path(&format!("/agents/{}", tenant.agent)), &tools).await.is(200);
    let used = |answer: &Value| -> Vec<String> {
        let used = answer["tools_used"].as_array().unwrap().iter();
        used.map(|tool| tool["tool_name"].as_str().unwrap().to_owned()).collect()
    };
    let answer = tenant.ask("When did Norwind Energy acquire Solvik Turbines?").await;
    assert_eq!(used(&answer), ["hybrid_search", "get_entity_timeline"], "{answer}");
    assert_eq!(answer["tools_used"][1]["args"]["entity_name"], "Norwind Energy");
    assert!(answer["message"].as_str().unwrap().contains("March 2021"), "{answer}");
    tenant.check_citations(&answer).await;
    let answer = tenant.ask("How are Mara Lindqvist and Norwind Energy related?").await;
    assert_eq!(used(&answer), ["hybrid_search", "get_entity_relationships"]);
    let answer = tenant.ask("How is Norwind Energy connected within two steps?").await;
    assert_eq!(answer["tools_used"][1]["args"], json!({"entity_name": "Norwind Energy", "depth": 2}));
    let answer = tenant.ask("What did Norwind Energy do between 2020 and 2022?").await;
    assert_eq!(used(&answer), ["hybrid_search", "get_entity_timeline"]);
    let between = json!({"entity_name": "Norwind Energy", "start_date": "2020-01-01", "end_date": "2022-12-31"});
    assert_eq!(answer["tools_used"][1]["args"], between);
    let answer = tenant.ask("Where is Norwind Energy based?").await;
    assert_eq!(used(&answer), ["hybrid_search"]);
}

#[tokio::test]
async fn the_graph_can_be_taken_elsewhere() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    three(&tenant).await;
    let answer = tenant.client.get(&tenant.path("/graph/export?format=graphml")).await.is(200);
    assert!(answer.text().starts_with("<?xml") && answer.text().contains("Mara Lindqvist"), "{}", answer.text());
    tenant.client.get(&tenant.path("/graph/export?format=dot")).await.problem(422, "validation_failed");
    let communities = get(&tenant, "/communities").await;
    assert!(communities[0]["size"].as_u64().unwrap() >= 3, "{communities}");
    assert!(!communities[0]["members"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_said_no_one_said_is_no_fact() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = "Orla Finch is not the CEO of Basalt Foods. Is Orla Finch the CEO of Basalt Foods? \
                If Orla Finch becomes the CEO of Basalt Foods, she will move to Cork.";
    tenant.document("doubt.md", text).await;
    tenant.facts_read().await;
    assert_eq!(get(&tenant, "/entities?q=Orla%20Finch").await[0]["name"], "Orla Finch");
    assert_eq!(get(&tenant, "?limit=10").await["edges"], json!([]));
}

#[tokio::test]
async fn names_in_other_languages_are_names_and_nothing_more() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = "Die Firma Nordlicht Solar hat ihren Sitz in Rostock. Der Geschäftsführer ist Henrik Paulsen. Die Wartung der \
                Anlage erfolgt jährlich, und der Kunde zahlt die Rechnung innerhalb von dreißig Tagen.";
    tenant.document("firma.md", text).await;
    tenant.document("公司.md", "北方风能公司的总部位于卑尔根。公司的首席执行官是玛拉。").await;
    tenant.facts_read().await;
    let all = get(&tenant, "/entities?limit=100").await;
    let names: Vec<&str> = all.as_array().unwrap().iter().filter_map(|entity| entity["name"].as_str()).collect();
    assert!(names.contains(&"Henrik Paulsen"), "{names:?}");
    for noun in ["Wartung", "Anlage", "Kunde", "Rechnung", "Tagen"] {
        assert!(!names.contains(&noun), "{noun} in {names:?}");
    }
}

#[tokio::test]
async fn lists_tell_how_they_go_on_and_look_at_the_moment_asked_for() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for (year, name) in [(2015, "Ada Brandt"), (2018, "Joel Varga"), (2021, "Mika Toivonen")] {
        let text = format!("{name} has been the CEO of Kestrel Systems since {year}.");
        tenant.document(&format!("{year}.md"), &text).await;
    }
    tenant.facts_read().await;
    let kestrel = id(&entity(&tenant, "Kestrel Systems").await);
    let first = tenant.client.get(&tenant.path("/graph/entities?type=person&limit=2")).await.is(200);
    assert_eq!((first.header("x-total-count"), first.json().as_array().unwrap().len()), ("3", 2));
    assert!(first.header("link").contains("offset=2"));
    let path = tenant.path(&format!("/graph/entities/{kestrel}/timeline"));
    let page = tenant.client.get(&format!("{path}?limit=1&offset=1")).await.is(200);
    assert_eq!(page.header("x-total-count"), "3");
    assert_eq!(said(&page.json()), ["Joel Varga – ceo of – Kestrel Systems"]);
    let then = tenant.client.get(&format!("{path}?as_of=2019")).await.is(200).json();
    assert_eq!(said(&then), ["Joel Varga – ceo of – Kestrel Systems"]);
    tenant
        .client
        .get(&format!("{path}?start_date=2020-01-01&end_date=2019-01-01"))
        .await
        .problem(422, "validation_failed");
    let all = get(&tenant, "/export").await;
    let then = get(&tenant, "/export?as_of=2019-06").await;
    assert_eq!((all["facts"].as_array().unwrap().len(), then["facts"].as_array().unwrap().len()), (3, 1));
    let chunk = then["facts"][0]["chunk_id"].as_str().unwrap();
    let document = tenant.search(json!({"query": "Joel Varga", "limit": 1})).await["results"][0].clone();
    assert_eq!(document["chunk_id"], chunk, "{document}");
}

#[tokio::test]
async fn a_document_is_read_anew_when_its_language_is_told() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let document =
        json!({"source": "a.md", "content": "Tarn Optics acquired Velden Glass.", "metadata": {"language": "fr"}});
    let document = tenant.client.post(&tenant.path("/documents"), &document).await.json();
    tenant.facts_read().await;
    let stats = async || tenant.client.get(&tenant.path("/stats")).await.json();
    assert_eq!(stats().await["relations"], 0);
    let told = json!({"metadata": {"language": "en"}});
    tenant.client.send("PATCH", &tenant.path(&format!("/documents/{}", id(&document))), Some(&told)).await.is(200);
    tenant.facts_read().await;
    let stats = stats().await;
    assert_eq!((&stats["relations"], &stats["graph_full"]), (&json!(1), &json!(false)));
}

#[tokio::test]
async fn a_full_graph_says_so_and_goes_on_where_room_was_made() {
    let server = Server::with(&[("CARREL_GRAPH_FACTS", "1")]);
    let tenant = Tenant::new(&server.admin()).await;
    let first = tenant.document("first.md", "Tarn Optics acquired Velden Glass.").await;
    tenant.facts_read().await;
    tenant.document("second.md", "Norwind Energy acquired Solvik Turbines.").await;
    let stats = async || tenant.client.get(&tenant.path("/stats")).await.json();
    let full = stats().await;
    assert_eq!((&full["graph_full"], &full["facts_pending"]), (&json!(true), &json!(1)));
    tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&first)))).await.is(200);
    tenant.facts_read().await;
    assert_eq!(said(&get(&tenant, "?limit=10").await["edges"]), ["Norwind Energy – acquired – Solvik Turbines"]);
}
