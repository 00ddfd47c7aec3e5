//! From when until when a fact is true, as its sentence says.

use jiff::civil::Date;

use super::clause::{Clause, Draft, End, Tense, What, is_verb};
use super::dates::{Moment, Precision};
use super::lexicon::lexicon;
use crate::graph::Kind;

/// Items after an object in which its dates may stand.
const NEAR: usize = 8;

pub(super) fn of(clause: &Clause, draft: &Draft) -> (Option<Date>, Option<Date>) {
    let lasts = matches!(draft.predicate.as_str(), "is a" | "nationality" | "country")
        || draft.predicate == "located in"
            && matches!(draft.subject, End::Entity(subject) if clause.kind_of(subject) == Some(Kind::Place));
    if lasts {
        return (None, None);
    }
    let object = |at: &usize| matches!((&draft.object, clause.entity(*at)), (End::Entity(object), Some((entity, _))) if *object == entity);
    if let Some(moment) = (draft.from..draft.to).find(object).and_then(|at| clause.moment(at)) {
        return (Some(moment.first), None);
    }
    let is_aside = matches!(draft.tense, Tense::Aside | Tense::PastAside);
    let until = end(clause, draft.to, is_aside);
    // Until the first day of what is named; a span from one to another includes the other.
    let (mut valid, mut invalid): (Option<Moment>, Option<Date>) = (None, None);
    for at in draft.from..until {
        let Some(moment) = clause.moment(at) else { continue };
        let before = clause.word(at.wrapping_sub(1));
        let is_range = at >= 2
            && valid.is_some()
            && clause.moment(at - 2).is_some()
            && ['–', '-', '—'].into_iter().any(|mark| clause.is_mark(at - 1, mark));
        match before {
            "until" | "till" => invalid = invalid.or(Some(moment.first)),
            "to" | "and" | "through" if valid.is_some() && clause.moment(at.wrapping_sub(2)).is_some() => {
                invalid = invalid.or(moment.after())
            }
            // Beside a name, other dates are those of what happened to it.
            "in" | "on" | "during" | "of" | "early" | "late" if is_aside => {}
            "in" | "on" | "since" | "from" | "between" | "during" | "of" | "early" | "late" => {
                valid = valid.or(Some(moment))
            }
            "before" | "after" | "by" => {}
            _ if is_range => invalid = invalid.or(moment.after()),
            _ if clause.is_mark(at.wrapping_sub(1), '(') || clause.is_mark(at.wrapping_sub(1), ',') => {
                valid = valid.or(Some(moment))
            }
            _ => {}
        }
    }
    let opening = clause.moment(1).filter(|_| draft.from < 24 && !is_aside);
    if matches!(clause.word(0), "until" | "till") {
        invalid = invalid.or(opening.map(|moment| moment.first));
    }
    let opening = opening.filter(|_| matches!(clause.word(0), "in" | "on" | "since" | "from"));
    let valid = valid
        .or(opening.filter(|_| invalid.is_none()))
        .filter(|moment| moment.precision != Precision::Decade)
        .map(|moment| moment.first);
    if draft.ends {
        return (None, invalid.or(valid));
    }
    (valid, invalid.filter(|invalid| valid.is_none_or(|valid| valid < *invalid)))
}

/// How far after an object the clause goes on with what belongs to it.
fn end(clause: &Clause, object: usize, is_aside: bool) -> usize {
    for at in object..object + NEAR {
        match clause.items.get(at).map(|item| item.what) {
            None | Some(What::Mark('.' | ';' | ':')) => return at,
            Some(What::Mark(',')) if is_aside => return at,
            Some(What::Word("since" | "until" | "till" | "from" | "in" | "on" | "between")) => {}
            Some(What::Word(word))
                if is_verb(word)
                    || !lexicon().is_stopword(word)
                    || matches!(word, "who" | "which" | "but" | "when" | "where") =>
            {
                return at;
            }
            Some(What::Word("and")) if clause.moment(at + 1).is_none() => return at,
            _ => {}
        }
    }
    object + NEAR
}
