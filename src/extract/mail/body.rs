//! What a message says itself: of a text and a page that stand for each other the text, unless the page says more.

use std::collections::HashSet;

use mail_parser::{Message, MessagePart, PartType};

use super::super::composer::Composer;
use super::super::fault::Fault;
use super::super::html;
use super::{SUBJECT, paragraphs, said};

/// How many times as many words a page has that says more than the text beside it.
const MORE: usize = 2;

/// Writes what a message says.
///
/// # Errors
/// [`super::Kind::TooComplex`] for more text than a document is given.
pub fn write(message: &Message<'_>, composer: &mut Composer) -> Result<(), Fault> {
    let parts = if page_says_more(message) { &message.html_body } else { &message.text_body };
    for part in parts.iter().filter_map(|id| message.part(*id)) {
        match &part.body {
            PartType::Html(_) => composer.append(&html::extract(&said(message, part)), SUBJECT, None),
            PartType::Text(_) => paragraphs(&said(message, part), composer),
            _ => {}
        }
        composer.check()?;
    }
    Ok(())
}

/// Whether the pages that stand for texts of the message have far more words, other words, or a table whose words the
/// texts lack.
fn page_says_more(message: &Message<'_>) -> bool {
    let (texts, pages): (HashSet<_>, HashSet<_>) =
        (message.text_body.iter().collect(), message.html_body.iter().collect());
    let part = |id: &_| -> Option<&MessagePart<'_>> { message.part(*id) };
    let page: Vec<String> = message
        .html_body
        .iter()
        .filter(|id| !texts.contains(id))
        .filter_map(part)
        .filter(|part| matches!(part.body, PartType::Html(_)))
        .map(|part| html::extract(&said(message, part)).content)
        .collect();
    if page.is_empty() {
        return false;
    }
    let text: Vec<_> = message
        .text_body
        .iter()
        .filter(|id| !pages.contains(id))
        .filter_map(part)
        .filter(|part| matches!(part.body, PartType::Text(_)))
        .map(|part| said(message, part))
        .collect();
    let said: Vec<&str> = text.iter().flat_map(|text| words(text)).collect();
    let known: HashSet<&str> = said.iter().copied().collect();
    let lines = || page.iter().flat_map(|page| page.lines());
    // Words, and how many of them the texts lack.
    let (all, lacking) = counted(lines().flat_map(words), &known);
    let (in_tables, lacking_in_tables) = counted(lines().filter(|line| line.starts_with('|')).flat_map(words), &known);
    let says_more = all > 0 && all >= MORE * said.len();
    let says_else = all >= said.len() && 2 * lacking > all;
    // A page that leaves out what the text says is no other form of it, whatever is in its tables.
    let has_other_table = MORE * all >= said.len() && 2 * lacking_in_tables > in_tables;
    says_more || says_else || has_other_table
}

fn counted<'a>(words: impl Iterator<Item = &'a str>, known: &HashSet<&str>) -> (usize, usize) {
    words.fold((0, 0), |(all, lacking), word| (all + 1, lacking + usize::from(!known.contains(word))))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::extract;

    /// The content of a message that says the same twice: as a text and as a page.
    fn read(text: &str, page: &str) -> String {
        let message = format!(
            "Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=y\n\n\
             --y\nContent-Type: text/plain\n\n{text}\n--y\nContent-Type: text/html\n\n{page}\n--y--\n"
        );
        extract(message.as_bytes(), 0, false).unwrap().content
    }

    #[test]
    fn a_page_that_says_far_more_than_the_text_beside_it_is_taken() {
        let page = "<p>The ward is closed from Monday until the pump was replaced.</p>";
        assert_eq!(read("See the page.", page), "# x\n\nThe ward is closed from Monday until the pump was replaced.");
        assert!(read("", "<p>All of it.</p>").ends_with("All of it."));
        let page = "<p>Table:</p><table><tr><th>Dose<tr><td>7 mg</table>";
        let found = read("See the HTML version.", page);
        assert!(found.ends_with("Table:\n\nDose\n\n7 mg"), "{found}");
    }

    #[test]
    fn a_page_with_a_table_that_the_text_lacks_is_taken() {
        let page = "<p>Table:</p><table><tr><th>Drug<th>Dose<tr><td>Cefazolin<td>7 mg</table>";
        let found = read("The doses are in the page, as they were decided.", page);
        assert!(found.ends_with("Table:\n\n| Drug | Dose |\n| --- | --- |\n| Cefazolin | 7 mg |"), "{found}");
    }

    #[test]
    fn a_text_that_says_as_much_as_the_page_is_kept() {
        let text = "Drug and dose: Cefazolin, 7 mg, as it was decided by the board on Monday.";
        let page = "<h1>News</h1><table><tr><td>Drug and<td>dose<tr><td>Cefazolin<td>7 mg</table><p>As it was decided.";
        assert_eq!(read(text, page), format!("# x\n\n{text}"));
        let button = "<table><tr><td>See it<td>in the browser</table>";
        assert_eq!(read(text, button), format!("# x\n\n{text}"));
    }
}
