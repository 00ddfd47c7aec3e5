//! Power cuts. A server runs with every change of its files written down; then, for many moments of that run, the
//! disk is made as a cut could have left it, and another server must find on it all that was answered.
//!
//! What a cut leaves is decided as strictly as POSIX allows: a file has the bytes of its last `fsync`, and any of the
//! later writes, whole or torn; a directory has the names of its own last `fsync`, and the first few later changes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::faulty::Faulty;
use crate::server::{Home, Server};
use crate::tenant::{Tenant, id};

/// Bytes that a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// One change that was written down.
enum Record {
    Create { inode: u64, path: String },
    Write { inode: u64, at: u64, bytes: Vec<u8> },
    Truncate { inode: u64, length: u64 },
    Sync { inode: u64, directory: Option<String> },
    SyncAll,
    Rename { from: String, to: String },
    Link { from: String, to: String },
    Remove { path: String },
    MakeDirectory { path: String },
}

/// The records of a log with the place in the log at which each ends; paths are relative to `root`.
fn records(log: &Path, root: &Path) -> Vec<(u64, Record)> {
    let bytes = std::fs::read(log).unwrap();
    let root = root.to_str().unwrap();
    let (mut found, mut at) = (Vec::new(), 0);
    let mut take = |size: usize| {
        let taken = bytes.get(at..at + size)?;
        at += size;
        Some((at as u64, taken.to_vec()))
    };
    while let Some((_, kind)) = take(1) {
        let mut number = |size: usize| {
            let (_, bytes) = take(size).unwrap();
            bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let (one, two) = (number(8), number(8));
        let (first, second) = (number(4) as usize, number(4) as usize);
        let (_, text) = take(first).unwrap();
        let (end, other) = take(second).unwrap();
        let path = |text: Vec<u8>| {
            let text = String::from_utf8(text).unwrap();
            text.strip_prefix(root).map(|rest| rest.trim_start_matches('/').to_owned()).unwrap()
        };
        let record = match kind[0] {
            b'C' => Record::Create { inode: one, path: path(text) },
            b'W' => Record::Write { inode: one, at: two, bytes: text },
            b'T' => Record::Truncate { inode: one, length: two },
            b'S' => Record::Sync { inode: one, directory: (two == 1).then(|| path(text)) },
            b'Y' => Record::SyncAll,
            b'R' => Record::Rename { from: path(text), to: path(other) },
            b'L' => Record::Link { from: path(text), to: path(other) },
            b'U' => Record::Remove { path: path(text) },
            b'M' => Record::MakeDirectory { path: path(text) },
            other => panic!("no record begins with {other}"),
        };
        found.push((end, record));
    }
    found
}

/// A disk as it is, and as much of it as is sure.
struct Disk {
    nodes: Vec<Node>,
    inodes: HashMap<u64, usize>,
}

enum Node {
    File { sure: Vec<u8>, unsure: Vec<Edit> },
    Directory { sure: BTreeMap<String, usize>, now: BTreeMap<String, usize>, unsure: Vec<Naming> },
}

enum Edit {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Clone)]
enum Naming {
    Add(String, usize),
    Remove(String),
    /// Within one directory both happen or neither.
    Rename(String, String, usize),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Naming::Add(name, node) => drop(names.insert(name.clone(), *node)),
            Naming::Remove(name) => drop(names.remove(name)),
            Naming::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>, torn_at: Option<u64>) {
        match self {
            Edit::Write(at, written) => {
                let kept = torn_at.map_or(written.len(), |torn| (torn as usize).min(written.len()));
                let (at, end) = (*at as usize, *at as usize + kept);
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[at..end].copy_from_slice(&written[..kept]);
            }
            Edit::Truncate(length) => bytes.resize(*length as usize, 0),
        }
    }
}

/// What survives of what was not sure.
#[derive(Debug, Clone, Copy)]
pub enum Survival {
    Nothing,
    /// Names but no bytes.
    Names,
    /// Whatever this seed says.
    Some(u64),
    All,
}

impl Survival {
    /// How many of `count` things in a row survive.
    fn prefix(&mut self, count: usize) -> usize {
        match self {
            Survival::Nothing => 0,
            Survival::Names | Survival::All => count,
            Survival::Some(seed) => below(seed, count as u64 + 1) as usize,
        }
    }

    /// Whether one thing survives.
    fn keeps(&mut self) -> bool {
        match self {
            Survival::Nothing | Survival::Names => false,
            Survival::All => true,
            Survival::Some(seed) => below(seed, 2) == 1,
        }
    }

    /// Where a write of `length` bytes is torn.
    fn tear(&mut self, length: u64) -> Option<u64> {
        match self {
            Survival::Some(seed) => Some(below(seed, length / SECTOR + 1) * SECTOR),
            _ => None,
        }
    }
}

/// The next number below `limit` of a sequence (Knuth's MMIX generator).
fn below(seed: &mut u64, limit: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % limit
}

impl Disk {
    fn empty() -> Disk {
        let root = Node::Directory { sure: BTreeMap::new(), now: BTreeMap::new(), unsure: Vec::new() };
        Disk { nodes: vec![root], inodes: HashMap::new() }
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn find(&self, path: &str) -> usize {
        path.split('/').filter(|name| !name.is_empty()).fold(0, |node, name| match &self.nodes[node] {
            Node::Directory { now, .. } => now[name],
            Node::File { .. } => panic!("{path} leads through a file"),
        })
    }

    fn name(&mut self, directory: usize, naming: Naming) {
        let Node::Directory { now, unsure, .. } = &mut self.nodes[directory] else { panic!("no directory") };
        naming.apply(now);
        unsure.push(naming);
    }

    fn edit(&mut self, inode: u64, edit: Edit) {
        let Node::File { unsure, .. } = &mut self.nodes[self.inodes[&inode]] else { panic!("no file") };
        unsure.push(edit);
    }

    fn make_sure(&mut self, node: usize) {
        match &mut self.nodes[node] {
            Node::File { sure, unsure } => unsure.drain(..).for_each(|edit| edit.apply(sure, None)),
            Node::Directory { sure, unsure, .. } => unsure.drain(..).for_each(|naming| naming.apply(sure)),
        }
    }

    fn apply(&mut self, record: &Record) {
        let parent = |path: &str| path.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned());
        let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        match record {
            Record::Create { inode, path } => {
                let node = self.add(Node::File { sure: Vec::new(), unsure: Vec::new() });
                self.inodes.insert(*inode, node);
                self.name(self.find(&parent(path)), Naming::Add(last(path), node));
            }
            Record::MakeDirectory { path } if path.is_empty() => {}
            Record::MakeDirectory { path } => {
                let (sure, now) = (BTreeMap::new(), BTreeMap::new());
                let node = self.add(Node::Directory { sure, now, unsure: Vec::new() });
                self.name(self.find(&parent(path)), Naming::Add(last(path), node));
            }
            Record::Write { inode, at, bytes } => self.edit(*inode, Edit::Write(*at, bytes.clone())),
            Record::Truncate { inode, length } => self.edit(*inode, Edit::Truncate(*length)),
            Record::Sync { inode, directory: None } => self.make_sure(self.inodes[inode]),
            Record::Sync { directory: Some(path), .. } => self.make_sure(self.find(path)),
            Record::SyncAll => (0..self.nodes.len()).for_each(|node| self.make_sure(node)),
            Record::Link { from, to } => {
                self.name(self.find(&parent(to)), Naming::Add(last(to), self.find(from)));
            }
            Record::Rename { from, to } => {
                let node = self.find(from);
                let (source, target) = (self.find(&parent(from)), self.find(&parent(to)));
                if source == target {
                    self.name(source, Naming::Rename(last(from), last(to), node));
                } else {
                    self.name(target, Naming::Add(last(to), node));
                    self.name(source, Naming::Remove(last(from)));
                }
            }
            Record::Remove { path } => self.name(self.find(&parent(path)), Naming::Remove(last(path))),
        }
    }

    /// Writes what `survival` leaves of a node to `place`.
    fn leave(&self, node: usize, survival: &mut Survival, place: &Path) {
        match &self.nodes[node] {
            Node::File { sure, unsure } => {
                let mut bytes = sure.clone();
                let kept: Vec<&Edit> = unsure.iter().filter(|_| survival.keeps()).collect();
                for (number, edit) in kept.iter().enumerate() {
                    let torn = match edit {
                        Edit::Write(_, written) if number + 1 == kept.len() => survival.tear(written.len() as u64),
                        _ => None,
                    };
                    edit.apply(&mut bytes, torn);
                }
                std::fs::write(place, bytes).unwrap();
            }
            Node::Directory { sure, unsure, .. } => {
                std::fs::create_dir_all(place).unwrap();
                let mut names = sure.clone();
                unsure.iter().take(survival.prefix(unsure.len())).for_each(|naming| naming.apply(&mut names));
                names.iter().for_each(|(name, node)| self.leave(*node, survival, &place.join(name)));
            }
        }
    }
}

/// What there was under a name: the word in the document or the workspace's being, or nothing.
type State = Option<String>;

/// One change that was answered, with the places in the log between which it was made.
struct Deed {
    /// A document's source or a workspace's id.
    name: String,
    begun: u64,
    answered: u64,
    state: State,
}

/// A run that was written down.
pub struct Run {
    home: Arc<Home>,
    tenant: Tenant,
    /// When the workspace's key had been answered.
    furnished: u64,
    documents: Vec<Deed>,
    workspaces: Vec<Deed>,
    records: Vec<(u64, Record)>,
}

fn content(word: &str) -> String {
    format!("# Note\n\nHere {word} is written.")
}

/// Stores a document as text or as a file, by the last digit of its name, and gives its id.
async fn store(tenant: &Tenant, source: &str, word: &str) -> String {
    let content = content(word);
    if source.contains(['0', '2']) {
        let upload = crate::client::file(source, content.as_bytes()).of("text/markdown");
        let answer = tenant.client.upload("POST", &tenant.path("/documents"), &[upload]).await;
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
        return id(&answer.json());
    }
    let body = json!({"source": source, "content": content});
    let answer = tenant.client.post(&tenant.path("/documents"), &body).await;
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
    id(&answer.json())
}

impl Run {
    /// Stores, replaces and deletes documents one by one and by a job, brings the workspace to rest in between, and
    /// copies, deletes and restores workspaces.
    pub async fn new() -> Run {
        let home = Home::new();
        let faulty = Faulty::new(&home);
        let server = faulty.recorded_server();
        let tenant = Tenant::new(&server.admin()).await;
        let furnished = faulty.recorded();
        let (mut documents, mut workspaces) = (Vec::new(), Vec::new());
        let mut ids = HashMap::new();
        let deed = |name: &str, begun, word: Option<&str>| Deed {
            name: name.to_owned(),
            begun,
            answered: faulty.recorded(),
            state: word.map(str::to_owned),
        };
        for round in 0..3 {
            for number in 0..4 {
                let (source, word) = (format!("d{number}.md"), format!("kestrel{round}{number}"));
                let begun = faulty.recorded();
                ids.insert(number, store(&tenant, &source, &word).await);
                documents.push(deed(&source, begun, Some(&word)));
            }
            let begun = faulty.recorded();
            tenant.client.delete(&tenant.path(&format!("/documents/{}", ids[&round]))).await.is(200);
            documents.push(deed(&format!("d{round}.md"), begun, None));
            if round == 0 {
                tenant.client.post(&tenant.path("/freeze"), &json!({})).await.is(200);
                tenant.client.delete(&tenant.path("/freeze")).await.is(200);
            }
            let begun = faulty.recorded();
            let document =
                |n| json!({"source": format!("j{round}{n}.md"), "content": content(&format!("merlin{round}{n}"))});
            let job = tenant.ingest(&[document(0), document(1)]).await;
            assert_eq!(job["done"], 2, "{job}");
            for number in 0..2 {
                documents.push(deed(&format!("j{round}{number}.md"), begun, Some(&format!("merlin{round}{number}"))));
            }
            let begun = faulty.recorded();
            let copy = tenant
                .admin
                .post(&tenant.path("/copy"), &json!({"name": "A copy", "slug": format!("copy-{round}")}))
                .await;
            let copy = id(&copy.is(201).json());
            workspaces.push(deed(&copy, begun, Some("alive")));
            let begun = faulty.recorded();
            tenant.admin.delete(&format!("/v1/workspaces/{copy}")).await.is(200);
            workspaces.push(deed(&copy, begun, None));
            if round > 0 {
                let begun = faulty.recorded();
                let restore = format!("/v1/organizations/{}/trash/{copy}/restore", tenant.organization);
                tenant.admin.send("POST", &restore, None).await.is(200);
                workspaces.push(deed(&copy, begun, Some("alive")));
            }
        }
        server.stop();
        let records = records(&faulty.log(), &home.data());
        Run { home, tenant, furnished, documents, workspaces, records }
    }

    /// Asserts that the records tell of every change: played to their end they give the very directory.
    pub fn assert_complete(&self) {
        let mut disk = Disk::empty();
        self.records.iter().for_each(|(_, record)| disk.apply(record));
        let played = self.home.path().join("played");
        disk.leave(0, &mut Survival::All, &played);
        let files = |root: &Path| -> BTreeMap<String, Vec<u8>> {
            let entries = walkdir::WalkDir::new(root).into_iter().flatten().filter(|e| e.file_type().is_file());
            let entries = entries.map(|e| e.into_path()).filter(|path| !path.to_string_lossy().ends_with("-shm"));
            entries
                .map(|p| (p.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), std::fs::read(&p).unwrap()))
                .collect()
        };
        let (real, played) = (files(&self.home.data()), files(&played));
        assert_eq!(real.keys().collect::<Vec<_>>(), played.keys().collect::<Vec<_>>());
        real.iter().for_each(|(name, bytes)| assert!(&played[name] == bytes, "{name} was changed in secret"));
    }

    /// Moments of the run: right before and right after every `fsync`, and one between any two.
    fn moments(&self) -> Vec<usize> {
        let is_sync = |record: &Record| matches!(record, Record::Sync { .. } | Record::SyncAll);
        let syncs = self.records.iter().enumerate().filter(|(_, (_, record))| is_sync(record)).map(|(at, _)| at);
        let mut moments = vec![0];
        for sync in syncs {
            let before = moments.last().copied().unwrap_or(0);
            moments.extend([before + (sync - before) / 2, sync, sync + 1]);
        }
        moments.dedup();
        moments
    }

    /// Cuts the power `count` times, at moments spread over the run. What was found wrong, a sentence for each.
    pub async fn cut(&self, count: usize) -> Vec<String> {
        let moments = self.moments();
        let mut wrong = Vec::new();
        let (mut disk, mut applied) = (Disk::empty(), 0);
        for number in 0..count {
            let moment = moments[number * (moments.len() - 1) / count.max(2).saturating_sub(1).max(1)];
            self.records[applied..moment].iter().for_each(|(_, record)| disk.apply(record));
            applied = moment;
            let survival = [Survival::Nothing, Survival::Some(number as u64 * 7919 + 1), Survival::Names][number % 3];
            let data = self.home.data();
            std::fs::remove_dir_all(&data).unwrap();
            disk.leave(0, &mut { survival }, &data);
            let place = applied.checked_sub(1).map_or(0, |last| self.records[last].0);
            for complaint in self.complaints(place).await {
                wrong.push(format!("record {moment}, {survival:?} survives: {complaint}"));
            }
        }
        wrong
    }

    /// What is missing or wrong on the disk that a cut at `place` of the log left.
    async fn complaints(&self, place: u64) -> Vec<String> {
        let server = Server::within(self.home.clone(), &[]);
        let mut complaints = Vec::new();
        if place >= self.furnished {
            complaints = self.missing(&server, place).await;
        }
        let fresh = Tenant::new(&server.admin()).await;
        fresh.document("new.md", "It goes on.").await;
        server.kill();
        complaints
    }

    async fn missing(&self, server: &Server, place: u64) -> Vec<String> {
        let tenant = Tenant {
            admin: server.admin(),
            client: server.admin().with_token(self.tenant.client.token()),
            organization: self.tenant.organization.clone(),
            workspace: self.tenant.workspace.clone(),
            agent: self.tenant.agent.clone(),
        };
        let listed = tenant.client.get(&tenant.path("/documents?limit=200")).await;
        if listed.status != 200 {
            return vec![format!("the documents cannot be listed: {}", listed.text())];
        }
        let mut complaints = Vec::from_iter(not_whole(&tenant.admin, &tenant.workspace).await);
        let listed: Vec<Value> = listed.json()["documents"].as_array().unwrap().clone();
        for (source, states) in possible(&self.documents, place) {
            let content = match listed.iter().find(|document| document["source"] == *source) {
                Some(document) => Some(tenant.read(document["id"].as_str().unwrap()).await["content"].to_string()),
                None => None,
            };
            let fits = states.iter().any(|state| match (state, &content) {
                (None, None) => true,
                (Some(word), Some(content)) => content.contains(word.as_str()),
                _ => false,
            });
            if !fits {
                complaints.push(format!("{source} is {content:?}, should be one of {states:?}"));
            }
        }
        for (workspace, states) in possible(&self.workspaces, place) {
            let lives = tenant.admin.get(&format!("/v1/workspaces/{workspace}")).await.status == 200;
            if !states.iter().any(|state| state.is_some() == lives) {
                complaints.push(format!("workspace {workspace} lives: {lives}, should be one of {states:?}"));
            }
            if lives {
                complaints.extend(not_whole(&tenant.admin, workspace).await);
            }
        }
        // Whoever got no answer asks again.
        for deed in self.documents.iter().filter(|deed| deed.begun <= place && deed.answered > place) {
            if let Some(word) = &deed.state {
                store(&tenant, &deed.name, word).await;
            }
        }
        complaints.extend(not_whole(&tenant.admin, &tenant.workspace).await);
        complaints
    }
}

async fn not_whole(admin: &crate::client::Client, workspace: &str) -> Option<String> {
    let report = admin.send("POST", &format!("/v1/workspaces/{workspace}/check"), None).await;
    let is_whole = report.status == 200 && report.json()["whole"] == true;
    (!is_whole).then(|| format!("workspace {workspace} is not whole: {}", report.text()))
}

/// For each name the states that it may have after a cut at `place`: the last that was answered, and later ones that
/// were begun.
fn possible(deeds: &[Deed], place: u64) -> BTreeMap<&str, Vec<&State>> {
    let names: std::collections::BTreeSet<&str> = deeds.iter().map(|deed| deed.name.as_str()).collect();
    let of = |name: &str| {
        let deeds: Vec<&Deed> = deeds.iter().filter(|deed| deed.name == name).collect();
        let sure = deeds.iter().rposition(|deed| deed.answered <= place);
        let begun = deeds.iter().skip(sure.unwrap_or(0)).filter(|deed| deed.begun <= place);
        let mut states: Vec<&State> = begun.map(|deed| &deed.state).collect();
        if sure.is_none() {
            states.push(&None);
        }
        states
    };
    names.into_iter().map(|name| (name, of(name))).collect()
}

#[cfg(test)]
#[tokio::test]
async fn what_was_answered_survives_a_power_cut_at_any_moment() {
    let run = Run::new().await;
    run.assert_complete();
    let wrong = run.cut(18).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
