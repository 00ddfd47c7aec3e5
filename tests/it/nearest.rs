//! The vector index against comparing with every vector, on real embeddings.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::server::Server;
use crate::tenant::Tenant;

const SUBJECTS: [&str; 12] = [
    "The night nurse",
    "A visiting surgeon",
    "The pharmacy",
    "Our accountant",
    "The ship's cook",
    "A junior lawyer",
    "The laboratory",
    "Every patient",
    "The harbour master",
    "A new colleague",
    "The librarian",
    "The machine room",
];
const DEEDS: [&str; 12] = [
    "keeps the vaccines cold",
    "signs the contract",
    "orders bandages",
    "repairs the centrifuge",
    "counts the lifeboats",
    "feeds the cat",
    "files the invoice",
    "washes hands twice",
    "locks the archive",
    "bakes bread at four",
    "measures the tide",
    "answers the telephone",
];
const PLACES: [&str; 10] = [
    "in the cellar",
    "before the weekend",
    "under protest",
    "on the third floor",
    "during the storm",
    "without a permit",
    "in Lisbon",
    "next to the window",
    "every second year",
    "for the insurance",
];

/// A sentence for each number, no two alike.
fn sentence(number: usize) -> String {
    let (subject, deed) = (SUBJECTS[number % 12], DEEDS[number / 12 % 12]);
    format!("{subject} {deed} {}.", PLACES[number / 144 % 10])
}

#[tokio::test]
async fn the_nearest_by_their_codes_are_the_nearest() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let documents = |kind: &'static str| move |number: usize| json!({"source": format!("{number}.md"), "content": sentence(number), "metadata": {"kind": kind}});
    let texts: Vec<Value> = (0..360).map(documents("even")).chain((360..720).map(documents("odd"))).collect();
    assert_eq!(tenant.ingest(&texts).await["status"], "succeeded");
    let deleted: Value = tenant.client.get(&tenant.path("/documents?limit=60")).await.is(200).json();
    for document in deleted["documents"].as_array().unwrap() {
        let path = tenant.path(&format!("/documents/{}", document["id"].as_str().unwrap()));
        tenant.client.delete(&path).await.is(200);
    }
    let stats = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
    assert_eq!(
        (&stats["indexes"]["vectors"], &stats["generations"]["vectors"]),
        (&json!("ready"), &stats["generation"])
    );

    // With the index gone the truth is scanned: what that finds is right by definition.
    let questions: Vec<String> =
        (0..24).map(|number| format!("Who {}?", DEEDS[number % 12])).chain((0..16).map(|n| sentence(n * 43))).collect();
    let mut answers = Vec::new();
    for filters in [json!({}), json!({"metadata": {"kind": "odd"}})] {
        for question in &questions {
            let body = json!({"query": question, "search_type": "vector", "limit": 10, "filters": filters, "fold_duplicates": false});
            answers.push((body.clone(), sources(&tenant.search(body).await)));
        }
    }
    // Frozen, it stays gone for as long as it takes.
    tenant.client.post(&tenant.path("/freeze"), &json!({})).await.is(200);
    let index = server.home().workspace(&tenant.workspace).join("index/vectors/0");
    for entry in std::fs::read_dir(index).unwrap().map(Result::unwrap) {
        std::fs::File::options().write(true).open(entry.path()).unwrap().set_len(0).unwrap();
    }
    let mut shared = 0;
    for (body, found) in &answers {
        let exact = sources(&tenant.search(body.clone()).await);
        assert_eq!((found.len(), exact.len()), (10, 10), "{body}");
        shared += found.intersection(&exact).count();
    }
    assert!(shared * 100 >= answers.len() * 10 * 99, "{shared} of {}", answers.len() * 10);
    let log = server.home().log();
    assert!(log.contains("the vector index is made anew"), "the second answers came from the truth: {log}");
    server.kill();
}

fn sources(found: &Value) -> HashSet<String> {
    found["results"].as_array().unwrap().iter().map(|hit| hit["document_source"].as_str().unwrap().to_owned()).collect()
}
