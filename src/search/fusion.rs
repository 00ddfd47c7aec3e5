//! Why a hit ranks where it does: similarities of the legs, normalised per query and weighed.
//!
//! Pure. Ties go to the chunk that is older, so that equal questions get equal answers.

use std::collections::HashMap;

/// Weight of the text leg where the caller gives none; `benches/README.md` has the measurements behind it, as behind all
/// that follows.
const TEXT_WEIGHT: f32 = 0.5;
/// The same for a question in a writing that the embedding model does not read: its vector says little.
const TEXT_WEIGHT_UNREAD: f32 = 0.8;
/// How far the graph lifts a chunk that is about what the question names.
const GRAPH_WEIGHT: f32 = 0.6;
/// Tokens for a letter within which a model reads words. Above, it spells them out; below, it has no token for them.
const READ: std::ops::RangeInclusive<f32> = 0.1..=0.85;

/// The weight of the text leg for a question of so many `letters` (and digits), which the embedding model takes as so many
/// `tokens`.
pub fn text_weight(tokens: usize, letters: usize) -> f32 {
    let is_read = letters == 0 || READ.contains(&(tokens as f32 / letters as f32));
    if is_read { TEXT_WEIGHT } else { TEXT_WEIGHT_UNREAD }
}

/// A chunk with what it was ranked by, each `0..=1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fused {
    pub chunk: u32,
    pub score: f32,
    pub vector: f32,
    pub text: f32,
}

/// The ranking of one leg alone, which is both legs' similarity at once.
pub fn single(ranking: &[(u32, f32)]) -> Vec<Fused> {
    let one = |&(chunk, similarity): &(u32, f32)| {
        let score = similarity.clamp(0.0, 1.0);
        Fused { chunk, score, vector: score, text: score }
    };
    sorted(ranking.iter().map(one).collect())
}

/// `(1 - text_weight) · vector + text_weight · text`, each leg's similarities divided by its best for this query. A
/// chunk that a leg does not know has none there.
pub fn weighted_sum(vector: &[(u32, f32)], text: &[(u32, f32)], text_weight: f32) -> Vec<Fused> {
    let text_weight = text_weight.clamp(0.0, 1.0);
    let best = |leg: &[(u32, f32)]| leg.iter().map(|(_, s)| *s).fold(0.0f32, f32::max);
    let (best_vector, best_text) = (best(vector), best(text));
    let relative = |similarity: f32, best: f32| if best > 0.0 { (similarity / best).clamp(0.0, 1.0) } else { 0.0 };
    let mut fused: HashMap<u32, Fused> = HashMap::with_capacity(vector.len() + text.len());
    let fresh = |chunk| Fused { chunk, score: 0.0, vector: 0.0, text: 0.0 };
    for &(chunk, similarity) in vector {
        fused.entry(chunk).or_insert_with(|| fresh(chunk)).vector = similarity.clamp(0.0, 1.0);
    }
    for &(chunk, similarity) in text {
        fused.entry(chunk).or_insert_with(|| fresh(chunk)).text = similarity.clamp(0.0, 1.0);
    }
    let mut ranking: Vec<Fused> = fused.into_values().collect();
    for hit in &mut ranking {
        hit.score =
            (1.0 - text_weight) * relative(hit.vector, best_vector) + text_weight * relative(hit.text, best_text);
    }
    sorted(ranking)
}

/// The same with each `lift` (a chunk and its weight `0..=1`) taking its chunk a part of the way from its score to 1. So
/// it counts most where the legs say least, and a chunk that both legs are sure of is not overtaken.
pub fn lifted(mut ranking: Vec<Fused>, lifts: &[(u32, f32)]) -> Vec<Fused> {
    let weights: HashMap<u32, f32> = lifts.iter().copied().collect();
    for hit in &mut ranking {
        if let Some(weight) = weights.get(&hit.chunk) {
            hit.score += GRAPH_WEIGHT * weight.clamp(0.0, 1.0) * (1.0 - hit.score);
        }
    }
    sorted(ranking)
}

fn sorted(mut ranking: Vec<Fused>) -> Vec<Fused> {
    ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
    ranking
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agreement_beats_one_good_leg() {
        let ranking = weighted_sum(&[(1, 0.9), (2, 0.8)], &[(2, 0.5), (3, 0.4)], 0.5);
        assert_eq!(ranking[0].chunk, 2);
    }

    #[test]
    fn the_weight_turns_a_leg_off() {
        let (vector, text) = ([(1, 0.9), (2, 0.1)], [(2, 0.9), (1, 0.1)]);
        assert_eq!(weighted_sum(&vector, &text, 0.0)[0].chunk, 1);
        assert_eq!(weighted_sum(&vector, &text, 1.0)[0].chunk, 2);
    }

    #[test]
    fn a_question_that_the_model_spells_out_leaves_more_to_the_words() {
        // As the default model takes an English, a German, a Chinese and a Thai question.
        assert_eq!([text_weight(9, 36), text_weight(12, 30)], [TEXT_WEIGHT; 2]);
        assert_eq!([text_weight(13, 12), text_weight(1, 20)], [TEXT_WEIGHT_UNREAD; 2]);
        assert_eq!(text_weight(3, 0), TEXT_WEIGHT);
    }

    proptest! {
        #[test]
        fn scores_stay_in_bounds_and_descend(
            vector in prop::collection::vec((0u32..50, -1.0f32..1.0), 0..40),
            text in prop::collection::vec((0u32..50, 0.0f32..1.0), 0..40),
            weight in 0.0f32..1.0,
        ) {
            let ranking = weighted_sum(&vector, &text, weight);
            prop_assert!(ranking.iter().all(|hit| (0.0..=1.0).contains(&hit.score)));
            prop_assert!(ranking.windows(2).all(|w| w[0].score >= w[1].score));
            let mut chunks: Vec<u32> = ranking.iter().map(|hit| hit.chunk).collect();
            chunks.sort_unstable();
            chunks.dedup();
            prop_assert_eq!(chunks.len(), ranking.len());
        }
    }
}
