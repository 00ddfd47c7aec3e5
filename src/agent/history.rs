//! What was said before, and what a follow-up question means in its light.

use crate::text::Analyzer;
use crate::workspace::sessions::Message;

/// Key of a message's details under which the question is kept as it was understood.
pub const UNDERSTOOD: &str = "search_query";

/// Words that point back at something said before: English, German, Spanish, French.
const POINTERS: &[&str] = &[
    "it", "its", "that", "this", "they", "them", "their", "those", "these", "he", "she", "his", "her", "him", "there",
    "then", "one", "ones", "same", "else", "er", "sie", "es", "ihr", "ihre", "dies", "diese", "dieser", "dieses",
    "das", "dort", "davon", "dafür", "damit", "dabei", "daran", "eso", "esto", "ella", "ellos", "cela", "ça", "elle",
    "ils", "elles",
];
/// Beginnings of questions that go on from the one before.
const OPENERS: &[&str] = &["and ", "what about", "how about", "why", "und ", "was ist mit", "y ", "et "];

/// The question as it is searched for: a follow-up takes the one before along.
///
/// Without a language model this is a rule: a question that points back, that goes on with "and", or that has at
/// most one telling word of its own is a follow-up.
pub fn understood(question: &str, history: &[Message], analyzer: &Analyzer) -> String {
    let before = history.iter().rev().find(|message| message.role == "user");
    match before {
        Some(before) if is_follow_up(question, analyzer) => {
            let earlier = before.details.get(UNDERSTOOD).and_then(|q| q.as_str()).unwrap_or(&before.content);
            format!("{earlier} {question}")
        }
        _ => question.to_owned(),
    }
}

fn is_follow_up(question: &str, analyzer: &Analyzer) -> bool {
    let lower = question.trim().to_lowercase();
    let points_back = lower.split(|c: char| !c.is_alphanumeric()).any(|word| POINTERS.contains(&word));
    let goes_on = OPENERS.iter().any(|opener| lower.starts_with(opener));
    points_back || goes_on || analyzer.content_words(question).len() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn said(question: &str) -> Message {
        Message {
            id: Uuid::now_v7(),
            session_id: Uuid::now_v7(),
            role: "user".into(),
            content: question.into(),
            details: Default::default(),
            rating: None,
            comment: None,
            created_at: String::new(),
        }
    }

    #[test]
    fn a_follow_up_takes_the_question_before_along() {
        let analyzer = Analyzer::new("en");
        let history = [said("Who services the centrifuge?")];
        let understand = |question: &str| understood(question, &history, &analyzer);
        assert_eq!(understand("How often is it done?"), "Who services the centrifuge? How often is it done?");
        assert_eq!(understand("And in winter?"), "Who services the centrifuge? And in winter?");
        assert_eq!(understand("Where do visitors park their cars?").len(), "Who services the centrifuge? ".len() + 34);
        assert_eq!(understand("Which form records a needle injury?"), "Which form records a needle injury?");
        assert_eq!(understood("And now?", &[], &analyzer), "And now?");
    }
}
