//! The tools that tell of an entity: what is around it, and what happened to it when. An agent without a language model
//! uses one by a rule: where the question names an entity and asks for that.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::tools;
use crate::error::{Error, Result};
use crate::graph::Kind;
use crate::knowledge::{self, Ask, Fact, Moment};
use crate::search::Hit;
use crate::workspace::Workspace;
use crate::workspace::agents::Agent;

/// The tools, each with words of questions that ask for it: English, German, Spanish, French.
const TOOLS: [(&str, &[&str]); 2] = [
    (TIMELINE, &["when", "since", "until", "history", "timeline", "wann", "seit", "bis", "verlauf", "cuándo", "quand"]),
    (
        RELATIONSHIPS,
        &[
            "related",
            "relationship",
            "relationships",
            "connected",
            "connection",
            "between",
            "linked",
            "verbunden",
            "beziehung",
            "zwischen",
            "relación",
            "entre",
            "relation",
            "lien",
        ],
    ),
];
const RELATIONSHIPS: &str = "get_entity_relationships";
const TIMELINE: &str = "get_entity_timeline";
/// Entities, and facts, that a tool tells at most.
const MOST: usize = 50;
/// Passages that a tool adds to those that were found.
const PASSAGES: usize = 4;

/// A tool and what it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub tool: &'static str,
    pub args: Map<String, Value>,
}

/// What `question` asks one of the agent's tools for, if anything.
pub fn wished(agent: &Agent, workspace: &Workspace, question: &str) -> Result<Option<Call>> {
    let lower = question.to_lowercase();
    let asks = |words: &[&str]| lower.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
    let has = |tool: &str| agent.enabled_tools.iter().any(|enabled| enabled == tool);
    let Some((tool, _)) = TOOLS.into_iter().find(|(tool, words)| has(tool) && asks(words)) else { return Ok(None) };
    let name = workspace.network(|network| {
        let named = network.named_in(question).into_iter().filter_map(|spotted| network.entity(spotted.entity));
        let mut things = named.filter(|row| !matches!(row.kind, Kind::Date | Kind::Amount));
        things.next().map(|row| row.name.clone())
    })?;
    Ok(name.map(|name| {
        let mut args = Map::from_iter([("entity_name".to_owned(), json!(name))]);
        if tool == RELATIONSHIPS {
            let depth = tools::configured(agent, tool, "depth").map_or(1, |depth| (depth as i64).clamp(1, 4));
            args.insert("depth".into(), json!(depth));
        }
        Call { tool, args }
    }))
}

/// The facts that a tool finds.
///
/// # Errors
/// [`Error::Validation`] for arguments that are missing or wrong, [`Error::NotFound`] where no entity is called like that.
pub fn facts(workspace: &Workspace, call: &Call) -> Result<Vec<Fact>> {
    let text = |name: &str| call.args.get(name).and_then(Value::as_str);
    let name = text("entity_name").ok_or_else(|| Error::invalid("entity_name", "must be given"))?;
    let entity = knowledge::find(workspace, name)?;
    if call.tool == TIMELINE {
        let day = |field: &'static str| {
            let day = text(field).map(str::parse::<Date>).transpose();
            day.map_err(|_| Error::invalid(field, "must be a date: 2021-03-01"))
        };
        let between = (day("start_date")?, day("end_date")?);
        return knowledge::timeline(workspace, entity.id, between, &Moment::default(), MOST);
    }
    let depth = call.args.get("depth").map_or(Some(1), Value::as_u64);
    let depth = depth.and_then(|depth| u8::try_from(depth).ok()).filter(|depth| (1..=4).contains(depth));
    let depth = depth.ok_or_else(|| Error::invalid("depth", "must be from 1 to 4"))?;
    let ask = Ask { depth, limit: MOST, moment: Moment::default() };
    Ok(knowledge::relationships(workspace, entity.id, &ask)?.facts)
}

/// The chunks that state the first of `facts`, but for those that are among `known`, as hits of this score.
pub fn hits(workspace: &Workspace, facts: &[Fact], known: &[Hit], score: f32) -> Result<Vec<Hit>> {
    let mut found: Vec<Hit> = Vec::new();
    for passage in facts.iter().filter_map(|fact| fact.evidence.first()) {
        let is_known = |hits: &[Hit]| hits.iter().any(|hit| hit.located.chunk.number == passage.chunk);
        if found.len() >= PASSAGES || is_known(known) || is_known(&found) {
            continue;
        }
        if let Some(located) = workspace.locate(passage.chunk)? {
            found.push(Hit::by_tool(located, score));
        }
    }
    Ok(found)
}
