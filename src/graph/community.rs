//! Who belongs together: entities with more facts among themselves than with others, and what describes them.

use std::cmp::Reverse;
use std::collections::HashMap;

use petgraph::stable_graph::NodeIndex;

use super::compact::Sparse;
use super::network::Network;
use super::statement::Kind;

/// Times at most that all are asked where they belong, and that communities are joined.
const PASSES: usize = 16;
const LEVELS: usize = 8;
/// Words that describe a community.
const WORDS: usize = 8;

/// Entities that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Community {
    /// Those with most facts within it first, then by id.
    pub entities: Vec<i64>,
    /// Facts among them.
    pub facts: usize,
    /// The words that are in their names more than in those of all, the most telling first.
    pub words: Vec<String>,
}

impl Network {
    /// The communities of two entities and more, the largest first, at most `limit` of them.
    ///
    /// Louvain's method (Blondel, Guillaume, Lambiotte and Lefebvre, "Fast unfolding of communities in large networks",
    /// 2008), in the order of the ids, so that the same facts give the same communities.
    pub fn communities(&self, limit: usize) -> Vec<Community> {
        let order = self.ordered();
        let facts = self.weights(&order);
        let both = facts.iter().flat_map(|(from, to, weight)| [(*from, *to, *weight), (*to, *from, *weight)]);
        let labels = louvain(Sparse::new(order.len(), both.collect()));
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); order.len()];
        for (node, label) in (0..).zip(&labels) {
            members.get_mut(*label as usize).into_iter().for_each(|members| members.push(node));
        }
        let (mut within, mut counts) = (vec![0u32; order.len()], vec![0; order.len()]);
        let label = |node: u32| labels.get(node as usize).copied();
        for (from, to, _) in facts.iter().filter(|(from, to, _)| label(*from) == label(*to)) {
            let ends = [Some(*from), (from != to).then_some(*to)];
            ends.into_iter()
                .flatten()
                .for_each(|end| within.get_mut(end as usize).into_iter().for_each(|sum| *sum += 1));
            label(*from).and_then(|label| counts.get_mut(label as usize)).into_iter().for_each(|count| *count += 1);
        }
        let mut found: Vec<_> = members.into_iter().zip(counts).filter(|(members, _)| members.len() > 1).collect();
        // Stable: of equals first whose first member has the smaller id.
        found.sort_by_key(|(members, _)| Reverse(members.len()));
        found.truncate(limit);
        let describe = |(mut members, facts): (Vec<u32>, usize)| {
            members.sort_by_key(|node| Reverse(within.get(*node as usize).copied()));
            let nodes = members.iter().filter_map(|place| order.get(*place as usize));
            self.described(nodes, facts)
        };
        found.into_iter().map(describe).collect()
    }

    /// The community of `nodes`, with the words that are more frequent in its names than in all: what is named often
    /// counts more, concepts most, and dates and amounts describe nothing.
    fn described<'a>(&self, nodes: impl Iterator<Item = &'a NodeIndex>, facts: usize) -> Community {
        let (mut entities, mut counts) = (Vec::new(), HashMap::<String, f64>::new());
        for entity in nodes.filter_map(|node| self.graph.node_weight(*node)) {
            entities.push(entity.row.number);
            let weight = match entity.row.kind {
                Kind::Date | Kind::Amount => continue,
                Kind::Concept => 2.0,
                Kind::Person => 0.5,
                _ => 1.0,
            } * (1.0 + f64::from(entity.row.mentions)).ln();
            let mut words = self.names.content_words(&entity.row.name);
            words.retain(|word| word.chars().any(char::is_alphabetic));
            words.sort_unstable();
            words.dedup();
            words.into_iter().for_each(|word| *counts.entry(word).or_default() += weight);
        }
        let all = self.entities() as f64;
        let telling = counts.into_iter().map(|(word, count)| {
            let rare = (1.0 + all / self.names.frequency(&word).max(1) as f64).ln();
            (count * rare, word)
        });
        let mut telling: Vec<_> = telling.collect();
        telling.sort_unstable_by(|(one, word), (other, another)| other.total_cmp(one).then_with(|| word.cmp(another)));
        telling.truncate(WORDS);
        Community { entities, facts, words: telling.into_iter().map(|(_, word)| word).collect() }
    }
}

/// For each row of a symmetric matrix the community that it belongs to.
fn louvain(mut graph: Sparse) -> Vec<u32> {
    let mut labels: Vec<u32> = (0..graph.rows() as u32).collect();
    for _ in 0..LEVELS {
        let (moved, count) = moves(&graph);
        labels.iter_mut().for_each(|label| *label = moved.get(*label as usize).copied().unwrap_or(*label));
        if count == graph.rows() {
            break;
        }
        let label = |row: usize| moved.get(row).copied().unwrap_or_default();
        let rows = (0..graph.rows()).flat_map(|row| graph.row(row).iter().map(move |entry| (row, entry)));
        let joined = rows.map(|(row, (column, weight))| (label(row), label(*column as usize), *weight)).collect();
        graph = Sparse::new(count, joined);
    }
    labels
}

/// Lets each row go to the community where modularity gains most, until none wants to; communities and their count.
fn moves(graph: &Sparse) -> (Vec<u32>, usize) {
    let rows = graph.rows();
    let degrees: Vec<f64> = (0..rows).map(|row| graph.row(row).iter().map(|(_, weight)| weight).sum()).collect();
    let all: f64 = degrees.iter().sum();
    let mut labels: Vec<usize> = (0..rows).collect();
    let (mut totals, mut shared, mut near) = (degrees.clone(), vec![0.0; rows], Vec::new());
    for _ in 0..PASSES {
        let mut moved = 0;
        for (row, degree) in degrees.iter().enumerate() {
            let Some(own) = labels.get(row).copied() else { continue };
            near.clear();
            near.push(own);
            for (column, weight) in graph.row(row).iter().filter(|(column, _)| *column as usize != row) {
                let label = labels.get(*column as usize).copied().unwrap_or_default();
                if let Some(shared) = shared.get_mut(label) {
                    if *shared == 0.0 && label != own {
                        near.push(label);
                    }
                    *shared += weight;
                }
            }
            let gain = |label: usize| {
                let total = totals.get(label).copied().unwrap_or_default() - if label == own { *degree } else { 0.0 };
                shared.get(label).copied().unwrap_or_default() - degree * total / all
            };
            // To stay is best among equals, then the smaller label.
            let best = near.iter().copied().max_by(|one, other| {
                gain(*one).total_cmp(&gain(*other)).then((*one == own).cmp(&(*other == own))).then(other.cmp(one))
            });
            near.iter().for_each(|label| shared.get_mut(*label).into_iter().for_each(|weight| *weight = 0.0));
            if let Some(best) = best.filter(|best| *best != own) {
                labels.get_mut(row).into_iter().for_each(|label| *label = best);
                totals.get_mut(own).into_iter().for_each(|total| *total -= degree);
                totals.get_mut(best).into_iter().for_each(|total| *total += degree);
                moved += 1;
            }
        }
        // The last few would only delay.
        if moved * 1000 <= rows {
            break;
        }
    }
    numbered(&labels)
}

/// Labels as numbers without gaps, in the order in which they appear.
fn numbered(labels: &[usize]) -> (Vec<u32>, usize) {
    let (mut numbers, mut count) = (vec![u32::MAX; labels.len()], 0);
    let number = |label: &usize| {
        let Some(number) = numbers.get_mut(*label) else { return 0 };
        if *number == u32::MAX {
            *number = count;
            count += 1;
        }
        *number
    };
    let labels = labels.iter().map(number).collect();
    (labels, count as usize)
}
