//! What a question asks for: its telling words, each with its share of the meaning, and the kind of thing that would
//! answer it.
//!
//! Pure. The lists are of English, German, Spanish, French, Chinese and Japanese; a question in another language has its
//! telling words, and no kind.

use crate::error::Result;
use crate::text::{Analyzer, Word, fold, is_unspaced};

/// Words that are the form of a question and no part of what it is about, folded.
const ASKING: &[&str] = &[
    "many", "much", "name", "names", "named", "year", "years", "kind", "kinds", "type", "types", "sort", "call",
    "called", "amount", "would", "viel", "viele", "vielen", "wer", "wen", "wem", "wessen", "wann", "wozu", "warum",
    "weshalb", "wohin", "woher", "welche", "welcher", "welches", "welchen", "welchem", "heisst", "heissen", "hiess",
    "lautet", "lautete", "art", "arten", "nennt", "genannt", "jahr", "jahre", "cuantos", "cuantas", "cuanto", "cuanta",
    "cual", "cuales", "quien", "quienes", "cuando", "donde", "nombre", "llama", "llaman", "tipo", "ano", "anos",
    "combien", "quel", "quelle", "quels", "quelles", "qui", "quand", "nom", "appelle", "annee",
];
/// The same in writings without spaces. What stands on either side of them makes no word together.
const ASKING_UNSPACED: &[&str] = &[
    "为什么",
    "什么",
    "多少",
    "哪",
    "谁",
    "几",
    "何",
    "怎",
    "吗",
    "呢",
    "的",
    "了",
    "是",
    "どこ",
    "だれ",
    "誰",
    "いつ",
    "なぜ",
    "いくつ",
    "いくら",
    "ですか",
    "ますか",
];

/// Words by which a question asks for a number after "how" (or "wie"), for a day, and for somebody or somewhere; folded.
const MEASURES: &[&str] = &[
    "many", "much", "old", "long", "far", "tall", "large", "big", "high", "often", "deep", "fast", "heavy", "wide",
    "viel", "viele", "vielen", "lange", "alt", "hoch", "oft", "weit", "gross", "schwer", "teuer",
];
const NUMBERS: &[&str] = &["cuanto", "cuanta", "cuantos", "cuantas", "combien"];
const DAYS: &[&str] = &["when", "wann", "cuando", "quand"];
const SPANS: &[&str] = &[
    "year", "date", "day", "month", "century", "jahr", "datum", "tag", "monat", "ano", "fecha", "annee", "date", "mois",
];
const NAMES: &[&str] = &[
    "who", "whom", "whose", "where", "wer", "wem", "wen", "wessen", "wo", "wohin", "woher", "quien", "quienes",
    "donde", "qui", "ou",
];
const NUMBERS_UNSPACED: &[&str] = &["多少", "几", "多大", "多长", "多久", "いくつ", "いくら", "何人"];
const DAYS_UNSPACED: &[&str] = &["何时", "什么时候", "哪年", "哪一年", "いつ"];
/// Words of a question's beginning among which its kind is looked for: "when" further on asks for nothing.
const BEGINNING: usize = 4;

/// Numbers in words, and the names of days and months by their beginnings; folded.
const COUNTS: &[&str] = &[
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "twenty",
    "thirty", "forty", "fifty", "hundred", "thousand", "million", "billion", "dozen", "half", "once", "twice", "zwei",
    "drei", "vier", "funf", "sechs", "sieben", "acht", "neun", "zehn", "zwolf", "zwanzig", "dreissig", "hundert",
    "tausend", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "cien", "mil", "deux",
    "trois", "quatre", "cinq", "sept", "huit", "neuf", "dix", "vingt", "cent", "mille",
];
const CALENDAR: &[&str] = &[
    "januar",
    "februar",
    "march",
    "marz",
    "april",
    "june",
    "july",
    "august",
    "septemb",
    "octob",
    "oktob",
    "novemb",
    "decemb",
    "dezemb",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "sonntag",
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "octubre",
    "diciembre",
    "lunes",
    "martes",
    "miercoles",
    "jueves",
    "viernes",
    "sabado",
    "domingo",
    "janvier",
    "fevrier",
    "avril",
    "juin",
    "juillet",
    "aout",
    "lundi",
    "mardi",
    "mercredi",
    "jeudi",
    "vendredi",
    "samedi",
    "dimanche",
    "centur",
    "jahrhundert",
    "siglo",
    "siecle",
];
const COUNTS_UNSPACED: &[char] = &['一', '二', '两', '三', '四', '五', '六', '七', '八', '九', '十', '百', '千', '万'];

/// What every word weighs beside its rarity: where there are few documents, what is in them seems common.
const COMMON: f32 = 1.0;
/// Telling words that make up the whole meaning: of a long question, an answer holds few, and has all that matters with
/// the heaviest of these.
const HEAVIEST: usize = 7;

/// What would answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    Day,
    /// Somebody or somewhere.
    Name,
}

/// A question that was read.
pub struct Question {
    /// Telling words with their shares of the meaning; the heaviest ones sum up to 1.
    pub terms: Vec<(String, f32)>,
    pub kind: Option<Kind>,
    /// Its words, folded: no news in an answer.
    said: Vec<String>,
}

impl Question {
    /// `rarity` gives the weight of each of a list of terms.
    pub fn read(text: &str, analyzer: &Analyzer, rarity: impl Fn(&[String]) -> Result<Vec<f32>>) -> Result<Self> {
        let said: Vec<String> = surfaces(text).map(fold).collect();
        let mut terms: Vec<String> = telling(text, analyzer).into_iter().map(|word| word.term).collect();
        terms.sort();
        terms.dedup();
        let weights: Vec<f32> = rarity(&terms)?.into_iter().map(|rarity| rarity + COMMON).collect();
        let mut heaviest = weights.clone();
        heaviest.sort_by(|a, b| b.total_cmp(a));
        let total = heaviest.iter().take(HEAVIEST).sum::<f32>().max(f32::MIN_POSITIVE);
        let terms = terms.into_iter().zip(weights).map(|(term, weight)| (term, weight / total)).collect();
        Ok(Question { terms, kind: kind(text, &said), said })
    }

    /// How much of each telling word is among `words`.
    pub fn held(&self, words: &[Word]) -> Vec<f32> {
        self.terms
            .iter()
            .map(|(term, _)| words.iter().map(|word| sameness(term, &word.term)).fold(0.0, f32::max))
            .collect()
    }

    /// The part of the meaning that these parts of its words carry.
    pub fn share(&self, parts: impl Iterator<Item = f32>) -> f32 {
        self.terms.iter().zip(parts).map(|((_, weight), part)| weight * part).sum::<f32>().min(1.0)
    }

    /// Whether a sentence holds a thing of the kind that is asked for, which the question does not say itself.
    pub fn fits(&self, sentence: &str) -> bool {
        let new = || surfaces(sentence).filter(|word| !self.said.contains(&fold(word)));
        let is_number = |word: &str| word.contains(char::is_numeric) || COUNTS.contains(&fold(word).as_str());
        let counts = || new().any(is_number) || sentence.contains(COUNTS_UNSPACED);
        let names_day = |word: &str| CALENDAR.iter().any(|beginning| fold(word).starts_with(beginning));
        match self.kind {
            None => true,
            Some(Kind::Number) => counts(),
            Some(Kind::Day) => counts() || new().any(names_day),
            // The first word of a sentence has a capital anyhow, and some writings have none.
            Some(Kind::Name) => {
                let first = surfaces(sentence).next();
                let named = |word: &str| Some(word) != first && word.starts_with(char::is_uppercase);
                sentence.contains(is_unspaced) || new().any(named)
            }
        }
    }
}

/// The words of a text as they stand there.
fn surfaces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The words that say what a question is about; all of them where it seems to be about nothing.
fn telling(text: &str, analyzer: &Analyzer) -> Vec<Word> {
    let parted = ASKING_UNSPACED.iter().fold(text.to_owned(), |text, word| text.replace(word, " "));
    let mut words = analyzer.content_words(&parted);
    words.retain(|word| {
        let surface = parted.get(word.start..word.end).unwrap_or_default();
        let is_rest = surface.chars().count() == 1 && surface.contains(is_unspaced);
        !is_rest && !ASKING.contains(&fold(surface).as_str())
    });
    if words.is_empty() {
        words = analyzer.content_words(text);
    }
    if words.is_empty() { analyzer.words(text) } else { words }
}

fn kind(text: &str, said: &[String]) -> Option<Kind> {
    let mut beginning = said.iter().take(BEGINNING).map(String::as_str);
    let has = |words: &[&str]| said.iter().take(BEGINNING).any(|word| words.contains(&word.as_str()));
    let measures = said.windows(2).take(BEGINNING).any(|pair| match pair {
        [how, measure] => ["how", "wie"].contains(&how.as_str()) && MEASURES.contains(&measure.as_str()),
        _ => false,
    });
    let which =
        beginning.any(|word| ["what", "which", "que", "quelle", "quel"].contains(&word) || word.starts_with("welche"));
    if measures || has(NUMBERS) || NUMBERS_UNSPACED.iter().any(|phrase| text.contains(phrase)) {
        Some(Kind::Number)
    } else if has(DAYS) || which && has(SPANS) || DAYS_UNSPACED.iter().any(|phrase| text.contains(phrase)) {
        Some(Kind::Day)
    } else if has(NAMES) {
        Some(Kind::Name)
    } else {
        None
    }
}

/// How much a word of a text is one that was asked for: 1 the same, less what only looks as if it came from the same
/// root ("discover", "discoveries") or were made of it ("Urlaub", "Urlaubsanspruch").
fn sameness(asked: &str, told: &str) -> f32 {
    /// Letters from which on words are compared by their looks.
    const ROOT: usize = 4;
    const COMPOUND: usize = 5;
    const NEAR: f32 = 0.7;
    const PART: f32 = 0.5;
    if asked == told {
        return 1.0;
    }
    let looks = |word: &str| word.len() >= ROOT && !word.contains(|c: char| c.is_numeric() || is_unspaced(c));
    if !looks(asked) || !looks(told) {
        return 0.0;
    }
    let (short, long) = if asked.len() <= told.len() { (asked, told) } else { (told, asked) };
    let same = asked.chars().zip(told.chars()).take_while(|(one, other)| one == other).count();
    if same >= ROOT && same * 5 >= long.chars().count() * 3 {
        return NEAR;
    }
    match short.len() >= COMPOUND && (long.starts_with(short) || long.ends_with(short)) {
        true if short == asked => NEAR,
        true => PART,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(language: &str, text: &str) -> Question {
        Question::read(text, &Analyzer::new(language), |terms| Ok(vec![1.0; terms.len()])).unwrap()
    }

    #[test]
    fn the_form_of_a_question_is_no_part_of_what_it_is_about() {
        let terms = |language, text| read(language, text).terms.into_iter().map(|(term, _)| term).collect::<Vec<_>>();
        assert_eq!(terms("en", "How many points did the Panthers defence have?"), ["defenc", "panther", "point"]);
        assert_eq!(terms("de", "Wie viele Tage beträgt der Urlaub?"), ["betragt", "tag", "urlaub"]);
        assert_eq!(terms("en", "黑豹队的防守丢了多少分？"), ["守丢", "豹队", "防守", "黑豹"]);
        assert!(!terms("en", "How many?").is_empty() && !terms("en", "谁？").is_empty());
    }

    #[test]
    fn a_question_tells_what_kind_of_thing_it_wants() {
        let kinds = [
            ("How many points did they score?", Some(Kind::Number)),
            ("Wie lange dauert die Wartung?", Some(Kind::Number)),
            ("¿Cuántos días son?", Some(Kind::Number)),
            ("Combien de jours ?", Some(Kind::Number)),
            ("他们有多少人？", Some(Kind::Number)),
            ("In what year was it founded?", Some(Kind::Day)),
            ("Wann wurde es gegründet?", Some(Kind::Day)),
            ("Who services it?", Some(Kind::Name)),
            ("¿Dónde está?", Some(Kind::Name)),
            ("What do I do with the door when the alarm sounds?", None),
            ("How is it opened?", None),
        ];
        for (question, expected) in kinds {
            assert_eq!(read("en", question).kind, expected, "{question}");
        }
    }

    #[test]
    fn what_the_question_says_itself_is_no_answer() {
        let question = read("en", "How many of the 12 boats are green?");
        assert!(!question.fits("Of the 12 boats some are green."));
        assert!(question.fits("Of the 12 boats 5 are green.") && question.fits("Of the 12 boats five are green."));
        let question = read("en", "Who serviced the Kranich in Ulm?");
        assert!(!question.fits("They serviced the Kranich there.") && question.fits("It was serviced by Helena."));
        assert!(
            read("en", "When was it?").fits("It was on a Friday.") && !read("en", "When was it?").fits("It was late.")
        );
    }

    #[test]
    fn words_of_one_root_are_nearly_the_same() {
        let near = |asked, told| sameness(asked, told) > 0.0;
        assert!(near("discover", "discoveri") && near("urlaub", "urlaubsanspruch") && near("tag", "tag"));
        assert!(
            !near("contract", "contour") && !near("2015", "2016") && !near("art", "arterie") && !near("防守", "防守队")
        );
        assert!(sameness("panther", "panther") > sameness("panther", "pantherlik"));
    }
}
