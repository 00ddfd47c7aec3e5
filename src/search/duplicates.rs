//! Which hits say the same as a better one: copies of a text in several documents, and repeated boilerplate.
//!
//! Pure. Two texts are the same where at least nine tenths of their shingles, runs of four words, are (Jaccard) and
//! their words with digits are equal: a contract that differs from another in its sum alone says something else.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

/// Words in a shingle.
const SHINGLE: usize = 4;
/// The part of the shingles of both, in tenths, that two texts share at least.
const ALIKE_TENTHS: usize = 9;

/// What a text is compared by.
#[derive(Debug, Clone)]
pub struct Fingerprint {
    document: Uuid,
    /// Of all words in order; of the text itself where it has none.
    whole: u64,
    /// Of the words with digits in order.
    figures: u64,
    /// Of each shingle, sorted, without repetitions.
    shingles: Vec<u64>,
}

impl Fingerprint {
    pub fn new(document: Uuid, text: &str) -> Self {
        let (words, figures) = words(text);
        let whole = if words.is_empty() { hash(text.trim()) } else { hash(words.as_slice()) };
        let mut shingles: Vec<u64> = match words.len() {
            0 => Vec::new(),
            SHINGLE.. => words.windows(SHINGLE).map(hash).collect(),
            _ => vec![whole],
        };
        shingles.sort_unstable();
        shingles.dedup();
        Fingerprint { document, whole, figures: hash(figures.as_slice()), shingles }
    }

    fn is_like(&self, other: &Fingerprint) -> bool {
        if self.whole == other.whole {
            return true;
        }
        // What a document says twice in other words it means to say twice.
        if self.document == other.document || self.figures != other.figures {
            return false;
        }
        let shared = shared(&self.shingles, &other.shingles);
        let all = self.shingles.len() + other.shingles.len() - shared;
        shared > 0 && shared * 10 >= all * ALIKE_TENTHS
    }

    /// The shingles of which two texts that are alike share one: all but so many that the rest alone could not be
    /// enough.
    fn telling(&self) -> &[u64] {
        let count = self.shingles.len();
        let needed = (count * ALIKE_TENTHS).div_ceil(10);
        self.shingles.get(..(count - needed + 1).min(count)).unwrap_or_default()
    }
}

/// The hits that were kept so far. Finds the like of a text among them without comparing it with each.
#[derive(Debug, Default)]
pub struct Kept {
    fingerprints: Vec<Fingerprint>,
    by_whole: HashMap<u64, usize>,
    by_shingle: HashMap<u64, Vec<usize>>,
}

impl Kept {
    /// The place, from 0, of the best kept one that is like this, or `None` where there is none.
    pub fn like(&self, fingerprint: &Fingerprint) -> Option<usize> {
        let same = self.by_whole.get(&fingerprint.whole).copied();
        let nearly = fingerprint.telling().iter().filter_map(|shingle| self.by_shingle.get(shingle)).flatten().copied();
        let is_like = |place: &usize| self.fingerprints.get(*place).is_some_and(|kept| kept.is_like(fingerprint));
        let mut places: Vec<usize> = nearly.chain(same).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().find(is_like)
    }

    /// Keeps one that is like none of the others.
    pub fn keep(&mut self, fingerprint: Fingerprint) {
        let place = self.fingerprints.len();
        self.by_whole.entry(fingerprint.whole).or_insert(place);
        for shingle in fingerprint.telling() {
            self.by_shingle.entry(*shingle).or_default().push(place);
        }
        self.fingerprints.push(fingerprint);
    }
}

/// The hashes of the words of `text` in order, in small letters, and of those with digits.
///
/// Much cheaper than the words that the indexes know, whose stems and folded accents make no copy more alike. From
/// U+0800 on every character is a word: there lie the scripts without spaces, and for the others it does no harm.
fn words(text: &str) -> (Vec<u64>, Vec<u64>) {
    let (mut words, mut figures) = (Vec::with_capacity(text.len() / 5), Vec::new());
    let mut word = Open::default();
    for c in text.chars() {
        let stands_alone = c >= '\u{800}';
        if stands_alone || !c.is_alphanumeric() {
            word.end(&mut words, &mut figures);
        }
        if c.is_alphanumeric() {
            word.push(c);
        }
        if stands_alone {
            word.end(&mut words, &mut figures);
        }
    }
    word.end(&mut words, &mut figures);
    (words, figures)
}

/// A word whose end was not seen yet.
#[derive(Default)]
struct Open {
    /// FNV-1a over its characters; 0 while it has none.
    hash: u64,
    has_digit: bool,
}

impl Open {
    fn push(&mut self, c: char) {
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x100_0000_01b3;
        let hash = if self.hash == 0 { BASIS } else { self.hash };
        self.hash = c.to_lowercase().fold(hash, |hash, small| (hash ^ u64::from(small)).wrapping_mul(PRIME));
        self.has_digit |= c.is_numeric();
    }

    fn end(&mut self, words: &mut Vec<u64>, figures: &mut Vec<u64>) {
        let Open { hash, has_digit } = std::mem::take(self);
        if hash != 0 {
            words.push(hash);
            figures.extend(has_digit.then_some(hash));
        }
    }
}

/// How many numbers two sorted lists share.
fn shared(one: &[u64], other: &[u64]) -> usize {
    let mut rest = other.iter().peekable();
    one.iter()
        .filter(|number| {
            while rest.next_if(|candidate| candidate < number).is_some() {}
            rest.next_if_eq(number).is_some()
        })
        .count()
}

fn hash(thing: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// For each text the place among the kept ones that it went to, and the texts that were kept.
    fn folded(texts: &[(u128, String)]) -> (Vec<usize>, Vec<(u128, String)>) {
        let (mut kept, mut left) = (Kept::default(), Vec::new());
        let places = texts.iter().map(|(document, text)| {
            let fingerprint = Fingerprint::new(Uuid::from_u128(*document), text);
            kept.like(&fingerprint).unwrap_or_else(|| {
                kept.keep(fingerprint);
                left.push((*document, text.clone()));
                left.len() - 1
            })
        });
        (places.collect(), left)
    }

    fn places(texts: &[(u128, &str)]) -> Vec<usize> {
        folded(&texts.iter().map(|(document, text)| (*document, (*text).to_owned())).collect::<Vec<_>>()).0
    }

    const NOTICE: &str = "Visitors sign the book at the gate, wear a badge on the chest, stay with their host, leave \
        bags in the lockers, and hand the badge back before they go. Cameras are forbidden in every hall. Whoever finds \
        a door open closes it and tells the porter, who writes down the hour and the name of the hall.";

    #[test]
    fn copies_are_folded_whatever_their_case_white_space_and_punctuation() {
        let copy = NOTICE.to_uppercase().replace(", ", "\n\n– ");
        assert_eq!(places(&[(1, NOTICE), (2, "Something else."), (3, &copy)]), [0, 1, 0]);
    }

    #[test]
    fn a_word_more_is_no_difference_and_another_figure_is_one() {
        let more = format!("Welcome! {NOTICE}");
        let (nine, ten) = (format!("{NOTICE} Lunch costs 9 euros."), format!("{NOTICE} Lunch costs 10 euros."));
        assert_eq!(places(&[(1, NOTICE), (2, &more)]), [0, 0]);
        assert_eq!(places(&[(1, &nine), (2, &ten), (3, &nine)]), [0, 1, 0]);
    }

    #[test]
    fn a_document_repeats_itself_only_to_the_word() {
        let more = format!("Welcome! {NOTICE}");
        assert_eq!(places(&[(1, NOTICE), (1, &more), (1, NOTICE)]), [0, 1, 0]);
    }

    #[test]
    fn texts_without_words_and_scripts_without_spaces_are_compared_too() {
        let texts = [
            (1, "---"),
            (2, "***"),
            (3, " --- "),
            (4, "面会時間は午後八時までです。"),
            (5, "面会時間は午後八時までです"),
        ];
        assert_eq!(places(&texts), [0, 1, 0, 2, 2]);
    }

    fn texts() -> impl Strategy<Value = Vec<(u128, String)>> {
        let word = prop::sample::select(vec!["the", "gate", "hall", "badge", "7", "8", "porter"]);
        // Few words and repeated blocks, so that many are nearly alike.
        let text = (prop::collection::vec(word, 0..4), 0usize..3)
            .prop_map(|(words, copies)| format!("{} {}", NOTICE.repeat(copies), words.join(" ")));
        prop::collection::vec((0u128..4, text), 0..24)
    }

    proptest! {
        #[test]
        fn the_best_stays_the_order_too_and_folding_again_folds_nothing(texts in texts()) {
            let (places, kept) = folded(&texts);
            prop_assert_eq!(kept.first(), texts.first());
            let mut left = texts.iter();
            prop_assert!(kept.iter().all(|one| left.any(|text| text == one)), "a subsequence");
            prop_assert!(places.iter().all(|place| *place < kept.len()));
            let (again, still) = folded(&kept);
            prop_assert_eq!(&still, &kept);
            prop_assert_eq!(again, (0..kept.len()).collect::<Vec<_>>());
        }

        #[test]
        fn what_the_index_finds_is_what_comparing_with_each_finds(texts in texts()) {
            let mut kept = Kept::default();
            for (document, text) in texts {
                let fingerprint = Fingerprint::new(Uuid::from_u128(document), &text);
                let found = kept.like(&fingerprint);
                prop_assert_eq!(found, kept.fingerprints.iter().position(|one| one.is_like(&fingerprint)));
                if found.is_none() {
                    kept.keep(fingerprint);
                }
            }
        }
    }
}
