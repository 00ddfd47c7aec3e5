//! The graph leg: from the entities that a question names, and those that the best chunks name, to the documents that
//! are about them, and to the facts about them.
//!
//! The second document of a question in two steps often shares no word with it: it is about what the first one names.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::Ranking;
use super::fusion::Fused;
use crate::error::Result;
use crate::graph::{FactRow, Kind, Moment, Network};
use crate::knowledge::{self, Fact, Named};
use crate::text::Analyzer;
use crate::workspace::Workspace;

/// Of how many of the best chunks the entities count.
pub const BEST: usize = 5;
/// Entities that are followed at most, the weightiest.
const SEEDS: usize = 100;
/// Facts that are looked at for one question.
const FACTS: usize = 200;
/// What a chunk to which a walk leads weighs beside one that states a fact.
const WALKED: f32 = 0.5;

/// A chunk that is about an entity in question.
#[derive(Debug, Clone, PartialEq)]
pub struct Lift {
    pub chunk: u32,
    /// `0..=1`.
    pub weight: f32,
    /// The entity's name.
    pub through: String,
}

/// A fact that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FactHit {
    pub fact: Fact,
    /// `0..=1`.
    pub score: f32,
}

/// An entity to begin with, and the chunk that named it where it was not the question.
pub struct Seed {
    entity: i64,
    name: String,
    weight: f32,
    by: Option<u32>,
}

fn seeds(network: &Network, question: &str, best: &[(u32, f32)]) -> Vec<Seed> {
    let seed = |entity: i64, weight: f32, by: Option<u32>| {
        let row = network.entity(entity)?;
        let is_thing = !matches!(row.kind, Kind::Date | Kind::Amount);
        is_thing.then(|| Seed { entity, name: row.name.clone(), weight, by })
    };
    let asked = network.named_in(question).into_iter().filter_map(|spotted| seed(spotted.entity, 1.0, None));
    let mut seeds: Vec<Seed> = asked.collect();
    for (chunk, weight) in best.iter().take(BEST) {
        let named = network.named_by(i64::from(*chunk)).into_iter();
        seeds.extend(named.filter_map(|(entity, _)| seed(entity, *weight, Some(*chunk))));
    }
    seeds.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
    seeds.truncate(SEEDS);
    seeds
}

/// Chunks of the documents that are about what the question or the `ranked` best name; best first.
pub fn lifts(
    workspace: &Workspace,
    question: &str,
    ranked: &[Fused],
    allowed: Option<&RoaringBitmap>,
) -> Result<Vec<Lift>> {
    let best: Vec<(u32, f32)> = ranked.iter().take(BEST).map(|hit| (hit.chunk, hit.score)).collect();
    let seeds = workspace.network(|network| seeds(network, question, &best))?;
    if seeds.is_empty() {
        return Ok(Vec::new());
    }
    let entities: Vec<i64> = seeds.iter().map(|seed| seed.entity).collect();
    let chunks: Vec<u32> = ranked.iter().map(|hit| hit.chunk).collect();
    let about = workspace.about(&entities, &chunks)?;
    let mut of_document: HashMap<i64, Vec<u32>> = HashMap::new();
    for (chunk, document) in &about.chunks {
        of_document.entry(*document).or_default().push(*chunk);
    }
    let mut lifted: HashMap<u32, (f32, &str)> = HashMap::new();
    for seed in &seeds {
        let own = seed.by.and_then(|chunk| about.chunks.get(&chunk));
        let documents =
            about.documents.iter().filter(|(entity, document)| *entity == seed.entity && own != Some(document));
        for chunk in documents.filter_map(|(_, document)| of_document.get(document)).flatten() {
            let lift = lifted.entry(*chunk).or_insert((0.0, ""));
            if seed.weight > lift.0 {
                *lift = (seed.weight, &seed.name);
            }
        }
    }
    let is_allowed = |chunk: &u32| allowed.is_none_or(|allowed| allowed.contains(*chunk));
    let lifts = lifted.into_iter().filter(|(chunk, _)| is_allowed(chunk));
    let mut lifts: Vec<Lift> =
        lifts.map(|(chunk, (weight, name))| Lift { chunk, weight, through: name.to_owned() }).collect();
    lifts.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.chunk.cmp(&b.chunk)));
    Ok(lifts)
}

/// What the question names or, where it names nothing, what the `best` chunks name.
pub fn start(workspace: &Workspace, question: &str, best: impl FnOnce() -> Result<Ranking>) -> Result<Vec<Seed>> {
    let named = workspace.network(|network| seeds(network, question, &[]))?;
    if !named.is_empty() {
        return Ok(named);
    }
    let best = best()?;
    workspace.network(|network| seeds(network, question, &best))
}

/// Facts about the entities to begin with, as a question wants them, best first.
pub fn facts(
    workspace: &Workspace,
    question: &str,
    seeds: &[Seed],
    moment: &Moment,
    allowed: Option<&RoaringBitmap>,
) -> Result<Vec<FactHit>> {
    let found = workspace.network(|network| facts_of(network, seeds, moment))?;
    let fulltext = workspace.fulltext();
    let analyzer = fulltext.analyzer();
    let wanted: Vec<String> = analyzer.content_words(question).into_iter().map(|word| word.term).collect();
    let (asked, lower) = (kinds_asked(question), question.to_lowercase());
    let mut hits: Vec<FactHit> = Vec::new();
    let weights: HashMap<i64, f32> = found.iter().map(|(fact, weight)| (fact.number, *weight)).collect();
    for mut fact in knowledge::told(workspace, found.into_iter().map(|(fact, _)| fact).collect())? {
        fact.evidence.retain(|passage| allowed.is_none_or(|allowed| allowed.contains(passage.chunk)));
        let Some(passage) = fact.evidence.first() else { continue };
        let statement = [&fact.subject.name, &fact.predicate, &fact.object.name];
        let (said, around) = (overlap(analyzer, &wanted, &statement), overlap(analyzer, &wanted, &[&passage.text]));
        let weight = weights.get(&fact.number).copied().unwrap_or_default();
        // Whom the question names is not what it asks for.
        let is_new = |end: &&Named| !lower.contains(&end.name.to_lowercase());
        let ends = [&fact.subject, &fact.object];
        let answers = f32::from(u8::from(ends.into_iter().filter(is_new).any(|end| asked.contains(&end.kind))));
        let score = weight * (0.4 + 0.3 * said + 0.2 * around + 0.1 * answers);
        hits.push(FactHit { fact, score });
    }
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.fact.id.cmp(&b.fact.id)));
    Ok(hits)
}

/// The chunks that state the facts found, and those to which the graph leads from where they were looked for; best first.
pub fn ranking(
    workspace: &Workspace,
    seeds: &[Seed],
    hits: &[FactHit],
    allowed: Option<&RoaringBitmap>,
    depth: usize,
) -> Result<Ranking> {
    let walk: Vec<(i64, f64)> = seeds.iter().map(|seed| (seed.entity, f64::from(seed.weight))).collect();
    let walked = workspace.network(|network| network.chunks_from(&walk, depth))?;
    let mut ranking: HashMap<u32, f32> = HashMap::new();
    for hit in hits {
        for passage in &hit.fact.evidence {
            let score = ranking.entry(passage.chunk).or_default();
            *score = score.max(hit.score);
        }
    }
    let most = walked.first().map_or(1.0, |(_, share)| *share);
    for (chunk, share) in walked {
        let Ok(chunk) = u32::try_from(chunk) else { continue };
        if allowed.is_none_or(|allowed| allowed.contains(chunk)) {
            let score = ranking.entry(chunk).or_default();
            *score = score.max(WALKED * (share / most) as f32);
        }
    }
    let mut ranking: Ranking = ranking.into_iter().collect();
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranking.truncate(depth);
    Ok(ranking)
}

/// The facts of the seeds, each once with the greatest weight of its seeds; the best evidenced where there are too many.
fn facts_of(network: &Network, seeds: &[Seed], moment: &Moment) -> Vec<(Fact, f32)> {
    let mut found: HashMap<i64, (&FactRow, f32)> = HashMap::new();
    for seed in seeds {
        for fact in network.facts_of(seed.entity, moment) {
            let (_, weight) = found.entry(fact.number).or_insert((fact, 0.0));
            *weight = weight.max(seed.weight);
        }
    }
    let mut found: Vec<(&FactRow, f32)> = found.into_values().collect();
    found.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(b.evidence.cmp(&a.evidence)).then(a.id.cmp(&b.id)));
    let told = found.into_iter().take(FACTS);
    told.filter_map(|(fact, weight)| Some((Fact::of(network, fact, moment)?, weight))).collect()
}

/// What a question's first words ask for: English, German, Spanish, French.
fn kinds_asked(question: &str) -> &'static [Kind] {
    let mut words = question.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match (first.to_lowercase().as_str(), second.to_lowercase().as_str()) {
        ("who" | "whom" | "whose" | "wer" | "wen" | "wem" | "quién" | "qui", _) => &[Kind::Person, Kind::Organization],
        ("where" | "wo" | "woher" | "wohin" | "dónde" | "où", _) => &[Kind::Place],
        ("when" | "wann" | "cuándo" | "quand", _) => &[Kind::Date],
        ("how", "much" | "many") | ("wie", "viel" | "viele") | ("wieviel" | "cuánto" | "combien", _) => {
            &[Kind::Amount]
        }
        _ => &[],
    }
}

/// Which part of the words wanted is in the texts.
fn overlap(analyzer: &Analyzer, wanted: &[String], texts: &[&String]) -> f32 {
    let there: Vec<String> = texts.iter().flat_map(|text| analyzer.content_words(text)).map(|word| word.term).collect();
    let found = wanted.iter().filter(|word| there.contains(word)).count();
    found as f32 / wanted.len().max(1) as f32
}
