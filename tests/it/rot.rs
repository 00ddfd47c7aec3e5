//! Bits that flip on the disk: in databases and in indexes, one at a time, in workspaces at rest. What is answered
//! afterwards is what was answered before, or a refusal, or found by the next check.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{Home, Server};
use crate::tenant::{Tenant, id};

/// Workspaces of one server that are treated at once.
const BATCH: usize = 25;

/// What became of the workspaces in which a bit was flipped.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// All answers as before, and nothing for a check to find: the bit is in no use, or the index was made anew on
    /// opening.
    pub unharmed: usize,
    /// Made anew by a check, with all answers as before.
    pub healed: usize,
    /// All answers as before, or refused, and found by a check.
    pub found: usize,
    /// Some answer was another than before until a check found it.
    pub late: usize,
    /// What must not be: other answers that no check finds, a server that died, a neighbour that noticed.
    pub wrong: Vec<String>,
}

/// Where a bit is flipped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Database,
    Index,
    /// What the index says that it consists of: alone among its files these bear no checksums of their own.
    Lists,
}

/// A furnished workspace, and what it answers.
pub struct Sample {
    archive: Vec<u8>,
    documents: Vec<String>,
    answers: Vec<Value>,
}

impl Sample {
    pub async fn new() -> Sample {
        let server = Server::start();
        let tenant = Tenant::new(&server.admin()).await;
        tenant.handbook().await;
        for number in 0..20 {
            let content =
                format!("# Shelf {number}\n\nThe kestrel of shelf {number} has {number} feathers. ").repeat(6);
            tenant.document(&format!("shelf-{number}.md"), &content).await;
        }
        let archive = tenant.admin.send("POST", &tenant.path("/snapshot"), None).await.is(200).bytes;
        let documents = tenant.client.get(&tenant.path("/documents?limit=100")).await.is(200).json();
        let documents = documents["documents"].as_array().unwrap().iter().map(id).collect();
        let mut sample = Sample { archive, documents, answers: Vec::new() };
        let imported = import(&server.admin(), &sample.archive).await;
        sample.answers = sample.answers(&server.admin(), &imported).await.into_iter().map(Option::unwrap).collect();
        server.stop();
        sample
    }

    /// Everything that can be asked of a copy, without what differs from copy to copy; `None` where it is refused for
    /// the time being.
    async fn answers(&self, admin: &Client, workspace: &str) -> Vec<Option<Value>> {
        let root = format!("/v1/workspaces/{workspace}");
        let mut found = Vec::new();
        for path in ["/documents?limit=100", "/agents"] {
            found.push(ask(admin, "GET", &format!("{root}{path}"), None).await);
        }
        for document in &self.documents {
            found.push(ask(admin, "GET", &format!("{root}/documents/{document}"), None).await);
        }
        for query in ["kestrel feathers", "centrifuge", "shelf 7", "annual leave"] {
            for search_type in ["vector", "fulltext", "hybrid"] {
                let body = json!({"query": query, "search_type": search_type, "limit": 20});
                found.push(ask(admin, "POST", &format!("{root}/search"), Some(&body)).await);
            }
        }
        found
    }

    /// Flips `count` bits at random places, each in a workspace of its own.
    pub async fn flip(&self, place: Place, count: usize, seed: u64) -> Tally {
        let mut tally = Tally::default();
        let mut random = seed | 1;
        for batch in 0..count.div_ceil(BATCH) {
            self.flip_some(place, BATCH.min(count - batch * BATCH), &mut random, &mut tally).await;
        }
        tally
    }

    async fn flip_some(&self, place: Place, count: usize, random: &mut u64, tally: &mut Tally) {
        let server = Server::start();
        let neighbour = import(&server.admin(), &self.archive).await;
        let mut workspaces = Vec::new();
        for _ in 0..count {
            workspaces.push(import(&server.admin(), &self.archive).await);
        }
        let home = server.stop();
        let flipped: Vec<String> =
            workspaces.iter().map(|workspace| flip_one(&home, workspace, place, random)).collect();
        let server = Server::within(home, &[]);
        let admin = server.admin();
        for (workspace, flip) in workspaces.iter().zip(flipped) {
            let before = self.answers(&admin, workspace).await;
            let (whole, found) = check(&admin, workspace, place != Place::Database).await;
            let same = |answers: &[Option<Value>]| {
                answers.iter().zip(&self.answers).all(|(answer, right)| answer.as_ref().is_none_or(|a| a == right))
            };
            let complete = |answers: &[Option<Value>]| same(answers) && answers.iter().all(Option::is_some);
            let after = self.answers(&admin, workspace).await;
            match place {
                _ if !found && complete(&before) => tally.unharmed += 1,
                Place::Database if found && same(&before) => tally.found += 1,
                Place::Database if found => tally.late += 1,
                Place::Index | Place::Lists if !same(&before) => tally.wrong.push(format!("{flip}: another answer")),
                Place::Index | Place::Lists if whole && complete(&after) => tally.healed += 1,
                Place::Index | Place::Lists => tally.wrong.push(format!("{flip}: not healed")),
                Place::Database => tally.wrong.push(format!("{flip}: another answer, and nothing found")),
            }
        }
        let answers = self.answers(&admin, &neighbour).await;
        if !answers.iter().zip(&self.answers).all(|(answer, right)| answer.as_ref() == Some(right)) {
            tally.wrong.push("the neighbour noticed".to_owned());
        }
        // Its log complains of what it found.
        server.kill();
    }
}

async fn import(admin: &Client, archive: &[u8]) -> String {
    let path = "/v1/organizations/00000000-0000-0000-0000-000000000001/workspaces/import";
    let answer = admin.raw("POST", path, &[("content-type", "application/zstd")], archive.to_vec()).await;
    let workspace = id(&answer.is(201).json());
    // A snapshot has no index; it is made when the workspace is opened.
    let body = json!({"query": "kestrel", "search_type": "fulltext"});
    ask(admin, "POST", &format!("/v1/workspaces/{workspace}/search"), Some(&body)).await.unwrap();
    workspace
}

async fn ask(admin: &Client, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
    for attempt in 0.. {
        let answer = admin.send(method, path, body).await;
        if answer.status != 200 {
            // Refused for now, and not an internal error again and again.
            assert_eq!(answer.any_problem()["code"], "unavailable", "{path}");
            return None;
        }
        let mut answer = answer.json();
        // A leg that cannot be asked is left out, and said to be.
        let legs = answer["legs"].as_array().cloned().unwrap_or_default();
        if legs.iter().any(|leg| leg["detail"].as_str().is_some_and(|why| why.contains("damaged"))) {
            return None;
        }
        if legs.iter().any(|leg| leg["status"] != "ok") {
            assert!(attempt < 2_000, "{path} does not get ready: {answer}");
            continue;
        }
        scrub(&mut answer);
        return Some(answer);
    }
    None
}

/// Takes out what differs from workspace to workspace and from time to time.
fn scrub(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["workspace_id", "query_time_ms", "took_ms", "timings", "duration_ms"] {
                fields.remove(name);
            }
            // An index that is made anew is scanned for in the truth meanwhile, whose numbers are finer.
            for name in ["score", "vector_similarity", "similarity"] {
                if let Some(number) = fields.get(name).and_then(Value::as_f64) {
                    fields.insert(name.to_owned(), json!((number * 100.0).round()));
                }
            }
            fields.values_mut().for_each(scrub);
        }
        Value::Array(values) => values.iter_mut().for_each(scrub),
        _ => {}
    }
}

/// Whether the workspace is whole now, and whether anything was found.
async fn check(admin: &Client, workspace: &str, repair: bool) -> (bool, bool) {
    let body = json!({"repair": repair});
    let path = format!("/v1/workspaces/{workspace}/check");
    let report = admin.post(&path, &body).await.is(200).json();
    (report["whole"] == true, !report["findings"].as_array().unwrap().is_empty())
}

/// Flips one bit, in place. Where.
fn flip_one(home: &Home, workspace: &str, place: Place, random: &mut u64) -> String {
    let root = home.workspace(workspace);
    let files: Vec<PathBuf> = match place {
        Place::Database => vec![root.join("knowledge.db")],
        Place::Index => files_of(&root.join("index")),
        Place::Lists => {
            let is_list = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
            files_of(&root.join("index/fulltext")).into_iter().filter(is_list).collect()
        }
    };
    let sizes: Vec<u64> = files.iter().map(|file| file.metadata().unwrap().len()).collect();
    let mut at = next(random) % sizes.iter().sum::<u64>();
    let mut file = 0;
    while at >= sizes[file] {
        at -= sizes[file];
        file += 1;
    }
    let bit = next(random) % 8;
    let (path, mut byte) = (&files[file], [0]);
    let open = File::options().read(true).write(true).open(path).unwrap();
    open.read_exact_at(&mut byte, at).unwrap();
    open.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
    format!("{} byte {at} bit {bit}", path.strip_prefix(&root).unwrap().display())
}

fn files_of(directory: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(directory).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = entries.filter(|e| e.file_type().is_file() && !e.file_name().to_string_lossy().ends_with(".lock"));
    files.map(walkdir::DirEntry::into_path).collect()
}

/// Knuth's multiplier; the high bits are the random ones.
fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *random >> 33
}

#[tokio::test]
async fn a_bit_that_flips_is_harmless_or_found() {
    let sample = Sample::new().await;
    for (place, seed) in [(Place::Database, 11), (Place::Index, 12), (Place::Lists, 13)] {
        let tally = sample.flip(place, 12, seed).await;
        assert_eq!(tally.wrong, Vec::<String>::new(), "{tally:?}");
        assert!(place != Place::Database || tally.unharmed < 12, "{tally:?}");
    }
}

#[tokio::test]
async fn what_rots_at_rest_is_found_by_reading_through_all_within_days() {
    let home = Home::new();
    let faulty = crate::faulty::Faulty::new(&home);
    let server = faulty.server(&[]);
    let (rotten, neighbour) = (Tenant::new(&server.admin()).await, Tenant::new(&server.admin()).await);
    for tenant in [&rotten, &neighbour] {
        tenant.handbook().await;
    }
    let home = server.stop();
    flip_one(&home, &rotten.workspace, Place::Database, &mut 77);
    let faulty = crate::faulty::Faulty::new(&home);
    let server = faulty.server(&[]);
    assert_eq!(server.admin().get("/readyz").await.is(200).json()["workspaces"]["damaged"], 0);
    faulty.set_clock(8 * 24 * 3600);
    for attempt in 0.. {
        let ready = server.admin().get("/readyz").await.is(200).json();
        if ready["workspaces"]["damaged"] == 1 {
            break;
        }
        assert!(attempt < 60, "{ready}\n{}", home.log());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let complaint =
        home.log().lines().find(|line| line.contains("ERROR") && line.contains(&rotten.workspace)).is_some();
    assert!(complaint, "the log names it: {}", home.log());
    crate::faults::assert_whole(&crate::faults::again(&neighbour, &server)).await;
    server.kill();
}
