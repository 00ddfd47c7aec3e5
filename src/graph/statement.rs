//! What one document says: entities, where it names them, and facts between them. Shared by all of the room.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Person,
    Organization,
    Place,
    Product,
    /// A book, film, song, or another work with a title.
    Work,
    /// A term, an event, or a name that nothing tells more about.
    Concept,
    Date,
    Amount,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Kind; 8] = [
        Kind::Person,
        Kind::Organization,
        Kind::Place,
        Kind::Product,
        Kind::Work,
        Kind::Concept,
        Kind::Date,
        Kind::Amount,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Person => "person",
            Kind::Organization => "organization",
            Kind::Place => "place",
            Kind::Product => "product",
            Kind::Work => "work",
            Kind::Concept => "concept",
            Kind::Date => "date",
            Kind::Amount => "amount",
        }
    }

    /// What has that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Exclusive {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Exclusive::No => "no",
            Exclusive::Object => "object",
            Exclusive::Subject => "subject",
        }
    }

    /// What has that word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Exclusive::No, Exclusive::Object, Exclusive::Subject].into_iter().find(|exclusive| exclusive.name() == name)
    }
}

/// What one document says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extraction {
    pub entities: Vec<Named>,
    /// In the order of the text; they do not overlap.
    pub mentions: Vec<Mention>,
    /// In the order of the text.
    pub facts: Vec<Stated>,
}

/// An entity as one document knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What tells it from others across documents: its folded name without articles, titles and legal forms.
    pub key: String,
    pub kind: Kind,
    /// The fullest form of its name in the document.
    pub name: String,
    /// Its other forms there, without duplicates, in order of appearance.
    pub aliases: Vec<String>,
}

/// Bytes `start..end` of the document's content name the entity at this place of [`Extraction::entities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mention {
    pub entity: usize,
    pub start: usize,
    pub end: usize,
}

/// subject – predicate – object, with the sentence that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Places in [`Extraction::entities`].
    pub subject: usize,
    pub object: usize,
    /// In lower case, in one form for each relation: "ceo of", "acquired", "located in", "is a".
    pub predicate: String,
    pub exclusive: Exclusive,
    /// When it began to be true, as the text says: the first day of a month or year that is named.
    pub valid_at: Option<Date>,
    /// When it ceased to be true.
    pub invalid_at: Option<Date>,
    /// The document's date, where it is known: orders facts without dates.
    pub stated_at: Option<Date>,
    /// The sentence or table row, as bytes of the content.
    pub start: usize,
    pub end: usize,
}

/// Of what there is only one at a time, so that a newer fact closes the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exclusive {
    No,
    /// One object for a subject: "located in".
    Object,
    /// One subject for an object: "ceo of".
    Subject,
}

/// The first day of what is written as `2024`, `2024-05`, `2024-05-06` or a moment.
pub fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    let whole = |text: &str| text.parse::<Date>().ok();
    match text.len() {
        4 => whole(&format!("{text}-01-01")),
        7 => whole(&format!("{text}-01")),
        _ => whole(text.get(..10)?),
    }
}
