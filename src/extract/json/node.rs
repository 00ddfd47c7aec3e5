//! A JSON value whose keys keep their order.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::numbers::Numbers;
use super::{COLUMNS, LINE};
use crate::extract::fault::Fault;

/// Values that one text may hold: each takes 32 bytes, however short it is.
const MOST: usize = 4_000_000;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Null, a flag or a number, as it is written.
    Word(String),
    Null,
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// # Errors
/// [`super::Kind::TooComplex`] for a value that nests too deeply or holds too much, [`super::Kind::Damaged`] for none.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let left = Cell::new(MOST);
    let numbers = RefCell::new(Numbers::of(text));
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let node = Reader { left: &left, numbers: &numbers }.deserialize(&mut deserializer);
    node.and_then(|node| deserializer.end().map(|()| node)).map_err(|e| {
        let cause = e.to_string();
        match cause {
            _ if cause.starts_with("recursion limit") => Fault::too_complex("its values nest too deeply"),
            _ if left.get() == 0 => Fault::too_complex(format!("it holds more than {MOST} values")),
            cause => Fault::damaged(format!("it is not valid JSON: {cause}")),
        }
    })
}

impl Node {
    /// What stands under a key of an object.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Node::Object(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub fn as_text(&self) -> Option<&str> {
        if let Node::Text(text) = self { Some(text) } else { None }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            Node::Null => true,
            Node::Word(text) | Node::Text(text) => text.trim().is_empty(),
            Node::List(list) => list.iter().all(Node::is_empty),
            Node::Object(entries) => entries.iter().all(|(_, value)| value.is_empty()),
        }
    }

    /// Whether it fits a line or a cell.
    pub fn is_short(&self) -> bool {
        match self {
            Node::Null | Node::Word(_) => true,
            Node::Text(text) => text.len() <= LINE && !text.trim().contains('\n'),
            Node::List(_) | Node::Object(_) => false,
        }
    }

    /// Whether it can be the row of a table.
    pub fn is_row(&self) -> bool {
        let Node::Object(entries) = self else { return false };
        let is_first = |place: usize, key: &str| entries.iter().take(place).all(|(other, _)| other != key);
        (2..=COLUMNS).contains(&entries.len())
            && entries.iter().enumerate().all(|(place, (key, value))| value.is_short() && is_first(place, key))
    }

    /// Whether it is an object with the same keys, in whatever order.
    pub fn is_like(&self, other: &Node) -> bool {
        let (Node::Object(own), Node::Object(others)) = (self, other) else { return false };
        own.len() == others.len()
            && own.len() <= COLUMNS
            && own.iter().zip(others).all(|((key, _), (expected, _))| key == expected || other.get(key).is_some())
    }

    pub fn keys(&self) -> Vec<String> {
        let Node::Object(entries) = self else { return Vec::new() };
        entries.iter().map(|(key, _)| key.clone()).collect()
    }

    /// What it says under each of `keys`.
    pub fn cells(&self, keys: &[String]) -> Vec<String> {
        keys.iter().map(|key| self.get(key).map(Node::say).unwrap_or_default()).collect()
    }

    /// A short value in words.
    pub fn say(&self) -> String {
        match self {
            Node::Word(text) | Node::Text(text) => text.clone(),
            _ => String::new(),
        }
    }
}

/// Reads a value.
#[derive(Clone, Copy)]
struct Reader<'a> {
    /// Values that may still come.
    left: &'a Cell<usize>,
    /// The numbers that are still to come, as they are written.
    numbers: &'a RefCell<Numbers<'a>>,
}

impl Reader<'_> {
    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        self.left.set(left);
        Ok(())
    }

    /// The number that has just been met: they are met in the order of the text.
    fn number<E>(self) -> Result<Node, E> {
        Ok(Node::Word(self.numbers.borrow_mut().next().unwrap_or_default().to_owned()))
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Word(flag.to_string()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        self.number()
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        self.number()
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        self.number()
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = items.next_element_seed(self)? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut object = Vec::new();
        while let Some(key) = entries.next_key()? {
            object.push((key, entries.next_value_seed(self)?));
        }
        Ok(Node::Object(object))
    }
}
