//! Folders kept in step with a workspace: `carrel ingest` on the command line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{field, file};
use crate::server::{Home, PATIENCE, Run, Server, finish, lines};
use crate::tenant::{Tenant, id};

/// What begins like a PDF and is none.
const DAMAGED: &[u8] = b"%PDF-1.7\nand no more";

/// A server, a workspace on it, and a folder with files.
struct Desk {
    server: Server,
    tenant: Tenant,
    folder: PathBuf,
}

impl Desk {
    /// The folder holds `files`, each with a sentence of its own.
    async fn with(files: &[&str]) -> Desk {
        let server = Server::start();
        let tenant = Tenant::new(&server.admin()).await;
        let folder = server.home().path().join("papers");
        std::fs::create_dir(&folder).unwrap();
        for name in files {
            write(&folder, name, &format!("The paper {name} is about a {} lamp.", name.len()));
        }
        Desk { server, tenant, folder }
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.folder, name, text);
    }

    /// Puts a .zip of these files in the folder.
    fn pack(&self, name: &str, files: &[(&str, &[u8])]) {
        std::fs::write(self.folder.join(name), zip(files)).unwrap();
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = ["ingest", "--workspace", self.tenant.workspace.as_str(), "--directory", "papers"];
        [&own, more].concat()
    }

    fn run(&self, more: &[&str]) -> Run {
        self.server.home().run(&self.arguments(more))
    }

    /// How many were added, replaced, unchanged, removed and are gone.
    #[track_caller]
    fn counts(&self, more: &[&str]) -> [u64; 5] {
        let summary = self.run(&[more, &["--json"]].concat()).exits(0).json();
        ["added", "replaced", "unchanged", "removed", "gone"].map(|name| summary[name].as_u64().unwrap())
    }

    async fn sources(&self) -> Vec<String> {
        sources(&self.tenant).await
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

async fn documents(tenant: &Tenant) -> Vec<Value> {
    let page = tenant.client.get(&tenant.path("/documents?limit=200")).await.is(200).json();
    page["documents"].as_array().unwrap().clone()
}

async fn sources(tenant: &Tenant) -> Vec<String> {
    let rows = documents(tenant).await;
    let mut sources: Vec<String> = rows.iter().map(|row| row["source"].as_str().unwrap().to_owned()).collect();
    sources.sort();
    sources
}

#[tokio::test]
async fn only_what_changed_goes_in_and_only_prune_removes() {
    let desk = Desk::with(&["a.md", "b.md", "deep/c.md"]).await;
    assert_eq!(desk.counts(&[]), [3, 0, 0, 0, 0]);
    let before = documents(&desk.tenant).await;
    assert_eq!(desk.counts(&[]), [0, 0, 3, 0, 0]);
    assert_eq!(documents(&desk.tenant).await, before, "what is the same is left alone");

    desk.write("b.md", "The paper b.md is about something else.");
    desk.write("d.md", "A new paper.");
    std::fs::remove_file(desk.folder.join("deep/c.md")).unwrap();
    let run = desk.run(&[]).exits(0);
    assert!(run.stderr.contains("still documents: 1 (--prune"), "{run:?}");
    assert_eq!(desk.sources().await, ["a.md", "b.md", "d.md", "deep/c.md"]);
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 3, 1, 0]);
    assert_eq!(desk.sources().await, ["a.md", "b.md", "d.md"]);
    let found = desk.tenant.search(json!({"query": "about something else"})).await;
    assert_eq!(found["results"][0]["document_source"], "b.md", "{found}");
}

#[tokio::test]
async fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let desk = Desk::with(&["a.md", "b.md", "c.md"]).await;
    desk.run(&[]).exits(0);
    let before = documents(&desk.tenant).await;
    desk.write("b.md", "Changed.");
    desk.write("new.md", "New.");
    std::fs::remove_file(desk.folder.join("c.md")).unwrap();
    let plan = desk.run(&["--dry-run", "--prune"]).exits(0);
    let shown: Vec<&str> = plan.stdout.lines().collect();
    let total = "1 to add, 1 to replace, 1 unchanged, 1 to remove";
    assert_eq!(shown, ["unchanged a.md", "replace b.md", "add new.md", "remove c.md", total]);
    let plan = desk.run(&["--dry-run", "--json"]).exits(0).json();
    assert_eq!((&plan["add"], &plan["remove"], &plan["gone"]), (&json!(1), &json!(0), &json!(1)), "{plan}");
    assert_eq!(plan["files"][1], json!({"action": "replace", "source": "b.md"}));
    let plan = desk.run(&["--dry-run", "--clean"]).exits(0);
    assert!(plan.stdout.ends_with("3 to add, 0 to replace, 0 unchanged, 3 to remove\n"), "{}", plan.stdout);
    assert_eq!(documents(&desk.tenant).await, before);
}

#[test]
fn a_dry_run_makes_no_data_directory() {
    let home = Home::new();
    write(home.path(), "papers/a.md", "A paper.");
    let plan = home.run(&["ingest", "--dry-run", "papers"]).exits(0);
    assert!(plan.stdout.starts_with("add a.md\n"), "{}", plan.stdout);
    assert!(!home.data().exists());
}

#[tokio::test]
async fn prune_leaves_what_came_from_elsewhere() {
    let desk = Desk::with(&["a.md", "b.md"]).await;
    desk.tenant.document("by-hand.md", "Put in by hand.").await;
    let home = desk.server.home();
    // Another folder of the same name.
    write(home.path(), "other/papers/x.md", "The paper of the other folder.");
    let ws = desk.tenant.workspace.as_str();
    home.run(&["ingest", "--workspace", ws, "other/papers"]).exits(0);
    home.run(&["ingest", "--workspace", ws, "other/papers/x.md"]).exits(0);
    desk.run(&[]).exits(0);
    std::fs::remove_file(desk.folder.join("b.md")).unwrap();
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 1, 1, 0]);
    assert_eq!(desk.sources().await, ["a.md", "by-hand.md", "x.md"]);
    let rows = documents(&desk.tenant).await;
    let folder = rows.iter().find(|row| row["source"] == "a.md").unwrap()["metadata"]["ingest_folder"].clone();
    let folder = folder.as_str().unwrap();
    assert!(folder.starts_with("papers-") && !folder.contains('/'), "{folder}");
    let path = desk.tenant.path(&format!("/documents?metadata.ingest_folder={folder}"));
    assert_eq!(desk.tenant.client.get(&path).await.is(200).json()["total"], 1);
}

#[tokio::test]
async fn an_emptied_folder_is_not_taken_at_its_word() {
    let desk = Desk::with(&["a.md"]).await;
    desk.run(&[]).exits(0);
    std::fs::remove_file(desk.folder.join("a.md")).unwrap();
    let refused = desk.run(&["--prune"]).exits(1);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(desk.sources().await, ["a.md"]);
    assert_eq!(desk.counts(&["--prune", "--yes"]), [0, 0, 0, 1, 0]);
    assert!(desk.sources().await.is_empty());
    std::fs::remove_dir(&desk.folder).unwrap();
    desk.run(&["--prune", "--yes"]).exits(1);
}

#[tokio::test]
async fn a_folder_that_moved_goes_on_by_its_name() {
    let desk = Desk::with(&["a.md", "b.md"]).await;
    desk.run(&["--folder-name", "archive"]).exits(0);
    let moved = desk.server.home().path().join("moved");
    std::fs::rename(&desk.folder, &moved).unwrap();
    std::fs::remove_file(moved.join("b.md")).unwrap();
    let ws = desk.tenant.workspace.as_str();
    let run = |more: &[&str]| {
        desk.server.home().run(&[&["ingest", "--workspace", ws, "moved", "--prune"], more].concat()).exits(0)
    };
    let alone = run(&[]);
    assert!(alone.stderr.contains("--folder-name archive"), "{alone:?}");
    assert_eq!(desk.sources().await, ["a.md", "b.md"], "another folder's");
    run(&["--folder-name", "archive"]);
    assert_eq!(desk.sources().await, ["a.md"]);
}

#[tokio::test]
async fn hidden_and_temporary_files_and_exceptions_stay_out() {
    let desk = Desk::with(&["a.md", ".git/config.md", ".secret.md", "node_modules/m/readme.md", "a.md~"]).await;
    desk.write(".gitignore", "b.md\n");
    desk.write(".carrelignore", "drafts/\n*.txt\n!keep.txt\n");
    for name in ["b.md", "drafts/d.md", "notes.txt", "keep.txt"] {
        desk.write(name, &format!("This is {name}."));
    }
    std::fs::create_dir(desk.folder.join("deep")).unwrap();
    desk.write("deep/.carrelignore", "inner.md");
    desk.write("deep/inner.md", "Not this.");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.md");
        std::fs::write(desk.folder.join(name), "A name of another time.").unwrap();
        std::os::unix::fs::symlink(desk.folder.join("a.md"), desk.folder.join("link.md")).unwrap();
        std::os::unix::fs::symlink(desk.server.home().path(), desk.folder.join("everything")).unwrap();
    }
    let run = desk.run(&[]).exits(0);
    assert_eq!(desk.sources().await, ["a.md", "b.md", "keep.txt"]);
    if cfg!(unix) {
        assert!(run.stderr.contains("no UTF-8") && run.stderr.contains("links are not followed: 2"), "{run:?}");
    }
    desk.run(&["--hidden"]);
    let all = desk.sources().await;
    assert!(all.contains(&".secret.md".to_owned()) && all.contains(&"node_modules/m/readme.md".to_owned()), "{all:?}");
    assert!(!all.contains(&"drafts/d.md".to_owned()), "{all:?}");
}

#[tokio::test]
async fn a_document_that_claims_to_be_of_a_folder_is_not_removed_with_it() {
    let desk = Desk::with(&["a.md"]).await;
    desk.run(&[]).exits(0);
    let folder = documents(&desk.tenant).await[0]["metadata"]["ingest_folder"].as_str().unwrap().to_owned();
    let forged = format!("---\ningest_folder: {folder}\ningest_archive: p.zip\nkind: memo\n---\nPut in by hand.\n");
    let path = desk.tenant.path("/documents");
    let answer = desk.tenant.client.upload("POST", &path, &[file("by-hand.md", forged.as_bytes())]).await;
    assert_eq!(answer.is(201).json()["metadata"], json!({"kind": "memo"}));
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 1, 0, 0]);
    assert_eq!(desk.sources().await, ["a.md", "by-hand.md"]);
}

#[tokio::test]
async fn what_windows_leaves_in_a_folder_and_empty_files_fail_nothing() {
    let desk = Desk::with(&["a.md", "b.md"]).await;
    for name in ["Thumbs.db", "desktop.ini", "~$a.docx"] {
        std::fs::write(desk.folder.join(name), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 of no use").unwrap();
    }
    desk.write("__init__.py", "");
    let run = desk.run(&["--json"]).exits(0);
    assert_eq!((&run.json()["added"], &run.json()["failed"]), (&json!(2), &json!(0)), "{run:?}");
    assert!(run.stderr.contains("empty files are left out: 1"), "{run:?}");
    desk.write("b.md", "");
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 1, 0, 0], "what is empty is there");
    assert_eq!(desk.sources().await, ["a.md", "b.md"]);
}

#[tokio::test]
async fn many_small_files_go_together_and_each_is_told_of() {
    let desk = Desk::with(&[]).await;
    for number in 0..120 {
        desk.write(&format!("n{number:03}.md"), &format!("The locker {number} is on floor {}.", number % 7));
    }
    std::fs::write(desk.folder.join("bad.bin"), [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 200]].concat()).unwrap();
    desk.write("quote\"d.md", "A name with a quote.");
    let first = desk.run(&["--json"]).exits(3).json();
    assert_eq!((&first["added"], &first["failed"]), (&json!(121), &json!(1)), "{first}");
    assert_eq!(first["chunks"], 121);
    assert_eq!(first["errors"][0]["source"], "bad.bin", "{first}");
    let rows = documents(&desk.tenant).await;
    assert!(rows.iter().all(|row| row["metadata"]["ingest_folder"].is_string()), "{rows:?}");
    std::fs::remove_file(desk.folder.join("bad.bin")).unwrap();
    for number in 0..80 {
        desk.write(&format!("n{number:03}.md"), &format!("The locker {number} is in the cellar."));
    }
    std::fs::remove_file(desk.folder.join("n119.md")).unwrap();
    assert_eq!(desk.counts(&["--prune"]), [0, 80, 40, 1, 0]);
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 120, 0, 0]);
}

#[tokio::test]
async fn an_archive_in_a_folder_is_a_folder_within() {
    let desk = Desk::with(&["a.md"]).await;
    desk.pack("pack.zip", &[("in/x.md", b"Of the pack."), ("in/y.md", b"Of the pack too.")]);
    assert_eq!(desk.counts(&["--prune"]), [3, 0, 0, 0, 0]);
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 2, 0, 0], "neither sent again nor gone");
    desk.pack("pack.zip", &[("in/x.md", b"Of the pack, anew.")]);
    assert_eq!(desk.counts(&["--prune"]), [0, 1, 1, 1, 0], "what it does not hold any more goes with the state before");
    assert_eq!(desk.sources().await, ["a.md", "pack.zip/in/x.md"]);
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 2, 0, 0]);
    std::fs::write(desk.folder.join("pack.zip"), "PK\x03\x04, broken").unwrap();
    desk.run(&["--prune"]).exits(3);
    assert_eq!(desk.sources().await, ["a.md", "pack.zip/in/x.md"], "what cannot be looked into is not taken for gone");
    std::fs::remove_file(desk.folder.join("pack.zip")).unwrap();
    desk.run(&["--prune"]).exits(0);
    assert_eq!(desk.sources().await, ["a.md"]);
}

#[tokio::test]
async fn archives_and_files_with_a_file_of_one_name_stay_apart() {
    let desk = Desk::with(&["notes.md", "deep/other.md"]).await;
    desk.pack("one.zip", &[("notes.md", b"Of January.")]);
    desk.pack("deep/two.zip", &[("notes.md", b"Of February.")]);
    assert_eq!(desk.counts(&["--prune"]), [4, 0, 0, 0, 0]);
    let expected = ["deep/other.md", "deep/two.zip/notes.md", "notes.md", "one.zip/notes.md"];
    assert_eq!(desk.sources().await, expected);
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 4, 0, 0], "and are at rest");
    std::fs::remove_file(desk.folder.join("one.zip")).unwrap();
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 3, 1, 0]);
    assert_eq!(desk.sources().await, ["deep/other.md", "deep/two.zip/notes.md", "notes.md"]);
}

#[tokio::test]
async fn an_archive_whose_job_was_cancelled_leaves_all_of_it_as_it_was() {
    let desk = Desk::with(&["a.md"]).await;
    desk.pack("pack.zip", &[("kept.md", b"Of the pack.")]);
    assert_eq!(desk.counts(&["--prune"]), [2, 0, 0, 0, 0]);
    let many = crate::handbook::numbered(0..1500, 8);
    let text = |row: &'static str, number: usize| many[number][row].as_str().unwrap();
    let mut files: Vec<(&str, &[u8])> = vec![("bad.pdf", DAMAGED)];
    files.extend((0..many.len()).map(|number| (text("source", number), text("content", number).as_bytes())));
    files.push(("kept.md", b"Of the pack, anew."));
    desk.pack("pack.zip", &files);
    let command = desk.server.home().carrel(&desk.arguments(&["--prune"]));
    let running = tokio::task::spawn_blocking(move || finish(command, ""));
    let job = loop {
        let jobs = desk.tenant.client.get(&desk.tenant.path("/jobs?limit=1")).await.is(200).json();
        if jobs[0]["failed"] == 1 {
            break id(&jobs[0]);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    desk.tenant.client.delete(&desk.tenant.path(&format!("/jobs/{job}"))).await.is(200);
    let run = running.await.unwrap().exits(3);
    assert!(run.stderr.contains("pack.zip: the job did not go through: it is cancelled"), "{run:?}");
    let path = desk.tenant.path("/documents?q=kept.md");
    assert_eq!(desk.tenant.client.get(&path).await.is(200).json()["total"], 1);
}

#[tokio::test]
async fn what_fails_in_an_archive_stays_as_it_was_however_often_it_does() {
    let desk = Desk::with(&[]).await;
    let page = crate::originals::pdf(&[&["A page with words on it."]]);
    desk.pack("pack.zip", &[("a.md", b"Of the pack."), ("b.pdf", &page), ("c.md", b"Of the pack too.")]);
    assert_eq!(desk.counts(&["--prune"]), [3, 0, 0, 0, 0]);
    desk.pack("pack.zip", &[("a.md", b"Of the pack, anew."), ("b.pdf", DAMAGED)]);
    // Without --prune first, so that the new state is known already.
    desk.run(&[]).exits(3);
    let planned = desk.run(&["--prune", "--dry-run"]).exits(0);
    assert!(planned.stdout.starts_with("replace pack.zip\n0 to add"), "{planned:?}");
    for _ in 0..2 {
        desk.run(&["--prune"]).exits(3);
        assert_eq!(desk.sources().await, ["pack.zip/a.md", "pack.zip/b.pdf"]);
    }
    desk.pack("pack.zip", &[("a.md", b"Of the pack, anew.")]);
    desk.run(&["--prune"]).exits(0);
    assert_eq!(desk.sources().await, ["pack.zip/a.md"]);
    assert_eq!(desk.counts(&["--prune"]), [0, 0, 1, 0, 0], "and is at rest");
}

#[tokio::test]
async fn a_file_that_was_emptied_in_an_archive_is_told_and_stays_as_it_was() {
    let desk = Desk::with(&[]).await;
    desk.pack("pack.zip", &[("a.md", b"Of the pack."), ("b.md", b"Of the pack too."), ("none.md", b"")]);
    assert_eq!(desk.counts(&["--prune"]), [2, 0, 0, 0, 0]);
    desk.pack("pack.zip", &[("a.md", b"Of the pack, anew."), ("b.md", b""), ("none.md", b"")]);
    let run = desk.run(&["--prune", "--json"]).exits(3).json();
    assert_eq!((&run["failed"], &run["errors"][0]["source"]), (&json!(1), &json!("pack.zip/b.md")), "{run}");
    assert_eq!(desk.sources().await, ["pack.zip/a.md", "pack.zip/b.md"]);
}

#[tokio::test]
async fn prune_leaves_what_an_archive_brought_that_is_of_no_folder() {
    let desk = Desk::with(&["a.md"]).await;
    let home = desk.server.home();
    for (place, file) in [("b", "one.md"), ("c", "two.md")] {
        std::fs::create_dir(home.path().join(place)).unwrap();
        std::fs::write(home.path().join(place).join("may.zip"), zip(&[(file, b"Of May.")])).unwrap();
    }
    home.run(&["ingest", "--workspace", desk.tenant.workspace.as_str(), "b/may.zip"]).exits(0);
    desk.run(&["c/may.zip", "--prune"]).exits(0);
    assert_eq!(desk.sources().await, ["may.zip/one.md", "may.zip/two.md", "papers/a.md"]);
}

#[tokio::test]
async fn folders_do_not_take_each_others_documents() {
    let desk = Desk::with(&["summary.md"]).await;
    desk.run(&[]).exits(0);
    let other = desk.server.home().path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("summary.md"), "Of the other client.").unwrap();
    std::fs::write(other.join("more.md"), "More of the other client.").unwrap();
    let ws = desk.tenant.workspace.as_str();
    let run = |more: &[&str]| desk.server.home().run(&[&["ingest", "--workspace", ws, "other"], more].concat());
    let planned = run(&["--dry-run"]).exits(0);
    assert!(planned.stdout.contains("conflict summary.md"), "{planned:?}");
    let refused = run(&["--prune"]).exits(3);
    assert!(refused.stderr.contains("summary.md") && refused.stderr.contains("--folder-name papers-"), "{refused:?}");
    assert_eq!(desk.sources().await, ["more.md", "summary.md"]);
    let rows = documents(&desk.tenant).await;
    let summary = rows.iter().find(|row| row["source"] == "summary.md").unwrap();
    assert!(summary["metadata"]["ingest_folder"].as_str().unwrap().starts_with("papers-"), "{summary}");
    std::fs::remove_file(other.join("summary.md")).unwrap();
    run(&["--prune"]).exits(0);
    assert_eq!(desk.sources().await, ["more.md", "summary.md"]);
}

#[tokio::test]
async fn what_was_left_out_of_a_document_is_told() {
    let desk = Desk::with(&[]).await;
    let pages = crate::originals::pdf(&[&["A page with words on it."], &[]]);
    std::fs::write(desk.folder.join("half.pdf"), pages).unwrap();
    let run = desk.run(&["--json"]).exits(0);
    assert_eq!(run.json()["warnings"][0]["source"], "half.pdf", "{run:?}");
    std::fs::write(desk.folder.join("half.pdf"), crate::originals::pdf(&[&["Other words on it."], &[]])).unwrap();
    let run = desk.run(&[]).exits(0);
    assert!(run.stderr.contains("partly: half.pdf, page 2"), "{run:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_read_is_told_and_not_taken_for_gone() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::with(&["a.md", "shut/b.md"]).await;
    desk.run(&[]).exits(0);
    let shut = desk.folder.join("shut");
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads everything.
    if std::fs::read_dir(&shut).is_err() {
        let run = desk.run(&["--prune", "--json"]).exits(3).json();
        assert_eq!((&run["removed"], &run["errors"][0]["source"]), (&json!(0), &json!("shut")), "{run}");
    }
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(desk.sources().await, ["a.md", "shut/b.md"]);
}

#[tokio::test]
async fn clean_empties_its_workspace_and_no_other() {
    let desk = Desk::with(&["new.md"]).await;
    let other = Tenant::within(&desk.server.admin(), &desk.tenant.organization).await;
    let elsewhere = Tenant::new(&desk.server.admin()).await;
    for tenant in [&desk.tenant, &other, &elsewhere] {
        tenant.handbook().await;
        tenant.ask("Who services the centrifuge?").await;
    }
    let agents = |tenant: &Tenant| {
        let (client, path) = (tenant.client.clone(), tenant.path("/agents"));
        async move { client.get(&path).await.is(200).json() }
    };
    let (own_agents, before) = (agents(&desk.tenant).await, (documents(&other).await, documents(&elsewhere).await));
    let others_agents = (agents(&other).await, agents(&elsewhere).await);
    desk.run(&["--clean"]).exits(2);
    assert!(desk.sources().await.len() > 1, "nobody said yes");
    assert_eq!(desk.counts(&["--clean", "--yes"]), [1, 0, 0, 0, 0]);
    assert_eq!(desk.sources().await, ["new.md"]);
    assert_eq!(agents(&desk.tenant).await, own_agents);
    assert_eq!((documents(&other).await, documents(&elsewhere).await), before);
    assert_eq!((agents(&other).await, agents(&elsewhere).await), others_agents);
    let answer = other.ask("Who services the centrifuge?").await;
    other.check_citations(&answer).await;
    assert!(answer["message"].as_str().unwrap().contains("Helena Brandt"), "{answer}");
}

#[tokio::test]
async fn flags_of_the_system_before_are_understood() {
    let desk = Desk::with(&[]).await;
    let sentence = "The gardener waters the lemon trees in the morning. ";
    desk.write("long.md", &sentence.repeat(60));
    let ws = desk.tenant.workspace.as_str();
    let former = [
        "ingest",
        "--workspace-id",
        ws,
        "--directory",
        "papers",
        "--chunk-size",
        "160",
        "--chunk-overlap",
        "200",
        "--fast",
        "--no-semantic",
        "--verbose",
    ];
    let run = desk.server.home().run(&former).exits(0);
    assert!(run.stdout.starts_with("added long.md\n"), "{run:?}");
    for flag in ["--chunk-overlap", "--fast", "--no-semantic"] {
        assert!(run.stderr.lines().any(|line| line.starts_with(&format!("{flag} has no effect"))), "{run:?}");
    }
    let rows = documents(&desk.tenant).await;
    let path = desk.tenant.path(&format!("/documents/{}/chunks?limit=200", id(&rows[0])));
    let chunks = desk.tenant.client.get(&path).await.is(200).json();
    let tokens: Vec<u64> =
        chunks.as_array().unwrap().iter().map(|chunk| chunk["token_count"].as_u64().unwrap()).collect();
    assert!(tokens.len() > 10 && tokens.iter().all(|tokens| *tokens <= 50), "{tokens:?}");
    let help = desk.server.home().run(&["ingest", "-h"]).exits(0).stdout;
    assert!(help.contains("--prune") && !help.contains("--no-semantic"), "{help}");
    assert!(desk.server.home().run(&["ingest", "--help"]).exits(0).stdout.contains("--no-semantic"));
}

#[tokio::test]
async fn the_size_of_chunks_can_be_chosen_for_each_document() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = "The gardener waters the lemon trees in the morning. ".repeat(60);
    let given = |source: &str, tokens: Value| json!({"source": source, "content": text, "chunk_tokens": tokens});
    let small = tenant.client.post(&tenant.path("/documents"), &given("small.md", json!(32))).await.is(201).json();
    let usual = tenant.document("usual.md", &text).await;
    let count = |row: &Value| row["chunk_count"].as_u64().unwrap();
    assert!(count(&small) > 3 * count(&usual), "{small} {usual}");
    let job = tenant.ingest(&[given("job.md", json!(32))]).await;
    assert_eq!(job["status"], "succeeded");
    let parts = [file("form.md", text.as_bytes()), field("chunk_tokens", "32")];
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &parts).await.is(202).json();
    tenant.finished(&id(&job)).await;
    for row in documents(&tenant).await.iter().filter(|row| row["source"] != "usual.md") {
        assert_eq!(count(row), count(&small), "{row}");
    }
    for wrong in [json!(15), json!(65_537), json!(-1), json!("many"), json!(1.5)] {
        tenant.client.post(&tenant.path("/documents"), &given("wrong.md", wrong)).await.is(422);
    }
    let parts = [file("wrong.md", b"x"), field("chunk_tokens", "few")];
    tenant.client.upload("POST", &tenant.path("/documents"), &parts).await.is(422);
    tenant.client.post(&tenant.path("/ingest"), &json!({"documents": [given("wrong.md", json!(1))]})).await.is(422);
}

#[tokio::test]
async fn a_key_that_may_only_put_in_sends_every_file() {
    let desk = Desk::with(&[]).await;
    for number in 0..20 {
        desk.write(&format!("n{number}.md"), &format!("The locker {number}."));
    }
    let body = json!({"name": "Intake", "scopes": ["ingest"]});
    let key = desk.tenant.admin.post(&desk.tenant.path("/api-keys"), &body).await.is(201).json();
    let run = |more: &[&str]| {
        let mut command = desk.server.home().carrel(&desk.arguments(more));
        command.args(["--json", "--url", &desk.server.url]).env("CARREL_API_KEY", key["key"].as_str().unwrap());
        finish(command, "")
    };
    assert_eq!(run(&[]).exits(0).json()["added"], 20);
    assert_eq!(run(&[]).exits(0).json()["unchanged"], 20);
    assert!(run(&["--prune"]).exits(1).stderr.contains("forbidden"));
}

/// A command that follows a folder. Dropping it ends it.
struct Watching {
    child: Child,
    stdout: Receiver<String>,
}

impl Watching {
    fn start(home: &Arc<Home>, arguments: &[&str]) -> Watching {
        let mut command = home.carrel(arguments);
        command.arg("--watch").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        Watching { child, stdout }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).expect("a line of output")
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) {
        crate::server::signal(self.child.id(), "INT");
        assert!(self.stdout.recv_timeout(PATIENCE).is_err(), "nothing more is said");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_is_followed_until_interrupted() {
    let desk = Desk::with(&["a.md", "b.md"]).await;
    let watching = Watching::start(desk.server.home(), &desk.arguments(&["--prune"]));
    let mut first = [watching.line(), watching.line()];
    first.sort();
    assert_eq!(first, ["added a.md", "added b.md"]);
    assert!(watching.line().starts_with("2 added"));
    desk.write("new/c.md", "A paper in a new folder.");
    assert_eq!(watching.line(), "added new/c.md");
    desk.write("a.md", "Quite another paper.");
    assert_eq!(watching.line(), "replaced a.md");
    desk.write(".hidden.md", "Hidden.");
    desk.write("draft.md~", "Temporary.");
    std::fs::rename(desk.folder.join("b.md"), desk.folder.join("renamed.md")).unwrap();
    let mut renamed = [watching.line(), watching.line()];
    renamed.sort();
    assert_eq!(renamed, ["added renamed.md", "removed b.md"]);
    std::fs::remove_file(desk.folder.join("a.md")).unwrap();
    assert_eq!(watching.line(), "removed a.md");
    assert_eq!(desk.sources().await, ["new/c.md", "renamed.md"]);
    watching.interrupt();
}

#[cfg(unix)]
#[tokio::test]
async fn an_archive_that_fails_in_part_is_sent_once_while_it_is_followed() {
    let desk = Desk::with(&[]).await;
    desk.pack("pack.zip", &[("a.md", b"Of the pack."), ("b.pdf", &crate::originals::pdf(&[&["A page."]]))]);
    desk.run(&["--prune"]).exits(0);
    desk.pack("pack.zip", &[("a.md", b"Of the pack, anew."), ("b.pdf", DAMAGED)]);
    desk.run(&["--prune"]).exits(3);
    let watching = Watching::start(desk.server.home(), &desk.arguments(&["--prune"]));
    assert!(watching.line().starts_with("replaced pack.zip"));
    assert!(watching.line().starts_with("failed pack.zip/b.pdf"));
    assert!(watching.line().starts_with("0 added"));
    for name in ["c.md", "d.md"] {
        desk.write(name, &format!("A new paper, {name}."));
        assert_eq!(watching.line(), format!("added {name}"));
    }
    watching.interrupt();
    assert_eq!(desk.sources().await, ["c.md", "d.md", "pack.zip/a.md", "pack.zip/b.pdf"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_follower_tells_in_json_and_bears_a_server_that_goes_and_comes_back() {
    let desk = Desk::with(&["a.md"]).await;
    let home = desk.server.home().clone();
    let watching = Watching::start(&home, &desk.arguments(&["--json"]));
    let read = |line: String| -> Value { serde_json::from_str(&line).unwrap() };
    assert_eq!(read(watching.line()), json!({"action": "added", "source": "a.md", "documents": 1}));
    assert_eq!(read(watching.line())["added"], 1);
    let Desk { server, folder, tenant } = desk;
    server.stop();
    write(&folder, "b.md", "Written while nobody listened.");
    let server = Server::within(home, &[]);
    let added = read(watching.line());
    assert_eq!((&added["action"], &added["source"]), (&json!("added"), &json!("b.md")));
    let path = tenant.path("/documents?limit=200");
    assert_eq!(server.admin().get(&path).await.is(200).json()["total"], 2);
    watching.interrupt();
}

#[cfg(unix)]
#[test]
fn a_folder_is_followed_where_nobody_serves() {
    let home = Home::new();
    write(home.path(), "papers/a.md", "A paper.");
    let watching = Watching::start(&home, &["ingest", "papers"]);
    assert_eq!(watching.line(), "added a.md");
    assert!(watching.line().starts_with("1 added"));
    write(home.path(), "papers/b.md", "Another paper.");
    assert_eq!(watching.line(), "added b.md");
    watching.interrupt();
    let found = home.run(&["search", "another paper"]).exits(0);
    assert!(found.stdout.contains("b.md"), "{found:?}");
}

#[test]
fn flags_about_a_folder_want_one() {
    let home = Home::new();
    write(home.path(), "a.md", "A paper.");
    write(home.path(), "one/a.md", "A paper.");
    write(home.path(), "two/a.md", "A paper.");
    let wrong: [&[&str]; 7] = [
        &["a.md", "--prune"],
        &["a.md", "--watch"],
        &["a.md", "--folder-name", "papers"],
        &["one", "two", "--folder-name", "papers"],
        &["one", "--folder-name", " "],
        &["one", "--watch", "--dry-run"],
        &["one", "--chunk-size", "0"],
    ];
    for arguments in wrong {
        let run = finish(home.carrel(&[&["ingest"], arguments].concat()), "").exits(2);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{arguments:?}: {run:?}");
    }
    assert!(!home.data().exists());
}
