//! How an ingestion went, told as it goes and summed up at its end.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::super::{DONE, FAILED, Outcome, PARTLY, say};

/// Whether each change has a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    None,
    Text,
    Json,
}

pub struct Report {
    lines: Lines,
    started: Instant,
    counts: BTreeMap<&'static str, u64>,
    chunks: u64,
    /// Failures of which only the number is known.
    unnamed: u64,
    errors: Vec<Value>,
    /// What was left out of documents that went in.
    warnings: Vec<Value>,
}

impl Report {
    pub fn new(lines: Lines) -> Self {
        let started = Instant::now();
        Report {
            lines,
            started,
            counts: BTreeMap::new(),
            chunks: 0,
            unnamed: 0,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Documents of one file that were `added`, `replaced`, left `unchanged` or `removed`.
    pub fn note(&mut self, how: &'static str, source: &str, documents: u64, chunks: u64) -> Outcome<()> {
        *self.counts.entry(how).or_default() += documents;
        self.chunks += chunks;
        match self.lines {
            Lines::Text if documents != 1 => say(&format!("{how} {source} ({documents} documents)")),
            Lines::Text => say(&format!("{how} {source}")),
            Lines::Json => say(&json!({"action": how, "source": source, "documents": documents}).to_string()),
            Lines::None => Ok(()),
        }
    }

    /// What was left out of a document that went in, as the interface tells of it.
    pub fn warn(&mut self, source: &str, warnings: &Value) -> Outcome<()> {
        for warning in warnings.as_array().into_iter().flatten() {
            let (code, message, page) = (&warning["code"], &warning["message"], &warning["page"]);
            self.warnings.push(json!({"source": source, "code": code, "message": message, "page": page}));
            let place = page.as_u64().map(|page| format!(", page {page}")).unwrap_or_default();
            match self.lines {
                Lines::Json => {
                    say(&json!({"action": "partly", "source": source, "message": message, "page": page}).to_string())?;
                }
                _ => eprintln!("partly: {source}{place}: {}", message.as_str().unwrap_or_default()),
            }
        }
        Ok(())
    }

    /// What is in already and was not looked at more closely.
    pub fn note_unchanged(&mut self, documents: u64) {
        *self.counts.entry("unchanged").or_default() += documents;
    }

    pub fn fail(&mut self, source: &str, code: &str, message: &str) -> Outcome<()> {
        self.errors.push(json!({"source": source, "code": code, "message": message}));
        match self.lines {
            Lines::Text => say(&format!("failed {source}: {message}")),
            Lines::Json => {
                say(&json!({"action": "failed", "source": source, "code": code, "message": message}).to_string())
            }
            Lines::None => Ok(()),
        }
    }

    /// So many more failures, of which no more is known.
    pub fn fail_unnamed(&mut self, documents: u64) {
        self.unnamed += documents;
    }

    /// The documents that failed, and the codes of their failures.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.errors.iter().filter_map(|error| Some((error["source"].as_str()?, error["code"].as_str()?)))
    }

    /// Sums up. `gone` are documents whose files are gone and that stay.
    pub fn finish(&self, json: bool, gone: u64) -> Outcome {
        let count = |name| self.counts.get(name).copied().unwrap_or(0);
        let (failed, seconds) = (self.errors.len() as u64 + self.unnamed, self.started.elapsed().as_secs_f64());
        if self.lines == Lines::None {
            for error in &self.errors {
                let text = |name: &str| error[name].as_str().unwrap_or_default();
                eprintln!("failed: {}: {}", text("source"), text("message"));
            }
        }
        let (added, replaced, unchanged) = (count("added"), count("replaced"), count("unchanged"));
        let (removed, chunks) = (count("removed"), self.chunks);
        if json {
            say(&json!({
                "added": added, "replaced": replaced, "unchanged": unchanged, "removed": removed, "gone": gone,
                "failed": failed, "chunks": chunks, "seconds": seconds, "errors": self.errors,
                "warnings": self.warnings,
            })
            .to_string())?;
        } else {
            let and_removed = if removed > 0 { format!("{removed} removed, ") } else { String::new() };
            say(&format!(
                "{added} added, {replaced} replaced, {unchanged} unchanged, {and_removed}{failed} failed; \
                 {chunks} chunks in {seconds:.1} s"
            ))?;
        }
        if gone > 0 {
            eprintln!("gone from the folder, and still documents: {gone} (--prune removes such)");
        }
        Ok(match (failed, added + replaced + unchanged + removed) {
            (0, _) => DONE,
            (_, 0) => FAILED,
            _ => PARTLY,
        })
    }
}
