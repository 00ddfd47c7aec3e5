//! Files of questions with what they should find, in the forms that people have them.
//!
//! A folder in BEIR's form (`queries.jsonl` and `qrels.tsv`, or `qrels/test.tsv`) whose documents' ids are sources of
//! the workspace; JSON, a list or what the interface gave for a set; or a JSON object a line. What is no question
//! becomes a sentence with its place.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, Outcome};

/// A question as it stands in a file of JSON; other fields are of no concern here.
#[derive(Deserialize)]
struct Given {
    #[serde(alias = "query", alias = "text")]
    question: String,
    #[serde(default)]
    expected: Vec<GivenExpectation>,
    #[serde(default, alias = "source")]
    sources: OneOrMore,
    #[serde(default, alias = "passage")]
    passages: OneOrMore,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GivenExpectation {
    Source(String),
    Whole(Value),
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum OneOrMore {
    #[default]
    None,
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_values(self, field: &'static str) -> impl Iterator<Item = Value> {
        let texts = match self {
            OneOrMore::None => Vec::new(),
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        texts.into_iter().map(move |text| json!({field: text}))
    }
}

#[derive(Deserialize)]
struct BeirQuery {
    #[serde(rename = "_id")]
    id: String,
    text: String,
}

/// Questions with what they expect, as the interface takes them. Those with the same words become one.
pub struct Questions {
    pub values: Vec<Value>,
    /// Questions that became one with another.
    pub joined: usize,
}

/// Reads the file or folder at `path`.
pub fn read(path: &Path) -> Outcome<Questions> {
    let given = if path.is_dir() { beir(path)? } else { json_questions(path)? };
    if given.is_empty() {
        return Err(Failure::Usage(format!("{}: it holds no questions", path.display())));
    }
    let (mut places, mut joined): (HashMap<String, usize>, usize) = (HashMap::new(), 0);
    let mut merged: Vec<(String, Vec<Value>)> = Vec::new();
    for (question, expected) in given {
        let place = *places.entry(question.clone()).or_insert(merged.len());
        match merged.get_mut(place) {
            Some((_, known)) => {
                joined += 1;
                let fresh: Vec<Value> = expected.into_iter().filter(|one| !known.contains(one)).collect();
                known.extend(fresh);
            }
            None => merged.push((question, expected)),
        }
    }
    let value = |(question, expected): (String, Vec<Value>)| json!({"question": question, "expected": expected});
    Ok(Questions { values: merged.into_iter().map(value).collect(), joined })
}

fn text(path: &Path) -> Outcome<String> {
    let read = std::fs::read_to_string(path).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
    // Some editors put a mark before a text in UTF-8.
    Ok(read.strip_prefix('\u{feff}').map_or(read.clone(), str::to_owned))
}

fn json_questions(path: &Path) -> Outcome<Vec<(String, Vec<Value>)>> {
    let content = text(path)?;
    let wrong =
        |place: String, why: &dyn std::fmt::Display| Failure::Usage(format!("{}: {place}: {why}", path.display()));
    // A list, or a set as the interface gives it; whatever is neither is read line by line.
    let whole = match serde_json::from_str::<Value>(&content) {
        Ok(Value::Array(items)) => Some(items),
        Ok(Value::Object(mut set)) => match set.remove("questions") {
            Some(Value::Array(items)) => Some(items),
            _ => None,
        },
        _ => None,
    };
    let named: Vec<(String, Value)> = match whole {
        Some(items) => items.into_iter().enumerate().map(|(at, item)| (format!("question {}", at + 1), item)).collect(),
        None => lines(&content)
            .map(|(place, line)| {
                let value = serde_json::from_str(line)
                    .map_err(|e| wrong(place.clone(), &format!("it is no JSON from column {} on", e.column())))?;
                Ok((place, value))
            })
            .collect::<Outcome<_>>()?,
    };
    let question = |(place, value): (String, Value)| {
        let given: Given = serde_json::from_value(value).map_err(|e| wrong(place.clone(), &unfit(&e)))?;
        let expected = given.expected.into_iter().map(|one| match one {
            GivenExpectation::Source(source) => json!({"source": source}),
            GivenExpectation::Whole(value) => value,
        });
        let sources = given.sources.into_values("source").chain(given.passages.into_values("passage"));
        let expected: Vec<Value> = expected.chain(sources).collect();
        match expected.is_empty() {
            true => Err(wrong(place, &"it expects nothing; give it `expected`, `sources` or `passages`")),
            false => Ok((given.question, expected)),
        }
    };
    named.into_iter().map(question).collect()
}

/// What is wrong with a question, for people.
fn unfit(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.contains("unknown field") || said.contains("missing field") {
        true => said,
        false => "it must be an object with `question`, a text, and `sources` or `passages`, a text or a list of texts, or `expected`".to_owned(),
    }
}

/// The lines that are not empty, each with its place for people.
fn lines(content: &str) -> impl Iterator<Item = (String, &str)> {
    let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| (format!("line {}", at + 1), line))
}

fn beir(folder: &Path) -> Outcome<Vec<(String, Vec<Value>)>> {
    let beside = folder.join("qrels.tsv");
    let judged = if beside.exists() { beside } else { folder.join("qrels").join("test.tsv") };
    let wrong = |path: &Path, place: &str, why: &dyn std::fmt::Display| {
        Failure::Usage(format!("{}: {place}: {why}", path.display()))
    };
    let mut expected: HashMap<String, Vec<Value>> = HashMap::new();
    for (at, (place, line)) in lines(&text(&judged)?).enumerate() {
        let mut fields = line.split('\t');
        let (Some(query), Some(source), Some(score)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(wrong(&judged, &place, &"it should have a query, a document and a score, with tabs between"));
        };
        match score.trim().parse::<i64>() {
            // What is judged as of no use is no more expected than what nobody judged.
            Ok(score) if score > 0 => {
                let one = json!({"source": source, "grade": score});
                expected.entry(query.to_owned()).or_default().push(one);
            }
            Ok(_) => {}
            Err(_) if at == 0 => {}
            Err(_) => return Err(wrong(&judged, &place, &format!("{score} is no score"))),
        }
    }
    let path = folder.join("queries.jsonl");
    let mut questions = Vec::new();
    for (place, line) in lines(&text(&path)?) {
        let query: BeirQuery = serde_json::from_str(line).map_err(|e| wrong(&path, &place, &e))?;
        questions.extend(expected.remove(&query.id).map(|expected| (query.text, expected)));
    }
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(content: &str) -> Outcome<Questions> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("questions");
        std::fs::write(&path, content).unwrap();
        read(&path)
    }

    #[test]
    fn every_form_of_json_says_the_same() {
        let expected = json!([{"question": "Who?", "expected": [{"source": "a.md"}]}]);
        let forms = [
            r#"{"question": "Who?", "sources": ["a.md"]}"#,
            r#"{"query": "Who?", "source": "a.md", "id": 7}"#,
            r#"{"text": "Who?", "expected": ["a.md"]}"#,
            "\u{feff}{\"text\": \"Who?\", \"expected\": [\"a.md\"]}",
            r#"[{"question": "Who?", "expected": [{"source": "a.md"}]}]"#,
            r#"{"name": "A set", "questions": [{"question": "Who?", "sources": ["a.md"]}]}"#,
        ];
        for form in forms {
            assert_eq!(json!(read_text(form).unwrap().values), expected, "{form}");
        }
    }

    #[test]
    fn the_same_words_become_one_question() {
        let read =
            read_text("{\"text\": \"Who?\", \"source\": \"a.md\"}\n\n{\"text\": \"Who?\", \"passage\": \"Helena.\"}\n");
        let read = read.unwrap();
        assert_eq!(read.joined, 1);
        let expected = json!([{"question": "Who?", "expected": [{"source": "a.md"}, {"passage": "Helena."}]}]);
        assert_eq!(json!(read.values), expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let good = r#"{"text": "Who?", "source": "a.md"}"#;
        for bad in ["{", r#"{"text": "Who?"}"#, r#"{"source": "a.md"}"#, r#"{"text": "Who?", "sources": [1]}"#] {
            let Err(Failure::Usage(why)) = read_text(&format!("{good}\n{bad}\n")) else { panic!("{bad} was read") };
            assert!(why.contains("line 2") && !why.contains("untagged") && !why.contains("line 1"), "{why}");
        }
        assert!(read_text("\n").is_err());
    }

    #[test]
    fn a_folder_of_beir_gives_its_judged_queries() {
        let folder = tempfile::tempdir().unwrap();
        let queries = "{\"_id\": \"1\", \"text\": \"Who?\"}\n{\"_id\": \"2\", \"text\": \"When?\"}\n";
        std::fs::write(folder.path().join("queries.jsonl"), queries).unwrap();
        let judged = "query-id\tcorpus-id\tscore\n1\ta b.md\t2\n1\tc.md\t0\n9\td.md\t1\n";
        std::fs::write(folder.path().join("qrels.tsv"), judged).unwrap();
        let expected = json!([{"question": "Who?", "expected": [{"source": "a b.md", "grade": 2}]}]);
        assert_eq!(json!(read(folder.path()).unwrap().values), expected);
        std::fs::write(folder.path().join("qrels.tsv"), "q\td\ts\n1\ta.md\tmuch\n").unwrap();
        assert!(matches!(read(folder.path()), Err(Failure::Usage(why)) if why.contains("line 2")));
    }
}
