//! A network's weights as a sparse matrix, for what walks over all of it many times.

use petgraph::stable_graph::NodeIndex;
use petgraph::visit::{EdgeRef, IntoEdgeReferences};

use super::network::Network;

/// A square matrix by rows (compressed sparse rows); what is added to one place twice is summed.
pub struct Sparse {
    starts: Vec<usize>,
    entries: Vec<(u32, f64)>,
}

impl Sparse {
    pub fn new(rows: usize, mut triples: Vec<(u32, u32, f64)>) -> Self {
        triples.sort_unstable_by_key(|(row, column, _)| (*row, *column));
        let mut sparse = Sparse { starts: vec![0; rows + 1], entries: Vec::with_capacity(triples.len()) };
        let mut last = None;
        for (row, column, weight) in triples {
            match sparse.entries.last_mut() {
                Some((_, sum)) if last == Some((row, column)) => *sum += weight,
                _ => {
                    sparse.entries.push((column, weight));
                    if let Some(end) = sparse.starts.get_mut(row as usize + 1) {
                        *end += 1;
                    }
                }
            }
            last = Some((row, column));
        }
        let mut sum = 0;
        for start in &mut sparse.starts {
            sum += *start;
            *start = sum;
        }
        sparse
    }

    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The columns of a row that are not zero.
    pub fn row(&self, row: usize) -> &[(u32, f64)] {
        let bounds = self.starts.get(row).zip(self.starts.get(row + 1));
        bounds.and_then(|(start, end)| self.entries.get(*start..*end)).unwrap_or_default()
    }
}

impl Network {
    /// The nodes in an order that does not depend on how they came, by id.
    pub(super) fn ordered(&self) -> Vec<NodeIndex> {
        let mut nodes: Vec<_> =
            self.graph.node_indices().filter_map(|node| Some((self.graph.node_weight(node)?.row.id, node))).collect();
        nodes.sort_unstable();
        nodes.into_iter().map(|(_, node)| node).collect()
    }

    /// Subject, object and evidence of every fact, by places in `order`.
    pub(super) fn weights(&self, order: &[NodeIndex]) -> Vec<(u32, u32, f64)> {
        let mut places = vec![0; self.bound()];
        for (place, node) in (0..).zip(order) {
            if let Some(known) = places.get_mut(node.index()) {
                *known = place;
            }
        }
        let place = |node: NodeIndex| places.get(node.index()).copied().unwrap_or_default();
        let edges = self.graph.edge_references();
        edges
            .map(|edge| (place(edge.source()), place(edge.target()), f64::from(edge.weight().evidence.max(1))))
            .collect()
    }
}
