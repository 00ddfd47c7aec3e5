//! What a model said, from its bytes: text that can be told, and calls of tools, which nobody reads. Knows no model.

use encoding_rs::{Decoder, UTF_8};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::llm::request::ToolCall;

/// An answer while it is written.
pub(super) struct Answer {
    decoder: Decoder,
    /// What was not told yet; of a call all of it.
    text: String,
    kind: Kind,
    may_call: bool,
    /// What ends the answer where it stands in it.
    stop: Option<&'static str>,
    stopped: bool,
}

#[derive(PartialEq)]
enum Kind {
    /// Nothing but white space was said.
    Open,
    Text,
    Call,
}

#[derive(Deserialize)]
struct Call<'a> {
    tool: String,
    /// As the model wrote them: whoever takes them says what is wrong with them.
    #[serde(borrow)]
    arguments: &'a RawValue,
}

impl Answer {
    /// An answer that calls a tool where it begins with `{`, if it may.
    pub fn new(may_call: bool, stop: Option<&'static str>) -> Self {
        let decoder = UTF_8.new_decoder_without_bom_handling();
        Answer { decoder, text: String::new(), kind: Kind::Open, may_call, stop, stopped: false }
    }

    /// Takes what was said next, which may end within a character.
    pub fn push(&mut self, bytes: &[u8]) {
        self.decode(bytes, false);
        if self.kind == Kind::Open {
            // White space before an answer is an artefact of how tokens are cut.
            self.text.drain(..self.text.len() - self.text.trim_start().len());
            match self.text.chars().next() {
                Some('{') if self.may_call => self.kind = Kind::Call,
                Some(_) => self.kind = Kind::Text,
                None => {}
            }
        }
        if let (Kind::Text, Some(stop)) = (&self.kind, self.stop)
            && let Some(at) = self.text.find(stop)
        {
            self.text.truncate(at);
            self.stopped = true;
        }
    }

    /// Whether nothing more belongs to it.
    pub fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// What can be told now; empty where nothing can.
    pub fn tell(&mut self) -> String {
        if self.kind != Kind::Text {
            return String::new();
        }
        let held = if self.stopped { 0 } else { self.stop.map_or(0, |stop| begun(&self.text, stop)) };
        let rest = self.text.split_off(self.text.len() - held);
        std::mem::replace(&mut self.text, rest)
    }

    /// What was not told yet, and the tool that is called for.
    pub fn end(mut self) -> (String, Option<ToolCall>) {
        self.decode(&[], true);
        match self.kind {
            Kind::Open => (String::new(), None),
            Kind::Text => (self.text, None),
            Kind::Call => (String::new(), call(&self.text)),
        }
    }

    fn decode(&mut self, bytes: &[u8], last: bool) {
        if self.stopped {
            return;
        }
        let room = self.decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(0);
        self.text.reserve(room);
        // invariant: there is room, so all is read; what is no character becomes U+FFFD.
        let _ = self.decoder.decode_to_string(bytes, &mut self.text, last);
    }
}

/// How many bytes at the end of `text` may be the beginning of `stop`.
fn begun(text: &str, stop: &str) -> usize {
    (1..stop.len()).rev().find(|length| stop.get(..*length).is_some_and(|begin| text.ends_with(begin))).unwrap_or(0)
}

/// The call that a text is; `None` where it broke off.
fn call(text: &str) -> Option<ToolCall> {
    let call: Call<'_> = serde_json::from_str(text).ok()?;
    let id = format!("call_{}", uuid::Uuid::now_v7().simple());
    Some(ToolCall { id, name: call.tool, arguments: call.arguments.get().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_call_is_never_told() {
        let mut answer = Answer::new(true, None);
        for piece in [" {\"tool\": \"search\", ", "\"arguments\": {\"query\": \"a\"}}"] {
            answer.push(piece.as_bytes());
            assert_eq!(answer.tell(), "");
        }
        let (text, call) = answer.end();
        let call = call.unwrap();
        assert_eq!((text.as_str(), call.name.as_str(), call.arguments.as_str()), ("", "search", r#"{"query": "a"}"#));
    }

    #[test]
    fn a_call_that_broke_off_is_none() {
        let mut answer = Answer::new(true, None);
        answer.push(b"{\"tool\": \"sea");
        assert_eq!(answer.end(), (String::new(), None));
    }

    #[test]
    fn an_answer_ends_before_what_stops_it() {
        let mut answer = Answer::new(false, Some("\n### "));
        answer.push(b"One\n#");
        assert_eq!(answer.tell(), "One");
        answer.push(b"## two\n##");
        assert!(answer.has_stopped());
        answer.push(b"# more");
        assert_eq!(answer.end().0, "");
        let mut answer = Answer::new(false, Some("\n### "));
        answer.push(b"One\n##");
        assert_eq!(answer.tell() + &answer.end().0, "One\n##");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_cut(text in "\\PC{0,40}", cuts in prop::collection::vec(0..160_usize, 0..6)) {
            let mut answer = Answer::new(false, Some("\n### "));
            let mut told = String::new();
            let mut at = 0;
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
            cuts.sort_unstable();
            for cut in cuts.into_iter().chain([text.len()]) {
                answer.push(&text.as_bytes()[at..cut]);
                told += &answer.tell();
                at = cut;
            }
            prop_assert_eq!(told + &answer.end().0, text.trim_start());
        }

        #[test]
        fn any_bytes_come_to_some_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut answer = Answer::new(true, Some("\n### "));
            for piece in bytes.chunks(3) {
                answer.push(piece);
                answer.tell();
            }
            answer.end();
        }
    }
}
