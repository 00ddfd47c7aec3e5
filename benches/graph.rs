//! The knowledge graph in memory: how soon it is there, and how fast it answers.
//!
//! `cargo bench --bench graph -- [ENTITIES]`: 100000 unless told otherwise, five facts and ten mentions for each, of
//! which the objects and half of the mentions follow Zipf's law, so that a few entities have most of them. Each figure
//! stands beside the making of the network from rows in the same run.

#[expect(dead_code, reason = "memory and times are enough here")]
mod measure;
#[expect(dead_code, reason = "others draw vectors, too")]
mod random;

use std::fmt::Display;
use std::sync::Arc;

use carrel::graph::{
    Around, EntityRow, Exclusive, FactRow, Format, Incidence, Kind, Moment, Network, Rows, Update, snapshot,
};
use carrel::stamp::Stamp;
use jiff::civil::Date;
use measure::Times;
use random::Random;
use uuid::Uuid;

/// Times that each question is asked.
const ASKED: usize = 2_000;
const KINDS: [Kind; 6] = [Kind::Person, Kind::Organization, Kind::Place, Kind::Product, Kind::Work, Kind::Concept];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let entities = arguments.next().map_or(100_000, |size| size.parse().expect("a number of entities"));
    let mut random = Random(7);
    let rows = rows(entities, &mut random);
    println!(
        "{} entities, {} facts, {} mentions; processes that run or want to: {}",
        rows.entities.len(),
        rows.facts.len(),
        rows.incidences.len(),
        measure::load()
    );
    let stamp = Stamp { generation: 1, mark: 7 };
    let before = measure::resident();
    let mut building = Times::default();
    for _ in 0..4 {
        let rows = rows.clone();
        building.of(|| Network::new(stamp, rows));
    }
    let again = rows.clone();
    let copied = measure::resident();
    let network = building.of(|| Network::new(stamp, again));
    let resident = measure::resident() as i64 - before as i64;
    println!("resident {:.0} MB, of it rows {:.0}", mb(resident), mb(copied as i64 - before as i64));
    println!("counted by itself {:.0} MB", mb(network.bytes() as i64));
    let baseline = building.processor(0.5);
    let table = Table { baseline };
    println!("| what | p50 · p99 | ÷ made from rows |\n| --- | --- | --- |");
    table.row("made from rows in memory", &building);
    files(&network, &table);
    questions(&network, &rows, &mut random, &table);
    whole(&network, &table);
    commits(network, &rows, &mut random, &table);
}

struct Table {
    baseline: f64,
}

impl Table {
    fn row(&self, what: impl Display, times: &Times) {
        let [middle, most] = [0.5, 0.99].map(|part| times.processor(part));
        println!("| {what} | {middle:.3} · {most:.3} ms | {:.4} |", middle / self.baseline);
    }
}

fn files(network: &Network, table: &Table) {
    let directory = tempfile::tempdir().unwrap();
    let (mut writing, mut loading) = (Times::default(), Times::default());
    for _ in 0..5 {
        writing.of(|| snapshot::write(network, directory.path()).unwrap());
        loading.of(|| snapshot::read(directory.path()).unwrap());
    }
    table.row(format!("snapshot of {:.0} MB written", mb(measure::size_of(directory.path()) as i64)), &writing);
    table.row("snapshot loaded", &loading);
    for format in [Format::GraphMl, Format::Json] {
        let mut exporting = Times::default();
        let mut size = 0;
        for _ in 0..3 {
            let mut out = Vec::new();
            exporting.of(|| network.export(format, &Moment::default(), |_| None, &mut out).unwrap());
            size = out.len();
        }
        table.row(format!("exported as {format:?}, {:.0} MB", mb(size as i64)), &exporting);
    }
}

/// Asks the same of many entities drawn at random.
fn ask(table: &Table, what: impl Display, times: usize, mut question: impl FnMut()) {
    let mut asking = Times::default();
    (0..times).for_each(|_| asking.of(&mut question));
    table.row(what, &asking);
}

fn questions(network: &Network, rows: &Rows, random: &mut Random, table: &Table) {
    let count = rows.entities.len();
    for depth in 1..=4 {
        for as_of in [None, Some(Date::constant(2015, 6, 1))] {
            let moment = Moment { as_of, as_known_at: None };
            let what = if as_of.is_some() { ", as of a day" } else { "" };
            ask(table, format!("neighbourhood, depth {depth}{what}"), ASKED, || {
                let asked = Around { depth, limit: 100, moment, associations: false };
                network.around(1 + random.below(count) as i64, &asked);
            });
        }
    }
    ask(table, "neighbourhood of the greatest, depth 2", 50, || {
        network.around(1, &Around { depth: 2, limit: 100, moment: Moment::default(), associations: false });
    });
    ask(table, "associations", ASKED, || drop(network.associations(1 + random.below(count) as i64, 20)));
    ask(table, "shortest path", ASKED / 10, || {
        network.path(1 + random.below(count) as i64, 1 + random.below(count) as i64, &Moment::default());
    });
    ask(table, "timeline", ASKED, || {
        drop(network.timeline(1 + random.below(count) as i64, None, None, &Moment::default()))
    });
    let name = |random: &mut Random| rows.entities[random.below(count)].name.clone();
    ask(table, "search, a name", ASKED, || drop(network.search(&name(random), None, 10)));
    ask(table, "search, a word", ASKED, || {
        drop(network.search(name(random).split(' ').next().unwrap_or_default(), None, 10));
    });
    ask(table, "search, a name with a slip in each word", ASKED / 4, || {
        let words: Vec<String> = name(random).split(' ').map(|word| slip(word, random)).collect();
        network.search(&words.join(" "), None, 10);
    });
    ask(table, "named in a question with two names", ASKED, || {
        network.named_in(&format!("What did {} of {} do in the year before that?", name(random), name(random)));
    });
    ask(table, "chunks from two entities (personalised PageRank)", ASKED, || {
        let seeds = [(1 + random.below(count) as i64, 1.0), (1 + random.below(count) as i64, 0.5)];
        network.chunks_from(&seeds, 50);
    });
    ask(table, "chunks from the two greatest", 50, || drop(network.chunks_from(&[(1, 1.0), (2, 1.0)], 50)));
}

fn whole(network: &Network, table: &Table) {
    ask(table, "PageRank of all", 5, || drop(network.page_rank()));
    ask(table, "communities", 3, || drop(network.communities(50)));
    let found = network.communities(usize::MAX);
    println!(
        "| ({} communities, the largest of {}) | | |",
        found.len(),
        found.first().map_or(0, |one| one.entities.len())
    );
}

/// What a document of ten entities, twenty facts and five chunks changes.
fn commits(mut network: Network, rows: &Rows, random: &mut Random, table: &Table) {
    let mut applying = Times::default();
    for _ in 0..ASKED {
        let pick = |random: &mut Random| rows.entities[random.below(rows.entities.len())].clone();
        let mut update = Update { stamp: Stamp { generation: 2, mark: 1 }, ..Update::default() };
        update.entities = (0..10).map(|_| pick(random)).collect();
        update.facts = (0..20).map(|_| rows.facts[random.below(rows.facts.len())].clone()).collect();
        update.gone_chunks = (0..5).map(|_| rows.incidences[random.below(rows.incidences.len())].chunk).collect();
        update.incidences = (0..50).map(|_| rows.incidences[random.below(rows.incidences.len())]).collect();
        applying.of(|| network.apply(update));
    }
    table.row("a document's update applied", &applying);
}

/// A word with two letters exchanged.
fn slip(word: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if letters.len() > 3 {
        let place = 1 + random.below(letters.len() - 2);
        letters.swap(place, place + 1);
    }
    letters.into_iter().collect()
}

fn rows(entities: usize, random: &mut Random) -> Rows {
    let predicates: Vec<Arc<str>> = (0..200).map(|_| Arc::from(random.text(2).trim_end_matches('.'))).collect();
    let number = |random: &mut Random| 1 + random.below(entities) as i64;
    // Low numbers are frequent, as Zipf has it.
    let frequent = |random: &mut Random| (entities as f64).powf(random.uniform()) as i64;
    let id = |random: &mut Random| Uuid::from_u64_pair(random.next(), random.next());
    let name = |random: &mut Random| {
        let words = 1 + random.below(3);
        random.text(words).trim_end_matches('.').to_owned()
    };
    let entity = |number| EntityRow {
        number,
        id: id(random),
        name: name(random),
        kind: KINDS[random.below(KINDS.len())],
        aliases: (0..random.below(3)).map(|_| name(random)).collect(),
        mentions: 1 + (entities as i64 / number) as u32,
    };
    let entities_rows = (1..=entities as i64).map(entity).collect();
    let day = |random: &mut Random| {
        (random.below(10) > 3).then(|| Date::constant(2000 + random.below(25) as i16, 1 + random.below(12) as i8, 1))
    };
    let fact = |fact| FactRow {
        number: fact,
        id: id(random),
        subject: number(random),
        object: frequent(random),
        predicate: predicates[random.below(predicates.len())].clone(),
        exclusive: [Exclusive::No, Exclusive::No, Exclusive::Object, Exclusive::Subject][random.below(4)],
        valid_at: day(random),
        invalid_at: None,
        stated_at: day(random),
        recorded_at: jiff::Timestamp::new(1_700_000_000 + fact, 0).unwrap(),
        evidence: 1 + random.below(4) as u32,
    };
    let facts = (1..=5 * entities as i64).map(fact).collect();
    let incidence = |mention: usize| Incidence {
        chunk: 1 + (mention / 5) as i64,
        entity: if mention.is_multiple_of(2) { frequent(random) } else { number(random) },
        count: 1 + random.below(3) as u32,
    };
    let incidences = (0..10 * entities).map(incidence).collect();
    Rows { entities: entities_rows, facts, incidences }
}

fn mb(bytes: i64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
