//! What a hit is: once and not in copies, something new where that is wanted, with its neighbours, found by its title.

use serde_json::{Value, json};

use crate::handbook::numbered;
use crate::server::Server;
use crate::tenant::{Tenant, assert_stands};

const NOTICE: &str = "Whoever finds a door of the kiln hall open closes it, tells the porter, and writes the hour and the name \
    of the hall into the book at the gate, because the kiln cools within minutes and the glaze cracks.";

fn sources(found: &Value) -> Vec<&str> {
    found["results"].as_array().unwrap().iter().map(|hit| hit["document_source"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn copies_are_folded_into_the_best_and_named_beside_it() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let copies = (0..30).map(|number| json!({"source": format!("copy-{number}.md"), "content": NOTICE}));
    let loud = json!({"source": "loud.md", "content": format!("{} ", NOTICE.to_uppercase())});
    let others = (0..6).map(|number| {
        json!({"source": format!("other-{number}.md"), "content": format!("The kiln of hall {number} is fired on day {number} of the month.")})
    });
    let documents: Vec<Value> = copies.chain([loud]).chain(others).collect();
    assert_eq!(tenant.ingest(&documents).await["failed"], 0);
    for search_type in ["hybrid", "vector", "fulltext"] {
        let body = |fold: Value, limit: usize| json!({"query": "who closes the door of the kiln hall", "search_type": search_type, "limit": limit, "fold_duplicates": fold});
        let unfolded = tenant.search(body(json!(false), 10)).await;
        assert!(unfolded["results"].as_array().unwrap().iter().all(|hit| hit.get("duplicates").is_none()));
        let folded = tenant.search(body(Value::Null, 7)).await;
        assert_eq!(folded["results"][0], {
            let mut best = unfolded["results"][0].clone();
            best["duplicates"] = folded["results"][0]["duplicates"].clone();
            best
        });
        assert_eq!(sources(&folded).len(), 7, "as many as were wanted, for there are as many: {search_type}");
        let copies = sources(&folded).into_iter().filter(|s| s.starts_with("copy") || s.starts_with("loud")).count();
        assert_eq!(copies, 1, "{search_type}: {:?}", sources(&folded));
        let duplicates = folded["results"][0]["duplicates"].as_array().unwrap();
        assert_eq!(duplicates.len(), 20, "bounded");
        for duplicate in duplicates {
            let document = tenant.read(duplicate["document_id"].as_str().unwrap()).await;
            let range = duplicate["start"].as_u64().unwrap() as usize..duplicate["end"].as_u64().unwrap() as usize;
            let text = document["content"].as_str().unwrap().get(range).unwrap();
            assert_eq!(text.trim().to_lowercase(), NOTICE.to_lowercase());
            assert_eq!(
                (&duplicate["document_title"], &duplicate["document_source"]),
                (&document["title"], &document["source"])
            );
            assert_ne!(duplicate["chunk_id"], folded["results"][0]["chunk_id"]);
        }
        let pages: Vec<Value> = vec![
            tenant.search(json!({"query": "who closes the door of the kiln hall", "search_type": search_type, "limit": 3})).await,
            tenant.search(json!({"query": "who closes the door of the kiln hall", "search_type": search_type, "limit": 4, "offset": 3})).await,
        ];
        assert_eq!(pages.iter().flat_map(sources).collect::<Vec<_>>(), sources(&folded), "pages go on");
    }
}

#[tokio::test]
async fn hundreds_of_copies_do_not_hide_what_else_there_is() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let copies = (0..150).map(|number| json!({"source": format!("copy-{number}.md"), "content": NOTICE}));
    let mut documents: Vec<Value> = copies.collect();
    documents.extend(numbered(0..5, 2));
    assert_eq!(tenant.ingest(&documents).await["failed"], 0);
    let found =
        tenant.search(json!({"query": "the glaze cracks in the kiln hall", "limit": 6, "search_type": "vector"})).await;
    assert_eq!(sources(&found).len(), 6, "{:?}", sources(&found));
}

#[tokio::test]
async fn texts_that_differ_in_a_figure_are_not_the_same() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for rent in ["1200", "1300"] {
        tenant.document(&format!("{rent}.md"), &format!("{NOTICE} The rent of the hall is {rent} euros.")).await;
    }
    let found = tenant.search(json!({"query": "rent of the kiln hall"})).await;
    assert_eq!(sources(&found).len(), 2, "{found}");
}

#[tokio::test]
async fn an_answer_rests_on_a_copied_passage_once() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for number in 0..12 {
        tenant.document(&format!("copy-{number}.md"), NOTICE).await;
    }
    tenant.document("porter.md", "The porter of the kiln hall is called Matilda Voss.").await;
    let body =
        json!({"agent_id": tenant.agent, "query": "What is the porter of the kiln hall called?", "stream": true});
    let events = tenant.client.stream("POST", &tenant.path("/chat"), Some(&body)).await.all().await;
    let of = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
    assert_eq!(of("tool_result")["summary"], "2 passages found");
    let citations = of("citations")["citations"].as_array().unwrap();
    assert!(citations.iter().any(|c| c["quote"].as_str().unwrap().contains("Matilda Voss")), "{citations:?}");
    for citation in citations {
        assert_stands(&tenant.read(citation["document_id"].as_str().unwrap()).await, citation);
    }
}

#[tokio::test]
async fn diversity_brings_another_subject_forward_and_loses_nothing() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let alike = [
        "The kiln must be cooled slowly after firing.",
        "After firing, let the kiln cool down slowly.",
        "Slow cooling of the kiln after firing is a must.",
        "Cool the kiln slowly once firing is over.",
    ];
    for (number, text) in alike.iter().enumerate() {
        tenant.document(&format!("cooling-{number}.md"), text).await;
    }
    tenant.document("insurance.md", "The insurance of the kiln is paid every spring.").await;
    let body = |diversify: Value| json!({"query": "cooling the kiln after firing", "diversify": diversify});
    let plain = tenant.search(body(json!(0))).await;
    assert_eq!(sources(&plain).last(), Some(&"insurance.md"));
    assert_eq!(sources(&tenant.search(body(Value::Null)).await), sources(&plain));
    let diverse = tenant.search(body(json!(0.7))).await;
    assert_eq!(sources(&diverse)[..2], [sources(&plain)[0], "insurance.md"], "{diverse}");
    let sorted = |found: &Value| {
        let mut sources: Vec<String> = sources(found).into_iter().map(str::to_owned).collect();
        sources.sort();
        sources
    };
    assert_eq!(sorted(&diverse), sorted(&plain));
    for wrong in [json!(-0.1), json!(1.1), json!("much")] {
        tenant.client.post(&tenant.path("/search"), &body(wrong)).await.problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn neighbours_come_along_up_to_the_documents_borders() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let words = ["aardvark", "bumblebee", "cormorant", "dormouse", "echidna"];
    let content: String =
        words.iter().map(|word| format!("# Über {word}\n\nEin Kapitel 🐾 über den {word}.\n\n")).collect();
    tenant.document("before.md", "The page of another document comes before.").await;
    let document = tenant.document("animals.md", &content).await;
    tenant.document("after.md", "The page of another document comes after.").await;
    let stored = tenant.read(document["id"].as_str().unwrap()).await;
    let stored = stored["content"].as_str().unwrap();
    let path = format!("/documents/{}/chunks", document["id"].as_str().unwrap());
    let chunks = tenant.client.get(&tenant.path(&path)).await.is(200).json();
    let bounds: Vec<(usize, usize)> = chunks
        .as_array()
        .unwrap()
        .iter()
        .map(|chunk| (chunk["start"].as_u64().unwrap() as usize, chunk["end"].as_u64().unwrap() as usize))
        .collect();
    assert_eq!(bounds.len(), words.len(), "a chunk for a chapter");
    for (place, word) in words.iter().enumerate() {
        for around in [1, 2, 10] {
            let body = json!({"query": word, "search_type": "fulltext", "limit": 1, "expand": around});
            let found = tenant.search(body).await;
            let hit = &found["results"][0];
            assert_eq!(hit["start"], bounds[place].0, "{hit}");
            let first = bounds[place.saturating_sub(around)].0;
            let last = bounds[(place + around).min(words.len() - 1)].1;
            assert_eq!(hit["expanded"], json!({"start": first, "content": &stored[first..last]}), "{word} ± {around}");
        }
    }
    let plain = tenant.search(json!({"query": "aardvark"})).await;
    assert!(plain["results"][0].get("expanded").is_none(), "{plain}");
}

/// Two documents with the same text but for title and heading, long enough for a chunk that has neither in its bytes.
async fn twins(tenant: &Tenant) {
    let text =
        "Turn the valve to the left and wait until the light is green. Then note the hour and go home. ".repeat(20);
    for (source, title, heading) in [("a.md", "Autoclave", "Sterilisation"), ("b.md", "Bicycle", "Puncture")] {
        let body = json!({"source": source, "title": title, "content": format!("## {heading}\n\n{text}")});
        tenant.client.post(&tenant.path("/documents"), &body).await.is(201);
    }
}

#[tokio::test]
async fn title_and_headings_count_for_chunks_that_have_them_nowhere_in_their_bytes() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    twins(&tenant).await;
    let words = [("autoclave", "a.md"), ("bicycle", "b.md"), ("sterilisation", "a.md"), ("puncture", "b.md")];
    for (search_type, similarity) in [("vector", "vector_similarity"), ("fulltext", "text_similarity")] {
        for (word, source) in words {
            let body = json!({"query": word, "search_type": search_type, "limit": 100, "fold_duplicates": false});
            let found = tenant.search(body).await;
            let hits = found["results"].as_array().unwrap().iter();
            let bare = hits.filter(|hit| !hit["content"].as_str().unwrap().to_lowercase().contains(word));
            let (own, other): (Vec<&Value>, Vec<&Value>) = bare.partition(|hit| hit["document_source"] == source);
            assert!(!own.is_empty(), "{search_type} {word}: {found}");
            if search_type == "fulltext" {
                assert_eq!(other, Vec::<&Value>::new(), "{word} stands in one document alone");
            }
            for hit in own {
                let twin = other.iter().find(|twin| twin["content"] == hit["content"]);
                let (of, than) =
                    (hit[similarity].as_f64().unwrap(), twin.map_or(0.0, |t| t[similarity].as_f64().unwrap()));
                assert!(of > than + 0.05, "{search_type} {word}: {of} {than}");
            }
        }
    }
}

#[tokio::test]
async fn highlights_are_of_the_chunks_own_bytes() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    twins(&tenant).await;
    let found = tenant.search(json!({"query": "autoclave sterilisation valve", "limit": 100})).await;
    let hits = found["results"].as_array().unwrap();
    assert!(hits.iter().any(|hit| !hit["content"].as_str().unwrap().contains("Sterilisation")), "{found}");
    for hit in hits {
        let content = hit["content"].as_str().unwrap();
        let marked = hit["highlights"].as_array().unwrap().iter().map(|range| {
            content.get(range[0].as_u64().unwrap() as usize..range[1].as_u64().unwrap() as usize).unwrap()
        });
        let mut marked: Vec<&str> = marked.collect();
        marked.dedup();
        let expected: &[&str] =
            if content.contains("Sterilisation") { &["Sterilisation", "valve"] } else { &["valve"] };
        assert_eq!(marked, expected, "{content}");
    }
}
