//! Search: every kind, filters before ranking, highlights to the byte, languages, and queries meant to hurt.

use serde_json::{Value, json};

use crate::handbook::numbered;
use crate::server::Server;
use crate::tenant::{Tenant, id};

const KINDS: [&str; 3] = ["vector", "fulltext", "hybrid"];

fn sources(found: &Value) -> Vec<&str> {
    found["results"].as_array().unwrap().iter().map(|hit| hit["document_source"].as_str().unwrap()).collect()
}

/// 200 documents that speak of nothing but granite, and five that mention it in passing, marked as such.
async fn quarry(tenant: &Tenant) {
    let common = (0..200).map(|number| {
        json!({"source": format!("north-{number}.md"), "content": format!("Granite quarry report {number}: granite from the quarry."),
            "metadata": {"team": "north", "year": 2000 + number % 20, "tags": ["stone", "report"], "draft": number % 2 == 0}})
    });
    let rare = (0..5).map(|number| {
        json!({"source": format!("south-{number}.md"), "content": format!("Minutes of dinner {number}. We ate soup, sang songs, \
            thanked the cooks, and somebody said the word granite once before the lights went out."),
            "metadata": {"team": "south", "year": 1990 + number, "tags": ["dinner"], "draft": false}})
    });
    let job = tenant.ingest(&common.chain(rare).collect::<Vec<_>>()).await;
    assert_eq!((&job["status"], &job["failed"]), (&json!("succeeded"), &json!(0)), "{job}");
}

#[tokio::test]
async fn filters_apply_before_ranking() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    quarry(&tenant).await;
    let south = json!(["south-0.md", "south-1.md", "south-2.md", "south-3.md", "south-4.md"]);
    let documents = tenant.client.get(&tenant.path("/documents?metadata.team=south")).await.is(200).json();
    let ids: Vec<String> = documents["documents"].as_array().unwrap().iter().map(id).collect();
    let filters = [
        json!({"metadata": {"team": "south"}}),
        json!({"metadata": {"team": {"$in": ["south", "west"]}}}),
        json!({"metadata": {"tags": "dinner"}}),
        json!({"metadata": {"year": {"$gte": 1990, "$lte": 1994}}}),
        json!({"metadata": {"year": {"$lte": 1999}, "draft": false}}),
        json!({"sources": south}),
        json!({"document_ids": ids}),
        json!({"document_ids": ids, "sources": south, "metadata": {"team": "south"}}),
    ];
    for search_type in KINDS {
        let unfiltered =
            tenant.search(json!({"query": "granite quarry report", "search_type": search_type, "limit": 5})).await;
        assert!(sources(&unfiltered).iter().all(|source| source.starts_with("north")), "the others rank better");
        for filter in &filters {
            let body =
                json!({"query": "granite quarry report", "search_type": search_type, "limit": 5, "filters": filter});
            let found = tenant.search(body).await;
            let mut found = sources(&found);
            found.sort();
            assert_eq!(json!(found), south, "{search_type} {filter}");
        }
        let nothing = json!({"metadata": {"team": "east"}});
        let found = tenant.search(json!({"query": "granite", "search_type": search_type, "filters": nothing})).await;
        assert_eq!(found["results"], json!([]), "{search_type}");
        let two = json!({"metadata": {"year": {"$gte": 1991, "$lte": 1992}}});
        let found = tenant.search(json!({"query": "granite", "search_type": search_type, "filters": two})).await;
        assert_eq!(sources(&found).len(), 2, "{search_type}");
    }
}

#[tokio::test]
async fn a_filter_by_time_splits_old_from_new() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let old = tenant.document("old.md", "The lighthouse keeper writes a letter.").await;
    let new = tenant.document("new.md", "The lighthouse keeper writes a postcard.").await;
    for search_type in KINDS {
        let found = async |filters: Value| {
            let body = json!({"query": "lighthouse keeper", "search_type": search_type, "filters": filters});
            sources(&tenant.search(body).await).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(found(json!({"created_after": old["created_at"]})).await, ["new.md"], "{search_type}");
        assert_eq!(found(json!({"created_before": new["created_at"]})).await, ["old.md"], "{search_type}");
        assert_eq!(found(json!({"created_after": "2001-01-01T00:00:00+02:00"})).await.len(), 2, "{search_type}");
        assert_eq!(found(json!({"created_after": "2190-01-01T00:00:00Z"})).await.len(), 0, "{search_type}");
    }
    let body = json!({"query": "x", "filters": {"created_after": "yesterday"}});
    tenant.client.post(&tenant.path("/search"), &body).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn hits_are_ranked_bounded_and_stand_in_their_documents() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    for search_type in KINDS {
        let found = tenant.search(json!({"query": "Who services the centrifuge?", "search_type": search_type})).await;
        assert_eq!(found["search_type"], search_type);
        assert!(found["query_time_ms"].as_f64().is_some_and(|time| time >= 0.0), "{found}");
        let hits = found["results"].as_array().unwrap();
        assert_eq!(hits[0]["document_source"], "laboratory.md", "{search_type}");
        let scores: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
        assert!(scores.is_sorted_by(|one, next| one >= next), "{scores:?}");
        for hit in hits {
            let document = tenant.read(hit["document_id"].as_str().unwrap()).await;
            let range = hit["start"].as_u64().unwrap() as usize..hit["end"].as_u64().unwrap() as usize;
            assert_eq!(document["content"].as_str().unwrap().get(range), hit["content"].as_str());
            assert_eq!((&hit["document_title"], &hit["metadata"]), (&document["title"], &document["metadata"]));
            assert!(hit["heading_path"].is_array(), "{hit}");
        }
    }
}

#[tokio::test]
async fn highlights_are_bytes_of_the_hit() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = "Käse, Brötchen 🥐 und süße Äpfel: die Bäckerei öffnet um sieben. Äpfel gibt es 🍎 auch abends.";
    tenant.document("bäckerei.md", text).await;
    tenant.document("病院.md", "😀 当院の面会時間は午後二時から午後八時までです。").await;
    for (query, words) in [("Äpfel", vec!["Äpfel", "Äpfel"]), ("面会時間", vec!["面会時間"])] {
        for search_type in ["fulltext", "hybrid"] {
            let found = tenant.search(json!({"query": query, "search_type": search_type, "limit": 1})).await;
            let hit = &found["results"][0];
            let content = hit["content"].as_str().unwrap();
            let marked: Vec<&str> = hit["highlights"]
                .as_array()
                .unwrap()
                .iter()
                .map(|range| &content[range[0].as_u64().unwrap() as usize..range[1].as_u64().unwrap() as usize])
                .collect();
            assert_eq!(marked, words, "{search_type} {query}");
        }
    }
}

#[tokio::test]
async fn fulltext_finds_inflected_accented_and_unspaced_words() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let texts = [
        ("rücktritt.md", "Der Rücktritt vom Vertrag ist binnen vierzehn Tagen möglich. Die Straße bleibt offen."),
        ("café.md", "Le café est servi à l'étage, près de la fenêtre."),
        ("library.md", "The librarians were indexing the manuscripts."),
        ("jp.md", "面会時間は午後二時から午後八時までです。受付で名札を受け取ってください。"),
        ("zh.md", "北京图书馆的开放时间是上午九点到晚上九点，周一闭馆。"),
        ("ko.md", "도서관은 오전 아홉 시에 문을 엽니다."),
        ("ru.md", "Библиотека открыта по воскресеньям."),
    ];
    for (source, text) in texts {
        tenant.document(source, text).await;
    }
    let queries = [
        ("rucktritt", "rücktritt.md"),
        ("RÜCKTRITT", "rücktritt.md"),
        ("Ru\u{308}cktritt", "rücktritt.md"),
        ("strasse", "rücktritt.md"),
        ("cafe etage", "café.md"),
        ("Fenetre", "café.md"),
        ("librarian index manuscript", "library.md"),
        ("面会時間", "jp.md"),
        ("名札", "jp.md"),
        ("图书馆", "zh.md"),
        ("周一闭馆", "zh.md"),
        ("도서관", "ko.md"),
        ("библиотека", "ru.md"),
    ];
    for (query, source) in queries {
        let found = tenant.search(json!({"query": query, "search_type": "fulltext"})).await;
        assert_eq!(sources(&found).first(), Some(&source), "{query}: {found}");
    }
    let found = tenant.search(json!({"query": "xylophone", "search_type": "fulltext"})).await;
    assert_eq!(found["results"], json!([]), "words that stand nowhere are found nowhere");
}

#[tokio::test]
async fn vector_search_finds_what_shares_no_word() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let body = json!({"query": "Where can guests leave their car?", "search_type": "vector", "limit": 1});
    assert_eq!(sources(&tenant.search(body).await), ["visitors.md"]);
}

#[tokio::test]
async fn an_explanation_is_given_where_asked_for() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let plain = tenant.search(json!({"query": "centrifuge"})).await;
    assert!(plain["results"].as_array().unwrap().iter().all(|hit| hit.get("explain").is_none()), "{plain}");
    let explained = tenant.search(json!({"query": "centrifuge", "explain": true})).await;
    assert!(explained["results"].as_array().unwrap().iter().all(|hit| hit["explain"].is_object()), "{explained}");
    for hit in explained["results"].as_array().unwrap() {
        assert!(hit["vector_similarity"].is_number() && hit["text_similarity"].is_number(), "{hit}");
    }
}

#[tokio::test]
async fn an_offset_goes_on_where_the_page_before_ended() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.ingest(&numbered(0..40, 2)).await;
    for search_type in KINDS {
        let body = |limit: usize, offset: usize| json!({"query": "the harbour repairs seven copper kettles", "search_type": search_type, "limit": limit, "offset": offset});
        let whole = tenant.search(body(10, 0)).await;
        let second = tenant.search(body(5, 5)).await;
        assert_eq!(sources(&whole).len(), 10);
        assert_eq!(sources(&second), sources(&whole)[5..], "{search_type}");
        assert_eq!(sources(&tenant.search(body(10, 0)).await), sources(&whole), "{search_type}: the same twice");
        assert_eq!(sources(&tenant.search(body(10, 500)).await), Vec::<&str>::new());
    }
}

#[tokio::test]
async fn a_graph_search_answers_an_empty_list() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let found = tenant.search(json!({"query": "centrifuge", "search_type": "graph"})).await;
    assert_eq!((&found["graph_results"], &found["search_type"]), (&json!([]), &json!("graph")));
}

#[tokio::test]
async fn all_fields_of_the_contract_are_known_and_no_others() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let body = json!({"query": "centrifuge", "search_type": "hybrid", "limit": 3, "text_weight": 0.5, "offset": 0,
        "include_shared": true, "expand": 1, "explain": false, "filters": {}});
    assert_eq!(tenant.search(body).await["results"][0]["document_source"], "laboratory.md");
    let defaults = tenant.search(json!({"query": "centrifuge"})).await;
    assert_eq!(defaults["search_type"], "hybrid");
    assert_eq!(defaults["total_results"], defaults["results"].as_array().unwrap().len());
}

#[tokio::test]
async fn absurd_requests_are_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let wrong = [
        json!({}),
        json!({"query": ""}),
        json!({"query": "  \n\t "}),
        json!({"query": 7}),
        json!({"query": ["a"]}),
        json!({"query": null}),
        json!({"query": "x", "limit": 0}),
        json!({"query": "x", "limit": 101}),
        json!({"query": "x", "limit": -1}),
        json!({"query": "x", "limit": 1e9}),
        json!({"query": "x", "limit": 1.5}),
        json!({"query": "x", "limit": "5"}),
        json!({"query": "x", "offset": -1}),
        json!({"query": "x", "text_weight": 1.5}),
        json!({"query": "x", "text_weight": -0.1}),
        json!({"query": "x", "text_weight": "heavy"}),
        json!({"query": "x", "search_type": "magic"}),
        json!({"query": "x", "expand": -1}),
        json!({"query": "x", "expand": 1_000_000_000}),
        json!({"query": "x", "serch_type": "vector"}),
        json!({"query": "x", "filters": {"owner": "me"}}),
        json!({"query": "x", "filters": {"document_ids": "all"}}),
        json!({"query": "x", "filters": {"metadata": {"a": {"$regex": ".*"}}}}),
        json!({"query": "x", "filters": {"metadata": {"a": {"$in": "b"}}}}),
        json!({"query": "x", "filters": {"created_before": 12}}),
    ];
    let mut taken = Vec::new();
    for body in wrong {
        match tenant.client.post(&tenant.path("/search"), &body).await {
            answer if answer.status < 400 => taken.push(body),
            answer => drop(answer.problem(422, "validation_failed")),
        }
    }
    assert_eq!(taken, Vec::<Value>::new(), "taken without a word");
}

#[tokio::test]
async fn hostile_queries_find_something_or_nothing_and_break_nothing() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let many = "granite ".repeat(20_000);
    let distinct: String = (0..20_000).map(|number| format!("term{number} ")).collect();
    let long = "x".repeat(200_000);
    let parentheses = "(".repeat(5_000);
    let queries = [
        "\"",
        "\"unclosed phrase",
        "*",
        "?",
        "*:*",
        "content:secret",
        "title:/.*/",
        "document_id:1",
        "[a TO z]",
        "{a TO z}",
        "centrifuge~9",
        "centrifuge^1e99",
        "+ -",
        "AND",
        "NOT NOT",
        "AND OR NOT ()",
        "((((",
        "\\",
        "\\\\\"",
        "--",
        "'",
        "'; DROP TABLE documents; --",
        "%",
        "_",
        "{{7*7}}",
        "${ENV}",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "\u{0}",
        "centrifuge\u{0}",
        "\u{202e}egufirtnec",
        "\u{feff}",
        "👨‍👩‍👧‍👦",
        "a\u{301}\u{301}\u{301}",
        "NEAR(a b)",
        "IN [a b]",
        "!",
        "~",
        ".",
        "的",
        &parentheses,
        &many,
        &distinct,
        &long,
    ];
    for query in queries {
        for search_type in KINDS {
            let answer =
                tenant.client.post(&tenant.path("/search"), &json!({"query": query, "search_type": search_type})).await;
            let start: String = query.chars().take(40).collect();
            assert!([200, 422].contains(&answer.status), "{search_type} {start}: {} {}", answer.status, answer.text());
        }
    }
    let injections = ["a' OR '1'='1", "a\") OR 1=1 --", "$.a", "a.b[0]", "", "\"", "a\u{0}b"];
    for key in injections {
        let body = json!({"query": "centrifuge", "filters": {"metadata": {key: "x"}}});
        let answer = tenant.client.post(&tenant.path("/search"), &body).await;
        match answer.status {
            200 => assert_eq!(answer.json()["results"], json!([]), "{key}"),
            _ => drop(answer.problem(422, "validation_failed")),
        }
    }
    let found = tenant.search(json!({"query": "Who services the centrifuge?"})).await;
    assert_eq!(sources(&found)[0], "laboratory.md");
}

/// What of each hit is marked, with its source.
fn marked(found: &Value) -> Vec<(&str, Vec<&str>)> {
    let hits = found["results"].as_array().unwrap().iter();
    let at = |range: &Value, end: usize| range[end].as_u64().unwrap() as usize;
    let words = |hit: &'_ Value| -> Vec<(usize, usize)> {
        hit["highlights"].as_array().unwrap().iter().map(|range| (at(range, 0), at(range, 1))).collect()
    };
    hits.map(|hit| {
        let content = hit["content"].as_str().unwrap();
        let marked = words(hit).into_iter().map(|(start, end)| &content[start..end]).collect();
        (hit["document_source"].as_str().unwrap(), marked)
    })
    .collect()
}

#[tokio::test]
async fn signs_in_the_query_hold_for_every_leg() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for (source, text) in [
        ("harbour.md", "The harbour master opens the north gate at dawn."),
        ("gate.md", "The gate north of the harbour stays shut."),
        ("market.md", "The fish market opens at dawn near the harbour."),
        ("museum.md", "The museum of seafaring is closed on Mondays."),
    ] {
        tenant.document(source, text).await;
    }
    let found = async |query: &str, search_type: &str| {
        let found = tenant.search(json!({"query": query, "search_type": search_type})).await;
        let mut found: Vec<String> = sources(&found).into_iter().map(str::to_owned).collect();
        found.sort();
        found
    };
    for search_type in KINDS {
        assert_eq!(found("harbour \"north gate\"", search_type).await, ["harbour.md"], "{search_type}");
        assert_eq!(found("dawn +gate", search_type).await, ["gate.md", "harbour.md"], "{search_type}");
        let without = found("harbour -gate", search_type).await;
        assert!(without.contains(&"market.md".to_owned()), "{search_type}: {without:?}");
        assert!(
            !without.iter().any(|source| source == "harbour.md" || source == "gate.md"),
            "{search_type}: {without:?}"
        );
        assert_eq!(found("-gate", search_type).await, [""; 0], "{search_type}");
        assert_eq!(found("+zeppelin harbour", search_type).await, [""; 0], "{search_type}");
    }
    assert_eq!(found("mus*", "fulltext").await, ["museum.md"]);
    assert_eq!(found("Who opens the \"south gate\"?", "fulltext").await, ["gate.md", "harbour.md", "market.md"]);
    assert_eq!(found("what is the", "fulltext").await.len(), 4, "of nothing but words that are everywhere");
}

#[tokio::test]
async fn an_option_of_a_command_excludes_nothing() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("backup.md", "Unpack it with tar -xzf backup.tar.gz in the home folder.").await;
    tenant.document("build.md", "Run cargo build -v to see every step.").await;
    for search_type in KINDS {
        for (query, source) in [("tar -xzf backup.tar.gz", "backup.md"), ("cargo build -v", "build.md")] {
            let found = tenant.search(json!({"query": query, "search_type": search_type})).await;
            assert_eq!(sources(&found).first(), Some(&source), "{search_type} {query}: {found}");
            assert!(found.get("legs").is_none(), "nothing to tell: {found}");
        }
    }
}

#[tokio::test]
async fn an_answer_tells_what_its_signs_asked_for_in_vain_and_left_out() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("rota.md", "The doctor on call carries the red phone.").await;
    tenant.document("phone.md", "The phone in the hall is for guests.").await;
    for search_type in KINDS {
        let body = json!({"query": "Who has the \"on call phone number\" please", "search_type": search_type});
        let found = tenant.search(body).await;
        assert_eq!(found["results"], json!([]));
        let legs = found["legs"].as_array().unwrap();
        let told: Vec<_> = legs.iter().filter_map(|leg| leg["detail"].as_str()).collect();
        assert!(told.len() == 1 && told[0].contains("\"on call phone number\""), "{search_type}: {found}");
        assert!(legs.iter().all(|leg| leg["status"] == "ok"), "{found}");
        let found = tenant.search(json!({"query": "phone -guests", "search_type": search_type})).await;
        assert_eq!(sources(&found), ["rota.md"], "{search_type}");
        assert!(found["legs"].to_string().contains("\\\"guests\\\""), "{search_type}: {found}");
    }
}

#[tokio::test]
async fn a_required_word_of_one_character_is_marked() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("nen.md", "点検は毎年行う。").await;
    let found = tenant.search(json!({"query": "+年", "search_type": "fulltext"})).await;
    assert_eq!(marked(&found), [("nen.md", vec!["年"])]);
}

#[tokio::test]
async fn a_word_that_is_nowhere_stands_for_its_neighbours() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("lab.md", "The centrifuge is serviced by the laboratory. Form A1234 records it.").await;
    tenant.document("garden.md", "The gardener waters the roses.").await;
    let found = async |query: &str| tenant.search(json!({"query": query, "search_type": "fulltext"})).await;
    for query in ["centrifgue", "who serviced the centrif"] {
        let answer = found(query).await;
        let marked = marked(&answer);
        assert_eq!(marked.len(), 1, "{query}: {answer}");
        assert!(marked[0].0 == "lab.md" && marked[0].1.contains(&"centrifuge"), "{query}: {answer}");
    }
    assert_eq!(found("A1235").await["results"], json!([]));
}

#[tokio::test]
async fn a_word_in_the_title_counts_more_than_one_in_the_text() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let filler = "Rules for everybody who works in the building, by day and by night, with all exceptions.";
    for (source, title, text) in [
        ("a.md", "House rules", format!("{filler} Parking is one of them.")),
        ("b.md", "Parking", filler.to_owned()),
        ("c.md", "Kitchen", filler.to_owned()),
    ] {
        let body = json!({"source": source, "title": title, "content": text});
        tenant.client.post(&tenant.path("/documents"), &body).await.is(201);
    }
    let found = tenant.search(json!({"query": "parking", "search_type": "fulltext"})).await;
    assert_eq!(sources(&found), ["b.md", "a.md"]);
}

#[tokio::test]
async fn a_writing_that_the_model_does_not_read_leaves_more_to_the_words() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("kanri.md", "ワクチン冷蔵庫の温度は毎朝記録する。").await;
    for (query, given, expected) in [
        ("How warm is the vaccine fridge?", json!(null), 0.5),
        ("冷蔵庫の温度", json!(null), 0.8),
        ("冷蔵庫の温度", json!(0.3), 0.3),
    ] {
        let body = json!({"query": query, "text_weight": given, "explain": true});
        let weight = tenant.search(body).await["results"][0]["explain"]["text_weight"].as_f64().unwrap();
        assert!((weight - expected).abs() < 1e-6, "{query}: {weight}");
    }
}
