//! The shortest way from one entity to another along facts, whichever way these point.

use std::cmp::Reverse;

use petgraph::stable_graph::NodeIndex;

use super::network::Network;
use super::rows::Moment;

/// Steps at most; what is farther apart has nothing to do with each other.
const LONGEST: u16 = 16;
const UNKNOWN: u16 = u16::MAX;

/// What was reached from one end.
struct Search {
    distances: Vec<u16>,
    /// Those that are farthest, `steps` away.
    layer: Vec<NodeIndex>,
    steps: u16,
}

impl Search {
    fn distance(&self, node: NodeIndex) -> u16 {
        self.distances.get(node.index()).copied().unwrap_or(UNKNOWN)
    }

    fn set(&mut self, node: NodeIndex, distance: u16) {
        self.distances.get_mut(node.index()).into_iter().for_each(|known| *known = distance);
    }
}

impl Network {
    /// The facts of the shortest path, in order from `from`; `None` where none leads there.
    ///
    /// Of several as short, step by step the best-evidenced fact, then the smaller id. Looks at each fact some times at
    /// most: searches from both ends, always from that with less before it, until both meet.
    pub fn path(&self, from: i64, to: i64, moment: &Moment) -> Option<Vec<i64>> {
        let (from, to) = (*self.nodes.get(&from)?, *self.nodes.get(&to)?);
        let left = self.distances(from, to, moment)?;
        let mut path = Vec::new();
        let mut here = from;
        for left_then in (0..left.distance(from)).rev() {
            let nearer = self.facts_at(here).filter(|(other, _)| left.distance(*other) == left_then);
            let shown = nearer.filter(|(_, fact)| self.shows(fact, moment));
            let (other, fact) = shown.min_by_key(|(_, fact)| (Reverse(fact.evidence), fact.id))?;
            path.push(fact.number);
            here = other;
        }
        Some(path)
    }

    /// How far those on the shortest paths, and some others, are from `to`.
    fn distances(&self, from: NodeIndex, to: NodeIndex, moment: &Moment) -> Option<Search> {
        let start = |node| {
            let mut search = Search { distances: vec![UNKNOWN; self.bound()], layer: vec![node], steps: 0 };
            search.set(node, 0);
            search
        };
        let (mut ahead, mut back) = (start(from), start(to));
        let mut met = if from == to { vec![from] } else { Vec::new() };
        while met.is_empty() {
            if ahead.layer.is_empty() || back.layer.is_empty() || ahead.steps + back.steps >= LONGEST {
                return None;
            }
            let is_ahead = self.facts_before(&ahead) <= self.facts_before(&back);
            let (near, far) = if is_ahead { (&mut ahead, &back) } else { (&mut back, &ahead) };
            near.steps += 1;
            for node in std::mem::take(&mut near.layer) {
                self.step(near, node, moment, |_| true);
            }
            met = near.layer.iter().copied().filter(|node| far.distance(*node) != UNKNOWN).collect();
        }
        // From where both met on to `from`, along what led there.
        back.layer = met;
        for distance in (0..ahead.steps).rev() {
            back.steps += 1;
            for node in std::mem::take(&mut back.layer) {
                self.step(&mut back, node, moment, |other| ahead.distance(other) == distance);
            }
        }
        Some(back)
    }

    /// Reaches those next to `node` who were not reached before.
    fn step(&self, search: &mut Search, node: NodeIndex, moment: &Moment, counts: impl Fn(NodeIndex) -> bool) {
        for (other, fact) in self.facts_at(node) {
            if search.distance(other) == UNKNOWN && counts(other) && self.shows(fact, moment) {
                search.set(other, search.steps);
                search.layer.push(other);
            }
        }
    }

    fn facts_before(&self, search: &Search) -> u64 {
        let degree = |node: &NodeIndex| self.graph.node_weight(*node).map_or(0, |entity| u64::from(entity.degree));
        search.layer.iter().map(degree).sum()
    }
}
