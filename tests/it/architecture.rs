//! The law of the house, read from the source: who may import whom, who may name which engine, how files look.

use std::path::{Path, PathBuf};

/// The rooms from bottom to top: each may import only what stands before it.
const ROOMS: &[&str] = &[
    "error",
    "config",
    "clock",
    "digest",
    "failpoint",
    "place",
    "pread",
    "stamp",
    "text", // words
    "sqlite",
    "cache",
    "fulltext",
    "knn",
    "graph",
    "embed",
    "extract",
    "sandbox",
    "llm", // engines: no tenant, no HTTP
    "datadir",
    "workspace",
    "tenancy", // state
    "backup",  // of all state
    "auth",
    "knowledge",
    "search",
    "evaluation",
    "ingest",
    "agent", // capabilities
    "app",   // composition
    "api",
    "ui",
    "server",
    "cli", // doors
];

/// Doors may import each other.
const DOORS: &[&str] = &["api", "ui", "server", "cli"];

/// Crates that only some rooms may name.
const ENGINES: &[(&str, &[&str])] = &[
    ("rusqlite", &["sqlite", "workspace", "tenancy"]),
    ("sqlite_vec", &["sqlite"]),
    ("tantivy", &["fulltext"]),
    ("sled", &["cache"]),
    ("petgraph", &["graph"]),
    ("postcard", &["graph"]),
    ("rapidfuzz", &["graph"]),
    ("ort", &["embed"]),
    ("fastembed", &["embed"]),
    ("tokenizers", &["embed"]),
    ("tiktoken_rs", &["api"]),
    ("argon2", &["auth"]),
    ("axum", &["api", "ui", "server", "cli"]),
    ("tower_http", &["api", "ui", "server"]),
    ("url", &["api"]),
    ("clap", &["cli", "config", "main"]),
    ("ignore", &["cli"]),
    ("notify", &["cli"]),
    ("reqwest", &["cli", "llm"]),
    ("llama_cpp_2", &["llm"]),
    ("minijinja", &["llm"]),
    ("zip", &["extract", "sandbox"]),
    ("rmcp", &["api"]),
    ("tar", &["sandbox", "workspace"]),
    ("landlock", &["sandbox"]),
    ("seccompiler", &["sandbox"]),
    ("calamine", &["extract"]),
    ("cfb", &["extract"]),
    ("hayro_interpret", &["extract"]),
    ("mail_parser", &["extract"]),
    ("quick_xml", &["extract", "graph"]),
    ("html5ever", &["extract"]),
    ("pulldown_cmark", &["extract", "ingest"]),
];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "types", "manager", "service", "services", "misc"];

struct Source {
    path: PathBuf,
    /// The first part of its path in `src/`: `api`, `sqlite`, `main`.
    room: String,
    /// Its depth in the module tree: 1 for a room.
    depth: usize,
    text: String,
    /// Its lines of code with their numbers: without comments, and without the tests at its end.
    code: Vec<(usize, String)>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "rs"));
    let sources: Vec<Source> = files.map(|entry| source(&root, entry.path())).collect();
    assert!(sources.len() > 40, "the house has been found");
    sources
}

fn source(root: &Path, path: &Path) -> Source {
    let text = std::fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(root).unwrap().to_owned();
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs")).collect();
    let depth = parts.iter().filter(|part| **part != "mod").count();
    let begins = ["#[cfg(test)]\nmod ", "#[cfg(test)]\npub(super) mod "];
    // A file of its own may hold the tests of a module.
    let is_tests = path.file_name().is_some_and(|name| name == "tests.rs");
    let end = if is_tests { Some(0) } else { begins.iter().filter_map(|begin| text.find(begin)).min() };
    let end = end.unwrap_or(text.len());
    let lines = text[..end].lines().enumerate();
    let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    let code = code.map(|(number, line)| (number + 1, line.to_owned())).collect();
    Source { room: parts[0].to_owned(), depth, code, path, text }
}

impl Source {
    /// The rooms that it imports by `crate::…`.
    fn imports(&self) -> Vec<String> {
        let code: String = self.code.iter().flat_map(|(_, line)| [line, "\n"]).collect();
        let mut rooms = Vec::new();
        for (at, _) in code.match_indices("crate::") {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(list) => rooms.extend(first_names(list)),
                None => rooms.push(name_at_start(rest)),
            }
        }
        rooms
    }

    /// Whether a line of code names this crate.
    fn names(&self, krate: &str) -> Option<usize> {
        let names = |line: &str| {
            line.match_indices(krate).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let outside =
                    before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '"' && c != '.');
                let after = &line[at + krate.len()..];
                let used =
                    after.starts_with("::") || (line.trim_start().starts_with("use ") && after.starts_with([';', ' ']));
                outside && used
            })
        };
        self.code.iter().find(|(_, line)| names(line)).map(|(number, _)| *number)
    }
}

/// The names at the top level of a list in braces, of which the first brace is gone.
fn first_names(list: &str) -> Vec<String> {
    let (mut names, mut depth, mut at_start) = (Vec::new(), 0, true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                names.push(name_at_start(&list[at..]));
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

fn name_at_start(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Asserts that nothing was found, naming all that was.
#[track_caller]
fn assert_none(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn rooms_import_downward_only() {
    let place = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut found = Vec::new();
    for source in sources() {
        if ["main", "lib"].contains(&source.room.as_str()) {
            continue;
        }
        let Some(own) = place(&source.room) else {
            found.push(format!("src/{}: the law knows no room `{}`", source.path.display(), source.room));
            continue;
        };
        for room in source.imports() {
            let doors = DOORS.contains(&room.as_str()) && DOORS.contains(&source.room.as_str());
            match place(&room) {
                Some(other) if other <= own || doors => {}
                _ => found.push(format!("src/{} imports crate::{room}", source.path.display())),
            }
        }
        // A way around: `super` beyond the room.
        let around = "super::".repeat(source.depth);
        if source.code.iter().any(|(_, line)| line.contains(&around)) {
            found.push(format!("src/{} leaves its room by `{around}`", source.path.display()));
        }
    }
    assert_none(found);
}

#[test]
fn engines_are_named_by_their_rooms_alone() {
    let mut found = Vec::new();
    for source in sources() {
        for (krate, rooms) in ENGINES.iter().filter(|(_, rooms)| !rooms.contains(&source.room.as_str())) {
            if let Some(line) = source.names(krate) {
                found.push(format!(
                    "src/{}:{line} names {krate}; only {} may",
                    source.path.display(),
                    rooms.join(", ")
                ));
            }
        }
    }
    assert_none(found);
}

#[test]
fn nothing_panics_but_by_a_stated_invariant() {
    let mut found = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in &source.code {
            let panics = [".unwrap()", ".expect(", "todo!(", "unimplemented!(", "panic!(", "unreachable!("];
            let excused = |line: &str| line.contains("// invariant: ");
            let above = number.checked_sub(2).and_then(|above| lines.get(above)).is_some_and(|line| excused(line));
            if panics.iter().any(|call| line.contains(call)) && !excused(line) && !above {
                found.push(format!("src/{}:{number}: {}", source.path.display(), line.trim()));
            }
        }
    }
    assert_none(found);
}

#[test]
fn every_file_says_what_it_is_and_has_a_telling_name() {
    let mut found = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            found.push(format!("src/{} does not begin with a `//!` doc", source.path.display()));
        }
        let names = source.path.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs"));
        found.extend(names.filter(|name| EMPTY_NAMES.contains(name)).map(|name| format!("`{name}` says nothing")));
    }
    assert_none(found);
}

#[test]
fn every_room_has_a_mod_file() {
    let found = sources().into_iter().filter(|source| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&source.path).with_extension("");
        directory.is_dir() && !directory.join("mod.rs").exists()
    });
    assert_none(found.map(|source| format!("src/{} stands beside its directory", source.path.display())).collect());
}

#[test]
fn the_law_can_be_broken() {
    let broken =
        "//! A room.\nuse crate::{api::router, error::{Error, Result}};\nlet x = crate::cli::run(ort::init());\n";
    let lines = broken.lines().enumerate().map(|(number, line)| (number + 1, line.to_owned()));
    let source = Source {
        path: "sqlite.rs".into(),
        room: "sqlite".into(),
        depth: 1,
        text: broken.into(),
        code: lines.collect(),
    };
    assert_eq!(source.imports(), ["api", "error", "cli"]);
    assert_eq!(source.names("ort"), Some(3));
    assert_eq!(source.names("tar"), None);
}
