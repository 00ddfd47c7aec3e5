//! What a network answers, and that only its rows decide it.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::stamp::Stamp;

const EVER: Moment = Moment { as_of: None, as_known_at: None };

pub(super) fn entity(number: i64, name: &str, aliases: &[&str]) -> EntityRow {
    let aliases = aliases.iter().map(|alias| alias.to_string()).collect();
    let id = Uuid::from_u64_pair(0, number as u64);
    EntityRow { number, id, name: name.to_owned(), kind: Kind::Organization, aliases, mentions: 1 }
}

pub(super) fn fact(number: i64, subject: i64, predicate: &str, object: i64) -> FactRow {
    FactRow {
        number,
        id: Uuid::from_u64_pair(1, number as u64),
        subject,
        object,
        predicate: Arc::from(predicate),
        exclusive: Exclusive::No,
        valid_at: None,
        invalid_at: None,
        stated_at: None,
        recorded_at: Timestamp::new(number, 0).unwrap(),
        evidence: 1,
    }
}

pub(super) fn located(number: i64, subject: i64, object: i64, since: Date) -> FactRow {
    let exclusive = Exclusive::Object;
    FactRow { exclusive, valid_at: Some(since), ..fact(number, subject, "located in", object) }
}

pub(super) fn network(entities: Vec<EntityRow>, facts: Vec<FactRow>) -> Network {
    Network::new(Stamp::default(), Rows { entities, facts, incidences: Vec::new() })
}

/// Entities 1 to `count` and facts between pairs of them.
fn chain(count: i64, pairs: &[(i64, i64)]) -> Network {
    let entities = (1..=count).map(|number| entity(number, &format!("Entity {number}"), &[])).collect();
    let facts = (1..).zip(pairs).map(|(number, (from, to))| fact(number, *from, "knows", *to)).collect();
    network(entities, facts)
}

fn around(network: &Network, entity: i64, depth: u8, limit: usize) -> Neighbourhood {
    network.around(entity, &Around { depth, limit, moment: EVER, associations: false })
}

#[test]
fn names_are_found_exact_then_begun_then_in_part_then_with_slips() {
    let names = ["Acme", "Acme Rockets", "The Old Acme", "Acne Studios Ltd", "Globex"];
    let mut entities: Vec<_> = (1..).zip(names).map(|(number, name)| entity(number, name, &[])).collect();
    entities[4].aliases = vec!["ÁCME".into()];
    let network = network(entities, Vec::new());
    let (found, total) = network.search("acme", None, 10);
    assert_eq!(total, found.len());
    let expected = [
        (1, Likeness::Exact),
        (5, Likeness::Exact),
        (2, Likeness::Prefix),
        (3, Likeness::Words),
        (4, Likeness::Typos(1)),
    ];
    assert_eq!(found, expected);
    assert_eq!(network.search("rokcets", None, 10).0, [(2, Likeness::Typos(1))]);
    assert_eq!(network.search("old ac", None, 1).0, [(3, Likeness::Words)]);
    assert!(network.search("acme", Some(Kind::Person), 10).0.is_empty());
    assert!(network.search("?", None, 10).0.is_empty());
    assert_eq!(network.most_mentioned(None, 2), (vec![1, 2], 5));
}

#[test]
fn a_text_names_the_longest_names_in_it() {
    let names = ["New York", "New York Times", "Times", "The"];
    let network = network((1..).zip(names).map(|(number, name)| entity(number, name, &[])).collect(), Vec::new());
    let text = "Did the NEW YORK Times move to New York's times?";
    let spotted = network.named_in(text);
    let spotted: Vec<_> = spotted.iter().map(|found| (found.entity, &text[found.at.clone()])).collect();
    assert_eq!(spotted, [(2, "NEW YORK Times"), (1, "New York"), (3, "times")]);
}

#[test]
fn a_newer_fact_closes_the_older_and_both_are_kept() {
    let facts = vec![
        located(1, 1, 2, date(2001, 1, 1)),
        located(2, 1, 2, date(2003, 1, 1)),
        located(3, 1, 3, date(2005, 1, 1)),
        FactRow { valid_at: Some(date(2004, 1, 1)), ..fact(4, 1, "likes", 3) },
        located(5, 2, 3, date(2006, 1, 1)),
    ];
    let mut network = network((1..=3).map(|number| entity(number, "E", &[])).collect(), facts);
    let ends = |network: &Network, known| {
        let moment = Moment { as_of: None, as_known_at: known };
        [1, 2, 3, 4, 5].map(|number| network.fact(number).and_then(|fact| network.end_of(fact, &moment)))
    };
    let moved = Some(date(2005, 1, 1));
    assert_eq!(ends(&network, None), [moved, moved, None, None, None]);
    // An end that is named ends what began before it, and nothing that began after.
    let left = FactRow { invalid_at: Some(date(2002, 6, 1)), ..fact(6, 1, "located in", 2) };
    network.apply(Update { facts: vec![left], ..Update::default() });
    assert_eq!(ends(&network, None), [Some(date(2002, 6, 1)), moved, None, None, None]);
    network.apply(Update { gone_facts: vec![6], ..Update::default() });
    // Before it was recorded nobody knew.
    assert_eq!(ends(&network, Some(Timestamp::new(2, 0).unwrap())), [None; 5]);
    let seen = |day, known: i64| {
        let moment = Moment { as_of: Some(day), as_known_at: Some(Timestamp::new(known, 0).unwrap()) };
        network.facts_of(1, &moment).iter().map(|fact| fact.number).collect::<Vec<_>>()
    };
    assert_eq!(seen(date(2004, 6, 1), 9), [1, 2, 4]);
    assert_eq!(seen(date(2005, 1, 1), 9), [3, 4]);
    assert_eq!(seen(date(2005, 1, 1), 2), [1, 2]);
    let timeline = network.timeline(1, Some(date(2002, 1, 1)), Some(date(2005, 1, 1)), &EVER);
    assert_eq!(timeline.iter().map(|dated| dated.fact.number).collect::<Vec<_>>(), [1, 2, 4, 3]);
    network.apply(Update { gone_facts: vec![3], ..Update::default() });
    assert_eq!(ends(&network, None), [None; 5]);
}

#[test]
fn neighbours_come_nearest_and_best_evidenced_first() {
    let mut facts = vec![fact(1, 1, "a", 2), fact(2, 3, "a", 1), fact(3, 2, "a", 4), fact(4, 1, "a", 1)];
    facts[1].evidence = 3;
    let network = network((1..=5).map(|number| entity(number, "E", &[])).collect(), facts);
    let all = around(&network, 1, 4, 10);
    assert_eq!(all.entities, [(1, 0), (3, 1), (2, 1), (4, 2)]);
    assert_eq!(all.facts, [4, 2, 1, 3]);
    assert_eq!(around(&network, 1, 1, 10).entities, [(1, 0), (3, 1), (2, 1)]);
    assert_eq!(around(&network, 1, 4, 2).entities, [(1, 0), (3, 1)]);
    assert_eq!(around(&network, 9, 4, 2), Neighbourhood::default());
    assert_eq!(around(&network, 5, 2, 2).entities, [(5, 0)]);
    let overview = network.overview(2, &EVER);
    assert_eq!((overview.entities, overview.facts), (vec![(1, 0), (2, 0)], vec![4, 1]));
}

#[test]
fn of_paths_as_short_the_best_evidenced_is_taken() {
    let mut facts: Vec<_> =
        (1..).zip([(1, 2), (2, 4), (1, 3), (4, 3)]).map(|(number, (from, to))| fact(number, from, "a", to)).collect();
    facts[2].evidence = 2;
    let network = network((1..=5).map(|number| entity(number, "E", &[])).collect(), facts);
    assert_eq!(network.path(1, 4, &EVER), Some(vec![3, 4]));
    assert_eq!(network.path(1, 1, &EVER), Some(vec![]));
    assert_eq!(network.path(1, 5, &EVER), None);
}

#[test]
fn walks_reach_chunks_over_facts_and_those_of_the_seeds_first() {
    let mut network = chain(4, &[(1, 2), (3, 4)]);
    let incidence = |(chunk, entity)| Incidence { chunk, entity, count: 1 };
    let incidences: Vec<_> =
        [(10, 1), (20, 2), (30, 3), (31, 3), (40, 1), (40, 2)].into_iter().map(incidence).collect();
    network.apply(Update { incidences, ..Update::default() });
    let found: Vec<_> = network.chunks_from(&[(1, 1.0)], 10).into_iter().map(|(chunk, _)| chunk).collect();
    assert_eq!(found, [40, 10, 20]);
    assert!(network.chunks_from(&[(9, 1.0), (1, f64::NAN), (2, -1.0)], 10).is_empty());
    assert_eq!(
        network.associations(1, 5).iter().map(|other| (other.entity, other.shared)).collect::<Vec<_>>(),
        [(2, 1)]
    );
    let ranks = network.page_rank();
    assert!((ranks.iter().map(|(_, rank)| rank).sum::<f64>() - 1.0).abs() < 1e-6);
    assert_eq!(ranks.iter().map(|(entity, _)| *entity).collect::<Vec<_>>(), [2, 4, 1, 3]);
    network.apply(Update { gone_chunks: vec![10, 40], gone_entities: vec![2], ..Update::default() });
    assert!(network.chunks_from(&[(1, 1.0)], 10).is_empty());
}

#[test]
fn communities_are_those_who_have_facts_among_themselves() {
    let network = chain(7, &[(1, 2), (2, 3), (3, 1), (4, 5), (5, 6), (6, 4), (3, 4)]);
    let found = network.communities(10);
    let members = |place: usize| found[place].entities.iter().copied().collect::<HashSet<_>>();
    assert_eq!((found.len(), found[0].facts), (2, 3));
    assert_eq!((members(0), members(1)), (HashSet::from([1, 2, 3]), HashSet::from([4, 5, 6])));
    assert_eq!(found[0].words.last().map(String::as_str), Some("entity"));
}

/// An update of a few entities, facts and chunks, some of them again and again.
fn update() -> impl Strategy<Value = Update> {
    let names = prop::sample::select(vec!["Acme", "Acme Corp", "Globex", "東京都", ""]);
    let entities = (1..9i64, names, 0..3u32)
        .prop_map(|(number, name, mentions)| EntityRow { mentions, ..entity(number, name, &["X"]) });
    let facts = (1..12i64, 1..9i64, 1..9i64, 0..3usize, prop::option::of(1..9i8), 1..4u32);
    let facts = facts.prop_map(|(number, subject, object, exclusive, month, evidence)| FactRow {
        exclusive: [Exclusive::No, Exclusive::Object, Exclusive::Subject][exclusive],
        valid_at: month.map(|month| date(2001, month, 1)),
        evidence,
        ..fact(number, subject, "located in", object)
    });
    let incidences = (1..6i64, 1..9i64, 0..3u32).prop_map(|(chunk, entity, count)| Incidence { chunk, entity, count });
    let some = |most: i64| prop::collection::vec(1..most, 0..3);
    let rows = (
        prop::collection::vec(entities, 0..6),
        prop::collection::vec(facts, 0..9),
        prop::collection::vec(incidences, 0..9),
    );
    (rows, some(9), some(12), some(6)).prop_map(
        |((entities, facts, incidences), gone_entities, gone_facts, gone_chunks)| Update {
            stamp: Stamp::default(),
            entities,
            gone_entities,
            facts,
            gone_facts,
            gone_chunks,
            incidences,
        },
    )
}

/// All that a network says.
fn answers(network: &Network) -> impl PartialEq + std::fmt::Debug + use<> {
    let rows = network.rows();
    let ends: Vec<_> = rows.facts.iter().map(|fact| network.end_of(fact, &EVER)).collect();
    let of_each = (1..9).map(|number| {
        let asked = Around { depth: 3, limit: 4, moment: EVER, associations: true };
        let timeline =
            network.timeline(number, None, None, &EVER).iter().map(|dated| dated.fact.number).collect::<Vec<_>>();
        let walk = network.chunks_from(&[(number, 1.0), (1, 0.3)], 9);
        (network.around(number, &asked), network.path(number, 1, &EVER), timeline, walk, network.degree(number))
    });
    let names =
        ["acme", "acm", "corp", "globxe", "東京"].map(|name| (network.search(name, None, 9), network.named_in(name)));
    let whole = (network.page_rank(), network.communities(9), network.named_by(1), network.overview(4, &EVER));
    (ends, of_each.collect::<Vec<_>>(), names, whole, rows)
}

proptest! {
    #[test]
    fn only_the_rows_decide_not_how_they_came(updates in prop::collection::vec(update(), 1..6), seed in any::<u64>()) {
        let mut network = Network::default();
        for update in updates {
            network.apply(update.clone());
            let once = answers(&network);
            network.apply(update);
            prop_assert_eq!(&once, &answers(&network));
        }
        let mut rows = network.rows();
        let key = |number: i64| (number as u64).wrapping_mul(seed | 1).rotate_left(17);
        rows.entities.sort_by_key(|row| key(row.number));
        rows.facts.sort_by_key(|row| key(row.number));
        rows.incidences.sort_by_key(|row| key(row.chunk * 16 + row.entity));
        prop_assert_eq!(answers(&Network::new(Stamp::default(), rows)), answers(&network));
    }

    #[test]
    fn facts_end_where_the_next_of_their_group_begins(months in prop::collection::vec((1..13i8, 2..5i64), 1..12)) {
        let facts = (1..).zip(&months).map(|(number, (month, to))| located(number, 1, *to, date(2001, *month, 1)));
        let network = network((1..=4).map(|number| entity(number, "E", &[])).collect(), facts.collect());
        prop_assert_eq!(network.facts(), months.len());
        for (number, (month, to)) in (1..).zip(&months) {
            let later = months.iter().filter(|(other, elsewhere)| other > month && elsewhere != to);
            let expected = later.map(|(other, _)| date(2001, *other, 1)).min();
            let fact = network.fact(number).unwrap();
            prop_assert_eq!(network.end_of(fact, &EVER), expected);
        }
    }

    #[test]
    fn paths_are_as_short_as_breadth_first_search_finds(pairs in prop::collection::vec((1..15i64, 1..15i64), 1..25)) {
        let network = chain(14, &pairs);
        let known = petgraph::graph::UnGraph::<(), ()>::from_edges(pairs.iter().map(|(from, to)| (*from as u32, *to as u32)));
        let distances = petgraph::algo::dijkstra(&known, 1.into(), None, |_| 1usize);
        let around = around(&network, 1, 4, 20).entities;
        let near = distances.iter().filter(|(node, steps)| **steps <= 4 && node.index() > 0);
        prop_assert_eq!(near.count(), around.len());
        prop_assert!(around.iter().all(|(to, steps)| distances[&petgraph::graph::NodeIndex::new(*to as usize)] == usize::from(*steps)));
        for to in 2..15 {
            let path = network.path(1, to, &EVER);
            prop_assert_eq!(path.as_ref().map(Vec::len), distances.get(&petgraph::graph::NodeIndex::new(to as usize)).copied());
            let end = path.iter().flatten().fold(1, |here, number| network.fact(*number).unwrap().other(here));
            prop_assert!(path.is_none() || end == to);
        }
    }

    #[test]
    fn snapshots_give_back_what_was_written(updates in prop::collection::vec(update(), 1..4)) {
        let mut network = Network::default();
        updates.into_iter().for_each(|update| network.apply(update));
        network.apply(Update { stamp: Stamp { generation: 7, mark: -3 }, ..Update::default() });
        let directory = tempfile::tempdir().unwrap();
        snapshot::write(&network, directory.path()).unwrap();
        let read = snapshot::read(directory.path()).unwrap();
        prop_assert_eq!(snapshot::stamp(directory.path()).unwrap(), network.stamp());
        prop_assert_eq!(read.stamp(), network.stamp());
        prop_assert_eq!(answers(&read), answers(&network));
    }
}
