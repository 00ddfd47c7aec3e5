//! What a deleted document leaves in conversations: that something was there, and none of its words.
//!
//! Takes its quotes out of the answers that cite it, and out of the ledger what was told or said with it at hand: in every
//! answer that rested on it, and in those that came later in the same session, as they were told what was said before.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answers::PROMPT;
use super::sessions::{Message, UNDERSTOOD, read_message};
use super::{id, json, to_json};
use crate::error::Result;
use crate::llm::EXTRACTIVE;

/// What stands for words that are gone.
const FORGOTTEN: &str = "(deleted)";

/// An answer that may repeat the document.
struct Touched {
    message: Uuid,
    provider: String,
    record: Map<String, Value>,
    /// The numbers that the document's passages have in it.
    numbers: Vec<u64>,
}

/// Forgets what conversations know of a deleted document.
pub(super) fn forget(db: &Connection, document: Uuid) -> Result<()> {
    let document = document.to_string();
    let mut seen = BTreeSet::new();
    for touched in touched(db, &document)? {
        seen.insert(touched.message);
        forget_in(db, touched, &document)?;
    }
    db.prepare_cached("DELETE FROM answer_evidence WHERE document = ?1")?.execute([&document])?;
    // Answers from before there was a ledger.
    let mut citing = db.prepare_cached("SELECT * FROM messages WHERE instr(details, ?1) > 0")?;
    let citing: Vec<Message> = citing.query_map([&document], read_message)?.collect::<rusqlite::Result<_>>()?;
    for mut message in citing.into_iter().filter(|message| !seen.contains(&message.id)) {
        without_document(&mut message, &document, false);
        update(db, &message)?;
    }
    Ok(())
}

/// Forgets what an answer may repeat of those `told` before it that were forgotten while it was being given.
pub(super) fn forget_told(db: &Connection, answer: Uuid, told: &[Message]) -> Result<()> {
    let mut find = db.prepare_cached("SELECT content FROM messages WHERE id = ?1")?;
    for message in told {
        let now: Option<String> = find.query_row([message.id.to_string()], |row| row.get(0)).optional()?;
        if now.is_some_and(|now| now != message.content) {
            let sql = "SELECT provider, record FROM answers WHERE message = ?1";
            let (provider, record) =
                db.query_row(sql, [answer.to_string()], |row| Ok((row.get("provider")?, json(row, "record")?)))?;
            return forget_in(db, Touched { message: answer, provider, record, numbers: Vec::new() }, "");
        }
    }
    Ok(())
}

/// The answers that rested on a document, and those that came after one in its session.
fn touched(db: &Connection, document: &str) -> Result<Vec<Touched>> {
    let mut query = db.prepare_cached(
        "WITH first (session, number) AS (
             SELECT m.session_id, min(m.number) FROM answer_evidence e JOIN messages m ON m.id = e.message
             WHERE e.document = ?1 GROUP BY m.session_id)
         SELECT a.message, a.provider, a.record FROM first
         JOIN messages m ON m.session_id = first.session AND m.number >= first.number JOIN answers a ON a.message = m.id",
    )?;
    let rows = query.query_map([document], |row| {
        let (message, provider) = (id(row, "message")?, row.get("provider")?);
        Ok(Touched { message, provider, record: json(row, "record")?, numbers: Vec::new() })
    })?;
    let mut found: Vec<Touched> = rows.collect::<rusqlite::Result<_>>()?;
    let mut numbers = db.prepare_cached("SELECT number FROM answer_evidence WHERE message = ?1 AND document = ?2")?;
    for one in &mut found {
        let rows = numbers.query_map((one.message.to_string(), document), |row| row.get(0))?;
        one.numbers = rows.collect::<rusqlite::Result<_>>()?;
    }
    Ok(found)
}

fn forget_in(db: &Connection, touched: Touched, document: &str) -> Result<()> {
    let Touched { message: answer, provider, mut record, numbers } = touched;
    silence_prompt(&mut record, &numbers);
    let mut message = db.query_row("SELECT * FROM messages WHERE id = ?1", [answer.to_string()], read_message)?;
    let by_model = provider != EXTRACTIVE;
    without_document(&mut message, document, by_model);
    // A model that was replaced may have put the question, too.
    if by_model || record.get("fallback").is_some_and(|why| !why.is_null()) {
        readers_words(db, &mut record, &mut message)?;
    }
    update(db, &message)?;
    let sql = "UPDATE answers SET record = ?2 WHERE message = ?1";
    db.prepare_cached(sql)?.execute((answer.to_string(), to_json(&record)?))?;
    Ok(())
}

fn update(db: &Connection, message: &Message) -> Result<()> {
    let sql = "UPDATE messages SET content = ?2, details = ?3 WHERE id = ?1";
    db.prepare_cached(sql)?.execute((message.id.to_string(), &message.content, to_json(&message.details)?))?;
    Ok(())
}

/// Takes out of a prompt what was said on the way, and the heads of the passages with these `numbers`.
fn silence_prompt(record: &mut Map<String, Value>, numbers: &[u64]) {
    let Some(Value::Array(prompt)) = record.get_mut(PROMPT) else { return };
    for said in prompt {
        let by_model = matches!(said["role"].as_str(), Some("assistant" | "tool"));
        if let Some(Value::Array(parts)) = said.get_mut("parts") {
            silence_parts(parts, numbers, by_model);
        }
        if let Some(Value::Array(calls)) = said.get_mut("calls") {
            let arguments = calls.iter_mut().filter_map(|call| call.get_mut("arguments"));
            arguments.for_each(|arguments| *arguments = "{}".into());
        }
    }
}

/// Takes texts out of what was said, but not the places of passages: all of them, or the heads of these passages alone.
fn silence_parts(parts: &mut [Value], numbers: &[u64], all: bool) {
    let heads: Vec<bool> = (0..parts.len())
        .map(|place| {
            let next = parts.get(place + 1).and_then(|part| part["passage"].as_u64());
            all || next.is_some_and(|number| numbers.contains(&number))
        })
        .collect();
    for (part, is_head) in parts.iter_mut().zip(heads) {
        if let (true, Some(text @ Value::String(_))) = (is_head, part.get_mut("text")) {
            *text = FORGOTTEN.into();
        }
    }
}

/// Takes the citations of a document out of an answer, with the words that they bear out; of a model's answer, also those
/// that nothing else bears out.
fn without_document(message: &mut Message, document: &str, by_model: bool) {
    let of_it = |citation: &Value| citation["document_id"].as_str() == Some(document);
    let markers = |citations: &[Value], is_of_it: bool| -> Vec<u64> {
        citations.iter().filter(|c| of_it(c) == is_of_it).filter_map(|c| c["marker"].as_u64()).collect()
    };
    let (mut gone, mut left) = (Vec::new(), Vec::new());
    if let Some(Value::Array(citations)) = message.details.get_mut("citations") {
        (gone, left) = (markers(citations, true), markers(citations, false));
        citations.retain(|citation| !of_it(citation));
    }
    message.content = match by_model {
        true => kept(&message.content, |numbers| numbers.iter().all(|number| left.contains(number)), false),
        false => kept(&message.content, |numbers| !numbers.iter().any(|number| gone.contains(number)), true),
    };
    // Sentences that are told of beside the answer go with it.
    let metadata = message.details.get_mut("metadata");
    if let Some(Value::Array(unsupported)) = metadata.and_then(|metadata| metadata.get_mut("unsupported")) {
        unsupported.retain(|one| one.as_str().is_some_and(|sentence| message.content.contains(sentence)));
    }
}

/// Puts the reader's own words in the place of a question that a model put, and leaves no other arguments of tools.
fn readers_words(db: &Connection, record: &mut Map<String, Value>, message: &mut Message) -> Result<()> {
    let asked = record.get("query").cloned().unwrap_or(Value::Null);
    let Some(understood) = record.insert(UNDERSTOOD.to_owned(), asked.clone()) else { return Ok(()) };
    for used in [record.get_mut("tools_used"), message.details.get_mut("tools_used")].into_iter().flatten() {
        for use_of_tool in used.as_array_mut().into_iter().flatten() {
            let Some(Value::Object(args)) = use_of_tool.get_mut("args") else { continue };
            match args.get("query") == Some(&understood) {
                true => _ = args.insert("query".to_owned(), asked.clone()),
                false => args.clear(),
            }
        }
    }
    if understood == asked {
        return Ok(());
    }
    if let Some(Value::Object(metadata)) = message.details.get_mut("metadata") {
        metadata.remove(UNDERSTOOD);
    }
    let mut before = db.prepare_cached(
        "SELECT * FROM messages WHERE session_id = ?1 AND role = 'user'
         AND number < (SELECT number FROM messages WHERE id = ?2) ORDER BY number DESC LIMIT 1",
    )?;
    let ids = (message.session_id.to_string(), message.id.to_string());
    if let Some(mut question) = before.query_row(ids, read_message).optional()? {
        question.details.insert(UNDERSTOOD.to_owned(), question.content.clone().into());
        update(db, &question)?;
    }
    Ok(())
}

/// `content` with the passages whose markers `stay`, and what follows the last of them if `rest` does: each passage reaches
/// back to the markers before it.
fn kept(content: &str, stay: impl Fn(&[u64]) -> bool, rest: bool) -> String {
    let mut kept = String::new();
    let mut left = content;
    let forget = |kept: &mut String| {
        if !kept.ends_with(FORGOTTEN) {
            kept.push_str(if kept.is_empty() { "" } else { " " });
            kept.push_str(FORGOTTEN);
        }
    };
    while let Some((passage, numbers, after)) = next_marked(left) {
        match stay(&numbers) {
            true => kept.push_str(passage),
            false => forget(&mut kept),
        }
        left = after;
    }
    match rest || !left.chars().any(char::is_alphanumeric) {
        true => kept.push_str(left),
        false => forget(&mut kept),
    }
    kept
}

/// The text up to and with the first `[number]` and those that follow at once, their numbers, and what comes after.
fn next_marked(text: &str) -> Option<(&str, Vec<u64>, &str)> {
    let (mut end, first) = next_marker(text, 0)?;
    let mut numbers = vec![first];
    while text.get(end..).is_some_and(|rest| rest.starts_with('['))
        && let Some((close, number)) = marker_at(text, end)
    {
        numbers.push(number);
        end = close;
    }
    Some((text.get(..end)?, numbers, text.get(end..)?))
}

/// Where the first `[number]` from `from` on ends, and the number.
fn next_marker(text: &str, mut from: usize) -> Option<(usize, u64)> {
    loop {
        let open = from + text.get(from..)?.find('[')?;
        if let Some(found) = marker_at(text, open) {
            return Some(found);
        }
        from = open + 1;
    }
}

/// Where the `[number]` that begins at `open` ends, and the number.
fn marker_at(text: &str, open: usize) -> Option<(usize, u64)> {
    let close = open + text.get(open..)?.find(']')?;
    let number = text.get(open + 1..close)?.parse().ok()?;
    Some((close + 1, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_passage_goes_with_its_marker_and_the_others_stay() {
        let answer = "The fridge is cold. [1] It beeps [sic] loudly. [2] Call Joana. [3]";
        let without = |text: &str, gone: &[u64]| kept(text, |numbers| !numbers.iter().any(|n| gone.contains(n)), true);
        assert_eq!(without(answer, &[2]), "The fridge is cold. [1] (deleted) Call Joana. [3]");
        assert_eq!(without(answer, &[1, 3]), "(deleted) It beeps [sic] loudly. [2] (deleted)");
        assert_eq!(without("No marker [", &[1]), "No marker [");
        assert_eq!(without("Borne out by two [1][2]. Another [3].", &[2]), "(deleted). Another [3].");
        let only = |text: &str, left: &[u64]| kept(text, |numbers| numbers.iter().all(|n| left.contains(n)), false);
        assert_eq!(only("It is cold [1]. It beeps [2]. Good luck.", &[2]), "(deleted). It beeps [2] (deleted)");
        assert_eq!(only("It is cold [1]. It beeps [2].", &[1]), "It is cold [1] (deleted).");
        assert_eq!(only("Helena Brandt does.", &[]), "(deleted)");
    }

    #[test]
    fn the_head_of_a_passage_goes_with_it() {
        let mut parts =
            json!([{"text": "[1] Secret\n"}, {"passage": 1}, {"text": "[2] Open\n"}, {"passage": 2}, {"text": "end"}]);
        let parts = parts.as_array_mut().unwrap();
        silence_parts(parts, &[1], false);
        let texts = |parts: &[Value]| [0, 2, 4].map(|place| parts[place]["text"].as_str().unwrap().to_owned());
        assert_eq!(texts(parts), [FORGOTTEN, "[2] Open\n", "end"]);
        silence_parts(parts, &[], true);
        assert_eq!((texts(parts), &parts[1]), ([(); 3].map(|()| FORGOTTEN.to_owned()), &json!({"passage": 1})));
    }
}
