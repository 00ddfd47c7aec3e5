//! Keywords as a list, whichever way a format states them, so that a filter finds each.

use serde_json::{Map, Value};

/// Keywords that are told apart.
const MOST: usize = 100;

/// Makes a list of keywords that stand in one text, with commas or semicolons between them.
pub fn listed(metadata: &mut Map<String, Value>) {
    let Some(stated) = metadata.get_mut("keywords") else { return };
    let Value::String(text) = &*stated else { return };
    let mut words: Vec<&str> = Vec::new();
    for word in text.split([',', ';']).map(str::trim).filter(|word| !word.is_empty()).take(MOST) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.len() > 1 {
        *stated = words.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keywords_in_one_text_become_a_list() {
        let keywords = |stated: Value| {
            let mut metadata = Map::from_iter([("keywords".to_owned(), stated)]);
            listed(&mut metadata);
            metadata.remove("keywords").unwrap()
        };
        assert_eq!(keywords(json!("k1, k2;k3 ; k1,")), json!(["k1", "k2", "k3"]));
        assert_eq!(keywords(json!("one of them")), json!("one of them"));
        assert_eq!(keywords(json!(["a, b"])), json!(["a, b"]));
    }
}
