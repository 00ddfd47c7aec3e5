//! The arguments of a tool as a model or a client gave them, with what the agent's configuration gives where they do not.
//!
//! Models write numbers as text now and then, and ask for more than there is: both are borne. What cannot be meant is refused.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Longest question to a tool, in bytes.
const LONGEST: usize = 32 << 10;

/// Arguments of one call.
pub struct Arguments<'a> {
    given: &'a Map<String, Value>,
    defaults: Option<&'a Map<String, Value>>,
}

impl<'a> Arguments<'a> {
    pub fn new(given: &'a Map<String, Value>, defaults: Option<&'a Value>) -> Self {
        Arguments { given, defaults: defaults.and_then(Value::as_object) }
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        let given = self.given.get(name).filter(|value| !value.is_null());
        given.or_else(|| self.defaults?.get(name)).filter(|value| !value.is_null())
    }

    /// A text that has to be there.
    pub fn text(&self, name: &'static str) -> Result<&'a str> {
        self.optional_text(name)?.ok_or_else(|| Error::invalid(name, "must be given"))
    }

    pub fn optional_text(&self, name: &'static str) -> Result<Option<&'a str>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| Error::invalid(name, "must be a text"))?.trim();
        if text.len() > LONGEST {
            return Err(Error::invalid(name, format!("must have at most {LONGEST} bytes")));
        }
        Ok((!text.is_empty()).then_some(text))
    }

    /// A whole number within `least..=most`, the nearest where it is beyond.
    pub fn count(&self, name: &'static str, standard: usize, least: usize, most: usize) -> Result<usize> {
        let number = self.number(name)?.map_or(standard as f64, f64::trunc);
        // A cast of a float saturates, and is 0 for what is no number.
        Ok((number as usize).clamp(least, most))
    }

    pub fn number(&self, name: &'static str) -> Result<Option<f64>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| Error::invalid(name, "must be a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_given_beats_what_is_configured_and_is_kept_within_bounds() {
        let given = json!({"limit": "70", "query": " kettles ", "offset": -3, "depth": [1], "text_weight": null});
        let defaults = json!({"limit": 3, "text_weight": 0.25});
        let args = Arguments::new(given.as_object().unwrap(), Some(&defaults));
        assert_eq!(args.count("limit", 8, 1, 50).unwrap(), 50);
        assert_eq!(args.count("offset", 0, 0, 100).unwrap(), 0);
        assert_eq!(args.number("text_weight").unwrap(), Some(0.25));
        assert_eq!(args.text("query").unwrap(), "kettles");
        assert!(args.text("agent").unwrap_err().to_string().contains("agent"));
        assert!(args.count("depth", 1, 1, 4).is_err() && args.number("query").is_err());
    }
}
