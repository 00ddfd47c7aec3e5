//! An evaluation set out of answers that readers found good: the question as it was understood should find what the
//! answer cited. Pure.
//!
//! What was judged bad is no expectation: it says what an answer should not have been, not what should be found.

use std::collections::HashMap;

use crate::workspace::evaluations::{Draft, Expectation, LARGEST, MOST_QUESTIONS};
use crate::workspace::feedback::Judged;

/// A set in the making: no larger than a workspace takes one.
#[derive(Default)]
pub struct Approved {
    drafts: Vec<Draft>,
    /// Where the question of these words stands.
    places: HashMap<String, usize>,
    bytes: usize,
}

impl Approved {
    /// Adds what an answer says should be found; the same question again adds to what it expects. Whether there is room
    /// for more.
    ///
    /// An answer that cites nothing, or nothing any more, adds nothing, and so does what `fits` refuses.
    pub fn add(&mut self, judged: &Judged, fits: impl Fn(&Draft) -> bool) -> bool {
        let Some(question) = judged.understood() else { return true };
        let cited = expected(judged);
        if cited.is_empty() {
            return true;
        }
        let words = question.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let place = self.places.get(&words).copied();
        let known = place.and_then(|place| self.drafts.get(place));
        let mut draft = known.cloned().unwrap_or_else(|| Draft { question: question.to_owned(), expected: Vec::new() });
        let before = known.map_or(0, size);
        for one in cited {
            if !draft.expected.contains(&one) {
                draft.expected.push(one);
            }
        }
        let bytes = self.bytes - before + size(&draft);
        if bytes > LARGEST || (place.is_none() && self.drafts.len() >= MOST_QUESTIONS) {
            return false;
        }
        if fits(&draft) {
            self.bytes = bytes;
            match place.and_then(|place| self.drafts.get_mut(place)) {
                Some(known) => *known = draft,
                None => {
                    self.places.insert(words, self.drafts.len());
                    self.drafts.push(draft);
                }
            }
        }
        true
    }

    /// The questions, that of the last judgment first.
    pub fn questions(self) -> Vec<Draft> {
        self.drafts
    }
}

/// The passages that the answer cites, each in its document.
fn expected(judged: &Judged) -> Vec<Expectation> {
    let cited = judged.citations().iter().filter_map(|citation| {
        let text = |field: &str| citation.get(field).and_then(|value| value.as_str()).map(str::to_owned);
        Some(Expectation { source: Some(text("source")?), document_id: None, passage: Some(text("quote")?), grade: 1 })
    });
    cited.collect()
}

/// Bytes that a question takes in the set, as the workspace counts them.
fn size(draft: &Draft) -> usize {
    draft.question.len() + serde_json::to_string(&draft.expected).map_or(usize::MAX / 4, |text| text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::workspace::sessions::{Message, Session};

    fn message(role: &str, content: &str, details: Value) -> Message {
        Message {
            id: Uuid::now_v7(),
            session_id: Uuid::nil(),
            role: role.to_owned(),
            content: content.to_owned(),
            details: details.as_object().cloned().unwrap_or_default(),
            rating: Some(1),
            comment: None,
            created_at: String::new(),
        }
    }

    fn judged(asked: &str, understood: &str, quotes: &[&str]) -> Judged {
        let cited: Vec<Value> = quotes.iter().map(|quote| json!({"source": "a.md", "quote": quote})).collect();
        Judged {
            session: Session {
                id: Uuid::nil(),
                agent_id: Uuid::nil(),
                user_id: None,
                title: String::new(),
                metadata: Map::new(),
                created_at: String::new(),
                updated_at: String::new(),
            },
            agent_name: String::new(),
            question: Some(message("user", asked, json!({"search_query": understood}))),
            answer: message("assistant", "So it is.", json!({"citations": cited})),
            rated_at: String::new(),
        }
    }

    fn set(all: &[Judged], fits: impl Fn(&Draft) -> bool) -> Vec<(String, Vec<String>)> {
        let mut approved = Approved::default();
        all.iter().for_each(|one| assert!(approved.add(one, &fits)));
        let passages = |draft: Draft| draft.expected.into_iter().filter_map(|one| one.passage).collect();
        approved.questions().into_iter().map(|draft| (draft.question.clone(), passages(draft))).collect()
    }

    #[test]
    fn the_same_question_stands_once_and_expects_what_each_of_its_answers_cited() {
        let all = [
            judged("And how long?", "Who services it? And how long?", &["Three hours."]),
            judged("Who services it?", "Who services it?", &["Helena does."]),
            judged("who  services it?", "who  services it?", &["Helena does.", "Ask Helena."]),
        ];
        let expected = [
            ("Who services it? And how long?", vec!["Three hours."]),
            ("Who services it?", vec!["Helena does.", "Ask Helena."]),
        ];
        let expected = expected
            .map(|(question, passages)| (question.to_owned(), passages.iter().map(|p| (*p).to_owned()).collect()));
        assert_eq!(set(&all, |_| true), expected);
    }

    #[test]
    fn what_cites_nothing_or_does_not_fit_is_left_out() {
        let all = [
            judged("Why?", "Why?", &[]),
            judged("Who?", "Who?", &["Helena does."]),
            judged("When?", "When?", &["May."]),
        ];
        assert_eq!(
            set(&all, |draft| draft.question != "When?"),
            [("Who?".to_owned(), vec!["Helena does.".to_owned()])]
        );
        let mut unasked = judged("Who?", "Who?", &["Helena does."]);
        unasked.question = None;
        assert_eq!(set(&[unasked], |_| true), []);
    }

    #[test]
    fn a_set_is_no_larger_than_a_workspace_takes_one() {
        let mut approved = Approved::default();
        let added = (0..).take_while(|number| approved.add(&judged("", &format!("{number}?"), &["May."]), |_| true));
        assert_eq!(added.count(), MOST_QUESTIONS);
        assert!(approved.add(&judged("", "7?", &["June."]), |_| true), "there is room for one that is in it");
        assert!(!approved.add(&judged("", "7?", &["x".repeat(LARGEST).as_str()]), |_| true));
        assert_eq!(approved.questions().len(), MOST_QUESTIONS);
    }
}
