//! Amounts of money, shares, and numbers with a unit.

use std::ops::Range;

use super::tokens::{Shape, Token};

const UNITS: &[&str] = &[
    "percent",
    "dollars",
    "dollar",
    "euros",
    "euro",
    "pounds",
    "usd",
    "eur",
    "gbp",
    "chf",
    "yen",
    "km",
    "kilometres",
    "kilometers",
    "miles",
    "mi",
    "metres",
    "meters",
    "feet",
    "ft",
    "cm",
    "mm",
    "kg",
    "kilograms",
    "tons",
    "tonnes",
    "acres",
    "hectares",
    "mb",
    "gb",
    "tb",
    "mw",
    "kw",
    "mhz",
    "ghz",
    "people",
    "inhabitants",
    "residents",
    "employees",
    "km2",
    "mg",
    "ml",
    "franken",
    "pesos",
    "reais",
];
const MAGNITUDES: &[&str] = &[
    "thousand",
    "million",
    "billion",
    "trillion",
    "bn",
    "mn",
    "k",
    "m",
    "tausend",
    "millionen",
    "mio",
    "milliarde",
    "milliarden",
    "mrd",
    "mille",
    "millions",
    "milliard",
    "milliards",
    "mil",
    "millones",
    "milioni",
    "miliardi",
    "miljoen",
    "miljard",
];

/// The amounts among `tokens`, with the tokens that name each and the one form of it.
pub(super) fn amounts(tokens: &[Token]) -> Vec<(Range<usize>, String)> {
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match amount(tokens, at) {
            Some((end, key)) => {
                found.push((at..end, key));
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

fn amount(tokens: &[Token], at: usize) -> Option<(usize, String)> {
    let sign = match tokens.get(at)?.shape {
        Shape::Mark(sign @ ('$' | '€' | '£' | '¥')) => Some(sign),
        Shape::Number => None,
        _ => return None,
    };
    let (mut end, mut key) = number(tokens, at + usize::from(sign.is_some()))?;
    let grouped = key.len() > 3 && end > at + 1;
    let word = |at: usize| tokens.get(at).map_or("", |token| token.word.as_str());
    if MAGNITUDES.contains(&word(end)) && (word(end).len() > 1 || sign.is_some()) {
        key = format!("{key} {}", word(end));
        end += 1;
    }
    let unit = if tokens.get(end).is_some_and(|token| token.is_mark('%')) { "%" } else { word(end) };
    match sign {
        Some(sign) => key.insert(0, sign),
        None if unit == "%" || UNITS.contains(&unit) => {
            key = format!("{key} {}", if unit == "percent" { "%" } else { unit });
            end += 1;
        }
        None if grouped || key.contains(' ') => {}
        None => return None,
    }
    Some((end, key))
}

/// The number that begins at a token, without the marks of its thousands.
fn number(tokens: &[Token], at: usize) -> Option<(usize, String)> {
    let mut key = tokens.get(at).filter(|token| token.shape == Shape::Number)?.word.clone();
    let mut end = at + 1;
    while let [mark, next, ..] = tokens.get(end..)? {
        let joins = mark.glued && next.glued && next.shape == Shape::Number;
        let is_group = mark.is_mark(',') && next.word.len() == 3;
        if !joins || !(is_group || (mark.is_mark('.') && !key.contains('.'))) || end > at + 12 {
            break;
        }
        if mark.is_mark('.') {
            key.push('.');
        }
        key.push_str(&next.word);
        end += 2;
    }
    Some((end, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::extract::tokens::tokens;

    #[test]
    fn amounts_have_one_form() {
        let text = "$ 1,452.4 million, 20 %, 5 km, 12,345 and 3 of 7 or 1.2.3 and €20";
        let keys: Vec<_> = amounts(&tokens(text, 0..text.len())).into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys, ["$1452.4 million", "20 %", "5 km", "12345", "€20"]);
    }
}
