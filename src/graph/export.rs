//! The whole network for other programs: GraphML (Brandes and others, "GraphML progress report", 2001) or JSON.
//!
//! Written entity by entity and fact by fact, so that nothing is held of it. A fact's `invalid_at` is its own, or the day
//! on which another took its place.

use std::io::{self, Write};

use quick_xml::escape::escape;
use serde::Serialize;
use uuid::Uuid;

use super::network::Network;
use super::rows::{EntityRow, FactRow, Moment};
use super::statement::Kind;

/// How a network is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    GraphMl,
    Json,
}

#[derive(Serialize)]
struct Entity<'a> {
    id: Uuid,
    name: &'a str,
    #[serde(rename = "type")]
    kind: Kind,
    aliases: &'a [String],
    mentions: u32,
}

#[derive(Serialize)]
struct Fact<'a> {
    id: Uuid,
    source: Uuid,
    target: Uuid,
    predicate: &'a str,
    valid_at: Option<String>,
    invalid_at: Option<String>,
    recorded_at: String,
    evidence: u32,
    /// The first chunk that states it.
    chunk_id: Option<Uuid>,
}

/// What a GraphML file says of nodes and edges, and with which type.
const KEYS: [(&str, &str, &str); 10] = [
    ("name", "node", "string"),
    ("kind", "node", "string"),
    ("aliases", "node", "string"),
    ("mentions", "node", "long"),
    ("predicate", "edge", "string"),
    ("valid_at", "edge", "string"),
    ("invalid_at", "edge", "string"),
    ("recorded_at", "edge", "string"),
    ("evidence", "edge", "long"),
    ("chunk_id", "edge", "string"),
];

impl Network {
    /// Writes all entities, and the facts that there are at `moment`, by number; `chunk` tells the first that states a fact.
    pub fn export(
        &self,
        format: Format,
        moment: &Moment,
        chunk: impl Fn(i64) -> Option<Uuid>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut entities: Vec<&EntityRow> = self.graph.node_weights().map(|entity| &entity.row).collect();
        entities.sort_unstable_by_key(|row| row.number);
        let mut facts: Vec<&FactRow> = self.graph.edge_weights().filter(|fact| self.shows(fact, moment)).collect();
        facts.sort_unstable_by_key(|row| row.number);
        let entities = entities.into_iter().map(|row| Entity {
            id: row.id,
            name: &row.name,
            kind: row.kind,
            aliases: &row.aliases,
            mentions: row.mentions,
        });
        let facts = facts.into_iter().filter_map(|fact| self.exported(fact, moment, &chunk));
        match format {
            Format::GraphMl => graphml(entities, facts, out),
            Format::Json => json(entities, facts, out),
        }
    }

    fn exported<'a>(
        &self,
        fact: &'a FactRow,
        moment: &Moment,
        chunk: &impl Fn(i64) -> Option<Uuid>,
    ) -> Option<Fact<'a>> {
        Some(Fact {
            id: fact.id,
            source: self.entity(fact.subject)?.id,
            target: self.entity(fact.object)?.id,
            predicate: &fact.predicate,
            valid_at: fact.valid_at.map(|day| day.to_string()),
            invalid_at: self.end_of(fact, moment).map(|day| day.to_string()),
            recorded_at: crate::clock::text(fact.recorded_at),
            evidence: fact.evidence,
            chunk_id: chunk(fact.number),
        })
    }
}

fn json<'a>(
    entities: impl Iterator<Item = Entity<'a>>,
    facts: impl Iterator<Item = Fact<'a>>,
    out: &mut impl Write,
) -> io::Result<()> {
    out.write_all(b"{\"entities\":[")?;
    list(entities, out)?;
    out.write_all(b"],\"facts\":[")?;
    list(facts, out)?;
    out.write_all(b"]}\n")
}

fn list(items: impl Iterator<Item = impl Serialize>, out: &mut impl Write) -> io::Result<()> {
    for (place, item) in items.enumerate() {
        out.write_all(if place == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, &item)?;
    }
    Ok(())
}

fn graphml<'a>(
    entities: impl Iterator<Item = Entity<'a>>,
    facts: impl Iterator<Item = Fact<'a>>,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<graphml xmlns="http://graphml.graphdrawing.org/xmlns">"#)?;
    for (name, of, kind) in KEYS {
        writeln!(out, r#"<key id="{name}" for="{of}" attr.name="{name}" attr.type="{kind}"/>"#)?;
    }
    writeln!(out, r#"<graph id="knowledge" edgedefault="directed">"#)?;
    for entity in entities {
        write!(out, r#"<node id="{}">"#, entity.id)?;
        data("name", entity.name, out)?;
        data("kind", entity.kind.name(), out)?;
        data("aliases", &serde_json::to_string(entity.aliases)?, out)?;
        data("mentions", &entity.mentions.to_string(), out)?;
        writeln!(out, "</node>")?;
    }
    for fact in facts {
        write!(out, r#"<edge id="{}" source="{}" target="{}">"#, fact.id, fact.source, fact.target)?;
        data("predicate", fact.predicate, out)?;
        fact.valid_at.map_or(Ok(()), |day| data("valid_at", &day, out))?;
        fact.invalid_at.map_or(Ok(()), |day| data("invalid_at", &day, out))?;
        data("recorded_at", &fact.recorded_at, out)?;
        data("evidence", &fact.evidence.to_string(), out)?;
        writeln!(out, "</edge>")?;
    }
    writeln!(out, "</graph>\n</graphml>")
}

fn data(key: &str, text: &str, out: &mut impl Write) -> io::Result<()> {
    // Characters that no XML can have, not even escaped.
    let barred = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    write!(out, r#"<data key="{key}">{}</data>"#, escape(text.replace(barred, " ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::civil::date;

    use super::super::tests::{entity, fact, located, network};
    use super::*;

    #[test]
    fn exports_are_well_formed_whatever_names_have_in_them() {
        let nasty = "<a href=\"x\"> & \u{1} 'b' ]]>";
        let entities = vec![entity(1, nasty, &["\u{FFFF}", "q\"\\"]), entity(2, "B", &[])];
        let network = network(entities, vec![located(1, 1, 2, date(2001, 2, 3)), fact(2, 2, nasty, 1)]);
        let export = |format| {
            let mut out = Vec::new();
            network.export(format, &Moment::default(), |_| None, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&export(Format::Json)).unwrap();
        assert_eq!(json["entities"][0]["name"], nasty);
        assert_eq!(json["facts"][0]["valid_at"], "2001-02-03");
        let xml = export(Format::GraphMl);
        let mut reader = quick_xml::Reader::from_str(&xml);
        let mut counts = BTreeMap::<String, usize>::new();
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(tag) => {
                    *counts.entry(tag.name().as_ref().to_owned()).or_default() += 1;
                }
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!((counts["node"], counts["edge"], counts["data"]), (2, 2, 4 * 2 + 4 + 3));
        assert!(!xml.contains(['\u{1}', '\u{FFFF}']));
    }
}
