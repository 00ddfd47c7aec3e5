//! Terms of writing without spaces: what a Chinese or Japanese text repeats, in characters that carry meaning.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// How often a document says what is a term of it: in Chinese characters, and in katakana, where words end by themselves.
const LEAST: u32 = 3;
const LEAST_KATAKANA: u32 = 2;
/// The shortest and longest term, in characters.
const SHORTEST: usize = 2;
const LONGEST: usize = 6;
const SHORTEST_KATAKANA: usize = 3;
const MOST_TERMS: usize = 64;
/// Beyond this many different stretches, new ones are not counted.
const MOST_COUNTED: usize = 400_000;
/// Chinese characters that words of a sentence are tied with, and that no term holds.
const TIES: &str = "的是在了和与與及或也都就而这這那为為被把从從对對将將于於之其等有不我你他她们們个個一";

#[derive(Clone, Copy, PartialEq)]
enum Script {
    Han,
    Katakana,
}

fn script(c: char) -> Option<Script> {
    match c {
        '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '々' => Some(Script::Han),
        '\u{30A1}'..='\u{30FA}' | 'ー' => Some(Script::Katakana),
        _ => None,
    }
}

/// Counts what a document repeats.
#[derive(Default)]
pub(super) struct Repeated<'a> {
    counts: HashMap<&'a str, u32>,
    /// Texts with hiragana are Japanese.
    is_japanese: bool,
}

/// What a document repeats.
#[derive(Default)]
pub(super) struct Terms<'a> {
    terms: HashSet<&'a str>,
    is_japanese: bool,
}

impl<'a> Repeated<'a> {
    pub fn add(&mut self, text: &'a str) {
        self.is_japanese |= text.chars().any(|c| ('\u{3041}'..='\u{3096}').contains(&c));
        for (run, script) in runs(text, self.is_japanese) {
            match script {
                Script::Katakana if run.len() > SHORTEST_KATAKANA => self.count(text, &run, 0, run.len() - 1),
                Script::Katakana => {}
                Script::Han => {
                    for start in 0..run.len() {
                        for end in start + SHORTEST..run.len().min(start + LONGEST + 1) {
                            self.count(text, &run, start, end);
                        }
                    }
                }
            }
        }
    }

    /// Counts the characters `start..end` of a run.
    fn count(&mut self, text: &'a str, run: &[usize], start: usize, end: usize) {
        let stretch = run.get(start).zip(run.get(end)).and_then(|(start, end)| text.get(*start..*end));
        let full = self.counts.len() >= MOST_COUNTED;
        if let Some(stretch) = stretch {
            match self.counts.get_mut(stretch) {
                Some(count) => *count += 1,
                None if full => {}
                None => drop(self.counts.insert(stretch, 1)),
            }
        }
    }

    /// The most repeated, but for those that are always part of a longer one.
    pub fn terms(self) -> Terms<'a> {
        let is_katakana = |text: &str| text.chars().all(|c| script(c) == Some(Script::Katakana));
        let mut found: Vec<(&str, u32)> =
            self.counts.into_iter().filter(|(_, count)| *count >= LEAST_KATAKANA).collect();
        found.retain(|(text, count)| *count >= LEAST || is_katakana(text));
        found.sort_unstable_by_key(|(text, _)| (std::cmp::Reverse(text.len()), *text));
        let mut parts: HashMap<&str, u32> = HashMap::new();
        let mut whole: Vec<(u32, &str)> = Vec::new();
        for (text, count) in found {
            let within = parts.get(text).copied().unwrap_or(0);
            if count > within {
                whole.push((count - within, text));
            }
            let [first, last] = [text.chars().next(), text.chars().next_back()].map(|c| c.map_or(0, char::len_utf8));
            for part in [text.get(first..), text.get(..text.len() - last)].into_iter().flatten() {
                let most = parts.entry(part).or_default();
                *most = count.max(*most);
            }
        }
        whole.retain(|(count, text)| *count >= LEAST || is_katakana(text));
        whole.sort_unstable_by(|a, b| (b.0, b.1.len(), a.1).cmp(&(a.0, a.1.len(), b.1)));
        whole.truncate(MOST_TERMS);
        let terms = whole.into_iter().map(|(_, text)| text).collect();
        Terms { terms, is_japanese: self.is_japanese }
    }
}

impl Terms<'_> {
    /// Where `text` says them, in bytes: at each place the longest.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.terms.is_empty() {
            return found;
        }
        for (run, _) in runs(text, self.is_japanese) {
            let mut at = 0;
            while at + SHORTEST < run.len() {
                let longest = (at + SHORTEST..run.len()).rev().find_map(|end| {
                    let range = *run.get(at)?..*run.get(end)?;
                    self.terms.contains(text.get(range.clone())?).then_some((end, range))
                });
                match longest {
                    Some((end, range)) => {
                        found.push(range);
                        at = end;
                    }
                    None => at += 1,
                }
            }
        }
        found
    }
}

/// Runs of one script: where each of their characters begins, and where the last ends. Long ones come in pieces.
fn runs(text: &str, is_japanese: bool) -> impl Iterator<Item = (Vec<usize>, Script)> + '_ {
    const PIECE: usize = 48;
    let told = move |c: char| script(c).filter(|_| is_japanese || !TIES.contains(c));
    let mut letters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (start, first) = letters.next()?;
            let Some(script) = told(first) else { continue };
            let (mut run, mut end) = (vec![start], start + first.len_utf8());
            while run.len() < PIECE
                && let Some((at, c)) = letters.next_if(|(_, c)| told(*c) == Some(script))
            {
                run.push(at);
                end = at + c.len_utf8();
            }
            run.push(end);
            return Some((run, script));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str) -> Vec<&str> {
        let mut repeated = Repeated::default();
        repeated.add(text);
        let mut found: Vec<&str> = repeated.terms().terms.into_iter().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn what_is_repeated_is_a_term_and_its_parts_are_none() {
        let chinese = "风力发电是可再生能源。风力发电的成本下降，风力发电在丹麦发展很快。";
        assert_eq!(terms(chinese), ["风力发电"]);
        let japanese =
            "タービンは回る。タービンの保守は三年ごとに行う。風力発電所の保守と風力発電所の点検、風力発電所の保守。";
        assert_eq!(terms(japanese), ["タービン", "保守", "風力発電所"]);
        assert!(terms("The turbine. 东京是日本的首都。").is_empty());
    }

    #[test]
    fn terms_are_found_where_they_stand() {
        let text = "风力发电便宜。风力发电干净。我们用风力发电。";
        let mut repeated = Repeated::default();
        repeated.add(text);
        let found = repeated.terms().find(text);
        assert_eq!(found.into_iter().map(|range| &text[range]).collect::<Vec<_>>(), ["风力发电"; 3]);
    }

    proptest! {
        #[test]
        fn any_text_has_its_terms_apart(text in "[东京風力発電のタービンa。 ]{0,200}") {
            let mut repeated = Repeated::default();
            repeated.add(&text);
            let found = repeated.terms().find(&text);
            prop_assert!(found.iter().all(|range| text.get(range.clone()).is_some_and(|text| !text.is_empty())));
            prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
