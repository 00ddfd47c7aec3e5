//! The network itself: entities as nodes, facts as edges, and what is derived from them as they change.
//!
//! It holds what its rows say and nothing of how it came to that: the same rows in any order, through any updates, make
//! a network that answers the same. Numbers are rows of SQL; whatever is unknown is nowhere, and no error.

use std::collections::HashSet;
use std::sync::Arc;

use petgraph::Direction;
use petgraph::stable_graph::{EdgeIndex, NodeIndex, StableDiGraph};
use petgraph::visit::{EdgeRef, NodeIndexable};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::closing::Endings;
use super::mentions::Mentions;
use super::names::Names;
use super::rows::{EntityRow, FactRow, Incidence, Moment, Rows, Update};
use super::statement::Exclusive;
use crate::stamp::Stamp;

/// The knowledge of one workspace in memory.
#[derive(Default)]
pub struct Network {
    pub(super) graph: StableDiGraph<Entity, FactRow>,
    pub(super) nodes: FxHashMap<i64, NodeIndex>,
    edges: FxHashMap<i64, EdgeIndex>,
    ids: FxHashMap<Uuid, i64>,
    predicates: HashSet<Arc<str>>,
    endings: Endings,
    pub(super) mentions: Mentions,
    pub(super) names: Names,
    stamp: Stamp,
}

/// An entity with what is counted of it.
pub(super) struct Entity {
    pub row: EntityRow,
    /// Facts that it takes part in.
    pub degree: u32,
}

impl Network {
    /// The network of these rows.
    pub fn new(stamp: Stamp, rows: Rows) -> Self {
        let mut network = Network::default();
        let Rows { entities, facts, incidences } = rows;
        network.graph.reserve_nodes(entities.len());
        network.graph.reserve_edges(facts.len());
        network.nodes.reserve(entities.len());
        network.ids.reserve(entities.len());
        network.edges.reserve(facts.len());
        network.apply(Update { stamp, entities, facts, incidences, ..Update::default() });
        network
    }

    /// Follows a commit. Applied again it changes nothing.
    pub fn apply(&mut self, update: Update) {
        // What is gone goes first: its number may be another's by now.
        update.gone_facts.iter().for_each(|number| self.remove_fact(*number));
        update.gone_chunks.iter().for_each(|number| self.mentions.remove_chunk(*number));
        update.gone_entities.iter().for_each(|number| self.remove_entity(*number));
        update.entities.into_iter().for_each(|row| self.put_entity(row));
        update.facts.into_iter().for_each(|row| self.put_fact(row));
        for Incidence { chunk, entity, count } in update.incidences {
            if let Some(node) = self.nodes.get(&entity) {
                self.mentions.set(chunk, node.index() as u32, count);
            }
        }
        self.stamp = update.stamp;
    }

    fn put_entity(&mut self, row: EntityRow) {
        if let Some(node) = self.nodes.get(&row.number).copied() {
            let Some(entity) = self.graph.node_weight_mut(node) else { return };
            if entity.row.id != row.id {
                // Unless another has that id by now.
                if self.ids.get(&entity.row.id) == Some(&row.number) {
                    self.ids.remove(&entity.row.id);
                }
                self.ids.insert(row.id, row.number);
            }
            if entity.row.name != row.name || entity.row.aliases != row.aliases {
                self.names.remove(node, &entity.row);
                self.names.insert(node, &row);
            }
            entity.row = row;
            return;
        }
        let (number, id) = (row.number, row.id);
        let node = self.graph.add_node(Entity { row, degree: 0 });
        if let Some(entity) = self.graph.node_weight(node) {
            self.names.insert(node, &entity.row);
        }
        self.nodes.insert(number, node);
        self.ids.insert(id, number);
    }

    fn put_fact(&mut self, mut row: FactRow) {
        let (Some(subject), Some(object)) = (self.nodes.get(&row.subject), self.nodes.get(&row.object)) else {
            return;
        };
        let (subject, object) = (*subject, *object);
        row.predicate = self.shared(row.predicate);
        if let Some(edge) = self.edges.get(&row.number).copied()
            && let Some(known) = self.graph.edge_weight_mut(edge)
            && (known.subject, known.object) == (row.subject, row.object)
        {
            self.endings.remove(known);
            self.endings.insert(&row);
            *known = row;
            return;
        }
        self.remove_fact(row.number);
        self.endings.insert(&row);
        self.edges.insert(row.number, self.graph.add_edge(subject, object, row));
        self.count_fact(subject, object, 1);
    }

    fn count_fact(&mut self, subject: NodeIndex, object: NodeIndex, by: i32) {
        let ends = [Some(subject), (object != subject).then_some(object)];
        for end in ends.into_iter().flatten() {
            if let Some(entity) = self.graph.node_weight_mut(end) {
                entity.degree = entity.degree.saturating_add_signed(by);
            }
        }
    }

    fn shared(&mut self, predicate: Arc<str>) -> Arc<str> {
        if let Some(known) = self.predicates.get(&predicate) {
            return known.clone();
        }
        self.predicates.insert(predicate.clone());
        predicate
    }

    fn remove_fact(&mut self, number: i64) {
        let Some(edge) = self.edges.remove(&number) else { return };
        let Some((subject, object)) = self.graph.edge_endpoints(edge) else { return };
        if let Some(row) = self.graph.remove_edge(edge) {
            self.endings.remove(&row);
            self.count_fact(subject, object, -1);
        }
    }

    fn remove_entity(&mut self, number: i64) {
        let Some(node) = self.nodes.remove(&number) else { return };
        let facts: Vec<i64> = self.facts_at(node).map(|(_, fact)| fact.number).collect();
        facts.into_iter().for_each(|fact| self.remove_fact(fact));
        self.mentions.remove_entity(node.index() as u32);
        if let Some(entity) = self.graph.remove_node(node) {
            self.names.remove(node, &entity.row);
            if self.ids.get(&entity.row.id) == Some(&number) {
                self.ids.remove(&entity.row.id);
            }
        }
    }

    /// Which commit it reflects.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// How many entities there are.
    pub fn entities(&self) -> usize {
        self.graph.node_count()
    }

    /// How many facts there are.
    pub fn facts(&self) -> usize {
        self.graph.edge_count()
    }

    /// The entity of that row.
    pub fn entity(&self, number: i64) -> Option<&EntityRow> {
        self.graph.node_weight(*self.nodes.get(&number)?).map(|entity| &entity.row)
    }

    /// The number of the entity with that id.
    pub fn number_of(&self, id: Uuid) -> Option<i64> {
        self.ids.get(&id).copied()
    }

    /// How many facts the entity takes part in.
    pub fn degree(&self, number: i64) -> u32 {
        let node = self.nodes.get(&number).and_then(|node| self.graph.node_weight(*node));
        node.map_or(0, |entity| entity.degree)
    }

    /// The fact of that row.
    pub fn fact(&self, number: i64) -> Option<&FactRow> {
        self.graph.edge_weight(*self.edges.get(&number)?)
    }

    /// The first day on which the fact is no longer true: its own end, or the beginning of what took its place.
    pub fn end_of(&self, fact: &FactRow, moment: &Moment) -> Option<jiff::civil::Date> {
        self.endings.end(fact, moment.as_known_at)
    }

    /// Whether one who looks at that moment sees the fact. Of what one alone can be true of, what was said later was not so
    /// before; of all else it may have been.
    pub fn shows(&self, fact: &FactRow, moment: &Moment) -> bool {
        // Looked up only where it is asked for: a walk passes many facts.
        let start = || if fact.exclusive == Exclusive::No { fact.valid_at } else { fact.start() };
        moment.as_known_at.is_none_or(|known| fact.recorded_at <= known)
            && moment.as_of.is_none_or(|day| {
                start().is_none_or(|start| start <= day) && self.end_of(fact, moment).is_none_or(|end| day < end)
            })
    }

    /// The facts that the entity takes part in, by id, as seen at that moment.
    pub fn facts_of(&self, number: i64, moment: &Moment) -> Vec<&FactRow> {
        let Some(node) = self.nodes.get(&number) else { return Vec::new() };
        let shown = self.facts_at(*node).map(|(_, fact)| fact).filter(|fact| self.shows(fact, moment));
        let mut facts: Vec<&FactRow> = shown.collect();
        facts.sort_unstable_by_key(|fact| fact.id);
        facts
    }

    /// The entities that the chunk names, with how often, by number.
    pub fn named_by(&self, chunk: i64) -> Vec<(i64, u32)> {
        let place = self.mentions.place_of(chunk);
        let ties = place.map_or(&[] as &[_], |place| self.mentions.of_chunk(place));
        let entity = |node: u32| self.graph.node_weight(NodeIndex::new(node as usize)).map(|entity| entity.row.number);
        let mut named: Vec<_> = ties.iter().filter_map(|tie| Some((entity(tie.place)?, tie.count))).collect();
        named.sort_unstable();
        named
    }

    /// The facts of a node, each once, with the node at their other end, in no order.
    pub(super) fn facts_at(&self, node: NodeIndex) -> impl Iterator<Item = (NodeIndex, &FactRow)> {
        let out = self.graph.edges_directed(node, Direction::Outgoing).map(|edge| (edge.target(), edge.weight()));
        let back = self.graph.edges_directed(node, Direction::Incoming).filter(|edge| edge.source() != edge.target());
        out.chain(back.map(|edge| (edge.source(), edge.weight())))
    }

    /// One more than the greatest index of a node.
    pub(super) fn bound(&self) -> usize {
        self.graph.node_bound()
    }

    /// The rows that make this network, by number.
    pub fn rows(&self) -> Rows {
        let mut entities: Vec<EntityRow> = self.graph.node_weights().map(|entity| entity.row.clone()).collect();
        entities.sort_unstable_by_key(|row| row.number);
        let mut facts: Vec<FactRow> = self.graph.edge_weights().cloned().collect();
        facts.sort_unstable_by_key(|row| row.number);
        let mut incidences = Vec::new();
        for (entity, node) in &self.nodes {
            incidences.extend(self.mentions.of_entity(node.index() as u32).iter().filter_map(|tie| {
                Some(Incidence { chunk: self.mentions.number_of(tie.place)?, entity: *entity, count: tie.count })
            }));
        }
        incidences.sort_unstable();
        Rows { entities, facts, incidences }
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let (nodes, edges) = self.graph.capacity();
        let texts: usize = self
            .graph
            .node_weights()
            .map(|entity| {
                let aliases = entity.row.aliases.iter().map(|alias| alias.capacity() + size_of::<String>());
                entity.row.name.capacity() + aliases.sum::<usize>()
            })
            .sum();
        // A node has two links and an edge four, of four bytes each; a place in a map a byte beside it.
        nodes * (size_of::<Option<Entity>>() + 8)
            + edges * (size_of::<Option<FactRow>>() + 16)
            + texts
            + (self.nodes.capacity() + self.edges.capacity()) * 17
            + self.ids.capacity() * 25
            + self.endings.bytes()
            + self.mentions.bytes()
            + self.names.bytes()
    }
}
