//! Who is meant by a name: entities by their names and aliases, as typed, begun, in part or with slips.
//!
//! Names are compared by their folded words, which [`crate::text`] cuts here as in every other text. A name is found by
//! a dictionary of all names, in order, so that names that begin alike stand together, and by one of their words.

use std::collections::BTreeMap;
use std::ops::Range;

use petgraph::stable_graph::NodeIndex;
use rapidfuzz::distance::osa;
use rustc_hash::FxHashMap;

use super::network::Network;
use super::rows::EntityRow;
use super::statement::Kind;
use crate::text::Analyzer;

/// Words of a name that a text is compared with; of longer names the first.
const LONGEST: usize = 16;

/// The names of all entities.
pub struct Names {
    analyzer: Analyzer,
    /// The words of a name, with a space between, and the nodes that have it, ascending.
    phrases: Dictionary,
    words: Dictionary,
}

type Dictionary = BTreeMap<Box<str>, Vec<u32>>;

/// How a name is like what was asked for; the best is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// The same words.
    Exact,
    /// It begins so.
    Prefix,
    /// It has all these words; the last may be the beginning of one.
    Words,
    /// It has words like these, with so many letters wrong altogether.
    Typos(u8),
}

/// An entity that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spotted {
    pub entity: i64,
    /// The bytes of the text that name it.
    pub at: Range<usize>,
}

impl Default for Names {
    fn default() -> Self {
        Names { analyzer: Analyzer::new(""), phrases: Dictionary::new(), words: Dictionary::new() }
    }
}

impl Names {
    pub fn insert(&mut self, node: NodeIndex, entity: &EntityRow) {
        let (phrases, words) = self.forms(entity);
        let node = node.index() as u32;
        phrases.into_iter().for_each(|phrase| add(&mut self.phrases, phrase, node));
        words.into_iter().for_each(|word| add(&mut self.words, word, node));
    }

    pub fn remove(&mut self, node: NodeIndex, entity: &EntityRow) {
        let (phrases, words) = self.forms(entity);
        let node = node.index() as u32;
        phrases.into_iter().for_each(|phrase| take(&mut self.phrases, &phrase, node));
        words.into_iter().for_each(|word| take(&mut self.words, &word, node));
    }

    /// What an entity is found by: its names, and their words.
    fn forms(&self, entity: &EntityRow) -> (Vec<String>, Vec<String>) {
        let (mut phrases, mut words) = (Vec::new(), Vec::new());
        for form in std::iter::once(&entity.name).chain(&entity.aliases) {
            let mut terms = self.terms(form);
            terms.truncate(LONGEST);
            if !terms.is_empty() {
                phrases.push(terms.join(" "));
                words.append(&mut terms);
            }
        }
        (phrases, words)
    }

    fn terms(&self, text: &str) -> Vec<String> {
        self.analyzer.words(text).into_iter().map(|word| word.term).collect()
    }

    /// Who is called `phrase`, and whether a longer name begins with these words.
    fn at(&self, phrase: &str) -> (Option<&[u32]>, bool) {
        let mut entries = beginning(&self.phrases, phrase).peekable();
        let whole = entries.next_if(|(text, _)| *text == phrase).map(|(_, nodes)| nodes);
        // A space sorts before all that a word is made of, so a longer name would stand next.
        (whole, entries.peek().is_some_and(|(text, _)| text.as_bytes().get(phrase.len()) == Some(&b' ')))
    }

    /// The words of names that are within some slips of `word`, with how many.
    fn near<'a>(&'a self, word: &str) -> impl Iterator<Item = (u8, &'a [u32])> {
        let letters = word.chars().count();
        let slips = if letters < 4 {
            0
        } else if letters < 8 {
            1
        } else {
            2
        };
        // Compared by bytes first, which need no look at the word.
        let widths = if word.is_ascii() { slips } else { slips * 4 };
        let pattern = osa::BatchComparator::new(word.chars());
        let arguments = osa::Args::default().score_cutoff(slips);
        let alike = self.words.iter().filter(move |(known, _)| known.len().abs_diff(word.len()) <= widths);
        alike.filter_map(move |(known, nodes)| {
            let wrong = pattern.distance_with_args(known.chars(), &arguments)?;
            Some((u8::try_from(wrong).ok()?, nodes.as_slice()))
        })
    }

    /// The most frequent words of names, for those who describe: how many nodes have this one.
    pub fn frequency(&self, word: &str) -> usize {
        self.words.get(word).map_or(0, Vec::len)
    }

    /// The words of a name that say something.
    pub fn content_words(&self, name: &str) -> Vec<String> {
        self.analyzer.content_words(name).into_iter().map(|word| word.term).collect()
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let lists = self.phrases.iter().chain(&self.words);
        // Nodes of the tree are about three quarters full.
        let each = size_of::<(Box<str>, Vec<u32>)>() * 4 / 3;
        lists.map(|(text, nodes)| text.len() + nodes.capacity() * 4 + each).sum()
    }
}

fn add(dictionary: &mut Dictionary, text: String, node: u32) {
    let nodes = dictionary.entry(text.into_boxed_str()).or_default();
    if nodes.last().is_none_or(|last| *last < node) {
        nodes.push(node);
    } else if let Err(at) = nodes.binary_search(&node) {
        nodes.insert(at, node);
    }
}

fn take(dictionary: &mut Dictionary, text: &str, node: u32) {
    let Some(nodes) = dictionary.get_mut(text) else { return };
    if let Ok(at) = nodes.binary_search(&node) {
        nodes.remove(at);
    }
    if nodes.is_empty() {
        dictionary.remove(text);
    }
}

/// The entries that begin with `start`, in order.
fn beginning<'a>(dictionary: &'a Dictionary, start: &str) -> impl Iterator<Item = (&'a str, &'a [u32])> {
    let from = (std::ops::Bound::Included(start), std::ops::Bound::Unbounded);
    let entries = dictionary.range::<str, _>(from).take_while(move |(text, _)| text.starts_with(start));
    entries.map(|(text, nodes)| (&**text, nodes.as_slice()))
}

impl Network {
    /// The entities called `name` or something like it, best first; of equals, who is named most.
    ///
    /// Slips are looked for only where there are fewer than `limit` without. At most `limit`, and how many were found.
    pub fn search(&self, name: &str, kind: Option<Kind>, limit: usize) -> (Vec<(i64, Likeness)>, usize) {
        let mut words = self.names.terms(name);
        words.truncate(LONGEST);
        if words.is_empty() {
            return (Vec::new(), 0);
        }
        let mut found: FxHashMap<u32, Likeness> = FxHashMap::default();
        let mut note = |node: u32, likeness: Likeness| {
            let is_of_kind = |kind| self.row(node).is_some_and(|row| row.kind == kind);
            if kind.is_none_or(is_of_kind) {
                let best = found.entry(node).or_insert(likeness);
                *best = likeness.min(*best);
            }
            found.len()
        };
        let phrase = words.join(" ");
        let mut count = 0;
        for (text, nodes) in beginning(&self.names.phrases, &phrase) {
            let likeness = if text == phrase { Likeness::Exact } else { Likeness::Prefix };
            nodes.iter().for_each(|node| count = note(*node, likeness));
        }
        for node in self.having(&words, |names, word, is_last| {
            let whole = names.words.get(word).into_iter().map(Vec::as_slice);
            let begun = beginning(&names.words, word).filter(|_| is_last).map(|(_, nodes)| nodes);
            merged(whole.chain(begun).map(|nodes| (0, nodes)))
        }) {
            count = note(node.0, Likeness::Words);
        }
        if count < limit {
            for (node, wrong) in self.having(&words, |names, word, _| merged(names.near(word))) {
                note(node, Likeness::Typos(wrong));
            }
        }
        self.ranked(found.into_iter().collect(), limit)
    }

    /// The entities that are named most: at most `limit`, and how many there are of their kind.
    pub fn most_mentioned(&self, kind: Option<Kind>, limit: usize) -> (Vec<i64>, usize) {
        let of_kind = self.graph.node_indices().map(|node| node.index() as u32);
        let of_kind =
            of_kind.filter(|node| kind.is_none_or(|kind| self.row(*node).is_some_and(|row| row.kind == kind)));
        let all = of_kind.map(|node| (node, Likeness::Exact)).collect();
        let (ranked, total) = self.ranked(all, limit);
        (ranked.into_iter().map(|(entity, _)| entity).collect(), total)
    }

    /// The entities that `text` names, in order: at each place the longest name there, of equals who is named most.
    ///
    /// Words that are everywhere name nobody by themselves. Linear in the text.
    pub fn named_in(&self, text: &str) -> Vec<Spotted> {
        let words = self.names.analyzer.words(text);
        let (mut spotted, mut next) = (Vec::new(), 0);
        while let Some(rest) = words.get(next..).filter(|rest| !rest.is_empty()) {
            let (mut phrase, mut longest) = (String::new(), None);
            for (count, word) in (1..=LONGEST).zip(rest) {
                phrase.push_str(&word.term);
                let (whole, goes_on) = self.names.at(&phrase);
                longest = whole.map(|nodes| (count, word.end, nodes)).or(longest);
                if !goes_on {
                    break;
                }
                phrase.push(' ');
            }
            let start = rest.first().map_or(0, |word| word.start);
            let telling = longest.filter(|(count, end, _)| {
                *count > 1 || !self.names.analyzer.is_stopword(text.get(start..*end).unwrap_or_default())
            });
            next += telling.map_or(1, |(count, ..)| count);
            if let Some((_, end, nodes)) = telling {
                let all = nodes.iter().map(|node| (*node, Likeness::Exact)).collect();
                let ranked = self.ranked(all, usize::MAX).0.into_iter();
                spotted.extend(ranked.map(|(entity, _)| Spotted { entity, at: start..end }));
            }
        }
        spotted
    }

    /// The nodes that `each` gives for every word, with the sum of what it says of them.
    fn having<'a>(
        &'a self,
        words: &'a [String],
        each: impl Fn(&'a Names, &'a str, bool) -> FxHashMap<u32, u8>,
    ) -> FxHashMap<u32, u8> {
        let mut words = words.iter().rev().enumerate().map(|(place, word)| each(&self.names, word, place == 0));
        let mut all = words.next().unwrap_or_default();
        for nodes in words.by_ref() {
            all.retain(|node, sum| nodes.get(node).map(|wrong| *sum = sum.saturating_add(*wrong)).is_some());
            if all.is_empty() {
                break;
            }
        }
        all
    }

    fn row(&self, node: u32) -> Option<&EntityRow> {
        self.graph.node_weight(NodeIndex::new(node as usize)).map(|entity| &entity.row)
    }

    fn ranked(&self, found: Vec<(u32, Likeness)>, limit: usize) -> (Vec<(i64, Likeness)>, usize) {
        let keyed = found.into_iter().filter_map(|(node, likeness)| {
            let entity = self.graph.node_weight(NodeIndex::new(node as usize))?;
            let better = std::cmp::Reverse((entity.row.mentions, entity.degree));
            Some(((likeness, better, entity.row.id), entity.row.number))
        });
        let mut keyed: Vec<_> = keyed.collect();
        let total = keyed.len();
        if keyed.len() > limit && limit > 0 {
            keyed.select_nth_unstable(limit - 1);
        }
        keyed.truncate(limit);
        keyed.sort_unstable();
        (keyed.into_iter().map(|((likeness, ..), number)| (number, likeness)).collect(), total)
    }
}

/// Each node once, with the least that was said of it.
fn merged<'a>(lists: impl Iterator<Item = (u8, &'a [u32])>) -> FxHashMap<u32, u8> {
    let mut all = FxHashMap::default();
    for (wrong, nodes) in lists {
        for node in nodes {
            all.entry(*node).and_modify(|least: &mut u8| *least = wrong.min(*least)).or_insert(wrong);
        }
    }
    all
}
