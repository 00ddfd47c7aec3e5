//! Lists of documents: filtered, searched, and in the order that is asked for.

use rusqlite::ToSql;

use super::documents::{self, COLUMNS, Document};
use super::filter::values_of;
use super::{Filter, Workspace};
use crate::error::Result;

/// Which documents a list shows, and in which order.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// A part of the title, the source or a text of the metadata, in any case.
    pub text: Option<String>,
    pub filter: Filter,
    pub order: Order,
    pub limit: usize,
    pub offset: usize,
}

/// The order of a list; what is equal in it is in the order in which it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub by: SortKey,
    pub descending: bool,
}

/// What a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortKey {
    Title,
    Source,
    CreatedAt,
    UpdatedAt,
    SizeBytes,
    /// A key of the metadata. Documents without it come last in either direction.
    Metadata(String),
}

impl Default for Order {
    /// Newest first.
    fn default() -> Self {
        Order { by: SortKey::CreatedAt, descending: true }
    }
}

impl SortKey {
    /// An expression over `documents d`, null where there is nothing to sort by, and its parameters.
    fn sql(&self) -> (String, Vec<Box<dyn ToSql>>) {
        let column = match self {
            SortKey::Title => "lowercase(d.title)",
            SortKey::Source => "d.source",
            SortKey::CreatedAt => "d.created_at",
            SortKey::UpdatedAt => "d.updated_at",
            SortKey::SizeBytes => "d.size_bytes",
            SortKey::Metadata(key) => {
                // Numbers come before texts, and a list goes by its first value.
                let (values, parameters) = values_of(key);
                let sorted = "iif(type = 'text', lowercase(value), value)";
                let plain = "type IN ('text', 'integer', 'real', 'true', 'false')";
                return (format!("(SELECT {sorted} FROM {values} WHERE {plain} ORDER BY id LIMIT 1)"), parameters);
            }
        };
        (column.to_owned(), Vec::new())
    }
}

impl Workspace {
    /// A page of documents, and how many there are in all.
    pub fn documents(&self, listing: &Listing) -> Result<(Vec<Document>, u64)> {
        let (mut condition, mut values) = listing.filter.sql();
        if let Some(text) = &listing.text {
            condition.push_str(
                " AND (instr(lowercase(d.title), lowercase(?)) OR instr(lowercase(d.source), lowercase(?)) OR EXISTS
                      (SELECT 1 FROM json_tree(d.metadata) WHERE type = 'text' AND instr(lowercase(value), lowercase(?))))",
            );
            values.extend([text, text, text].map(|text| Box::new(text.clone()) as Box<dyn ToSql>));
        }
        let (sorted, parameters) = listing.order.by.sql();
        let direction = if listing.order.descending { "DESC" } else { "ASC" };
        self.read(|db| {
            let count = format!("SELECT count(*) FROM documents d WHERE {condition}");
            let total = db.query_row(&count, rusqlite::params_from_iter(&values), |row| row.get(0))?;
            let page = format!(
                "SELECT {COLUMNS}, {sorted} AS sorted FROM documents d WHERE {condition}
                 ORDER BY sorted IS NULL, sorted {direction}, d.number {direction} LIMIT {} OFFSET {}",
                listing.limit, listing.offset
            );
            let mut query = db.prepare(&page)?;
            let values = parameters.iter().chain(&values);
            let found = query.query_map(rusqlite::params_from_iter(values), documents::read)?;
            Ok((found.collect::<rusqlite::Result<_>>()?, total))
        })
    }
}
