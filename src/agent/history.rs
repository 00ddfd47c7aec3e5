//! What was said before, and what a follow-up question means in its light.

use super::gate;
use super::prompt::{Role, Said};
use crate::text::Analyzer;
use crate::workspace::sessions::{Message, UNDERSTOOD};

/// Words that point back at something said before: English, German, Spanish, French.
const POINTERS: &[&str] = &[
    "it", "its", "that", "this", "them", "their", "those", "these", "there", "then", "one", "ones", "same", "else",
    "sie", "es", "ihr", "ihre", "dies", "diese", "dieser", "dieses", "das", "dort", "davon", "dafür", "damit", "dabei",
    "daran", "eso", "esto", "cela", "ça",
];
/// Words for somebody who must have been spoken of.
const PERSONS: &[&str] =
    &["he", "she", "they", "his", "her", "him", "er", "ihn", "ihm", "ella", "ellos", "elle", "ils", "elles"];
/// Phrases with such words that point at nothing.
const EXISTENCE: &[&str] = &["is there", "are there", "there is", "there are", "gibt es", "es gibt", "il y a"];
/// Beginnings of questions that go on from the one before.
const OPENERS: &[&str] = &["and ", "what about", "how about", "und ", "was ist mit", "y ", "et "];
/// Telling words of its own from which on a question that points, or names a person by a pronoun, stands for itself.
const OWN_WORDS: (usize, usize) = (3, 5);
/// Characters that each question from before brings along at most: search reads a bounded number of words.
const EARLIER: usize = 200;

/// The question as it is searched for: a follow-up takes along the one before, and the one that began the topic.
///
/// Without a language model this is a rule: a question with no telling word of its own is a follow-up, one that goes
/// on with "and", and one that points back and says little else.
pub fn understood(question: &str, history: &[Message], analyzer: &Analyzer) -> String {
    if !is_follow_up(question, analyzer) {
        return question.to_owned();
    }
    let mut asked = history.iter().rev().filter(|message| message.role == "user");
    let before = asked.next();
    let stands_alone = |message: &&Message| {
        message.details.get(UNDERSTOOD).and_then(|q| q.as_str()).is_none_or(|understood| understood == message.content)
    };
    let topic = match before {
        Some(before) if !stands_alone(&before) => asked.find(stands_alone),
        _ => None,
    };
    let earlier = topic.into_iter().chain(before).map(|message| message.content.chars().take(EARLIER).collect());
    earlier.chain([question.to_owned()]).collect::<Vec<String>>().join(" ")
}

/// What was said before as a model is told it: the newest turns that fit `budget` tokens, oldest first, without the
/// numbers of evidence that it does not have before it. `count` counts the tokens of a text.
pub fn told(history: &[Message], budget: usize, count: impl Fn(&str) -> usize) -> Vec<Said> {
    let mut left = budget;
    let mut told = Vec::new();
    // A question without its answer, or the other way round, says little.
    for turn in history.rchunks(2) {
        let said: Vec<Said> = turn.iter().map(spoken).collect();
        let tokens: usize = turn.iter().map(|message| count(&message.content)).sum();
        if tokens > left {
            break;
        }
        left -= tokens;
        told.extend(said.into_iter().rev());
    }
    told.reverse();
    told
}

fn spoken(message: &Message) -> Said {
    let role = if message.role == "assistant" { Role::Assistant } else { Role::User };
    let text = match role {
        Role::Assistant => gate::with_markers(&message.content, |_| Some(String::new())),
        _ => message.content.clone(),
    };
    Said::new(role, text)
}

/// Whether a question says little without what was said before it.
pub fn is_follow_up(question: &str, analyzer: &Analyzer) -> bool {
    let mut lower = question.trim().to_lowercase();
    if OPENERS.iter().any(|opener| lower.starts_with(opener)) {
        return true;
    }
    EXISTENCE.iter().for_each(|phrase| lower = lower.replace(phrase, " "));
    let has = |words: &[&str]| lower.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
    match analyzer.content_words(question).len() {
        0 => true,
        own if own < OWN_WORDS.0 => has(POINTERS) || has(PERSONS),
        own if own < OWN_WORDS.1 => has(PERSONS),
        _ => false,
    }
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
        assert_eq!(understand("Does she have a key?"), "Who services the centrifuge? Does she have a key?");
        for own in ["Where do visitors park their cars?", "Is there parking?", "Opening hours?"] {
            assert_eq!(understand(own), own);
        }
        assert_eq!(understand("Which form records a needle injury?"), "Which form records a needle injury?");
        assert_eq!(understood("And now?", &[], &analyzer), "And now?");
        let german = Analyzer::new("de");
        let history = [said("Wer wartet die Zentrifuge?")];
        assert_eq!(understood("Gibt es einen Parkplatz?", &history, &german), "Gibt es einen Parkplatz?");
        assert_eq!(understood("Und im Winter?", &history, &german), "Wer wartet die Zentrifuge? Und im Winter?");
    }

    #[test]
    fn a_chain_of_follow_ups_keeps_its_topic_and_its_bounds() {
        let analyzer = Analyzer::new("en");
        let mut history = vec![said("Who services the centrifuge?")];
        let mut last = String::new();
        for turn in 0..10 {
            let question = format!("And in month {turn}?");
            last = understood(&question, &history, &analyzer);
            let mut message = said(&question);
            message.details.insert(UNDERSTOOD.into(), last.clone().into());
            history.push(message);
        }
        assert_eq!(last, "Who services the centrifuge? And in month 8? And in month 9?");
    }
}
