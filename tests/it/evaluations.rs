//! Evaluation sets: kept, run, compared, and closed to others.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::handbook::HANDBOOK;
use crate::server::{Home, Server};
use crate::tenant::{Tenant, id};

const LEGS: [&str; 3] = ["vector", "fulltext", "hybrid"];

async fn handbook() -> (Arc<Server>, Tenant) {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    (server, tenant)
}

fn questions() -> Value {
    json!([
        {"question": "Who services the centrifuge?", "expected": [{"source": "laboratory.md"}]},
        {"question": "Where do visitors park their cars?", "expected": [{"source": "visitors.md"}]},
        {"question": "How long does the reimbursement of travel expenses take?",
         "expected": [{"passage": "the reimbursement of travel expenses takes ten working days"}]},
    ])
}

/// Stores the questions as a set and gives its path.
async fn stored(tenant: &Tenant, questions: &Value) -> String {
    let body = json!({"name": "Handbook", "questions": questions});
    let set = tenant.client.post(&tenant.path("/evaluations"), &body).await;
    assert!([200, 201].contains(&set.status), "{}", set.text());
    tenant.path(&format!("/evaluations/{}", id(&set.json())))
}

async fn run(tenant: &Tenant, set: &str, settings: Value) -> Value {
    tenant.client.post(&format!("{set}/runs"), &settings).await.is(201).json()
}

#[tokio::test]
async fn a_run_tells_how_well_each_leg_finds_what_is_expected() {
    let (_server, tenant) = handbook().await;
    let set = stored(&tenant, &questions()).await;
    let first = run(&tenant, &set, json!({})).await;
    assert_eq!((&first["k"], &first["question_count"], &first["missing"]), (&json!(10), &json!(3), &json!([])));
    for leg in LEGS {
        let figures = &first["metrics"][leg];
        for figure in ["ndcg", "recall", "mrr", "success_at_1"] {
            let value = figures[figure].as_f64().unwrap();
            let mean: f64 = (0..3).map(|at| first["questions"][at]["metrics"][leg][figure].as_f64().unwrap()).sum();
            assert!((value - mean / 3.0).abs() < 1e-9, "{leg} {figure}: {first}");
        }
        assert_eq!(figures["recall"], 1.0, "five documents, ten places: {first}");
    }
    assert_eq!(first["metrics"]["hybrid"]["ndcg"], 1.0, "{first}");
    assert_eq!(first["comparison"], Value::Null);
    assert_eq!(first["conditions"]["documents"], 5, "{first}");
    let again = run(&tenant, &set, json!({})).await;
    assert_eq!(again["metrics"], first["metrics"], "the same questions give the same figures");
    assert_eq!(again["questions"], first["questions"]);
    let comparison = &again["comparison"];
    assert_eq!((&comparison["run_id"], &comparison["question_count"]), (&first["id"], &json!(3)));
    assert_eq!((&comparison["better"], &comparison["worse"]), (&json!([]), &json!([])));
    assert_eq!(comparison["changes"]["hybrid"]["ndcg"], 0.0);
    let other_k = run(&tenant, &set, json!({"limit": 3})).await;
    assert_eq!(other_k["comparison"], Value::Null, "nDCG@3 is no more or less than nDCG@10");
    let runs = tenant.client.pages(&format!("{set}/runs?limit=2")).await;
    let ids: Vec<&Value> = runs.iter().map(|run| &run["id"]).collect();
    assert_eq!(ids, [&other_k["id"], &again["id"], &first["id"]], "newest first");
    assert!(runs.iter().all(|run| run.get("questions").is_none()), "{runs:?}");
    let shown = tenant.client.get(&format!("{set}/runs/{}", id(&again))).await.is(200).json();
    assert_eq!(shown, again);
    let listed = tenant.client.get(&tenant.path("/evaluations")).await.is(200).json();
    assert_eq!(listed[0]["last_run"], runs[0]);
}

#[tokio::test]
async fn what_became_worse_is_named() {
    let (_server, tenant) = handbook().await;
    let set = stored(&tenant, &questions()).await;
    let before = run(&tenant, &set, json!({})).await;
    let documents = tenant.client.get(&tenant.path("/documents?q=visitors.md")).await.is(200).json();
    let visitors = id(&documents["documents"][0]);
    tenant.client.delete(&tenant.path(&format!("/documents/{visitors}"))).await.is(200);
    let after = run(&tenant, &set, json!({})).await;
    let comparison = &after["comparison"];
    assert_eq!(comparison["worse"].as_array().unwrap().len(), 1, "{comparison}");
    let worse = &comparison["worse"][0];
    assert_eq!(worse["question"], "Where do visitors park their cars?", "{comparison}");
    assert_eq!((&worse["before"], &worse["after"]), (&json!(1.0), &json!(0.0)), "{comparison}");
    assert!(after["metrics"]["hybrid"]["ndcg"].as_f64() < before["metrics"]["hybrid"]["ndcg"].as_f64());
    let change = comparison["changes"]["hybrid"]["recall"].as_f64().unwrap();
    assert!((change + 1.0 / 3.0).abs() < 1e-9, "{comparison}");
    assert_eq!(after["missing"], json!([{"source": "visitors.md", "questions": 1}]));
    let (source, content) = HANDBOOK.iter().find(|(source, _)| *source == "visitors.md").unwrap();
    tenant.document(source, content).await;
    let restored = run(&tenant, &set, json!({})).await;
    assert_eq!(restored["comparison"]["better"][0]["question_id"], worse["question_id"], "{restored}");
    assert_eq!(restored["metrics"], before["metrics"]);
}

#[tokio::test]
async fn a_set_that_is_stored_again_keeps_its_runs_and_the_ids_of_the_same_questions() {
    let (_server, tenant) = handbook().await;
    let set = stored(&tenant, &questions()).await;
    run(&tenant, &set, json!({})).await;
    let before = tenant.client.get(&set).await.is(200).json();
    let mut changed = questions();
    changed[0]["expected"] = json!([{"source": "travel.md"}]);
    changed[1]["question"] = json!("Where is the car park?");
    assert_eq!(stored(&tenant, &changed).await, set);
    let after = tenant.client.get(&set).await.is(200).json();
    assert_eq!(after["question_count"], 3);
    let id_of = |set: &Value, words: &Value| {
        let found = set["questions"].as_array().unwrap().iter().find(|one| one["question"] == *words).cloned();
        found.map(|one| id(&one))
    };
    assert_eq!(id_of(&before, &changed[0]["question"]), id_of(&after, &changed[0]["question"]));
    assert_eq!(id_of(&after, &questions()[1]["question"]), None);
    let next = run(&tenant, &set, json!({})).await;
    let comparison = &next["comparison"];
    assert_eq!(comparison["question_count"], 2, "the question that both asked with other or the same hopes: {next}");
    assert_eq!(comparison["worse"][0]["question"], changed[0]["question"], "{comparison}");
    let one = json!({"question": "Where do solvents go?", "expected": [{"passage": "yellow canisters", "grade": 3}]});
    let added = tenant.client.post(&format!("{set}/questions"), &one).await.is(201).json();
    let again = tenant.client.post(&format!("{set}/questions"), &one).await.is(200).json();
    assert_eq!(added, again, "the same words are the same question");
    tenant.client.delete(&format!("{set}/questions/{}", id(&added))).await.is(200);
    tenant.client.delete(&format!("{set}/questions/{}", id(&added))).await.problem(404, "not_found");
    assert_eq!(tenant.client.get(&set).await.is(200).json()["question_count"], 3);
    tenant.client.delete(&set).await.is(200);
    tenant.client.get(&set).await.problem(404, "not_found");
    tenant.client.get(&format!("{set}/runs")).await.problem(404, "not_found");
    tenant.client.get(&format!("{set}/runs/{}", id(&next))).await.problem(404, "not_found");
    let check = tenant.admin.post(&tenant.path("/check"), &json!({})).await.is(200).json();
    assert_eq!(check["whole"], true, "{check}");
}

#[tokio::test]
async fn the_questions_of_old_runs_are_given_up_before_their_means() {
    let (_server, tenant) = handbook().await;
    let set = stored(&tenant, &json!([questions()[0]])).await;
    let mut runs = Vec::new();
    for _ in 0..12 {
        runs.push(run(&tenant, &set, json!({})).await);
    }
    let mut shown = Vec::new();
    for run in &runs {
        shown.push(tenant.client.get(&format!("{set}/runs/{}", id(run))).await.is(200).json());
    }
    let known: Vec<bool> = shown.iter().map(|run| run["questions"].is_array()).collect();
    assert_eq!(known, [[false; 2].as_slice(), [true; 10].as_slice()].concat());
    assert!(shown.iter().zip(&runs).all(|(shown, run)| shown["metrics"] == run["metrics"]));
    assert_eq!(shown[2]["comparison"], Value::Null, "the run before it does not know its questions any more");
    assert_eq!(shown[11]["comparison"]["run_id"], runs[10]["id"]);
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_its_field() {
    let (_server, tenant) = handbook().await;
    let good = json!({"question": "Who?", "expected": [{"source": "a.md"}]});
    let expecting = |expected: Value| json!({"question": "Who?", "expected": expected});
    let wrong = [
        (json!({"question": " ", "expected": [{"source": "a.md"}]}), "questions[1].question"),
        (good.clone(), "questions[1].question"),
        (expecting(json!([])), "questions[1].expected"),
        (expecting(json!([{}])), "questions[1].expected[0]"),
        (expecting(json!([{"source": "a.md", "document_id": Uuid::now_v7()}])), "questions[1].expected[0]"),
        (expecting(json!([{"source": "a.md"}, {"source": "a.md", "grade": 2}])), "questions[1].expected[1]"),
        (expecting(json!([{"source": ""}])), "questions[1].expected[0].source"),
        (expecting(json!([{"passage": "… !"}])), "questions[1].expected[0].passage"),
        (expecting(json!([{"source": "a.md", "grade": 0}])), "questions[1].expected[0].grade"),
        (expecting(json!([{"document_id": "a.md"}])), "questions[1].expected[0].document_id"),
        (expecting(json!([{"sauce": "a.md"}])), "questions[1].expected[0].sauce"),
    ];
    for (question, field) in wrong {
        let body = json!({"name": "Wrong", "questions": [good, question]});
        let problem = tenant.client.post(&tenant.path("/evaluations"), &body).await.problem(422, "validation_failed");
        let fields: Vec<&Value> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert!(fields.contains(&&json!(field)), "{field} in {problem}");
    }
    let many: Vec<Value> = (0..2001)
        .map(|number| json!({"question": format!("Who is number {number}?"), "expected": [{"source": "a.md"}]}))
        .collect();
    let body = json!({"name": "Many", "questions": many});
    tenant.client.post(&tenant.path("/evaluations"), &body).await.problem(422, "validation_failed");
    let body = json!({"name": "Many", "questions": many[..2000]});
    let full = tenant.client.post(&tenant.path("/evaluations"), &body).await.is(201).json();
    let one_more = tenant.path(&format!("/evaluations/{}/questions", id(&full)));
    tenant.client.post(&one_more, &many[2000]).await.problem(409, "conflict");
    let set = stored(&tenant, &json!([])).await;
    tenant.client.post(&format!("{set}/runs"), &json!({})).await.problem(409, "conflict");
    for settings in [json!({"limit": 0}), json!({"limit": 101}), json!({"text_weight": 1.5}), json!({"rerank": true})] {
        tenant.client.post(&format!("{set}/runs"), &settings).await.problem(422, "validation_failed");
    }
    assert_eq!(tenant.client.get(&tenant.path("/evaluations?name=Wrong")).await.is(200).json(), json!([]));
}

#[tokio::test]
async fn a_set_that_would_take_all_memory_is_refused() {
    let (_server, tenant) = handbook().await;
    let sets = tenant.path("/evaluations");
    let of = |name: &str, questions: Value| json!({"name": name, "questions": questions});
    let passage =
        |number: usize, bytes: usize| json!({"passage": format!("{number:06} {}", "a ".repeat(bytes / 2 - 4))});
    let question = |number: usize, passages: usize| {
        let expected: Vec<Value> = (0..passages).map(|number| passage(number, 8 << 10)).collect();
        json!({"question": format!("Who is number {number}?"), "expected": expected})
    };
    let long = json!([{"question": "Who?", "expected": [passage(0, 33 << 8)]}]);
    for (questions, field) in
        [(long, "questions[0].expected[0].passage"), (json!([question(0, 33)]), "questions[0].expected")]
    {
        let problem = tenant.client.post(&sets, &of("Large", questions)).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let many: Vec<Value> = (0..33).map(|number| question(number, 32)).collect();
    let problem = tenant.client.post(&sets, &of("Large", json!(many))).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "questions", "{problem}");
    assert_eq!(tenant.client.get(&sets).await.is(200).json(), json!([]), "nothing of it is kept");
    let full = tenant.client.post(&sets, &of("Large", json!(many[..31]))).await.is(201).json();
    let one_more = tenant.path(&format!("/evaluations/{}/questions", id(&full)));
    tenant.client.post(&one_more, &many[31]).await.problem(409, "conflict");
    tenant.client.post(&one_more, &question(0, 1)).await.is(200);
}

#[tokio::test]
async fn a_workspace_has_so_many_sets() {
    let (_server, tenant) = handbook().await;
    let set = |number: usize| json!({"name": format!("Set {number}"), "questions": []});
    for number in 0..100 {
        tenant.client.post(&tenant.path("/evaluations"), &set(number)).await.is(201);
    }
    tenant.client.post(&tenant.path("/evaluations"), &set(100)).await.problem(409, "conflict");
    let kept = tenant.client.post(&tenant.path("/evaluations"), &set(99)).await.is(200).json();
    tenant.client.delete(&tenant.path(&format!("/evaluations/{}", id(&kept)))).await.is(200);
    tenant.client.post(&tenant.path("/evaluations"), &set(100)).await.is(201);
}

#[tokio::test]
async fn a_copy_that_is_folded_into_a_hit_is_found() {
    let (_server, tenant) = handbook().await;
    let (_, text) = HANDBOOK[2];
    for number in 0..12 {
        tenant.document(&format!("copy-{number}.md"), text).await;
    }
    let copies: Vec<Value> = (0..12).map(|number| json!({"source": format!("copy-{number}.md")})).collect();
    let questions = json!([
        {"question": "Where do visitors park?", "expected": copies},
        {"question": "Who services the centrifuge?", "expected": [{"source": "laboratory.md"}, {"source": "travel.md"}]},
    ]);
    let set = stored(&tenant, &questions).await;
    let run = run(&tenant, &set, json!({"limit": 5})).await;
    assert_eq!(run["questions"][0]["metrics"]["hybrid"]["recall"], 1.0, "all stand beside one hit: {run}");
    assert_eq!(run["questions"][0]["metrics"]["hybrid"]["ndcg"], 1.0, "{run}");
    assert_eq!(run["questions"][1]["metrics"]["hybrid"]["recall"], 1.0, "and take no place from others: {run}");
}

/// Begins a run of a set that takes longer than any test, and comes back once it is under way.
async fn endless(tenant: &Tenant) -> tokio::task::JoinHandle<()> {
    let many: Vec<Value> = (0..2000)
        .map(|number| json!({"question": format!("Who is visitor number {number}?"), "expected": [{"source": "a.md"}]}))
        .collect();
    let set = tenant.client.post(&tenant.path("/evaluations"), &json!({"name": "Endless", "questions": many})).await;
    let runs = tenant.path(&format!("/evaluations/{}/runs", id(&set.is(201).json())));
    let client = tenant.client.clone();
    let running = tokio::spawn(async move {
        // The short one below may come first.
        while client.post(&runs, &json!({})).await.status == 409 {}
        panic!("it was to be left before its end");
    });
    let short = format!("{}/runs", stored(tenant, &json!([questions()[0]])).await);
    while tenant.client.post(&short, &json!({})).await.status != 409 {
        assert!(!running.is_finished());
    }
    running
}

#[tokio::test]
async fn large_evaluations_of_others_hold_nobody_up_and_end_when_their_clients_leave() {
    let (server, tenant) = handbook().await;
    let set = stored(&tenant, &questions()).await;
    let others = [Tenant::new(&server.admin()).await, Tenant::new(&server.admin()).await];
    others[0].handbook().await;
    others[1].handbook().await;
    let running = [endless(&others[0]).await, endless(&others[1]).await];
    run(&tenant, &set, json!({})).await;
    for (other, running) in others.iter().zip(running) {
        let sets = tenant_sets(other).await;
        let busy = other.client.post(&format!("{}/runs", sets["Handbook"]), &json!({})).await;
        busy.problem(409, "conflict");
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        while other.client.post(&format!("{}/runs", sets["Handbook"]), &json!({})).await.status == 409 {}
        let runs = other.client.get(&format!("{}/runs", sets["Endless"])).await.is(200).json();
        assert_eq!(runs, json!([]), "nobody waited for it");
    }
}

/// The paths of a workspace's sets by their names.
async fn tenant_sets(tenant: &Tenant) -> HashMap<String, String> {
    let sets = tenant.client.get(&tenant.path("/evaluations")).await.is(200).json();
    let path =
        |set: &Value| (set["name"].as_str().unwrap().to_owned(), tenant.path(&format!("/evaluations/{}", id(set))));
    sets.as_array().unwrap().iter().map(path).collect()
}

#[tokio::test]
async fn who_runs_a_set_may_search_and_keep_sets_and_need_say_nothing() {
    let (_server, tenant) = handbook().await;
    let runs = format!("{}/runs", stored(&tenant, &questions()).await);
    for scopes in [["search", "read"], ["ingest", "read"]] {
        tenant.key(&scopes).await.post(&runs, &json!({})).await.problem(403, "forbidden");
    }
    let client = tenant.key(&["search", "ingest"]).await;
    assert_eq!(client.send("POST", &runs, None).await.is(201).json()["k"], 10);
    client.post(&runs, &json!({"k": 3})).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn another_workspaces_set_and_run_are_not_found() {
    let (server, tenant) = handbook().await;
    let set = stored(&tenant, &questions()).await;
    let run = run(&tenant, &set, json!({})).await;
    let other = Tenant::within(&server.admin(), &tenant.organization).await;
    let name = set.rsplit('/').next().unwrap();
    let there = other.path(&format!("/evaluations/{name}"));
    other.client.get(&there).await.problem(404, "not_found");
    other.client.post(&format!("{there}/runs"), &json!({})).await.problem(404, "not_found");
    let own = stored(&other, &questions()).await;
    other.client.get(&format!("{own}/runs/{}", id(&run))).await.problem(404, "not_found");
    let question = run["questions"][0]["question_id"].as_str().unwrap();
    other.client.delete(&format!("{own}/questions/{question}")).await.problem(404, "not_found");
    tenant.client.get(&set).await.is(200);
}

#[tokio::test]
async fn a_set_goes_along_with_a_copy_of_its_workspace() {
    let (_server, tenant) = handbook().await;
    let set = stored(&tenant, &questions()).await;
    let first = run(&tenant, &set, json!({})).await;
    let copied = json!({"name": "A copy", "slug": format!("copy-{}", Uuid::new_v4().simple())});
    let copy = id(&tenant.admin.post(&tenant.path("/copy"), &copied).await.is(201).json());
    let there = set.replace(&tenant.workspace, &copy);
    let next = tenant.admin.post(&format!("{there}/runs"), &json!({})).await.is(201).json();
    assert_eq!(next["comparison"]["run_id"], first["id"]);
    assert_eq!(next["metrics"], first["metrics"]);
}

#[test]
fn a_command_measures_and_compares() {
    let home = Home::new();
    let folder = home.path().join("notes");
    std::fs::create_dir(&folder).unwrap();
    for (source, text) in HANDBOOK {
        std::fs::write(folder.join(source), text).unwrap();
    }
    home.run(&["ingest", folder.to_str().unwrap()]).exits(0);
    let file = home.path().join("handbook.jsonl");
    let line = |question: &str, field: &str, value: &str| format!("{}\n", json!({"text": question, field: value}));
    let mut lines = line("Who services the centrifuge?", "source", "laboratory.md");
    lines += &line("Where do visitors park?", "source", "visitors.md");
    lines += &line("Who feeds the cat?", "source", "cats.md");
    std::fs::write(&file, &lines).unwrap();
    let first = home.run(&["eval", "--questions", file.to_str().unwrap()]).exits(0).stdout;
    for part in
        ["handbook: 3 questions", "nDCG@10", "vector", "fulltext", "hybrid", "0.000  Who feeds the cat?", "cats.md"]
    {
        assert!(first.contains(part), "{part} in {first}");
    }
    assert!(!first.contains("compared with"), "{first}");
    home.run(&["ingest", "--clean", "--yes", folder.join("laboratory.md").to_str().unwrap()]).exits(0);
    let second = home.run(&["eval"]).exits(0).stdout;
    let worse = "worse   1.000 -> 0.000  Where do visitors park?";
    for part in
        ["3 questions that both asked: 0 better, 1 worse", worse, "then: 5 documents", "(-0.333)", "visitors.md"]
    {
        assert!(second.contains(part), "{part} in {second}");
    }
    let third =
        home.run(&["eval", "--name", "handbook", "--limit", "5", "--text-weight", "0.2", "--json"]).exits(0).json();
    assert_eq!((&third["k"], &third["comparison"]), (&json!(5), &Value::Null), "{third}");
    let nobody = home.run(&["eval", "--name", "nobody"]).exits(1);
    assert!(nobody.stderr.contains("handbook"), "{}", nobody.stderr);
    std::fs::write(&file, "{\"text\": \"Who?\"}\n").unwrap();
    let wrong = home.run(&["eval", "--questions", file.to_str().unwrap()]).exits(2);
    assert!(wrong.stderr.contains("line 1"), "{}", wrong.stderr);
}
