//! What a turn found, numbered from 1 by the server: models and answers know passages by these numbers alone.

use crate::knowledge::Fact;
use crate::search::Hit;

/// The passages of a turn in the order in which they were found, each once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    hits: Vec<Hit>,
}

impl Evidence {
    /// Takes in passages and gives their numbers; what is there keeps the one it has.
    pub fn add(&mut self, hits: impl IntoIterator<Item = Hit>) -> Vec<usize> {
        hits.into_iter().map(|hit| self.add_one(hit)).collect()
    }

    fn add_one(&mut self, hit: Hit) -> usize {
        match self.number_of(hit.located.chunk.number) {
            Some(number) => number,
            None => {
                self.hits.push(hit);
                self.hits.len()
            }
        }
    }

    /// The number of a chunk's passage, where it is among them.
    pub fn number_of(&self, chunk: u32) -> Option<usize> {
        self.hits.iter().position(|hit| hit.located.chunk.number == chunk).map(|place| place + 1)
    }

    /// The passage with this number.
    pub fn get(&self, number: usize) -> Option<&Hit> {
        self.hits.get(number.checked_sub(1)?)
    }

    /// The passages, the first of them number 1.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// A fact in a line: what it says, since and until when, and the numbers of the passages here that state it.
    pub fn tell(&self, fact: &Fact) -> String {
        let mut line = fact.sentence();
        match (fact.valid_at, fact.invalid_at) {
            (Some(from), Some(to)) => line += &format!(" (from {from}, until before {to})"),
            (Some(from), None) => line += &format!(" (from {from})"),
            (None, Some(to)) => line += &format!(" (until before {to})"),
            (None, None) => {}
        }
        let stated = fact.evidence.iter().filter_map(|passage| self.number_of(passage.chunk));
        let numbers: Vec<String> = stated.map(|number| format!("[{number}]")).collect();
        if !numbers.is_empty() {
            line += &format!(" {}", numbers.concat());
        }
        line
    }
}
