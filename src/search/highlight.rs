//! Which bytes of a hit hold words of the query.

use std::collections::HashSet;

use crate::text::Analyzer;

/// Finds the words of one query in texts.
pub struct Marker<'a> {
    analyzer: &'a Analyzer,
    terms: HashSet<String>,
}

impl<'a> Marker<'a> {
    /// Marks words that are compared as one of `terms`.
    pub fn new<'t>(analyzer: &'a Analyzer, terms: impl Iterator<Item = &'t str>) -> Self {
        Marker { analyzer, terms: terms.map(str::to_owned).collect() }
    }

    /// Marks the words of `query` that carry meaning, or all of them where none does.
    pub fn of_text(analyzer: &'a Analyzer, query: &str) -> Self {
        let mut words = analyzer.content_words(query);
        if words.is_empty() {
            words = analyzer.words(query);
        }
        Marker { analyzer, terms: words.into_iter().map(|word| word.term).collect() }
    }

    /// Ranges of bytes of `text`, in order; those that touch or overlap are one.
    pub fn mark(&self, text: &str) -> Vec<(usize, usize)> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        // As the index has them, so that what one character found is marked as well.
        let words = self.analyzer.indexed_words(text).into_iter().map(|(_, word)| word);
        for word in words.filter(|word| self.terms.contains(&word.term)) {
            match ranges.last_mut() {
                Some((_, end)) if word.start <= *end => *end = word.end.max(*end),
                _ => ranges.push((word.start, word.end)),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflected_words_and_bigrams_are_marked() {
        let analyzer = Analyzer::new("en");
        let marked = |query: &str, text: &'static str| {
            let ranges = Marker::of_text(&analyzer, query).mark(text);
            ranges.into_iter().map(|(start, end)| &text[start..end]).collect::<Vec<_>>()
        };
        assert_eq!(marked("the alarm sounds", "The alarms: one sound."), ["alarms", "sound"]);
        assert_eq!(marked("面会時間", "当院の面会時間は"), ["面会時間"]);
        assert_eq!(marked("年", "三年に一度、毎年"), ["年", "年"]);
    }
}
