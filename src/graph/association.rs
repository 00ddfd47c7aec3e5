//! Who appears together: entities that share chunks more than chance would have it. A weight, never a fact.

use super::network::Network;

/// An entity that appears with the one asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Association {
    pub entity: i64,
    /// Chunks that name both.
    pub shared: u32,
    /// 0 to 1: how much more often than by chance, little where little is known.
    pub weight: f64,
}

impl Network {
    /// The entities that appear with this one more than by chance, the strongest first, then by id.
    ///
    /// Normalised pointwise mutual information (Bouma, "Normalized (pointwise) mutual information in collocation
    /// extraction", 2009), with the discount of rare pairs of Pantel and Lin, "Discovering word senses from text", 2002.
    pub fn associations(&self, entity: i64, limit: usize) -> Vec<Association> {
        let Some(node) = self.nodes.get(&entity) else { return Vec::new() };
        let own = self.mentions.of_entity(node.index() as u32);
        let (mut shared, mut met) = (vec![0u32; self.bound()], Vec::new());
        for tie in own {
            for other in self.mentions.of_chunk(tie.place).iter().filter(|other| other.place != node.index() as u32) {
                if let Some(count) = shared.get_mut(other.place as usize) {
                    if *count == 0 {
                        met.push(other.place);
                    }
                    *count += 1;
                }
            }
        }
        let weighed = met.into_iter().filter_map(|place| {
            let row = &self.graph.node_weight(petgraph::stable_graph::NodeIndex::new(place as usize))?.row;
            let both = *shared.get(place as usize)?;
            let weight = weight(both, own.len(), self.mentions.of_entity(place).len(), self.mentions.chunks());
            (weight > 0.0).then_some((row.id, Association { entity: row.number, shared: both, weight }))
        });
        let mut weighed: Vec<_> = weighed.collect();
        weighed.sort_unstable_by(|(id, one), (other_id, other)| {
            other.weight.total_cmp(&one.weight).then(other.shared.cmp(&one.shared)).then(id.cmp(other_id))
        });
        weighed.truncate(limit);
        weighed.into_iter().map(|(_, association)| association).collect()
    }
}

/// The weight of two that share `both` of `all` chunks and have `one` and `other`.
fn weight(both: u32, one: usize, other: usize, all: usize) -> f64 {
    let [both, one, other, all] = [f64::from(both), one as f64, other as f64, all as f64];
    // Both in every chunk there is: chance would have it so.
    if both >= all {
        return 0.0;
    }
    let information = (both * all / (one * other)).ln() / (all / both).ln();
    let rarer = one.min(other);
    (information * (both / (both + 1.0)) * (rarer / (rarer + 1.0))).max(0.0)
}
