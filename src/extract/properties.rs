//! What an office document or a book states about itself: title, author, dates, language.

use jiff::civil::DateTime;
use serde_json::Value;

use super::composer::{Composer, folded};
use super::fault::Fault;
use super::package::Package;
use super::xml_events::{Node, Nodes};

/// Bytes of one statement that are kept.
const LONGEST: usize = 2000;
/// Statements under names of their author's own that are kept, and characters of such a name.
const MOST_OWN: usize = 50;
const LONGEST_NAME: usize = 60;
/// Names that mean the same in all formats, or are counted here: no author's own.
const KNOWN: [&str; 15] = [
    "title",
    "author",
    "created",
    "modified",
    "language",
    "keywords",
    "subject",
    "description",
    "page_count",
    "slide_count",
    "sheet_count",
    "pages_without_text",
    "slides_without_text",
    "pages_recognized",
    "encoding",
];

/// Whose words for it a part uses.
#[derive(Clone, Copy, PartialEq)]
pub enum Vocabulary {
    /// `docProps/core.xml` and `docProps/custom.xml` of Office Open XML.
    OpenXml,
    /// `meta.xml` of OpenDocument.
    OpenDocument,
    /// The package file of a book.
    Book,
}

/// Takes in what a package states, in the parts that are there for it. A part that is damaged states nothing.
///
/// # Errors
/// What unpacking a part meets.
pub fn take_in(package: &mut Package<'_>, vocabulary: Vocabulary, composer: &mut Composer) -> Result<(), Fault> {
    let parts: &[&str] = match vocabulary {
        Vocabulary::OpenXml => &["docProps/core.xml", "docProps/custom.xml"],
        Vocabulary::OpenDocument => &["meta.xml"],
        Vocabulary::Book => &[],
    };
    for name in parts {
        if let Some(text) = package.text(name)? {
            let _ = read(&text, vocabulary, composer);
        }
    }
    Ok(())
}

/// Takes in what `text` states.
///
/// # Errors
/// [`super::Kind::Damaged`] where it breaks off.
pub fn read(text: &str, vocabulary: Vocabulary, composer: &mut Composer) -> Result<(), Fault> {
    let mut nodes = Nodes::of(text);
    let mut own = 0;
    while let Some(node) = nodes.next()? {
        let Node::Start(element) = node else { continue };
        if let ("property", Vocabulary::OpenXml) | ("user-defined", Vocabulary::OpenDocument) =
            (element.name(), vocabulary)
        {
            let name = element.attribute("name").unwrap_or_default();
            let stated = nodes.text()?;
            if own < MOST_OWN {
                own += usize::from(state_own(composer, &name, &stated));
            }
            continue;
        }
        let key = match (element.name(), vocabulary) {
            ("manifest" | "spine" | "guide", Vocabulary::Book) => {
                nodes.skip()?;
                continue;
            }
            ("title", _) => "title",
            ("creator", Vocabulary::OpenXml | Vocabulary::Book) | ("initial-creator", Vocabulary::OpenDocument) => {
                "author"
            }
            ("created", Vocabulary::OpenXml)
            | ("creation-date", Vocabulary::OpenDocument)
            | ("date", Vocabulary::Book) => "created",
            ("modified", Vocabulary::OpenXml) | ("date", Vocabulary::OpenDocument) => "modified",
            ("meta", Vocabulary::Book) if element.attribute("property").as_deref() == Some("dcterms:modified") => {
                "modified"
            }
            ("language", _) => "language",
            ("keywords", Vocabulary::OpenXml) | ("keyword", Vocabulary::OpenDocument) => "keywords",
            ("subject", _) => "subject",
            ("description", _) => "description",
            _ => continue,
        };
        let stated: String = folded(&nodes.text()?).chars().take(LONGEST).collect();
        state(composer, key, stated);
    }
    Ok(())
}

/// Keeps a statement under a name of its author's own, unless that name means something else. Tells whether it was kept.
fn state_own(composer: &mut Composer, name: &str, stated: &str) -> bool {
    // A dot would be a way into an object.
    let name: String = folded(name).replace('.', "_").chars().take(LONGEST_NAME).collect();
    let stated: String = folded(stated).chars().take(LONGEST).collect();
    let is_known = KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&name));
    if name.is_empty() || stated.is_empty() || is_known || composer.metadata.contains_key(&name) {
        return false;
    }
    composer.metadata.insert(name, Value::String(stated));
    true
}

/// Keeps one statement; a second author, keyword or subject joins the first.
pub fn state(composer: &mut Composer, key: &str, stated: String) {
    let stated = match key {
        "created" | "modified" => date(&stated),
        _ => Some(stated).filter(|stated| !stated.is_empty()),
    };
    let Some(stated) = stated else { return };
    if key == "title" {
        composer.title.get_or_insert(stated);
        return;
    }
    match composer.metadata.get_mut(key) {
        None => drop(composer.metadata.insert(key.to_owned(), Value::String(stated))),
        Some(Value::String(all)) if matches!(key, "author" | "keywords" | "subject") && all.len() < LONGEST => {
            all.push_str(", ");
            all.push_str(&stated);
        }
        Some(_) => {}
    }
}

/// A moment in UTC, or a date where no more is known.
fn date(stated: &str) -> Option<String> {
    if let Ok(moment) = stated.parse::<jiff::Timestamp>() {
        return Some(jiff::Timestamp::from_second(moment.as_second()).unwrap_or(moment).to_string());
    }
    if let Ok(local) = stated.parse::<DateTime>() {
        return Some(local.date().to_string());
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_year = stated.get(..4).is_some_and(digits);
    let rest = stated.get(4..).unwrap_or_default();
    (is_year && (rest.is_empty() || rest.len() == 3 && rest.strip_prefix('-').is_some_and(digits)))
        .then(|| stated.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_a_book_are_kept() {
        let mut composer = Composer::default();
        let text = "<package><metadata><dc:title> A  Book</dc:title><dc:creator>Kim</dc:creator><dc:creator>Lee</dc:creator>\
            <dc:date>2019-03</dc:date><dc:language>de</dc:language><meta property='dcterms:modified'>2020-01-02T03:04:05Z</meta>\
            </metadata><manifest><title>no</title></manifest></package>";
        read(text, Vocabulary::Book, &mut composer).unwrap();
        assert_eq!(composer.title.as_deref(), Some("A Book"));
        let expected = serde_json::json!({
            "author": "Kim, Lee", "created": "2019-03", "language": "de", "modified": "2020-01-02T03:04:05Z"
        });
        assert_eq!(Value::Object(composer.metadata), expected);
    }

    #[test]
    fn statements_under_names_of_their_own_are_kept_and_replace_none() {
        let facts = |text: &str, vocabulary| {
            let mut composer = Composer::default();
            read(text, vocabulary, &mut composer).unwrap();
            Value::Object(composer.metadata)
        };
        let open = "<meta><meta:user-defined meta:name='Aktenzeichen'>12 O  34/24</meta:user-defined>\
            <meta:user-defined meta:name='Author'>Nobody</meta:user-defined><meta:user-defined meta:name='Info 1'/>\
            <meta:initial-creator>Anna</meta:initial-creator></meta>";
        let expected = serde_json::json!({"Aktenzeichen": "12 O 34/24", "author": "Anna"});
        assert_eq!(facts(open, Vocabulary::OpenDocument), expected);
        let office = "<Properties><property pid='2' name='Case.No'><vt:lpwstr>7</vt:lpwstr></property>\
            <property name='Case_No'><vt:i4>8</vt:i4></property></Properties>";
        assert_eq!(facts(office, Vocabulary::OpenXml), serde_json::json!({"Case_No": "7"}));
        let many: String = (0..200).map(|n| format!("<property name='p{n}'><vt:i4>{n}</vt:i4></property>")).collect();
        let many = facts(&format!("<Properties>{many}</Properties>"), Vocabulary::OpenXml);
        assert_eq!(many.as_object().map(serde_json::Map::len), Some(MOST_OWN));
    }

    #[test]
    fn dates_are_moments_or_days() {
        let dates = ["2024-05-06T07:08:09.5+02:00", "2024-05-06T07:08:09.123", "2024-05-06", "2024", "soon", "20240"];
        let expected = [Some("2024-05-06T05:08:09Z"), Some("2024-05-06"), Some("2024-05-06"), Some("2024"), None, None];
        assert_eq!(dates.map(date).map(|found| found.map(|d| d.to_string())), expected.map(|d| d.map(str::to_owned)));
    }
}
