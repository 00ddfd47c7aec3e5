//! What a list of documents is asked for in its query string.
//!
//! `q=`, `sort=KEY` or `-KEY`, `content_type=`, `created_after=`, `created_before=`, `metadata.KEY=` and
//! `metadata.KEY[gte]=` or `[lte]=`. What is not known is ignored.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::filter::{MOST_CONDITIONS, check_key, meanings};
use crate::clock;
use crate::error::{Error, Result};
use crate::workspace::listing::{Listing, Order, SortKey};
use crate::workspace::{Comparison, Scalar};

/// Media types that a list may be asked for.
const MOST_TYPES: usize = 32;

/// The bounds of a value, both inclusive.
#[derive(Default)]
struct Bounds {
    least: Option<String>,
    most: Option<String>,
}

/// The list that `pairs` of a query string ask for.
pub fn read(pairs: Vec<(String, String)>, limit: usize, offset: usize) -> Result<Listing> {
    let mut listing = Listing { limit, offset, ..Listing::default() };
    let mut ranges: BTreeMap<String, Bounds> = BTreeMap::new();
    for (name, value) in pairs {
        match name.as_str() {
            _ if value.is_empty() && !name.starts_with("metadata.") => {}
            "q" => listing.text = Some(value),
            "sort" => listing.order = order(&value)?,
            "content_type" => listing.filter.content_types.get_or_insert_default().push(value),
            "created_after" => listing.filter.created_after = Some(time("created_after", &value)?),
            "created_before" => listing.filter.created_before = Some(time("created_before", &value)?),
            _ => {
                let Some(key) = name.strip_prefix("metadata.") else { continue };
                if let Some(key) = key.strip_suffix("[gte]") {
                    ranges.entry(key.to_owned()).or_default().least = Some(value);
                } else if let Some(key) = key.strip_suffix("[lte]") {
                    ranges.entry(key.to_owned()).or_default().most = Some(value);
                } else if key.ends_with(']') {
                    return Err(Error::invalid(format!("metadata.{key}"), "a range is given by [gte] or [lte]"));
                } else {
                    check_key(key)?;
                    listing.filter.metadata.push((key.to_owned(), Comparison::In(meanings(&value))));
                }
            }
        }
        if listing.filter.metadata.len() + ranges.len() > MOST_CONDITIONS {
            return Err(Error::invalid("metadata", format!("must have at most {MOST_CONDITIONS} conditions")));
        }
        if listing.filter.content_types.as_ref().is_some_and(|types| types.len() > MOST_TYPES) {
            return Err(Error::invalid("content_type", format!("must be given at most {MOST_TYPES} times")));
        }
    }
    for (key, bounds) in ranges {
        check_key(&key)?;
        listing.filter.metadata.push((key, between(bounds)));
    }
    Ok(listing)
}

fn order(value: &str) -> Result<Order> {
    let (key, descending) = value.strip_prefix('-').map_or((value, false), |key| (key, true));
    let by = match key {
        "title" => SortKey::Title,
        "source" => SortKey::Source,
        "created_at" => SortKey::CreatedAt,
        "updated_at" => SortKey::UpdatedAt,
        "size_bytes" => SortKey::SizeBytes,
        _ => match key.strip_prefix("metadata.") {
            Some(key) => {
                check_key(key)?;
                SortKey::Metadata(key.to_owned())
            }
            None => {
                let known = "must be title, source, created_at, updated_at, size_bytes or metadata.KEY, with - before it for the reverse";
                return Err(Error::invalid("sort", known));
            }
        },
    };
    Ok(Order { by, descending })
}

fn time(field: &str, value: &str) -> Result<String> {
    let time = value.parse::<Timestamp>();
    time.map(clock::text).map_err(|_| Error::invalid(field, "must be a time such as 2026-01-31T00:00:00Z"))
}

/// Texts that lie between the bounds as texts do, dates among them, and numbers where the bounds are numbers.
fn between(Bounds { least, most }: Bounds) -> Comparison {
    let numbers =
        [&least, &most].map(|bound| bound.as_ref().map(|text| text.parse::<f64>().ok().filter(|n| n.is_finite())));
    let texts = Comparison::Between(least.map(Scalar::Text), most.map(Scalar::Text));
    match numbers {
        [Some(None), _] | [_, Some(None)] => texts,
        [least, most] => {
            let numbers = [least, most].map(|bound| bound.flatten().map(Scalar::Number));
            let [least, most] = numbers;
            Comparison::Any(vec![Comparison::Between(least, most), texts])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(query: &[(&str, &str)]) -> Result<Listing> {
        read(query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), 10, 0)
    }

    #[test]
    fn bounds_of_one_key_hold_together_and_numbers_are_numbers() {
        let text = |text: &str| Some(Scalar::Text(text.to_owned()));
        let number = |number: f64| Some(Scalar::Number(number));
        let filter = listing(&[("metadata.y[gte]", "9"), ("metadata.y[lte]", "10")]).unwrap().filter;
        let numbers = Comparison::Between(number(9.0), number(10.0));
        let texts = Comparison::Between(text("9"), text("10"));
        assert_eq!(filter.metadata, [("y".to_owned(), Comparison::Any(vec![numbers, texts]))]);
        let filter = listing(&[("metadata.a.b[lte]", "2026-01-31")]).unwrap().filter;
        assert_eq!(filter.metadata, [("a.b".to_owned(), Comparison::Between(None, text("2026-01-31")))]);
    }

    #[test]
    fn an_order_is_a_known_key_in_either_direction() {
        let order = |sort| listing(&[("sort", sort)]).map(|listing| listing.order);
        assert_eq!(order("").unwrap(), Order::default());
        assert_eq!(order("-title").unwrap(), Order { by: SortKey::Title, descending: true });
        let by = SortKey::Metadata("-a".to_owned());
        assert_eq!(order("metadata.-a").unwrap(), Order { by, descending: false });
        for unknown in ["name", "--title", "metadata.", "title,source", "-"] {
            assert!(order(unknown).is_err(), "{unknown}");
        }
    }
}
