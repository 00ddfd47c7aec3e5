//! Which chunks a search may find at all, as SQL over documents.

use roaring::RoaringBitmap;
use rusqlite::ToSql;
use uuid::Uuid;

use super::Workspace;
use crate::error::Result;

/// Conditions that a document must meet, all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pub document_ids: Option<Vec<Uuid>>,
    pub sources: Option<Vec<String>>,
    /// Media types of the originals.
    pub content_types: Option<Vec<String>>,
    /// Key of the metadata and what its value, or one of its values, must be.
    pub metadata: Vec<(String, Comparison)>,
    /// Times as [`crate::clock`] writes them, both exclusive.
    pub created_after: Option<String>,
    pub created_before: Option<String>,
}

/// What a value of the metadata is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    In(Vec<Scalar>),
    /// Both bounds inclusive.
    Between(Option<Scalar>, Option<Scalar>),
    /// As one of these says.
    Any(Vec<Comparison>),
}

/// A plain JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Text(String),
    Number(f64),
    Flag(bool),
}

impl ToSql for Scalar {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Scalar::Text(text) => text.to_sql(),
            Scalar::Number(number) => number.to_sql(),
            // `json_each` shows true as 1.
            Scalar::Flag(flag) => flag.to_sql(),
        }
    }
}

/// An upper bound that takes all of a day in, where it is one: its times sort behind it, and before the next day.
fn through(bound: &Scalar) -> Scalar {
    match bound {
        Scalar::Text(text) if text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10 => {
            Scalar::Text(format!("{text}U"))
        }
        other => other.clone(),
    }
}

impl Filter {
    /// Whether every document meets it.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// A condition on `documents d` and the values of its parameters, in order.
    pub(super) fn sql(&self) -> (String, Vec<Box<dyn ToSql>>) {
        let mut conditions = vec!["1".to_owned()];
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        if let Some(ids) = &self.document_ids {
            conditions.push(format!("d.id IN ({})", marks(ids.len())));
            values.extend(ids.iter().map(|id| Box::new(id.to_string()) as Box<dyn ToSql>));
        }
        for (list, column) in [(&self.sources, "d.source"), (&self.content_types, "d.file_type")] {
            if let Some(list) = list {
                conditions.push(format!("{column} IN ({})", marks(list.len())));
                values.extend(list.iter().map(|value| Box::new(value.clone()) as Box<dyn ToSql>));
            }
        }
        for (key, comparison) in &self.metadata {
            let (places, paths) = values_of(key);
            values.extend(paths);
            let condition = comparison.sql(&mut values);
            conditions.push(format!("EXISTS (SELECT 1 FROM {places} WHERE {condition})"));
        }
        for (bound, sql) in [(&self.created_after, "d.created_at > ?"), (&self.created_before, "d.created_at < ?")] {
            if let Some(time) = bound {
                conditions.push(sql.to_owned());
                values.push(Box::new(time.clone()));
            }
        }
        (conditions.join(" AND "), values)
    }
}

impl Comparison {
    /// A condition on a row of `json_each`; the values of its parameters go to the end of `values`.
    fn sql(&self, values: &mut Vec<Box<dyn ToSql>>) -> String {
        match self {
            Comparison::In(options) => {
                values.extend(options.iter().map(|value| Box::new(value.clone()) as Box<dyn ToSql>));
                format!("value IN ({})", marks(options.len()))
            }
            Comparison::Between(least, most) => {
                let bounds = [("value >= ?", least), ("value <= ?", most)];
                let given: Vec<(&str, &Scalar)> =
                    bounds.iter().filter_map(|(sql, bound)| Some((*sql, bound.as_ref()?))).collect();
                let kind = given.iter().map(|(_, bound)| match bound {
                    Scalar::Text(_) => "type = 'text'",
                    _ => "type IN ('integer', 'real', 'true', 'false')",
                });
                let parts: Vec<&str> = given.iter().map(|(sql, _)| *sql).chain(kind).collect();
                let condition = parts.join(" AND ");
                let least = least.iter().cloned();
                let bounds = least.chain(most.iter().map(through));
                values.extend(bounds.map(|bound| Box::new(bound) as Box<dyn ToSql>));
                if condition.is_empty() { "1".to_owned() } else { condition }
            }
            Comparison::Any(comparisons) => {
                let conditions: Vec<String> = comparisons.iter().map(|comparison| comparison.sql(values)).collect();
                format!("({})", conditions.join(" OR "))
            }
        }
    }
}

/// The value or values under a key of the metadata of `documents d`, as a table with `value` and `type`, and the
/// parameters of that. A key with dots that a document has not leads into its objects.
pub(super) fn values_of(key: &str) -> (&'static str, Vec<Box<dyn ToSql>>) {
    // Paths are parameters; a quoted label takes any key, and a quote inside one is escaped.
    let label = |key: &str| serde_json::Value::from(key).to_string();
    let whole = format!("$.{}", label(key));
    if !key.contains('.') {
        return ("json_each(d.metadata, ?)", vec![Box::new(whole)]);
    }
    let parts: Vec<String> = key.split('.').map(label).collect();
    let within = format!("$.{}", parts.join("."));
    let table = "json_each(d.metadata, iif(json_type(d.metadata, ?) IS NULL, ?, ?))";
    (table, vec![Box::new(whole.clone()), Box::new(within), Box::new(whole)])
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

impl Workspace {
    /// The chunks whose documents meet `filter`; `None` where it asks for nothing, so that all do.
    pub fn allowed_chunks(&self, filter: &Filter) -> Result<Option<RoaringBitmap>> {
        if filter.is_empty() {
            return Ok(None);
        }
        let (condition, values) = filter.sql();
        self.read(|db| {
            let mut query = db.prepare(&format!(
                "SELECT c.number FROM chunks c JOIN documents d ON d.number = c.document WHERE {condition}"
            ))?;
            let numbers = query.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, u32>(0))?;
            Ok(Some(numbers.collect::<rusqlite::Result<_>>()?))
        })
    }
}
