//! Maximal marginal relevance (Carbonell and Goldstein 1998): hits that say something new before those that say it again.
//!
//! Pure. What is alike is told by the chunks' vectors and not by shared words: texts that share most words are folded
//! before, and those left speak of one thing in different words.

/// The places of hits in the order in which each, given those before it, has most of
/// `(1 - diversify) · relevance - diversify · likeness`, where likeness is to the nearest of those before.
///
/// `relevance` is `0..=1`, `vectors` has a hit's vector of unit length at its place, or an empty one, which is like none. Ties go
/// to the one that came first.
pub fn diversified(relevance: &[f32], vectors: &[Vec<f32>], diversify: f32) -> Vec<usize> {
    let diversify = diversify.clamp(0.0, 1.0);
    let mut left: Vec<Open> = relevance
        .iter()
        .enumerate()
        .map(|(place, relevance)| Open { place, relevance: *relevance, likeness: 0.0 })
        .collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let worth = |open: &Open| (1.0 - diversify) * open.relevance - diversify * open.likeness;
        let mut best = 0;
        let mut most = f32::NEG_INFINITY;
        for (at, open) in left.iter().enumerate() {
            if worth(open) > most {
                (best, most) = (at, worth(open));
            }
        }
        let taken = left.remove(best).place;
        order.push(taken);
        let Some(vector) = vectors.get(taken) else { continue };
        for open in &mut left {
            let likeness = vectors.get(open.place).map_or(0.0, |other| cosine(vector, other));
            open.likeness = open.likeness.max(likeness);
        }
    }
    order
}

/// A hit without its place in the order yet.
struct Open {
    place: usize,
    relevance: f32,
    /// To the nearest of those that have theirs.
    likeness: f32,
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let product: f32 = one.iter().zip(other).map(|(x, y)| x * y).sum();
    // A vector that is no number is like none.
    if product.is_nan() { 0.0 } else { product.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_second_best_of_another_kind_comes_before_the_best_of_the_same() {
        let vectors = [vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]];
        assert_eq!(diversified(&[1.0, 0.9, 0.6], &vectors, 0.0), [0, 1, 2]);
        assert_eq!(diversified(&[1.0, 0.9, 0.6], &vectors, 0.5), [0, 2, 1]);
        assert_eq!(diversified(&[1.0, 0.9, 0.6], &vectors, 1.0), [0, 2, 1]);
    }

    #[test]
    fn what_has_no_vector_is_like_none() {
        assert_eq!(diversified(&[1.0, 0.9, 0.8], &[vec![1.0], Vec::new(), vec![f32::NAN]], 0.9), [0, 1, 2]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_the_best_leads_and_without_diversity_the_order_stays(
            hits in prop::collection::vec((0.0f32..=1.0, prop::collection::vec(-1.0f32..1.0, 3)), 0..30),
            diversify in 0.0f32..=1.0,
        ) {
            let mut relevance: Vec<f32> = hits.iter().map(|(relevance, _)| *relevance).collect();
            relevance.sort_by(|a, b| b.total_cmp(a));
            let vectors: Vec<Vec<f32>> = hits.into_iter().map(|(_, vector)| vector).collect();
            let order = diversified(&relevance, &vectors, diversify);
            prop_assert!(order.first().is_none_or(|first| *first == 0));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..relevance.len()).collect::<Vec<_>>());
            prop_assert_eq!(diversified(&relevance, &vectors, 0.0), (0..relevance.len()).collect::<Vec<_>>());
        }
    }
}
