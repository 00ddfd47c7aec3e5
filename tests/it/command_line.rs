//! The command line, beside a running server and on a directory that nobody serves.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::Client;
use crate::handbook::HANDBOOK;
use crate::server::{ADMIN_KEY, Home, Run, Server, finish};
use crate::tenant::{assert_stands, id};

const QUESTION: &str = "Who services the centrifuge?";

/// A folder with the handbook and, below it, a note; another with a file that is not taken in.
fn folders(home: &Home) -> (PathBuf, PathBuf) {
    let (good, bad) = (home.path().join("handbook"), home.path().join("mixed"));
    std::fs::create_dir_all(good.join("notes")).unwrap();
    std::fs::create_dir_all(&bad).unwrap();
    for (name, text) in HANDBOOK {
        std::fs::write(good.join(name), text).unwrap();
    }
    std::fs::write(good.join("notes/umbrella.txt"), "The violet umbrella hangs in the cloakroom.").unwrap();
    std::fs::write(bad.join("good.md"), "# Good\n\nThe gate closes at ten.").unwrap();
    std::fs::write(bad.join("bad.txt"), b"text\0with\0zeros").unwrap();
    (good, bad)
}

/// Makes a workspace with the program alone, fills it, and asks it; the same with and without a server.
fn work_through(home: &Arc<Home>) {
    let run = |arguments: &[&str]| -> Run { home.run(&[arguments, &["--json"]].concat()) };
    let done = |arguments: &[&str]| -> Value { run(arguments).exits(0).json() };

    let organization =
        done(&["org", "create", "--name", "Acme", "--slug", "acme", "--contact-email", "a@acme.example"]);
    assert_eq!((&organization["slug"], organization["id"].is_string()), (&json!("acme"), true));
    let slugs: Vec<Value> = done(&["org", "list"]).as_array().unwrap().iter().map(|row| row["slug"].clone()).collect();
    assert!(slugs.contains(&json!("default")) && slugs.contains(&json!("acme")), "{slugs:?}");
    let workspace =
        done(&["workspace", "create", "--org", &id(&organization), "--name", "Handbook", "--slug", "handbook"]);
    assert_eq!(workspace["organization_id"], organization["id"]);
    let ws = id(&workspace);
    assert_eq!(done(&["workspace", "list", "--org", &id(&organization)])[0]["id"], ws);
    let agent = done(&["agent", "create", "--workspace", &ws, "--name", "Support", "--slug", "support"]);
    assert_eq!(done(&["agent", "list", "--workspace", &ws]), json!([agent]));
    let key = done(&["key", "create", "--workspace", &ws, "--name", "Bot"]);
    assert!(key["key"].as_str().unwrap().starts_with("sk_live_"));
    assert_eq!(done(&["key", "list", "--workspace", &ws])[0]["key_prefix"], key["key_prefix"]);

    let (good, bad) = folders(home);
    let summary = done(&["ingest", "--workspace", &ws, good.to_str().unwrap()]);
    assert_eq!(summary["failed"], 0, "{summary}");
    assert_eq!(done(&["workspace", "show", &ws])["document_count"], HANDBOOK.len() + 1);
    let partly = run(&["ingest", "--workspace", &ws, bad.to_str().unwrap()]).exits(3).json();
    assert_eq!(partly["failed"], 1, "{partly}");
    let error = &partly["errors"][0];
    assert!(error["source"].as_str().unwrap().ends_with("bad.txt"), "{partly}");
    assert_eq!(error["code"], "unsupported_media_type");
    assert!(error["message"].is_string());

    let found = done(&["search", "--workspace", &ws, "violet", "umbrella"]);
    assert!(found["results"][0]["content"].as_str().unwrap().contains("cloakroom"), "{found}");
    assert!(home.run(&["search", "--workspace", &ws, "violet umbrella"]).exits(0).stdout.contains("cloakroom"));

    let said =
        finish(home.carrel(&["chat", "--workspace", &ws, "--agent", "support"]), &format!("{QUESTION}\n")).exits(0);
    assert!(said.stdout.contains("Helena Brandt") && said.stdout.contains("[1]"), "{}", said.stdout);
    let questions = format!("{QUESTION}\nAnd how long does it take?\n");
    let said = finish(home.carrel(&["chat", "--workspace", &ws, "--json"]), &questions).exits(0);
    assert!(said.stdout.contains("three hours"), "a conversation: {}", said.stdout);
    for line in said.stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }

    let listed = done(&["document", "list", "--workspace", &ws, "umbrella", "--sort", "-title"]);
    assert_eq!(listed["total"], 1, "{listed}");
    let note = id(&listed["documents"][0]);
    assert_eq!(done(&["document", "list", "--workspace", &ws, "--where", "team=nobody"])["total"], 0);
    for verb in ["text", "original"] {
        let said = home.run(&["document", verb, &note, "--workspace", &ws]).exits(0).stdout;
        assert_eq!(said.trim_end(), "The violet umbrella hangs in the cloakroom.");
    }
    assert_eq!(done(&["document", "show", &note, "--workspace", &ws])["id"], note);
    done(&["document", "delete", &note, "--workspace", &ws]);
    let gone = home.run(&["document", "original", &note, "--workspace", &ws]).exits(1);
    assert!(gone.stdout.is_empty() && gone.stderr.contains("not_found"), "{gone:?}");

    let again = done(&["ingest", "--workspace", &ws, good.to_str().unwrap()]);
    assert_eq!(again["failed"], 0, "{again}");
    assert_eq!(done(&["workspace", "show", &ws])["document_count"], HANDBOOK.len() + 2);
    let plan = home.run(&["ingest", "--workspace", &ws, "--dry-run", "--clean", bad.to_str().unwrap()]).exits(0);
    assert!(plan.stdout.contains("good.md"), "{}", plan.stdout);
    assert_eq!(done(&["workspace", "show", &ws])["document_count"], HANDBOOK.len() + 2, "a dry run changes nothing");
    done(&["ingest", "--workspace", &ws, "--clean", "--yes", bad.join("good.md").to_str().unwrap()]);
    assert_eq!(done(&["workspace", "show", &ws])["document_count"], 1);

    done(&["workspace", "delete", &ws]);
    done(&["org", "delete", &id(&organization)]);
    assert_eq!(done(&["org", "list"]).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn commands_find_the_running_server_by_its_lock() {
    let server = Server::start();
    work_through(server.home());
    server.admin().get("/v1/organizations").await.is(200);
}

#[test]
fn commands_open_the_directory_where_nobody_serves_it() {
    work_through(&Home::new());
}

#[tokio::test]
async fn what_a_command_stored_the_server_serves() {
    let home = Home::new();
    let (good, _) = folders(&home);
    home.run(&["ingest", good.to_str().unwrap()]).exits(0);
    let server = Server::within(home, &[]);
    let admin = server.admin();
    let answer = admin.post("/v1/chat", &json!({"message": QUESTION})).await.is(200).json();
    assert!(answer["message"].as_str().unwrap().contains("Helena Brandt"), "{answer}");
    let workspace = "00000000-0000-0000-0000-000000000002";
    let document = answer["citations"][0]["document_id"].as_str().unwrap();
    let document = admin.get(&format!("/v1/workspaces/{workspace}/documents/{document}")).await.is(200).json();
    assert_stands(&document, &answer["citations"][0]);
}

#[tokio::test]
async fn a_command_speaks_to_another_machine_with_a_key_alone() {
    let server = Server::start();
    let elsewhere = Home::new();
    let run = |key: Option<&str>| {
        let mut command = elsewhere.carrel(&["org", "list", "--json", "--url", &server.url]);
        if let Some(key) = key {
            command.env("CARREL_API_KEY", key);
        }
        finish(command, "")
    };
    assert_eq!(run(Some(ADMIN_KEY)).exits(0).json()[0]["slug"], "default");
    let refused = run(Some("sk_live_nonsense")).exits(1);
    assert!(refused.stderr.contains("unauthorized") && refused.stdout.is_empty(), "{refused:?}");
    let keyless = run(None);
    assert!([Some(1), Some(2)].contains(&keyless.code), "{keyless:?}");
    assert_eq!(elsewhere.names(), [""], "a remote command leaves nothing here");
    let nobody = {
        let mut command = elsewhere.carrel(&["org", "list", "--url", "http://127.0.0.1:1"]);
        command.env("CARREL_API_KEY", ADMIN_KEY);
        finish(command, "").exits(1)
    };
    assert!(nobody.stderr.contains("127.0.0.1:1"), "{}", nobody.stderr);
}

#[test]
fn wrong_use_ends_with_2() {
    let home = Home::new();
    let wrong: [&[&str]; 12] = [
        &["nonsense"],
        &["search"],
        &["search", "--no-such-flag", "x"],
        &["serve", "--listen", "nowhere"],
        &["org", "explode"],
        &["workspace", "show"],
        &["document", "delete", "../agents/00000000-0000-0000-0000-000000000003"],
        &["search", "--workspace", "../..", "x"],
        &["workspace", "reindex", "01234567-0123-7123-8123-012345678901", "--confirm", "--rollback"],
        &["workspace", "reindex", "01234567-0123-7123-8123-012345678901", "--model", "x", "--status"],
        &["ingest", "--workspace"],
        &["serve", "--config", "missing.toml"],
    ];
    for arguments in wrong {
        let run = home.run(arguments).exits(2);
        assert!(!run.stderr.trim().is_empty() && run.stdout.is_empty(), "{arguments:?}: {run:?}");
    }
    home.run(&["--help"]).exits(0);
    assert!(home.run(&["--version"]).exits(0).stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_does_not_work_ends_with_1_and_a_sentence() {
    let home = Home::new();
    let nowhere = "01234567-0123-7123-8123-012345678901";
    let wrong: [&[&str]; 5] = [
        &["search", "--workspace", nowhere, "x"],
        &["chat", "--agent", "nobody"],
        &["org", "create", "--name", "A", "--slug", "Not A Slug", "--contact-email", "a@example.com"],
        &["ingest", "no-such-folder"],
        &["agent", "show", nowhere],
    ];
    for arguments in wrong {
        let run = home.run(arguments).exits(1);
        let last = run.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("carrel: ") && last.len() > 20, "{arguments:?}: {run:?}");
        assert!(run.stdout.is_empty(), "{arguments:?}: {run:?}");
    }
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let home = Home::new();
    std::fs::write(
        home.path().join("carrel.toml"),
        "listen = \"127.0.0.1:1234\"\n[limits]\nrequests = 7\njson_bytes = 8\n",
    )
    .unwrap();
    let mut command = home.carrel(&["config", "--data", "elsewhere"]);
    command.env("CARREL_ADMIN_KEY", ADMIN_KEY).env("CARREL_LIMITS_REQUESTS", "9");
    let shown = finish(command, "").exits(0).stdout;
    for line in ["data = \"elsewhere\"", "listen = \"127.0.0.1:1234\"", "requests = 9", "json_bytes = 8"] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert!(!shown.contains(ADMIN_KEY) && !shown.contains("0123456789"), "{shown}");
    std::fs::write(home.path().join("carrel.toml"), "lisen = \"127.0.0.1:1234\"\n").unwrap();
    let refused = home.run(&["config"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("lisen"), "{refused:?}");
}

#[tokio::test]
async fn the_doctor_says_what_is_well_and_what_is_not() {
    let server = Server::start();
    let beside = server.home().run(&["doctor"]).exits(0);
    assert!(beside.stdout.contains(&server.url), "{}", beside.stdout);
    let home = server.stop();
    let alone = home.run(&["doctor", "--json"]).exits(0).json();
    assert_eq!(alone["ok"], true, "{alone}");
    let library = home.path().join("damaged.so");
    std::fs::write(&library, b"this is no library").unwrap();
    let mut command = home.carrel(&["doctor"]);
    command.env("ORT_DYLIB_PATH", &library);
    let ill = finish(command, "").exits(1);
    assert!(ill.stdout.contains(library.to_str().unwrap()), "{}", ill.stdout);
}

#[tokio::test]
async fn the_health_of_a_server_can_be_asked_for() {
    let server = Server::start();
    let address = server.url.trim_start_matches("http://").to_owned();
    let ask = |home: &Home| {
        let mut command = home.carrel(&["healthcheck"]);
        command.env("CARREL_LISTEN", &address);
        finish(command, "")
    };
    ask(server.home()).exits(0);
    let home = server.stop();
    ask(&home).exits(1);
}

#[tokio::test]
async fn the_quickstart_answers_a_first_question_and_serves() {
    let home = Home::new();
    let server = Server::launch(home.clone(), home.carrel(&["quickstart"]));
    let client = Client::new(&server.url, None);
    client.get("/readyz").await.is(200);
    let key = server.greeting.iter().find_map(|line| line.strip_prefix("admin key: ")).map(str::to_owned);
    let mut printed = server.greeting.clone();
    let key = loop {
        // The answer may come after the address.
        let text = printed.join("\n");
        if text.contains("[1]") && text.matches("curl").count() >= 3 {
            break key
                .clone()
                .or_else(|| text.split_whitespace().find(|word| word.starts_with("sk_admin_")).map(str::to_owned));
        }
        printed.push(server.line());
    };
    let admin = client.with_token(&key.expect("the admin key is printed"));
    let documents = admin.get("/v1/documents?limit=200").await.is(200).json();
    assert!(documents["total"].as_u64() >= Some(12), "{documents}");
    let kinds: Vec<&str> =
        documents["documents"].as_array().unwrap().iter().map(|row| row["source"].as_str().unwrap()).collect();
    for ending in [".md", ".html", ".txt"] {
        assert!(kinds.iter().any(|source| source.ends_with(ending)), "{ending} in {kinds:?}");
    }
}

#[tokio::test]
async fn files_of_one_name_stay_apart_and_data_of_carrel_stays_out() {
    let server = Server::start();
    let home = server.home();
    for (folder, code) in [("a", "1111"), ("b", "2222")] {
        std::fs::create_dir(home.path().join(folder)).unwrap();
        std::fs::write(
            home.path().join(folder).join("README.md"),
            format!("The door code of site {folder} is {code}."),
        )
        .unwrap();
    }
    home.run(&["ingest", "a/README.md", "b/README.md"]).exits(2);
    let both = home.run(&["ingest", "a", "b", "--json"]).exits(0).json();
    assert_eq!((&both["added"], &both["replaced"]), (&json!(2), &json!(0)), "{both}");
    let found = home.run(&["search", "--json", "door code of site a"]).exits(0).json();
    assert_eq!(found["results"][0]["document_source"], "a/README.md", "{found}");
    // The data directory lies in the folder that is taken in here.
    let all = home.run(&["ingest", ".", "--json"]).exits(0);
    assert!(all.stderr.contains("is a data directory of Carrel"), "{}", all.stderr);
    let documents = server.admin().get("/v1/documents?limit=200").await.is(200).text();
    assert!(!documents.contains("LOCK") && !documents.contains("files/"), "{documents}");
}

#[test]
fn a_command_that_only_asks_makes_no_data_directory() {
    let home = Home::new();
    for command in [["search", "anything"], ["chat", "--agent"]] {
        let arguments = if command[0] == "chat" { vec!["chat", "--agent", "general"] } else { command.to_vec() };
        let run = home.run(&arguments).exits(1);
        assert!(run.stderr.contains("there is no data directory"), "{}", run.stderr);
    }
    home.run(&["doctor"]).exits(0);
    assert!(!home.data().exists());
    std::fs::create_dir(home.path().join("photos")).unwrap();
    std::fs::write(home.path().join("photos").join("cat.jpg"), "meow").unwrap();
    let run = home.run(&["serve", "--data", "photos", "--listen", "127.0.0.1:0"]).exits(1);
    assert!(run.stderr.contains("is no data directory of Carrel"), "{}", run.stderr);
}
