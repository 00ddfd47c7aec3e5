//! How much entities and chunks matter: to all, and to those with whom one begins.

use std::cmp::Reverse;

use petgraph::stable_graph::NodeIndex;

use super::compact::Sparse;
use super::mentions::Tie;
use super::network::Network;

/// The chance that a walk goes on, as in Page, Brin, Motwani and Winograd, "The PageRank citation ranking", 1999.
const GOES_ON: f64 = 0.85;
/// Rounds at most, and the change of all ranks together below which the rest would not be seen.
const ROUNDS: usize = 50;
const STILL: f64 = 1e-6;

/// The chance that a walk from the seeds ends at each step: what is asked about is near.
const STOPS: f64 = 0.25;
/// All of a walk's mass, in units that are counted whole: sums of whole numbers are the same in any order.
const MASS: f64 = (1u64 << 50) as f64;
/// The mass for each tie below which a place keeps what it has.
const LEAST: u64 = 1 << 34;

impl Network {
    /// The rank of each entity among all, greatest first; they sum to 1.
    ///
    /// Power iteration on the sparse matrix; what stands on entities that are subject of nothing goes to all alike
    /// (Langville and Meyer, "Deeper inside PageRank", 2004).
    pub fn page_rank(&self) -> Vec<(i64, f64)> {
        let order = self.ordered();
        let count = order.len().max(1) as f64;
        let facts = Sparse::new(order.len(), self.weights(&order));
        let sums: Vec<f64> =
            (0..facts.rows()).map(|row| facts.row(row).iter().map(|(_, weight)| weight).sum()).collect();
        let mut ranks = vec![1.0 / count; order.len()];
        for _ in 0..ROUNDS {
            let lost: f64 = ranks.iter().zip(&sums).filter(|(_, sum)| **sum == 0.0).map(|(rank, _)| rank).sum();
            let mut next = vec![(1.0 - GOES_ON + GOES_ON * lost) / count; order.len()];
            for (row, (rank, sum)) in ranks.iter().zip(&sums).enumerate() {
                for (column, weight) in facts.row(row) {
                    if let Some(next) = next.get_mut(*column as usize) {
                        *next += GOES_ON * rank * weight / sum;
                    }
                }
            }
            let change: f64 = ranks.iter().zip(&next).map(|(before, after)| (before - after).abs()).sum();
            ranks = next;
            if change < STILL {
                break;
            }
        }
        let mut ranked: Vec<_> = order.iter().zip(ranks).collect();
        // Stable, so equals stay in the order of their ids.
        ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let number = |node: &NodeIndex| self.graph.node_weight(*node).map(|entity| entity.row.number);
        ranked.into_iter().filter_map(|(node, rank)| Some((number(node)?, rank))).collect()
    }

    /// The chunks that matter most to `seeds`, entities with weights, with their share of a walk that starts there and
    /// goes along facts and mentions; greatest first, of equals the smaller number.
    ///
    /// Personalised PageRank by pushing mass (Andersen, Chung and Lang, "Local graph partitioning using PageRank
    /// vectors", 2006): the work depends on how little mass is pushed on, not on the size of the network.
    pub fn chunks_from(&self, seeds: &[(i64, f64)], limit: usize) -> Vec<(i64, f64)> {
        let reached = self.walk(seeds);
        let reached = reached.into_iter().filter_map(|(place, mass)| {
            let chunk = place.checked_sub(self.bound())?;
            Some((Reverse(mass), self.mentions.number_of(chunk as u32)?))
        });
        let mut reached: Vec<_> = reached.collect();
        reached.sort_unstable();
        reached.truncate(limit);
        reached.into_iter().map(|(mass, chunk)| (chunk, mass.0 as f64 / MASS)).collect()
    }

    /// The mass that each place has in the end.
    fn walk(&self, seeds: &[(i64, f64)]) -> Vec<(usize, u64)> {
        let entities = self.bound();
        let mut walk = Walk {
            entities,
            kept: vec![0; entities + self.mentions.bound()],
            waiting: vec![0; entities + self.mentions.bound()],
            met: Vec::new(),
            next: Vec::new(),
        };
        let known = seeds.iter().filter(|(_, weight)| weight.is_finite() && *weight > 0.0);
        let known: Vec<_> =
            known.filter_map(|(entity, weight)| Some((self.nodes.get(entity)?.index(), *weight))).collect();
        let sum: f64 = known.iter().map(|(_, weight)| weight).sum();
        for (node, weight) in known {
            walk.give(node, (MASS * (weight / sum)) as u64, || 0);
        }
        for _ in 0..ROUNDS {
            // All of a round give at once, so their order does not matter.
            let round = std::mem::take(&mut walk.next);
            let round: Vec<_> = round.into_iter().map(|place| (place, walk.take(place))).collect();
            for (place, mass) in &round {
                self.push(*place, *mass, &mut walk);
            }
            if walk.next.is_empty() {
                break;
            }
        }
        walk.met.sort_unstable();
        walk.met.dedup();
        // What waits has come so far, too.
        let mass = |place: &usize| Some((*place, walk.kept.get(*place)? + walk.waiting.get(*place)?));
        walk.met.iter().filter_map(mass).filter(|(_, mass)| *mass > 0).collect()
    }

    /// Lets a place keep its part of `mass` and gives the rest to those that it is tied to.
    fn push(&self, place: usize, mass: u64, walk: &mut Walk) {
        let goes_on = (mass as f64 * (1.0 - STOPS)) as u64;
        walk.keep(place, mass - goes_on);
        let sum = |ties: &[Tie]| ties.iter().map(|tie| u64::from(tie.count)).sum::<u64>() as f64;
        if let Some(chunk) = place.checked_sub(walk.entities) {
            let ties = self.mentions.of_chunk(chunk as u32);
            let each = goes_on as f64 / sum(ties);
            for tie in ties {
                let node = tie.place as usize;
                walk.give(node, (each * f64::from(tie.count)) as u64, || self.ties(node));
            }
            return;
        }
        let node = NodeIndex::new(place);
        let facts: f64 = self.facts_at(node).map(|(_, fact)| f64::from(fact.evidence.max(1))).sum();
        let ties = self.mentions.of_entity(place as u32);
        // Half goes along facts and half to chunks, where there are both.
        let half = if facts > 0.0 && !ties.is_empty() { 0.5 } else { 1.0 };
        let each = goes_on as f64 * half / facts;
        for (other, fact) in self.facts_at(node) {
            let other = other.index();
            walk.give(other, (each * f64::from(fact.evidence.max(1))) as u64, || self.ties(other));
        }
        let each = goes_on as f64 * half / sum(ties);
        for tie in ties {
            let chunk = walk.entities + tie.place as usize;
            walk.give(chunk, (each * f64::from(tie.count)) as u64, || self.mentions.of_chunk(tie.place).len());
        }
    }

    /// How many facts and chunks a node is tied to.
    fn ties(&self, node: usize) -> usize {
        let facts = self.graph.node_weight(NodeIndex::new(node)).map_or(0, |entity| entity.degree as usize);
        facts + self.mentions.of_entity(node as u32).len()
    }
}

/// Where mass is: entities by their nodes, then chunks by their places.
struct Walk {
    entities: usize,
    kept: Vec<u64>,
    waiting: Vec<u64>,
    /// Places that were given anything, some twice.
    met: Vec<usize>,
    /// Places with enough to push on.
    next: Vec<usize>,
}

impl Walk {
    /// Gives `mass` to a place of so many ties, which are far away and only counted where that may matter.
    fn give(&mut self, place: usize, mass: u64, ties: impl FnOnce() -> usize) {
        let Some(waiting) = self.waiting.get_mut(place) else { return };
        let before = *waiting;
        *waiting += mass;
        let after = *waiting;
        if before == 0 {
            self.met.push(place);
        }
        if after < LEAST {
            return;
        }
        let enough = LEAST.saturating_mul(ties().max(1) as u64);
        if before < enough && after >= enough {
            self.next.push(place);
        }
    }

    fn take(&mut self, place: usize) -> u64 {
        self.waiting.get_mut(place).map(std::mem::take).unwrap_or_default()
    }

    fn keep(&mut self, place: usize, mass: u64) {
        if let Some(kept) = self.kept.get_mut(place) {
            *kept += mass;
        }
    }
}
