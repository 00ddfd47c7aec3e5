//! What a word is: folded, stemmed where the language is known, bigrams where a script has no spaces.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use frostem::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// One word of a text, as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// First byte of the word in the text.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// Folded and stemmed form: equal terms are the same word.
    pub term: String,
}

/// Cuts text into words, in one way for documents and queries alike.
#[derive(Clone)]
pub struct Analyzer {
    stemmer: Option<Stemmer>,
    stopwords: Arc<HashSet<String>>,
}

impl Analyzer {
    /// An analyzer that stems words of `language` (a name or ISO 639 code that Snowball knows), or, for any
    /// other, leaves them unstemmed.
    pub fn new(language: &str) -> Self {
        let lists = [language, "en"].map(|code| stop_words::lookup(code).unwrap_or_default());
        let stopwords = lists.into_iter().flatten().map(|word| fold(word)).collect();
        Analyzer { stemmer: Algorithm::from_name(language).ok().map(Stemmer::new), stopwords: Arc::new(stopwords) }
    }

    /// Whether [`Analyzer::new`] would stem this language.
    pub fn knows(language: &str) -> bool {
        Algorithm::from_name(language).is_ok()
    }

    /// The words of `text` in order.
    ///
    /// A run of letters and digits is a word. A run in a script written without spaces (Han, Kana, Thai, …), or
    /// in Hangul, whose particles cling to words, gives its overlapping pairs of characters instead.
    pub fn words(&self, text: &str) -> Vec<Word> {
        let mut words = Vec::with_capacity(text.len() / 6);
        let mut run: Option<(usize, bool)> = None;
        for (at, c) in text.char_indices() {
            let kind = match run {
                // A mark belongs to what it stands on; a soft hyphen and a joiner are not seen.
                Some((_, unspaced)) if is_combining_mark(c) || matches!(c, '\u{AD}' | '\u{200D}') => Some(unspaced),
                _ if is_unspaced(c) => Some(true),
                _ => c.is_alphanumeric().then_some(false),
            };
            match (run, kind) {
                (Some((_, unspaced)), Some(now)) if unspaced == now => {}
                (previous, now) => {
                    if let Some((start, unspaced)) = previous {
                        self.push_run(text, start, at, unspaced, &mut words);
                    }
                    run = now.map(|unspaced| (at, unspaced));
                }
            }
        }
        if let Some((start, unspaced)) = run {
            self.push_run(text, start, text.len(), unspaced, &mut words);
        }
        words
    }

    /// The words of `text` as a search compares them: a word of letters and digits counts also as its runs of two or
    /// more of either, so that `FY2018` meets `2018`. What a word is split into follows it.
    pub fn searched_words(&self, text: &str) -> Vec<Word> {
        let mut words = Vec::with_capacity(text.len() / 6);
        for word in self.words(text) {
            let split = self.split(text, &word);
            words.push(word);
            words.extend(split);
        }
        words
    }

    /// The words of `text` as an index holds them, each with its place: what a word is split into stands at its
    /// place. Where pairs stand for a run, its single characters do too, so that a question of one character finds it.
    pub fn indexed_words(&self, text: &str) -> Vec<(usize, Word)> {
        let mut words: Vec<(usize, Word)> = Vec::with_capacity(text.len() / 5);
        for (place, word) in self.words(text).into_iter().enumerate() {
            let split = self.split(text, &word);
            words.push((place, word));
            words.extend(split.into_iter().map(|word| (place, word)));
        }
        let singles = text.char_indices().filter(|(_, c)| is_unspaced(*c)).map(|(start, c)| {
            let end = start + c.len_utf8();
            let last = words.partition_point(|(_, word)| word.start <= start).checked_sub(1);
            let place = last.and_then(|last| words.get(last)).map_or(0, |(place, _)| *place);
            (place, Word { start, end, term: fold(text.get(start..end).unwrap_or_default()) })
        });
        let singles: Vec<_> = singles.collect();
        if !singles.is_empty() {
            words.extend(singles);
            words.sort_by_key(|(_, word)| (word.start, word.end));
            words.dedup();
        }
        words
    }

    /// Whether English or the language has `word`, as it stands in a text, everywhere.
    pub fn is_stopword(&self, word: &str) -> bool {
        self.stopwords.contains(&fold(word))
    }

    /// The words of `text` that carry its meaning: without those that English or the language has everywhere.
    pub fn content_words(&self, text: &str) -> Vec<Word> {
        let mut words = self.words(text);
        words.retain(|w| !self.is_stopword(text.get(w.start..w.end).unwrap_or_default()));
        words
    }

    fn split(&self, text: &str, word: &Word) -> Vec<Word> {
        let surface = text.get(word.start..word.end).unwrap_or_default();
        let part = |run: Range<usize>| Word {
            start: word.start + run.start,
            end: word.start + run.end,
            term: self.term(surface.get(run).unwrap_or_default()),
        };
        mixed_runs(surface).into_iter().map(part).collect()
    }

    fn push_run(&self, text: &str, start: usize, end: usize, unspaced: bool, words: &mut Vec<Word>) {
        let Some(run) = text.get(start..end) else { return };
        if !unspaced {
            words.push(Word { start, end, term: self.term(run) });
            return;
        }
        // Characters with their marks, as they come decomposed from some systems.
        let starts = run.char_indices().filter(|(_, c)| !is_combining_mark(*c) || is_unspaced(*c));
        let bounds: Vec<usize> = starts.map(|(at, _)| start + at).chain([end]).collect();
        if bounds.len() <= 3 {
            words.push(Word { start, end, term: fold(run) });
            return;
        }
        for pair in bounds.windows(3) {
            if let [first, _, last] = *pair {
                let term = fold(text.get(first..last).unwrap_or_default());
                words.push(Word { start: first, end: last, term });
            }
        }
    }

    fn term(&self, word: &str) -> String {
        match &self.stemmer {
            // The English rules know no accents; other languages' do, and come before folding.
            Some(stemmer) if stemmer.algorithm() == Algorithm::English => stemmer.stem(&fold(word)).into_owned(),
            Some(stemmer) => fold(&stemmer.stem(&word.to_lowercase().replace('ß', "ss"))),
            None => fold(word),
        }
    }
}

/// The runs of two or more letters or digits in a word that has both.
fn mixed_runs(word: &str) -> Vec<Range<usize>> {
    let kinds = || word.char_indices().filter(|(_, c)| !is_combining_mark(*c)).map(|(at, c)| (at, c.is_numeric()));
    let mut runs: Vec<(bool, usize, usize)> = Vec::new();
    if kinds().all(|(_, numeric)| numeric) || !kinds().any(|(_, numeric)| numeric) {
        return Vec::new();
    }
    for (at, numeric) in kinds() {
        match runs.last_mut() {
            Some((kind, _, count)) if *kind == numeric => *count += 1,
            _ => runs.push((numeric, at, 1)),
        }
    }
    let ends = runs.iter().skip(1).map(|(_, at, _)| *at).chain([word.len()]);
    runs.iter().zip(ends).filter(|((_, _, count), _)| *count > 1).map(|((_, start, _), end)| *start..end).collect()
}

/// Case, accents, width and compatibility forms taken away: `Ärzte` → `arzte`, `ｶﾅ` → `カナ`.
pub fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let decomposed = word.nfkd().filter(|c| !is_accent(*c));
    let folded: String = decomposed.flat_map(char::to_lowercase).nfc().collect();
    folded.replace('ß', "ss")
}

/// Whether a word is the same without the character: accents of Latin, Greek and Cyrillic, the vowels that Hebrew and
/// Arabic may leave out, and what is not seen. Marks of other scripts are letters: が is not か, and की is not का.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5C7}' | '\u{610}'..='\u{61A}' | '\u{640}'
        | '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{6D6}'..='\u{6ED}' | '\u{AD}' | '\u{200D}' | '\u{FE20}'..='\u{FE2F}')
}

/// Whether words of the character's script are not set apart by spaces.
pub fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E01}'..='\u{0E3A}' | '\u{0E40}'..='\u{0E4E}' // Thai
        | '\u{0E80}'..='\u{0ECD}'                         // Lao
        | '\u{1000}'..='\u{103F}'                         // Burmese
        | '\u{1780}'..='\u{17D3}'                         // Khmer
        | '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7AF}' // Hangul
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{309D}'..='\u{309F}' // Hiragana
        | '\u{30A1}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9D}' // Katakana
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' // Han
        | '\u{20000}'..='\u{323AF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(language: &str, text: &str) -> Vec<String> {
        Analyzer::new(language).words(text).into_iter().map(|w| w.term).collect()
    }

    #[test]
    fn case_accents_and_endings_do_not_matter() {
        assert_eq!(terms("en", "The Refrigerators' alarms"), terms("en", "the refrigerator alarm"));
        assert_eq!(terms("", "Ärzte CAFÉ Straße"), ["arzte", "cafe", "strasse"]);
        assert_eq!(terms("de", "Häuser"), terms("de", "haus"));
        assert_eq!(terms("en", "Straße"), terms("en", "STRASSE"));
        assert_eq!(terms("de", "Straße"), terms("de", "strasse"));
    }

    #[test]
    fn content_words_leave_out_the_words_that_are_everywhere() {
        let words = Analyzer::new("en").content_words("What do I do when the alarm sounds?");
        let terms: Vec<_> = words.iter().map(|w| w.term.as_str()).collect();
        assert_eq!(terms, ["alarm", "sound"]);
    }

    #[test]
    fn unspaced_scripts_become_bigrams() {
        assert_eq!(terms("en", "東京都へ"), ["東京", "京都", "都へ"]);
        assert_eq!(terms("en", "水 ok 한국어"), ["水", "ok", "한국", "국어"]);
        assert_eq!(terms("en", "が"), ["が"]);
        let indexed = Analyzer::new("en").indexed_words("水道 a 東京都");
        let indexed: Vec<_> = indexed.iter().map(|(place, word)| (*place, word.term.as_str())).collect();
        let expected =
            [(0, "水"), (0, "水道"), (0, "道"), (1, "a"), (2, "東"), (2, "東京"), (3, "京"), (3, "京都"), (3, "都")];
        assert_eq!(indexed, expected);
    }

    #[test]
    fn marks_and_hidden_characters_stay_in_their_words() {
        assert_eq!(terms("hi", "की का").len(), 2);
        assert_ne!(terms("", "की"), terms("", "का"));
        assert_eq!(terms("", "كِتَاب"), terms("", "كتاب"));
        assert_eq!(terms("de", "Ver\u{AD}trag"), terms("de", "Vertrag"));
        assert_eq!(terms("ja", "か\u{3099}くせい"), terms("ja", "がくせい"));
        assert_eq!(terms("", "cafe\u{301} snake_case"), ["cafe", "snake", "case"]);
        assert_eq!(terms("fr", "l'homme"), ["l", "homm"]);
    }

    #[test]
    fn letters_and_digits_count_also_alone() {
        let analyzer = Analyzer::new("en");
        let searched = |text: &str| analyzer.searched_words(text).into_iter().map(|w| w.term).collect::<Vec<_>>();
        assert_eq!(searched("FY2018 10k q2 A-123"), ["fy2018", "fy", "2018", "10k", "10", "q2", "a", "123"]);
        let indexed = analyzer.indexed_words("in FY2018 again");
        assert_eq!(indexed.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 1, 1, 1, 2]);
    }

    proptest! {
        #[test]
        fn words_stand_in_order_at_character_bounds(text in "\\PC{0,80}") {
            let mut last = 0;
            for word in Analyzer::new("en").words(&text) {
                prop_assert!(text.get(word.start..word.end).is_some_and(|w| !w.is_empty()));
                prop_assert!(word.start >= last);
                last = word.start;
            }
        }
    }
}
