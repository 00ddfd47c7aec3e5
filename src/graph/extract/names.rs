//! Where a sentence names something: runs of capitals with what joins them, and titles of works in quotes.

use std::ops::Range;

use super::language::Language;
use super::lexicon::lexicon;
use super::tokens::{Shape, Token};
use super::vocabulary::{Vocabulary, first_word};
use crate::graph::Kind;

/// Titles that stay in a name, as it says little without them.
pub(super) const KEPT_TITLES: &[&str] = &[
    "king", "queen", "prince", "princess", "emperor", "empress", "pope", "saint", "st", "lord", "lady", "duke",
    "count", "sir",
];
pub(super) const DAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Titles that names of offices and leagues begin with, too.
const AMBIGUOUS: &[&str] = &[
    "major",
    "general",
    "judge",
    "justice",
    "minister",
    "national",
    "chief",
    "lord",
    "president",
    "secretary",
    "governor",
];
const MONTHS: &[&str] = &["january", "february", "september", "october", "november", "december"];
/// Months that are names, too.
const NAMED_MONTHS: &[&str] = &["march", "april", "may", "june", "july", "august"];
/// The longest name, in tokens.
const LONGEST: usize = 14;

/// A place in a sentence that names something, in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub tokens: Range<usize>,
    /// What it is by the marks around it.
    pub kind: Option<Kind>,
}

/// The names among `tokens`, in order; those of `taken` are something else already.
pub(super) fn names(tokens: &[Token], taken: &[Range<usize>], words: &Vocabulary, language: Language) -> Vec<Span> {
    let finder = Finder { tokens, words, language, first: first_word(tokens) };
    let mut found = Vec::new();
    if !finder.capitals_tell() {
        return found;
    }
    let (mut at, mut taken) = (0, taken.iter().peekable());
    while at < tokens.len() {
        while taken.next_if(|range| range.end <= at).is_some() {}
        let limit = taken.peek().map_or(tokens.len(), |range| range.start);
        if limit <= at {
            at = taken.peek().map_or(at + 1, |range| range.end);
        } else if let Some(span) = finder.title(at, limit) {
            at = span.tokens.end + 1;
            found.push(span);
        } else if finder.begins(at) {
            let end = finder.run(at, limit);
            finder.cut(at..end, &mut found);
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

pub(super) struct Finder<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) words: &'a Vocabulary,
    pub(super) language: Language,
    pub(super) first: usize,
}

impl Finder<'_> {
    pub(super) fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.word.as_str())
    }

    pub(super) fn is_mark(&self, at: usize, mark: char) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_mark(mark))
    }

    pub(super) fn is_capital(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(Token::is_capital)
    }

    pub(super) fn is_glued(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.glued)
    }

    /// Whether a capital says anything here: not in headings and in what is all in capitals.
    fn capitals_tell(&self) -> bool {
        let lexicon = lexicon();
        let told =
            |token: &&Token| token.shape != Shape::Number && token.word.len() > 2 && !lexicon.is_stopword(&token.word);
        let content = self.tokens.iter().filter(told);
        let (all, capital) =
            content.fold((0, 0), |(all, capital), token| (all + 1, capital + usize::from(token.is_capital())));
        let shouted = self.tokens.iter().filter(|token| token.shape == Shape::Upper && token.word.len() > 3).count();
        let is_sentence = self.tokens.iter().any(|token| token.shape == Shape::Lower)
            && self.tokens.last().is_some_and(|token| {
                matches!(token.shape, Shape::Mark('.' | '!' | '?' | ';' | ':' | '"' | '”' | ')' | '|'))
            });
        (is_sentence || all < 3 || capital * 5 < all * 4) && shouted * 2 <= all.max(2)
    }

    /// `“The Old Chaperone”`, `《史记》`: a work.
    fn title(&self, at: usize, limit: usize) -> Option<Span> {
        let close = match self.tokens.get(at)?.shape {
            Shape::Mark('“' | '"') => ['”', '"'],
            Shape::Mark('《') => ['》', '》'],
            Shape::Mark('『') => ['』', '』'],
            _ => return None,
        };
        let inside = self.tokens.get(at + 1..limit.min(at + 40))?;
        let end = at + 1 + inside.iter().position(|token| close.into_iter().any(|mark| token.is_mark(mark)))?;
        let last = if self.is_mark(end - 1, ',') || self.is_mark(end - 1, '.') { end - 1 } else { end };
        let words = self.tokens.get(at + 1..last)?;
        if close[0] != '”' {
            return (!words.is_empty()).then_some(Span { tokens: at + 1..last, kind: Some(Kind::Work) });
        }
        let lexicon = lexicon();
        let content = || words.iter().filter(|token| !token.word.is_empty());
        let is_titled = content()
            .all(|token| token.is_capital() || token.shape == Shape::Number || lexicon.is_stopword(&token.word))
            && content().any(|token| token.shape == Shape::Capital)
            && words.iter().all(|token| !matches!(token.shape, Shape::Mark('.' | ';' | ':' | '(' | '"')));
        let several = (2..=9).contains(&content().count());
        (is_titled && several && words.first()?.is_capital())
            .then_some(Span { tokens: at + 1..last, kind: Some(Kind::Work) })
    }

    fn begins(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at) else { return false };
        let is_possessive = token.glued && at > 0 && self.tokens.get(at - 1).is_some_and(Token::is_apostrophe);
        let is_letter = token.word.chars().count() == 1 && !self.is_mark(at + 1, '.');
        token.is_capital() && !is_possessive && !is_letter && !DAYS.contains(&token.word.as_str()) && !self.is_month(at)
    }

    /// Whether a word has its capital where no sentence begins, too.
    pub(super) fn stands_elsewhere(&self, word: &str) -> bool {
        self.words.of(word).1 > 0
    }

    fn is_month(&self, at: usize) -> bool {
        let word = self.word(at);
        let is_dated = self.tokens.get(at + 1).is_some_and(|next| next.shape == Shape::Number)
            || matches!(
                self.word(at.wrapping_sub(1)),
                "in" | "of" | "since" | "until" | "by" | "early" | "late" | "mid"
            );
        MONTHS.contains(&word) || NAMED_MONTHS.contains(&word) && is_dated
    }

    /// One past the last token of the name that begins at `start`.
    fn run(&self, start: usize, limit: usize) -> usize {
        let mut end = start + 1;
        while end < limit && end - start < LONGEST {
            match self.joined(start, end) {
                Some(next) if next <= limit => end = next,
                _ => break,
            }
        }
        end
    }

    /// The names that a run of capitals is: without what begins the sentence, and apart where a role stands between.
    fn cut(&self, run: Range<usize>, found: &mut Vec<Span>) {
        let lexicon = lexicon();
        let mut start = run.start;
        let joined: Vec<&str> = run.clone().map(|at| self.word(at)).collect();
        let is_place = lexicon.places.contains_key(&joined.join(" "));
        while !is_place && start < run.end && (self.is_mark(start, '.') || self.means_nothing(start, &run)) {
            start += 1;
        }
        let holds_head = (start..run.end).any(|at| lexicon.heads.get(self.word(at)) == Some(&Kind::Organization));
        let ends_in_head = holds_head && AMBIGUOUS.contains(&self.word(start))
            || run.end > start && {
                let last = self.word(run.end - 1);
                lexicon.heads.get(last).is_some_and(|kind| *kind != Kind::Concept) || lexicon.forms.contains(last)
            };
        // Where a name ends and a role, a title or another's name begins.
        let mut at = start;
        while at < run.end {
            let (word, rest) = (self.word(at), run.end - at - 1);
            let is_role =
                lexicon.roles.contains_key(word) || lexicon.titles.contains(word) && !KEPT_TITLES.contains(&word);
            let is_inside = at > start && self.tokens.get(at - 1).is_some_and(|token| token.shape == Shape::Lower);
            let is_role = is_role && !is_inside && !ends_in_head && rest > 0 && !matches!(self.word(at + 1), "of" | "");
            let is_abbreviated = is_role && self.is_mark(at + 1, '.');
            if is_role || (is_abbreviated && rest > 1) {
                self.push(start..at, found);
                start = at + 1 + usize::from(self.is_mark(at + 1, '.'));
                at = start;
                continue;
            }
            let next = self.word(at + 1);
            let is_origin = lexicon.places.get(word).is_some_and(|place| !place.eq_ignore_ascii_case(word));
            if is_origin && at == start && rest > 1 && lexicon.first_names.contains(next) {
                self.push(start..at + 1, found);
                start = at + 1;
            }
            at += 1;
        }
        self.push(start..run.end, found);
    }

    fn push(&self, mut run: Range<usize>, found: &mut Vec<Span>) {
        while run.start < run.end && (self.word(run.start) == "the" || self.word(run.start).is_empty()) {
            run.start += 1;
        }
        while run.end > run.start && self.tokens.get(run.end - 1).is_some_and(|token| token.shape == Shape::Lower) {
            run.end -= 1;
        }
        // A title alone, a lone mark, or a word in capitals only because its sentence begins.
        while run.end > run.start && self.word(run.end - 1).is_empty() && !self.is_mark(run.end - 1, '.') {
            run.end -= 1;
        }
        let is_form = |at: usize| self.word(at).is_empty() || lexicon().forms.contains(self.word(at));
        if run.clone().all(is_form) {
            return;
        }
        if run.is_empty() || run.len() == 1 && !self.stands_alone(run.start) {
            return;
        }
        if self.language == Language::German && !self.is_name_in_german(&run) {
            return;
        }
        let is_event = lexicon().heads.get(self.word(run.end - 1)) == Some(&Kind::Concept);
        let year = |token: &Token| token.shape == Shape::Number && token.word.len() == 4;
        if is_event && run.start > 0 && self.tokens.get(run.start - 1).is_some_and(year) {
            run.start -= 1;
        }
        found.push(Span { tokens: run, kind: None });
    }
}
