//! Who does what a verb says: where in a sentence its subject stands, if that is sure.

use super::clause::{BE, Clause, What, is_adverb, is_verb};
use super::lexicon::lexicon;
use crate::graph::Kind;

const PREPOSITIONS: &[&str] = &[
    "of",
    "in",
    "at",
    "by",
    "for",
    "to",
    "with",
    "from",
    "on",
    "near",
    "between",
    "through",
    "under",
    "against",
    "into",
    "as",
    "over",
    "after",
    "before",
    "during",
    "like",
    "than",
    "about",
    "around",
    "behind",
    "beside",
    "per",
    "via",
    "within",
    "without",
    "towards",
    "toward",
    "among",
    "including",
    "unlike",
    "despite",
    "until",
    "since",
    "upon",
    "beyond",
    "across",
    "along",
    "alongside",
    "outside",
    "inside",
    "not",
    "or",
    "nor",
];

impl Clause<'_> {
    /// Who does what the verb group that begins at `verb` says, where that is sure.
    pub fn subjects(&self, verb: usize) -> Vec<usize> {
        let mut at = verb;
        for _ in 0..4 {
            let Some(before) = at.checked_sub(1) else { return Vec::new() };
            match self.items.get(before).map(|item| item.what) {
                Some(What::Entity { .. }) => return self.coordinated(before),
                Some(What::Mark(')')) => match self.opening(before) {
                    Some(open) => at = open,
                    None => return Vec::new(),
                },
                Some(What::Mark(',')) if before + 1 < verb && self.is_mark(before + 1, '(') => at = before,
                Some(What::Mark(',')) if self.is_named_after_noun(before) => {
                    return self.named(before - 1).map(|(entity, _)| entity).into_iter().collect();
                }
                Some(What::Mark(',')) => match self.apposition(before) {
                    Some(comma) => at = comma,
                    None => return Vec::new(),
                },
                Some(What::Word(word)) => return self.by_word(word, before),
                _ => return Vec::new(),
            }
        }
        Vec::new()
    }

    /// `His third album, X,`: whether the comma closes the name of what a noun says.
    fn is_named_after_noun(&self, close: usize) -> bool {
        let noun = close.checked_sub(3).map_or("", |at| self.word(at));
        let is_noun = lexicon().classes.contains_key(noun) || lexicon().roles.contains_key(noun);
        is_noun
            && self.is_mark(close - 2, ',')
            && self.named(close - 1).is_some_and(|(_, kind)| lexicon().classes.get(noun) == Some(&kind))
    }

    /// The subject where a word stands before the verb: a pronoun, "who", "and".
    fn by_word(&self, word: &str, at: usize) -> Vec<usize> {
        match word {
            "who" | "which" | "that" => self.antecedent(word, at).into_iter().collect(),
            "and" | "but" => {
                // The same subject as the verb before, where no other stands between.
                let names =
                    |at: usize| self.items.get(at).is_some_and(|item| matches!(item.what, What::Word(w) if is_verb(w)));
                let verb = (0..at).rev().take(14).find(|at| names(*at));
                let verb = verb.filter(|_| {
                    !matches!(self.items.get(at.wrapping_sub(1)).map(|item| item.what), None | Some(What::Mark(_)))
                });
                verb.map(|verb| self.subjects(self.group(verb).0)).unwrap_or_default()
            }
            _ if self.referent.is_some() && self.refers(at) => self.referent.into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the words up to `at` are the sentence's pronoun, or "the company", after at most a date.
    fn refers(&self, at: usize) -> bool {
        let opening = self.opening_words();
        match self.word(opening) {
            "he" | "she" | "it" => at == opening,
            "the" => at == opening + 1,
            _ => false,
        }
    }

    /// The first item after "In 1990," or the like.
    pub fn opening_words(&self) -> usize {
        let is_led = PREPOSITIONS.contains(&self.word(0)) && self.moment(1).is_some();
        if is_led { 2 + usize::from(self.is_mark(2, ',')) } else { 0 }
    }

    /// Whom "who", "which" or "that" at an item means.
    fn antecedent(&self, word: &str, at: usize) -> Option<usize> {
        let before = at.checked_sub(1)?;
        let before = if self.is_mark(before, ',') { before.checked_sub(1)? } else { before };
        if let Some((entity, kind)) = self.named(before) {
            let fits = (word == "who") == (kind == Kind::Person) && word != "that";
            return fits.then_some(entity);
        }
        // "X is a racer who …": no other name may come between.
        let is_class =
            lexicon().classes.contains_key(self.word(before)) || lexicon().roles.contains_key(self.word(before));
        let topic = self.topic.filter(|_| is_class)?;
        let since = (0..at).rev().find(|at| BE.contains(&self.word(*at)))?;
        (since..at).all(|at| self.named(at).is_none() || self.is_origin(at)).then_some(topic)
    }

    /// The subject that ends at an item, with those joined to it by "and"; none where it depends on another noun.
    fn coordinated(&self, last: usize) -> Vec<usize> {
        let Some((entity, kind)) = self.named(last) else { return Vec::new() };
        let Some(before) = last.checked_sub(1) else { return vec![entity] };
        match self.items.get(before).map(|item| item.what) {
            Some(What::Word("and")) => {
                let other = before.checked_sub(1).filter(|at| self.named(*at).is_some_and(|(_, other)| other == kind));
                let mut all = other.map(|at| self.coordinated(at)).unwrap_or_default();
                if all.is_empty() && other.is_some() {
                    return all;
                }
                all.push(entity);
                all
            }
            Some(What::Word(word)) => {
                let lexicon = lexicon();
                let is_free = matches!(
                    word,
                    "the"
                        | "that"
                        | "when"
                        | "where"
                        | "while"
                        | "because"
                        | "but"
                        | "as"
                        | "although"
                        | "though"
                        | "said"
                        | "says"
                        | "former"
                );
                let describes = lexicon.classes.contains_key(word)
                    || lexicon.roles.contains_key(word)
                    || lexicon.titles.contains(word);
                let depends = (2..=6)
                    .filter_map(|back| last.checked_sub(back))
                    .any(|at| matches!(self.word(at), "of" | "with" | "for" | "by"));
                let fits = is_free || (describes && !depends);
                let after_preposition =
                    word == "the" && before.checked_sub(1).is_some_and(|at| PREPOSITIONS.contains(&self.word(at)));
                if fits && !after_preposition { vec![entity] } else { Vec::new() }
            }
            // "…, Order of X, Y was …" goes on a list.
            Some(What::Mark(','))
                if before.checked_sub(1).and_then(|at| self.named(at)).is_some_and(|(_, kind)| kind != Kind::Place) =>
            {
                Vec::new()
            }
            Some(What::Entity { kind: Kind::Date, .. })
            | Some(What::Mark('.' | ',' | ';' | ':' | '—' | '"' | '“' | '•' | '-')) => vec![entity],
            Some(What::Entity { is_origin: true, .. }) if before == 0 => vec![entity],
            _ => Vec::new(),
        }
    }

    /// The comma that opens the apposition which a comma closes: `X, a maker of Y,`.
    fn apposition(&self, close: usize) -> Option<usize> {
        let open = (close.saturating_sub(16)..close).rev().find(|at| self.is_mark(*at, ','))?;
        self.named(open.checked_sub(1)?)?;
        let lexicon = lexicon();
        let word = self.word(open + 1);
        let begins = matches!(word, "a" | "an" | "the" | "who" | "which" | "formerly" | "also" | "then" | "whose")
            || lexicon.roles.contains_key(word)
            || lexicon.classes.contains_key(word);
        // "X, Y's chief," and "Berlin, Germany,".
        let names_place = close == open + 2 && self.named(open + 1).is_some_and(|(_, kind)| kind == Kind::Place);
        (begins || self.is_possessive(open + 2) || names_place).then_some(open)
    }

    /// What a participle without an auxiliary describes: `a company, founded by …`, `Acme, based in …`.
    pub fn described(&self, participle: usize) -> Option<usize> {
        let mut before = participle.checked_sub(1)?;
        if is_adverb(self.word(before)) || self.is_mark(before, ',') {
            before = before.checked_sub(1)?;
        }
        if self.is_mark(before, ')') {
            before = self.opening(before)?.checked_sub(1)?;
        }
        if let Some((entity, _)) = self.named(before).filter(|_| !self.is_origin(before)) {
            // "X is an album by Y, released in …" does not tell whose release that is; "any X made by …" is none in particular.
            let is_told = self.topic.is_none_or(|topic| topic == entity) || !self.is_mark(participle - 1, ',');
            let is_one =
                !matches!(self.word(before.wrapping_sub(1)), "any" | "all" | "each" | "every" | "no" | "some" | "such");
            return (is_told && is_one).then_some(entity);
        }
        let word = self.word(before);
        let is_class = lexicon().classes.contains_key(word) || lexicon().roles.contains_key(word);
        let names_between = || {
            (0..participle)
                .rev()
                .take_while(|at| !BE.contains(&self.word(*at)))
                .any(|at| self.named(at).is_some() && !self.is_origin(at))
        };
        self.topic.filter(|_| is_class && !names_between())
    }
}
