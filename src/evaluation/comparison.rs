//! What changed from one run of an evaluation set to the next. Pure.
//!
//! Only questions that both runs asked are compared, so that a set which grew or shrank looks neither better nor
//! worse for it.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{FUSED, metrics};
use crate::workspace::evaluation_runs::{Answered, Figures, Run};

/// Differences of nDCG below this are noise of the arithmetic.
const NOTHING: f64 = 1e-9;

/// What changed between two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Questions that both asked.
    pub question_count: usize,
    /// What the mean over these questions gained, by the leg's name.
    pub changes: BTreeMap<String, Figures>,
    /// Questions that the fused search answers better or worse than before, the most changed first.
    pub better: Vec<Moved>,
    pub worse: Vec<Moved>,
}

/// A question whose nDCG changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    pub question_id: Uuid,
    pub before: f64,
    pub after: f64,
}

/// Compares `after` with `before`; `None` where a run does not know its questions any more.
pub fn compare(after: &Run, before: &Run) -> Option<Comparison> {
    let known: HashMap<Uuid, &Answered> =
        before.questions.as_ref()?.iter().map(|answered| (answered.question_id, answered)).collect();
    let common: Vec<(&Answered, &Answered)> = after
        .questions
        .as_ref()?
        .iter()
        .filter_map(|answered| Some((answered, *known.get(&answered.question_id)?)))
        .collect();
    let changes = after.legs.keys().filter(|leg| before.legs.contains_key(*leg)).map(|leg| {
        let of_pair = |(after, before): &(&Answered, &Answered)| {
            Some(metrics::difference(*after.legs.get(leg)?, *before.legs.get(leg)?))
        };
        (leg.clone(), metrics::mean(common.iter().filter_map(of_pair)))
    });
    let moved = common.iter().filter_map(|(after, before)| {
        let (now, then) = (after.legs.get(FUSED)?.ndcg, before.legs.get(FUSED)?.ndcg);
        Some(Moved { question_id: after.question_id, before: then, after: now })
    });
    let (mut better, mut worse): (Vec<Moved>, Vec<Moved>) =
        moved.filter(|moved| moved.gain().abs() > NOTHING).partition(|moved| moved.gain() > 0.0);
    better.sort_by(|a, b| b.gain().total_cmp(&a.gain()));
    worse.sort_by(|a, b| a.gain().total_cmp(&b.gain()));
    Some(Comparison { question_count: common.len(), changes: changes.collect(), better, worse })
}

impl Moved {
    fn gain(&self) -> f64 {
        self.after - self.before
    }
}
