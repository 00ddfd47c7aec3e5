//! Filters as clients give them.

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::validate::Checks;
use crate::clock;
use crate::error::{Error, Result};
use crate::workspace::{Comparison, Filter, Scalar};

/// A filter as clients give it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct FilterBody {
    document_ids: Option<Vec<String>>,
    sources: Option<Vec<String>>,
    content_types: Option<Vec<String>>,
    metadata: Option<Map<String, Value>>,
    created_after: Option<jiff::Timestamp>,
    created_before: Option<jiff::Timestamp>,
}

/// Values that one condition may list.
const MOST_VALUES: usize = 1000;

/// Conditions on metadata that a filter may have.
pub const MOST_CONDITIONS: usize = 32;
/// Values that all conditions may list together: what SQLite takes in one question, with room to spare.
const MOST_VALUES_IN_ALL: usize = 10_000;

impl FilterBody {
    pub fn checked(self) -> Result<Filter> {
        let mut checks = Checks::default();
        let few = |list: &Option<Vec<String>>| list.as_ref().is_none_or(|list| list.len() <= MOST_VALUES);
        checks.require(few(&self.document_ids), "filters.document_ids", "must have at most 1000 ids");
        checks.require(few(&self.sources), "filters.sources", "must have at most 1000 sources");
        checks.require(few(&self.content_types), "filters.content_types", "must have at most 1000 media types");
        let conditions = self.metadata.as_ref().map_or(0, Map::len);
        checks.require(conditions <= MOST_CONDITIONS, "filters.metadata", "must have at most 32 conditions");
        checks.done()?;
        let mut metadata = Vec::new();
        for (key, value) in self.metadata.unwrap_or_default() {
            check_key(&key)?;
            metadata.push((key.clone(), comparison(&key, value)?));
        }
        let listed = metadata.iter().map(|(_, comparison)| match comparison {
            Comparison::In(values) => values.len(),
            _ => 2,
        });
        if listed.sum::<usize>() > MOST_VALUES_IN_ALL {
            return Err(Error::invalid(
                "filters.metadata",
                format!("must list at most {MOST_VALUES_IN_ALL} values in all"),
            ));
        }
        // What is no id is the id of no document: it matches nothing, and that is no error.
        let ids = self.document_ids.map(|ids| ids.iter().filter_map(|id| Uuid::parse_str(id).ok()).collect());
        Ok(Filter {
            document_ids: ids,
            sources: self.sources,
            content_types: self.content_types,
            metadata,
            created_after: self.created_after.map(clock::text),
            created_before: self.created_before.map(clock::text),
        })
    }
}

fn comparison(key: &str, value: Value) -> Result<Comparison> {
    let field = format!("filters.metadata.{key}");
    let Value::Object(operators) = value else {
        return Ok(Comparison::In(vec![scalar(&field, value)?]));
    };
    if let Some(list) = operators.get("$in") {
        let list = list.as_array().filter(|list| operators.len() == 1 && list.len() <= MOST_VALUES);
        let list =
            list.ok_or_else(|| Error::invalid(&field, "`$in` stands alone, with an array of at most 1000 values"))?;
        let values = list.iter().map(|value| scalar(&field, value.clone())).collect::<Result<_>>()?;
        return Ok(Comparison::In(values));
    }
    if operators.is_empty() || operators.keys().any(|name| name != "$gte" && name != "$lte") {
        return Err(Error::invalid(&field, "must be a value, {\"$in\": [...]} or {\"$gte\": ..., \"$lte\": ...}"));
    }
    let bound = |name: &str| operators.get(name).map(|value| scalar(&field, value.clone())).transpose();
    Ok(Comparison::Between(bound("$gte")?, bound("$lte")?))
}

fn scalar(field: &str, value: Value) -> Result<Scalar> {
    match value {
        Value::String(text) => Ok(Scalar::Text(text)),
        Value::Bool(flag) => Ok(Scalar::Flag(flag)),
        Value::Number(number) => {
            number.as_f64().map(Scalar::Number).ok_or_else(|| Error::invalid(field, "is too large a number"))
        }
        _ => Err(Error::invalid(field, "must be compared with text, numbers or booleans")),
    }
}

/// A key of metadata that can be asked for.
pub fn check_key(key: &str) -> Result<()> {
    let plain = !key.is_empty() && key.len() <= 128 && !key.chars().any(|c| c.is_control() || matches!(c, '"' | '\\'));
    let mut checks = Checks::default();
    checks.require(plain, "metadata", "has keys of 1 to 128 bytes without quotes and control characters");
    checks.done()
}

/// What a value in a query string may stand for.
pub fn meanings(value: &str) -> Vec<Scalar> {
    let mut meanings = vec![Scalar::Text(value.to_owned())];
    meanings.extend(value.parse::<f64>().ok().filter(|n| n.is_finite()).map(Scalar::Number));
    meanings.extend(value.parse::<bool>().ok().map(Scalar::Flag));
    meanings
}
