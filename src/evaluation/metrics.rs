//! How good a ranking is: from the places at which what was expected stands to figures between 0 and 1. Pure.
//!
//! nDCG is that of Järvelin and Kekäläinen (2002) with linear gains: a grade at place `r` counts `grade / log2(r + 1)`,
//! and the sum is divided by that of the best possible ranking. What stands at one place counts together: a passage
//! that holds two expected ones is no worse than two passages, and no better than perfect.

use crate::workspace::evaluation_runs::Figures;

/// Something that was expected, and where it was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// How much it matters beside the others; above 0.
    pub grade: f64,
    /// The first place from 1 at which it stands; `None` where it is not in the ranking.
    pub place: Option<usize>,
}

/// The figures of one ranking, of which the first `k` places count. All 0 where nothing was expected.
pub fn figures(judged: &[Judged], k: usize) -> Figures {
    let within = |judged: &Judged| judged.place.filter(|place| (1..=k).contains(place));
    // From a 0 of our own: the sum of nothing is -0.
    let reached =
        judged.iter().filter_map(|one| Some(one.grade * discount(within(one)?))).fold(0.0, |sum, gain| sum + gain);
    let mut grades: Vec<f64> = judged.iter().map(|one| one.grade).collect();
    grades.sort_by(|a, b| b.total_cmp(a));
    let best: f64 = grades.iter().take(k).enumerate().map(|(at, grade)| grade * discount(at + 1)).sum();
    let found = judged.iter().filter(|one| within(one).is_some()).count();
    let first = judged.iter().filter_map(within).min();
    Figures {
        ndcg: if best > 0.0 { (reached / best).clamp(0.0, 1.0) } else { 0.0 },
        recall: if judged.is_empty() { 0.0 } else { found as f64 / judged.len() as f64 },
        reciprocal_rank: first.map_or(0.0, |place| 1.0 / place as f64),
        success_at_1: if first == Some(1) { 1.0 } else { 0.0 },
    }
}

/// What a place is worth beside the first.
fn discount(place: usize) -> f64 {
    1.0 / (place as f64 + 1.0).log2()
}

/// The mean of each figure; 0 over nothing.
pub fn mean(figures: impl IntoIterator<Item = Figures>) -> Figures {
    let (mut sum, mut count) = (Figures::default(), 0.0);
    for one in figures {
        sum = zip(sum, one, |a, b| a + b);
        count += 1.0;
    }
    if count > 0.0 { zip(sum, sum, |a, _| a / count) } else { sum }
}

/// What each figure gained from `before` to `after`.
pub fn difference(after: Figures, before: Figures) -> Figures {
    zip(after, before, |a, b| a - b)
}

fn zip(a: Figures, b: Figures, with: impl Fn(f64, f64) -> f64) -> Figures {
    Figures {
        ndcg: with(a.ndcg, b.ndcg),
        recall: with(a.recall, b.recall),
        reciprocal_rank: with(a.reciprocal_rank, b.reciprocal_rank),
        success_at_1: with(a.success_at_1, b.success_at_1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judged(list: &[(f64, Option<usize>)]) -> Vec<Judged> {
        list.iter().map(|&(grade, place)| Judged { grade, place }).collect()
    }

    #[test]
    fn graded_judgments_give_what_was_worked_out_by_hand() {
        // Grades 2, 1 and 1; the ranking has a bad one, then the first, then the third:
        // DCG = 2/log2(3) + 1/log2(4) = 1.761860; the ideal 2 + 1/log2(3) + 1/log2(4) = 3.130930.
        let found = figures(&judged(&[(2.0, Some(2)), (1.0, None), (1.0, Some(3))]), 10);
        assert!((found.ndcg - 0.562_727_2).abs() < 1e-6, "{found:?}");
        assert!((found.recall - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((found.reciprocal_rank, found.success_at_1), (0.5, 0.0));
        let perfect = Figures { ndcg: 1.0, recall: 1.0, reciprocal_rank: 1.0, success_at_1: 1.0 };
        assert_eq!(figures(&judged(&[(1.0, Some(1))]), 10), perfect);
        assert_eq!(figures(&judged(&[(1.0, None)]), 10), Figures::default());
        assert!(figures(&judged(&[(1.0, None)]), 10).ndcg.is_sign_positive());
        assert_eq!(figures(&[], 10), Figures::default());
        let all = [found, perfect, Figures::default()];
        assert!((mean(all).ndcg - (0.562_727_2 + 1.0) / 3.0).abs() < 1e-6);
        assert_eq!(mean(all).reciprocal_rank, 0.5);
        assert_eq!(difference(perfect, found).reciprocal_rank, 0.5);
        assert_eq!(mean([]), Figures::default());
    }

    #[test]
    fn what_stands_beyond_k_does_not_count() {
        assert_eq!(figures(&judged(&[(1.0, Some(11))]), 10), Figures::default());
        // Of more expected ones than places the ideal is a full list.
        let many: Vec<_> = (1..=3).map(|place| (1.0, Some(place))).collect();
        assert_eq!(figures(&judged(&many), 2).ndcg, 1.0);
    }

    #[test]
    fn two_at_the_first_place_are_perfect_and_no_more() {
        assert_eq!(figures(&judged(&[(1.0, Some(1)), (1.0, Some(1))]), 10).ndcg, 1.0);
    }

    fn any_judged() -> impl Strategy<Value = Vec<Judged>> {
        let one = (1u32..5, prop::option::of(1usize..30));
        prop::collection::vec(one.prop_map(|(grade, place)| Judged { grade: f64::from(grade), place }), 1..8)
    }

    proptest! {
        #[test]
        fn figures_stay_between_0_and_1(judged in any_judged(), k in 1usize..20) {
            let found = figures(&judged, k);
            for figure in [found.ndcg, found.recall, found.reciprocal_rank, found.success_at_1] {
                prop_assert!((0.0..=1.0).contains(&figure), "{:?}", found);
            }
            prop_assert!(found.success_at_1 <= found.reciprocal_rank);
            prop_assert_eq!(found.ndcg > 0.0, found.recall > 0.0);
        }

        #[test]
        fn a_better_place_is_never_worse(judged in any_judged(), which in 0usize..8, k in 1usize..20) {
            let before = figures(&judged, k);
            let mut better = judged;
            let which = which % better.len();
            better[which].place = Some(better[which].place.map_or(30, |place| (place - 1).max(1)));
            let after = figures(&better, k);
            let pairs = [(before.ndcg, after.ndcg), (before.recall, after.recall),
                (before.reciprocal_rank, after.reciprocal_rank), (before.success_at_1, after.success_at_1)];
            for (before, after) in pairs {
                prop_assert!(after >= before - 1e-12, "{} then {}", before, after);
            }
        }

        #[test]
        fn the_best_ranking_is_perfect(grades in prop::collection::vec(1u32..5, 1..8)) {
            let mut grades = grades;
            grades.sort_by(|a, b| b.cmp(a));
            let ideal: Vec<Judged> = grades.iter().enumerate()
                .map(|(at, grade)| Judged { grade: f64::from(*grade), place: Some(at + 1) }).collect();
            let found = figures(&ideal, 10);
            prop_assert!((found.ndcg - 1.0).abs() < 1e-12 && found.recall == 1.0);
        }
    }
}
