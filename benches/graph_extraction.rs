//! What the reader of facts finds, and how fast: entities and relations against judged documents, facts of a corpus.
//!
//! `cargo bench --bench graph_extraction -- [--half 1|2] [--show N] DIR…`: a `DIR` with `documents.jsonl` is judged
//! (character offsets), one with `corpus.jsonl` is read for speed, and `--show` prints facts of it drawn at random.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::Instant;

use carrel::graph::extract::{Document, Structure, extract};
use carrel::graph::{Extraction, Kind};
use serde_json::Value;

#[path = "random.rs"]
#[allow(dead_code, reason = "others draw vectors, too")]
mod random;

use random::Random;

/// Predicates and the properties of Wikidata that say the same; `<` where subject and object change places there.
const PROPERTIES: &str = "\
    born on: P569; died on: P570; born in: P19; died in: P20; founded in: P571; established in: P571;\
    formed in: P571; incorporated in: P571; released in: P577; published in: P577; released on: P577;\
    located in: P131 P17 P276; country: P17 P495; nationality: P27; capital of: P36< P1376;\
    headquartered in: P159; based in: P159 P740; founded: P112<; founder of: P112<; wrote: P50< P58<;\
    author of: P50<; composed: P86<; directed: P57<; produced: P162<; by: P175 P50 P57 P178; recorded: P175<;\
    released: P175< P264<; published: P123<; developed: P178<; manufactures: P176<; owns: P127<; owned: P127<;\
    member of: P463 P102 P361; part of: P361; married: P26; wife of: P26; husband of: P26; son of: P22 P25;\
    daughter of: P22 P25; brother of: P3373; sister of: P3373; father of: P40; mother of: P40; studied at: P69;\
    plays for: P54; stars: P161; subsidiary of: P749; set in: P840; based on: P144; named after: P138;\
    president of: P35< P6<; includes: P527; contains: P150; borders: P47; flows into: P403; performed: P175<;\
    ceo of: P169<; competed in: P1344; appeared in: P161<; won: P166; received: P166";

/// What a fact is in Wikidata, as far as it is told.
fn properties() -> Vec<(&'static str, &'static str, bool)> {
    let rows = PROPERTIES.split(';').filter_map(|row| row.trim().split_once(": "));
    let each = |(predicate, properties): (&'static str, &'static str)| {
        properties.split(' ').map(move |name| (predicate, name.trim_end_matches('<'), name.ends_with('<')))
    };
    rows.flat_map(each).collect()
}

#[derive(Default)]
struct Score {
    right: usize,
    found: usize,
    known: usize,
}

impl Score {
    fn row(&self, name: &str) {
        let share = |of: usize| if of == 0 { 0.0 } else { self.right as f64 / of as f64 };
        let (precision, recall) = (share(self.found), share(self.known));
        let f1 = if self.right == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
        println!(
            "| {name} | {precision:.3} | {recall:.3} | {f1:.3} | {} / {} / {} |",
            self.right, self.found, self.known
        );
    }

    fn add<T: Eq + std::hash::Hash>(&mut self, found: &HashSet<T>, known: &HashSet<T>) {
        self.right += found.intersection(known).count();
        self.found += found.len();
        self.known += known.len();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut half, mut show) = (None, 0);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|value| value.parse::<usize>().ok());
        match argument.as_str() {
            "--half" => half = number(),
            "--show" => show = number().unwrap_or(0),
            directory => {
                let directory = Path::new(directory);
                println!("\n## {}\n", directory.file_name().unwrap_or_default().to_string_lossy());
                match lines(&directory.join("documents.jsonl")) {
                    Some(documents) => judge(&documents, half, show),
                    None => read(
                        &lines(&directory.join("corpus.jsonl")).expect("neither documents.jsonl nor corpus.jsonl"),
                        show,
                    ),
                }
            }
        }
    }
}

fn lines(path: &Path) -> Option<Vec<Value>> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn document(value: &Value) -> Document<'_> {
    let content = text(value, "text");
    let structure = if content.starts_with('|') { Structure::Markdown } else { Structure::Prose };
    Document { title: text(value, "title"), content, structure, date: None, language: None }
}

/// How fast a corpus is read, what comes of it, and some of its facts.
fn read(documents: &[Value], show: usize) {
    let bytes: usize = documents.iter().map(|document| text(document, "text").len()).sum();
    let begun = Instant::now();
    let said: Vec<Extraction> = documents.iter().map(|value| extract(&document(value))).collect();
    let seconds = begun.elapsed().as_secs_f64();
    let count = |of: fn(&Extraction) -> usize| said.iter().map(of).sum::<usize>();
    let (mentions, facts) = (count(|said| said.mentions.len()), count(|said| said.facts.len()));
    println!("| documents | MB | MB/s | mentions | facts |\n| --- | --- | --- | --- | --- |");
    println!(
        "| {} | {:.2} | {:.2} | {mentions} | {facts} |",
        documents.len(),
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / seconds
    );
    let places: Vec<(usize, usize)> =
        said.iter().enumerate().flat_map(|(at, said)| (0..said.facts.len()).map(move |fact| (at, fact))).collect();
    let mut random = Random(7);
    for _ in 0..show.min(places.len()) {
        let (at, fact) = places[random.below(places.len())];
        tell(&said[at], fact, text(&documents[at], "text"), text(&documents[at], "title"));
    }
}

fn tell(said: &Extraction, fact: usize, content: &str, title: &str) {
    let fact = &said.facts[fact];
    let (subject, object) = (&said.entities[fact.subject], &said.entities[fact.object]);
    let date = |date: Option<jiff::civil::Date>| date.map_or(String::new(), |date| date.to_string());
    println!(
        "\n{} [{}] – {} – {} [{}]   {}..{} {:?}\n    ({title}) {}",
        subject.name,
        subject.kind.name(),
        fact.predicate,
        object.name,
        object.kind.name(),
        date(fact.valid_at),
        date(fact.invalid_at),
        fact.exclusive,
        content[fact.start..fact.end].replace('\n', " ")
    );
}

/// The kinds as the judgements have them.
fn kind(name: &str) -> &'static str {
    match name {
        "PER" | "person" => "person",
        "ORG" | "organization" | "corporation" | "group" => "organization",
        "LOC" | "location" | "place" => "place",
        "TIME" | "date" => "date",
        "NUM" | "amount" => "amount",
        _ => "other",
    }
}

fn judge(documents: &[Value], half: Option<usize>, show: usize) {
    let middle = documents.len() / 2;
    let documents = match half {
        Some(1) => &documents[..middle],
        Some(_) => &documents[middle..],
        None => documents,
    };
    let table = properties();
    let (mut spans, mut typed, mut named) = (Score::default(), Score::default(), Score::default());
    let mut kinds: Vec<(&str, Score)> =
        ["person", "organization", "place", "other", "date", "amount"].map(|kind| (kind, Score::default())).into();
    let (mut pairs, mut near, mut by_type, mut aligned, mut facts) =
        (Score::default(), Score::default(), Score::default(), 0, 0);
    let mut wrong: HashMap<String, (usize, usize)> = HashMap::new();
    for value in documents {
        let content = text(value, "text");
        let said = extract(&document(value));
        let bytes: Vec<usize> = content.char_indices().map(|(at, _)| at).chain([content.len()]).collect();
        let gold = mentions(value, &bytes);
        let mut judged: HashSet<(usize, usize, &str)> =
            gold.iter().map(|(start, end, kind, _)| (*start, *end, *kind)).collect();
        let mut found: HashSet<(usize, usize, &str)> = said
            .mentions
            .iter()
            .filter(|mention| {
                said.entities[mention.entity].kind != Kind::Concept
                    || content[mention.start..mention.end].chars().any(char::is_uppercase)
            })
            .map(|mention| (mention.start, mention.end, kind(said.entities[mention.entity].kind.name())))
            .collect();
        if value["entities"].as_array().is_some_and(|all| all.iter().all(|entity| entity["mentions"].is_null())) {
            // These judge names alone.
            found.retain(|(_, _, kind)| !matches!(*kind, "date" | "amount"));
        }
        let only = |set: &HashSet<(usize, usize, &'static str)>| {
            set.iter().map(|(start, end, _)| (*start, *end)).collect::<HashSet<_>>()
        };
        spans.add(&only(&found), &only(&judged));
        typed.add(&found, &judged);
        for (kind, score) in &mut kinds {
            let of = |set: &HashSet<(usize, usize, &'static str)>| {
                set.iter().filter(|(_, _, other)| other == kind).copied().collect::<HashSet<_>>()
            };
            score.add(&of(&found), &of(&judged));
        }
        judged.retain(|(_, _, kind)| !matches!(*kind, "date" | "amount"));
        found.retain(|(_, _, kind)| !matches!(*kind, "date" | "amount"));
        named.add(&only(&found), &only(&judged));
        let Some(relations) = value["relations"].as_array() else { continue };

        let entity_of: HashMap<(usize, usize), usize> =
            gold.iter().map(|(start, end, _, entity)| ((*start, *end), *entity)).collect();
        let mut meant: HashMap<usize, usize> = HashMap::new();
        for mention in &said.mentions {
            if let Some(entity) = entity_of.get(&(mention.start, mention.end)) {
                meant.entry(mention.entity).or_insert(*entity);
            }
        }
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let stated: HashSet<(usize, usize, &str)> =
            relations.iter().map(|r| (number(&r["h"]), number(&r["t"]), text(r, "r"))).collect();
        let pair = |a: usize, b: usize| (a.min(b), a.max(b));
        let judged: HashSet<(usize, usize)> = stated.iter().map(|(head, tail, _)| pair(*head, *tail)).collect();
        let mut found = HashSet::new();
        let mut typed = HashSet::new();
        facts += said.facts.len();
        for (at, fact) in said.facts.iter().enumerate() {
            let (Some(subject), Some(object)) = (meant.get(&fact.subject), meant.get(&fact.object)) else { continue };
            aligned += 1;
            let right = judged.contains(&pair(*subject, *object));
            let counts = wrong.entry(fact.predicate.clone()).or_default();
            *(if right { &mut counts.0 } else { &mut counts.1 }) += 1;
            if !right && show > 0 && aligned % 7 == 0 {
                tell(&said, at, content, text(value, "title"));
            }
            found.insert(pair(*subject, *object));
            let same = table.iter().filter(|(predicate, ..)| *predicate == fact.predicate);
            let triples: Vec<_> = same
                .map(
                    |(_, property, turned)| {
                        if *turned { (*object, *subject, *property) } else { (*subject, *object, *property) }
                    },
                )
                .collect();
            if let Some(triple) = triples.iter().find(|triple| stated.contains(*triple)).or(triples.first()) {
                typed.insert(*triple);
            }
        }
        pairs.add(&found, &judged);
        let sentences = value["entities"].as_array().unwrap().iter().map(|entity| {
            let mentions = entity["mentions"].as_array().into_iter().flatten();
            mentions.map(|mention| number(&mention["sent"])).collect::<HashSet<_>>()
        });
        let sentences: Vec<_> = sentences.collect();
        let close: HashSet<(usize, usize)> =
            judged.iter().filter(|(a, b)| !sentences[*a].is_disjoint(&sentences[*b])).copied().collect();
        near.add(&found.iter().filter(|(a, b)| !sentences[*a].is_disjoint(&sentences[*b])).copied().collect(), &close);
        let properties: HashSet<&str> = table.iter().map(|(_, property, _)| *property).collect();
        by_type.add(&typed, &stated.iter().filter(|(.., property)| properties.contains(property)).copied().collect());
    }
    println!(
        "| {} documents | precision | recall | F1 | right / found / known |\n| --- | --- | --- | --- | --- |",
        documents.len()
    );
    spans.row("mentions, exact");
    typed.row("mentions, exact, with kind");
    named.row("names, exact");
    kinds.iter().filter(|(_, score)| score.known > 0).for_each(|(kind, score)| score.row(kind));
    if facts > 0 && pairs.known > 0 {
        pairs.row("pairs with a fact");
        near.row("pairs of one sentence");
        by_type.row("facts by type");
        println!("\n{facts} facts, {aligned} between judged entities.");
    }
    if show > 0 {
        let mut wrong: Vec<_> = wrong.into_iter().collect();
        wrong.sort_by_key(|(predicate, (right, wrong))| (std::cmp::Reverse(right + wrong), predicate.clone()));
        wrong
            .iter()
            .take(show)
            .for_each(|(predicate, (right, wrong))| println!("{predicate}: {right} right, {wrong} wrong"));
    }
}

/// The judged mentions: bytes, kind and entity.
fn mentions(value: &Value, bytes: &[usize]) -> Vec<(usize, usize, &'static str, usize)> {
    let at = |value: &Value| bytes[usize::try_from(value.as_u64().unwrap()).unwrap()];
    let mut found = Vec::new();
    for (place, entity) in value["entities"].as_array().into_iter().flatten().enumerate() {
        let kind = kind(text(entity, "type"));
        match entity["mentions"].as_array() {
            Some(mentions) => {
                found.extend(mentions.iter().map(|mention| (at(&mention["start"]), at(&mention["end"]), kind, place)))
            }
            None => found.push((at(&entity["start"]), at(&entity["end"]), kind, place)),
        }
    }
    found
}
