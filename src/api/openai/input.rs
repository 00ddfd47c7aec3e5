//! What is to be embedded: texts, or the ids that OpenAI's tokenizer gave them, which some clients send instead.

use serde::Deserialize;

use super::refusal::{Answer, Refusal};
use crate::error::Error;

/// Inputs of one request, and ids in one of them: OpenAI's limits.
const MOST: usize = 2_048;
const IDS: usize = 8_192;
/// Bytes of one input, beyond which nobody counts its tokens.
const BYTES: usize = 1 << 20;

/// The field `input`.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "must be a string, a list of strings, a list of token ids, or a list of such lists, each no larger than 32 bits"
)]
pub enum Input {
    Text(String),
    Texts(Vec<String>),
    Ids(Vec<u32>),
    Lists(Vec<Vec<u32>>),
}

impl Input {
    /// The texts, of which there is at least one and none is empty. Blocks where there are ids.
    pub fn texts(self) -> Answer<Vec<String>> {
        let texts = match self {
            Input::Text(text) => vec![text],
            Input::Texts(texts) => texts,
            Input::Ids(ids) => vec![text_of(&ids)?],
            Input::Lists(lists) => {
                few_enough(lists.len())?;
                lists.iter().map(|ids| text_of(ids)).collect::<Answer<_>>()?
            }
        };
        few_enough(texts.len())?;
        if texts.iter().any(String::is_empty) {
            return Err(Error::invalid("input", "must not be empty").into());
        }
        if texts.iter().any(|text| text.len() > BYTES) {
            return Err(Refusal::TooLong { param: "input", detail: format!("an input has more than {BYTES} bytes") });
        }
        Ok(texts)
    }
}

fn few_enough(count: usize) -> Answer<()> {
    match count {
        1..=MOST => Ok(()),
        0 => Err(Error::invalid("input", "must not be empty").into()),
        _ => Err(Error::invalid("input", format!("must hold at most {MOST} inputs")).into()),
    }
}

/// The text of which the tokenizer of OpenAI's embedding models (`cl100k_base`) makes these ids.
fn text_of(ids: &[u32]) -> Answer<String> {
    if ids.len() > IDS {
        return Err(Refusal::TooLong { param: "input", detail: format!("an input has more than {IDS} tokens") });
    }
    let bytes = tiktoken_rs::cl100k_base_singleton().decode_bytes(ids);
    let bytes = bytes.map_err(|_| Error::invalid("input", "must be ids of cl100k_base, where they are no texts"))?;
    // A client that cut its text between tokens may have cut a character.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(input: &str) -> Option<Vec<String>> {
        serde_json::from_str::<Input>(input).ok()?.texts().ok()
    }

    #[test]
    fn inputs_of_every_kind_are_texts() {
        let expected = |texts: &[&str]| Some(texts.iter().map(|text| text.to_string()).collect::<Vec<_>>());
        assert_eq!(texts(r#""Hello""#), expected(&["Hello"]));
        assert_eq!(texts(r#"["Hello", " "]"#), expected(&["Hello", " "]));
        assert_eq!(texts("[15339, 1917]"), expected(&["hello world"]));
        assert_eq!(texts("[[15339, 1917], [9468, 248]]"), expected(&["hello world", "\u{fffd}"]));
        let many = format!("[{}1]", "1,".repeat(IDS));
        for wrong in
            ["\"\"", "[]", "[\"a\", \"\"]", "[[]]", "[1, \"a\"]", "[99999999]", "[-1]", "[1.5]", "{}", "null", &many]
        {
            assert_eq!(texts(wrong), None, "{wrong}");
        }
        assert_eq!(texts(&format!("[{}\"a\"]", "\"a\",".repeat(MOST))), None);
        assert_eq!(texts(&format!("\"{}\"", "a".repeat(BYTES + 1))), None);
    }

    proptest! {
        #[test]
        fn a_text_comes_back_from_its_ids(text in ".{1,60}") {
            let ids = tiktoken_rs::cl100k_base_singleton().encode_ordinary(&text);
            prop_assert_eq!(text_of(&ids).ok(), Some(text));
        }
    }
}
