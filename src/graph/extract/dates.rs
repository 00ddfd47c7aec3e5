//! Dates that a sentence names, by day, month, year or decade; relative ones against the document's date.

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::Date;

use super::tokens::{Shape, Token};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Words before four digits that make them a year.
const BEFORE_YEAR: &[&str] = &[
    "in", "since", "from", "until", "till", "of", "by", "during", "before", "after", "to", "year", "fiscal", "early",
    "late", "mid", "circa", "c", "around", "about", "between", "and", "through", "born", "b", "died", "season", "ca",
    "summer", "winter", "spring", "fall", "autumn", "en", "im", "seit", "bis", "von", "jahr", "año", "desde", "dal",
    "nel", "depuis",
];

/// How exactly a date is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    Day,
    Month,
    Quarter,
    Year,
    Decade,
}

/// A date as it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub first: Date,
    pub precision: Precision,
}

impl Moment {
    /// The same for all ways to write it: `2021-03`.
    pub fn key(self) -> String {
        match self.precision {
            Precision::Day => self.first.strftime("%Y-%m-%d").to_string(),
            Precision::Month => self.first.strftime("%Y-%m").to_string(),
            Precision::Quarter => format!("{}-Q{}", self.first.year(), (self.first.month() + 2) / 3),
            Precision::Year => self.first.strftime("%Y").to_string(),
            Precision::Decade => self.first.strftime("%Ys").to_string(),
        }
    }

    /// The first day after it.
    pub fn after(self) -> Option<Date> {
        let length = match self.precision {
            Precision::Day => 1.day(),
            Precision::Month => 1.month(),
            Precision::Quarter => 3.months(),
            Precision::Year => 1.year(),
            Precision::Decade => 10.years(),
        };
        self.first.checked_add(length).ok()
    }
}

/// The dates among `tokens`, in order, with the tokens that name each.
pub(super) fn dates(tokens: &[Token], document: Option<Date>) -> Vec<(Range<usize>, Moment)> {
    let mut found = Vec::new();
    let mut at = 0;
    let reader = Reader { tokens, document };
    while at < tokens.len() {
        match reader.date(at) {
            Some((length, moment)) => {
                found.push((at..at + length, moment));
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// The year that `text` is, and nothing else.
pub(super) fn year(text: &str) -> Option<Moment> {
    let year: i16 = (text.len() == 4).then(|| text.parse().ok())??;
    (1000..=2100).contains(&year).then(|| moment(year, 1, 1, Precision::Year))?
}

fn moment(year: i16, month: i8, day: i8, precision: Precision) -> Option<Moment> {
    Some(Moment { first: Date::new(year, month, day).ok()?, precision })
}

struct Reader<'a> {
    tokens: &'a [Token],
    document: Option<Date>,
}

impl Reader<'_> {
    fn date(&self, at: usize) -> Option<(usize, Moment)> {
        match self.tokens.get(at)?.shape {
            Shape::Number => {
                self.iso(at).or_else(|| self.day_first(at)).or_else(|| self.year_alone(at)).or_else(|| self.ago(at))
            }
            Shape::Capital | Shape::Upper => self
                .month_first(at)
                .or_else(|| self.quarter(at))
                .or_else(|| self.month_alone(at))
                .or_else(|| self.relative(at))
                .or_else(|| self.ago(at)),
            Shape::Mark(_) => None,
            _ => self
                .decade(at)
                .or_else(|| self.day_first(at))
                .or_else(|| self.quarter(at))
                .or_else(|| self.relative(at))
                .or_else(|| self.ago(at)),
        }
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.word.as_str())
    }

    fn is_mark(&self, at: usize, mark: char) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_mark(mark))
    }

    fn number(&self, at: usize) -> Option<i8> {
        self.tokens.get(at).filter(|token| token.shape == Shape::Number).and_then(|token| token.word.parse().ok())
    }

    /// `13` or `13th`.
    fn day(&self, at: usize) -> Option<i8> {
        let word = self.word(at);
        let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let known = ["", "st", "nd", "rd", "th"].contains(&word.get(digits.len()..)?);
        digits.parse().ok().filter(|day| known && (1..=31).contains(day))
    }

    fn month(&self, at: usize) -> Option<i8> {
        let token = self.tokens.get(at).filter(|token| token.is_capital())?;
        let word = token.word.as_str();
        let is = |name: &&str| *name == word || (matches!(word.len(), 3 | 4) && name.starts_with(word));
        i8::try_from(MONTHS.iter().position(is)? + 1).ok()
    }

    fn year_at(&self, at: usize) -> Option<i16> {
        year(self.word(at)).map(|year| year.first.year())
    }

    fn iso(&self, at: usize) -> Option<(usize, Moment)> {
        let year = self.year_at(at)?;
        let dashes = self.is_mark(at + 1, '-') && self.is_mark(at + 3, '-') && self.tokens.get(at + 1)?.glued;
        let (month, day) = (self.number(at + 2)?, self.number(at + 4)?);
        dashes.then(|| moment(year, month, day, Precision::Day)).flatten().map(|moment| (5, moment))
    }

    /// `13 March 1963`.
    fn day_first(&self, at: usize) -> Option<(usize, Moment)> {
        let (day, of) = (self.day(at)?, usize::from(self.word(at + 1) == "of"));
        let month = self.month(at + 1 + of)?;
        let comma = usize::from(self.is_mark(at + 2 + of, ','));
        let year = self.year_at(at + 2 + of + comma)?;
        Some((3 + of + comma, moment(year, month, day, Precision::Day)?))
    }

    /// `March 13, 1963` or `March 1963`.
    fn month_first(&self, at: usize) -> Option<(usize, Moment)> {
        let month = self.month(at)?;
        let stop = usize::from(self.is_mark(at + 1, '.'));
        let next = at + 1 + stop;
        if let Some(day) = self.day(next) {
            let comma = usize::from(self.is_mark(next + 1, ','));
            let year = self.year_at(next + 1 + comma)?;
            return Some((3 + stop + comma, moment(year, month, day, Precision::Day)?));
        }
        let follows_day = at.checked_sub(1).is_some_and(|before| {
            self.tokens.get(before).is_some_and(|token| token.shape == Shape::Number) && self.day(before).is_some()
        });
        if follows_day {
            return None; // of a day that does not exist
        }
        let comma = usize::from(self.is_mark(next, ',') || self.word(next) == "of");
        let year = self.year_at(next + comma)?;
        Some((2 + stop + comma, moment(year, month, 1, Precision::Month)?))
    }

    fn year_alone(&self, at: usize) -> Option<(usize, Moment)> {
        let moment = year(self.word(at))?;
        let before = at.checked_sub(1)?;
        let by_word = BEFORE_YEAR.contains(&self.word(before));
        let by_mark = ['(', '–', '—', ','].into_iter().any(|mark| self.is_mark(before, mark))
            || (self.is_mark(before, '-') && before.checked_sub(1).is_some_and(|at| self.year_at(at).is_some()));
        // 2,000 and $ 2000 are none.
        let is_part = self.tokens.get(at + 1).is_some_and(|next| {
            let goes_on = self.tokens.get(at + 2).is_some_and(|after| after.glued && after.shape == Shape::Number);
            next.glued && (next.is_mark('%') || (next.is_mark(',') || next.is_mark('.')) && goes_on)
        });
        let counts = self.tokens.get(at + 1).is_some_and(|next| {
            next.shape == Shape::Lower
                && !super::lexicon::lexicon().is_stopword(&next.word)
                && !next.word.ends_with("ed")
        });
        let next = self.tokens.get(at + 1);
        let names_one = matches!(self.word(before), "the" | "a" | "an")
            && moment.first.year() >= 1800
            && next.is_some_and(|next| {
                next.shape != Shape::Number && next.word.len() > 3 && !next.word.ends_with('s') && !next.glued
            });
        let is_year = (by_word || names_one || (by_mark && !counts)) && !is_part;
        is_year.then_some((1, moment))
    }

    /// `1960s`.
    fn decade(&self, at: usize) -> Option<(usize, Moment)> {
        let first = year(self.word(at).strip_suffix('s')?)?.first;
        Some((1, Moment { first, precision: Precision::Decade }))
    }

    /// `Q3 2021` or `third quarter of 2021`.
    fn quarter(&self, at: usize) -> Option<(usize, Moment)> {
        let (number, length) = match (self.word(at), self.word(at + 1)) {
            ("q1", _) | ("first", "quarter") => (1, 1),
            ("q2", _) | ("second", "quarter") => (2, 1),
            ("q3", _) | ("third", "quarter") => (3, 1),
            ("q4", _) | ("fourth", "quarter") => (4, 1),
            _ => return None,
        };
        let length = length + usize::from(self.word(at + 1) == "quarter");
        let of = usize::from(matches!(self.word(at + length), "of" | "in"));
        let year = self.year_at(at + length + of)?;
        Some((length + of + 1, moment(year, 3 * number - 2, 1, Precision::Quarter)?))
    }

    /// `in May`, `since last May`: the last that there was when the document was written.
    fn month_alone(&self, at: usize) -> Option<(usize, Moment)> {
        let (today, month) = (self.document?, self.month(at)?);
        let before = self.word(at.checked_sub(1)?);
        // Some months are names and verbs, too.
        matches!(before, "in" | "since" | "until" | "last" | "early" | "late").then_some(())?;
        let year = if month > today.month() { today.year() - 1 } else { today.year() };
        Some((1, moment(year, month, 1, Precision::Month)?))
    }

    /// `two years ago`, where it is known from when.
    fn ago(&self, at: usize) -> Option<(usize, Moment)> {
        const NUMBERS: [&str; 12] =
            ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
        let today = self.document.filter(|_| self.word(at + 2) == "ago")?;
        let word = self.word(at);
        let spelled = NUMBERS.iter().position(|number| *number == word).map(|place| place as i64 + 1);
        let count = if matches!(word, "a" | "an") { 1 } else { spelled.or_else(|| word.parse().ok())? };
        let back = (1..=500).contains(&count).then_some(count)?;
        let (first, precision) = match self.word(at + 1) {
            "day" | "days" => (today.checked_sub(back.days()).ok()?, Precision::Day),
            "week" | "weeks" => (today.checked_sub(back.weeks()).ok()?.first_of_month(), Precision::Month),
            "month" | "months" => (today.checked_sub(back.months()).ok()?.first_of_month(), Precision::Month),
            "year" | "years" => (today.checked_sub(back.years()).ok()?.first_of_year(), Precision::Year),
            _ => return None,
        };
        Some((3, Moment { first, precision }))
    }

    /// `last year`, where it is known which that was.
    fn relative(&self, at: usize) -> Option<(usize, Moment)> {
        let today = self.document?;
        let first_of_month = today.first_of_month();
        let (length, first, precision) = match (self.word(at), self.word(at + 1)) {
            ("yesterday", _) => (1, today.yesterday().ok()?, Precision::Day),
            ("today", _) => (1, today, Precision::Day),
            ("last", "year") => (2, today.first_of_year().checked_sub(1.year()).ok()?, Precision::Year),
            ("this", "year") => (2, today.first_of_year(), Precision::Year),
            ("last", "month") => (2, first_of_month.checked_sub(1.month()).ok()?, Precision::Month),
            ("this", "month") => (2, first_of_month, Precision::Month),
            _ => return None,
        };
        Some((length, Moment { first, precision }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::extract::tokens::tokens;

    fn keys(text: &str) -> Vec<String> {
        let document = Date::new(2024, 5, 17).ok();
        dates(&tokens(text, 0..text.len()), document).into_iter().map(|(_, moment)| moment.key()).collect()
    }

    #[test]
    fn dates_are_read_in_their_forms() {
        assert_eq!(keys("on 3 May 2020 and May 3rd, 2021, or 2021-05-03"), ["2020-05-03", "2021-05-03", "2021-05-03"]);
        assert_eq!(keys("since March 2021, in the 1960s, (1992–2002)"), ["2021-03", "1960s", "1992", "2002"]);
        assert_eq!(keys("from 1992 to 2002"), ["1992", "2002"]);
    }

    #[test]
    fn relative_dates_need_the_documents() {
        assert_eq!(keys("until last year, but not this month"), ["2023", "2024-05"]);
        assert_eq!(
            keys("in Q3 2021, the third quarter of 2022, in May, since June"),
            ["2021-Q3", "2022-Q3", "2024-05", "2023-06"]
        );
        assert_eq!(keys("two years ago, 3 months ago and a week ago; May I go?"), ["2022", "2024-02", "2024-05"]);
        let words = tokens("until last year", 0..15);
        assert!(dates(&words, None).is_empty());
    }

    #[test]
    fn numbers_are_no_years_by_themselves() {
        assert!(keys("It has 2000 rooms, 31 February 2020 does not exist, and he may 2 leave. $ 1984").is_empty());
        assert!(keys("by 2,000 people or 1984%").is_empty());
    }
}
