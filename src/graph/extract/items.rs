//! The tokens of a sentence as the entities, words and marks that facts are read from.

use super::clause::{Item, What};
use super::facts::Writer;
use super::lexicon::lexicon;
use super::roster::Place;
use super::tokens::Token;
use crate::graph::Kind;

impl Writer<'_> {
    /// The tokens as entities, words and marks.
    pub(super) fn items<'t>(&self, tokens: &'t [Token], places: &[Place]) -> Vec<Item<'t>> {
        let (mut items, mut places, mut at): (Vec<Item>, _, usize) =
            (Vec::with_capacity(tokens.len()), places.iter().peekable(), 0);
        while let Some(token) = tokens.get(at) {
            while places.next_if(|place| place.start < token.start).is_some() {}
            if let Some(place) = places.next_if(|place| place.start == token.start) {
                let start = at;
                while tokens.get(at).is_some_and(|token| token.end <= place.end) {
                    at += 1;
                }
                at = at.max(start + 1);
                items.extend(self.item(place));
                continue;
            }
            let next = tokens.get(at + 1);
            let touches = next.is_some_and(|next| places.peek().is_some_and(|place| place.start == next.start))
                || items.last().is_some_and(|item| matches!(item.what, What::Entity { .. }) && item.end == token.start);
            if token.is_quote() && touches {
                at += 1;
                continue;
            }
            let is_genitive =
                token.is_apostrophe() && token.glued && next.is_none_or(|next| !next.glued || next.word == "s");
            let what = if is_genitive {
                What::Possessive
            } else if token.word.is_empty() {
                token.mark().map_or(What::Mark(' '), What::Mark)
            } else {
                What::Word(&token.word)
            };
            at += 1 + usize::from(is_genitive && next.is_some_and(|next| next.glued));
            items.push(Item { what, start: token.start, end: token.end });
        }
        items
    }

    fn item<'t>(&self, place: &Place) -> Option<Item<'t>> {
        let form = self.forms.get(place.form)?;
        let at = *self.entity_of.get(place.form)?;
        let kind = self.kind(at);
        let written = self.document.content.get(place.start..place.end).unwrap_or_default();
        let lexicon = lexicon();
        let name = lexicon.places.get(&crate::text::fold(written)).filter(|_| kind == Kind::Place);
        let is_origin = name.is_some_and(|name| !name.eq_ignore_ascii_case(written)) && comes_from(written);
        let is_region = name.is_some() && !is_origin || lexicon.places.contains_key(&form.key);
        Some(Item {
            what: What::Entity { at, kind, moment: form.moment, is_origin, is_region },
            start: place.start,
            end: place.end,
        })
    }
}

/// Whether a word for a place is one for what comes from there: "German", not "Britain".
fn comes_from(written: &str) -> bool {
    let ends = [
        "an", "ans", "ish", "ese", "i", "ic", "ch", "ss", "er", "ek", "sh", "ns", "is", "mese", "no", "gal", "tch",
        "ine", "ot", "on", "man", "en",
    ];
    let is_abbreviation = written.chars().all(|c| c.is_uppercase() || c == '.');
    !is_abbreviation
        && !written.contains(' ')
        && !written.ends_with("ain")
        && ends.iter().any(|end| written.ends_with(end))
}
