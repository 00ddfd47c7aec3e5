//! What is around an entity: those that facts tie it to, step by step, nearest and best-evidenced first.

use std::cmp::Reverse;

use petgraph::stable_graph::NodeIndex;

use super::association::Association;
use super::network::Network;
use super::rows::{FactRow, Moment};

/// Steps at most.
pub const DEEPEST: u8 = 4;
/// Facts at most that tie one entity to those before it; the best-evidenced.
const TIES: usize = 8;
/// Facts from which on an entity ties everybody to everybody, and is not walked through; one can be in the middle.
const HUB: u32 = 4096;

/// What of a neighbourhood is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// Steps, 1 to 4.
    pub depth: u8,
    /// Entities at most, the one in the middle among them.
    pub limit: usize,
    pub moment: Moment,
    /// Whether those count that share chunks with the one in the middle, too.
    pub associations: bool,
}

/// An entity with those around it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Neighbourhood {
    /// Entities with their distance: by distance, then by the evidence that ties them to those nearer, then by id.
    pub entities: Vec<(i64, u8)>,
    /// Facts between them, in the order of the farther end.
    pub facts: Vec<i64>,
    /// Associations of the one in the middle with others of these; never facts.
    pub associations: Vec<Association>,
}

/// Who has been reached: the place of each node in the order of reaching.
struct Reached {
    places: Vec<u32>,
    order: Vec<(NodeIndex, u8)>,
}

impl Reached {
    fn place(&self, node: NodeIndex) -> Option<u32> {
        self.places.get(node.index()).copied().filter(|place| *place != u32::MAX)
    }

    fn push(&mut self, node: NodeIndex, distance: u8) {
        if let Some(place) = self.places.get_mut(node.index()) {
            *place = self.order.len() as u32;
            self.order.push((node, distance));
        }
    }
}

impl Network {
    /// What is around the entity; nothing where it is not known.
    pub fn around(&self, entity: i64, asked: &Around) -> Neighbourhood {
        let Some(middle) = self.nodes.get(&entity).copied().filter(|_| asked.limit > 0) else {
            return Neighbourhood::default();
        };
        let mut reached = Reached { places: vec![u32::MAX; self.bound()], order: Vec::new() };
        reached.push(middle, 0);
        let (mut from, mut seen) = (0, Vec::new());
        let mut evidence = vec![0u32; self.bound()];
        for distance in 1..=asked.depth.clamp(1, DEEPEST) {
            let layer = reached.order.get(from..).unwrap_or_default().to_vec();
            from = reached.order.len();
            let room = asked.limit - from;
            let mut met = Vec::new();
            for (node, _) in layer.into_iter().filter(|(node, _)| distance == 1 || !self.is_hub(*node)) {
                for (other, fact) in self.facts_at(node).filter(|(_, fact)| self.shows(fact, &asked.moment)) {
                    if reached.place(other).is_none() {
                        // Who cannot be let in need not be weighed.
                        if room == 0 {
                            continue;
                        }
                        let Some(sum) = evidence.get_mut(other.index()) else { continue };
                        if *sum == 0 {
                            met.push(other);
                        }
                        *sum = sum.saturating_add(fact.evidence.max(1));
                    }
                    seen.push((node, other, fact));
                }
            }
            let met = met.into_iter().map(|node| (node, evidence.get(node.index()).copied().unwrap_or_default()));
            for node in self.best(met.collect(), room) {
                reached.push(node, distance);
            }
        }
        let facts = ties(&reached, seen);
        let associations = if asked.associations { self.associated(entity, &mut reached, asked) } else { Vec::new() };
        Neighbourhood { entities: self.numbered(&reached), facts, associations }
    }

    /// The entities with most facts, of equals by id, at distance 0, and the facts between them.
    pub fn overview(&self, limit: usize, moment: &Moment) -> Neighbourhood {
        let all = self.graph.node_indices();
        let all = all.map(|node| (node, self.graph.node_weight(node).map_or(0, |entity| entity.degree)));
        let mut reached = Reached { places: vec![u32::MAX; self.bound()], order: Vec::new() };
        self.best(all.collect(), limit).into_iter().for_each(|node| reached.push(node, 0));
        let nodes = reached.order.iter().map(|(node, _)| *node);
        let facts = nodes.flat_map(|node| self.facts_at(node).map(move |(other, fact)| (node, other, fact)));
        let between = facts.filter(|(_, other, fact)| reached.place(*other).is_some() && self.shows(fact, moment));
        let facts = ties(&reached, between.collect());
        Neighbourhood { entities: self.numbered(&reached), facts, associations: Vec::new() }
    }

    fn numbered(&self, reached: &Reached) -> Vec<(i64, u8)> {
        let number = |node: NodeIndex| self.graph.node_weight(node).map(|entity| entity.row.number);
        reached.order.iter().filter_map(|(node, distance)| Some((number(*node)?, *distance))).collect()
    }

    fn is_hub(&self, node: NodeIndex) -> bool {
        self.graph.node_weight(node).is_some_and(|entity| entity.degree >= HUB)
    }

    /// The `room` best-evidenced in order.
    fn best(&self, mut met: Vec<(NodeIndex, u32)>, room: usize) -> Vec<NodeIndex> {
        let id = |node: NodeIndex| self.graph.node_weight(node).map(|entity| entity.row.id);
        // By evidence alone first: ids are far away.
        if let Some(last) = room.checked_sub(1).filter(|last| *last < met.len()) {
            let least = met.select_nth_unstable_by_key(last, |(_, sum)| Reverse(*sum)).1.1;
            met.retain(|(_, sum)| *sum >= least);
        }
        let mut met: Vec<_> = met.into_iter().map(|(node, sum)| (Reverse(sum), id(node), node)).collect();
        met.sort_unstable();
        met.truncate(room);
        met.into_iter().map(|(.., node)| node).collect()
    }

    /// Associations with those who were reached, and, while there is room, with others.
    fn associated(&self, entity: i64, reached: &mut Reached, asked: &Around) -> Vec<Association> {
        let mut associations = self.associations(entity, asked.limit);
        associations.retain(|association| {
            let Some(node) = self.nodes.get(&association.entity) else { return false };
            if reached.place(*node).is_none() && reached.order.len() < asked.limit {
                reached.push(*node, 1);
            }
            reached.place(*node).is_some()
        });
        reached.order.sort_by_key(|(_, distance)| *distance);
        associations
    }
}

/// Of the facts that were seen, the best-evidenced of each that was reached to those before it.
fn ties(reached: &Reached, seen: Vec<(NodeIndex, NodeIndex, &FactRow)>) -> Vec<i64> {
    let between = seen.into_iter().filter_map(|(one, other, fact)| {
        let farther = reached.place(one)?.max(reached.place(other)?);
        Some((farther, Reverse(fact.evidence), fact.id, fact.number))
    });
    let mut between: Vec<_> = between.collect();
    between.sort_unstable();
    between.dedup();
    let mut kept = 0;
    let mut last = None;
    between.retain(|(farther, ..)| {
        kept = if last == Some(*farther) { kept + 1 } else { 1 };
        last = Some(*farther);
        kept <= TIES
    });
    between.into_iter().map(|(.., number)| number).collect()
}
