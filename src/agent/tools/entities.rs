//! The tools that tell of an entity: what is around it, and what happened to it when. An agent without a language model
//! uses one by a rule: where the question names an entity and asks for that, with the days and steps that it names.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::Outcome;
use super::arguments::Arguments;
use crate::clock;
use crate::error::{Error, Result};
use crate::graph::{Kind, extract};
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
pub(super) const RELATIONSHIPS: &str = "get_entity_relationships";
pub(super) const TIMELINE: &str = "get_entity_timeline";
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
    let days = days(question);
    // "Between 2016 and 2018" asks for a time, "between X and Y" for what ties them.
    let asked = |tool: &str, words: &[&str]| asks(words) && !(tool == RELATIONSHIPS && days != (None, None));
    let is_asked = |tool: &str, words: &[&str]| asked(tool, words) || tool == TIMELINE && days != (None, None);
    let Some((tool, _)) = TOOLS.into_iter().find(|(tool, words)| has(tool) && is_asked(tool, words)) else {
        return Ok(None);
    };
    let name = workspace.network(|network| {
        let named = network.named_in(question).into_iter().filter_map(|spotted| network.entity(spotted.entity));
        let mut things = named.filter(|row| !matches!(row.kind, Kind::Date | Kind::Amount));
        things.next().map(|row| row.name.clone())
    })?;
    Ok(name.map(|name| {
        let mut args = Map::from_iter([("entity_name".to_owned(), json!(name))]);
        if tool == RELATIONSHIPS {
            let configured = || agent.tool_config.get(tool).and_then(|config| config["depth"].as_i64());
            args.insert("depth".into(), json!(steps(&lower).or_else(configured).unwrap_or(1).clamp(1, 4)));
        } else {
            let days = [("start_date", days.0), ("end_date", days.1)];
            args.extend(days.into_iter().filter_map(|(name, day)| Some((name.to_owned(), json!(day?)))));
        }
        Call { tool, args }
    }))
}

/// The days between which a question asks: "from 2016 to 2018", "in May 2020", "since 2016", "before 2018".
fn days(question: &str) -> (Option<Date>, Option<Date>) {
    let today = clock::today();
    let periods = extract::periods(question, Some(today));
    match &periods[..] {
        [] => (None, None),
        [only] => match only.before.as_str() {
            "since" | "after" | "from" | "seit" | "nach" | "desde" | "depuis" => (Some(only.first), None),
            "before" | "until" | "till" | "by" | "to" | "vor" | "bis" | "hasta" | "avant" => (None, Some(only.last)),
            _ => (Some(only.first), Some(only.last)),
        },
        [first, .., last] => (Some(first.first.min(last.first)), Some(first.last.max(last.last))),
    }
}

/// The steps that a question names: "within two steps", "3 hops".
fn steps(question: &str) -> Option<i64> {
    const NUMBERS: [&str; 4] = ["one", "two", "three", "four"];
    let words: Vec<&str> = question.split_whitespace().map(|word| word.trim_matches([',', '.', '?', '!'])).collect();
    words.windows(2).find_map(|pair| {
        let [number, unit] = pair else { return None };
        let spelled = NUMBERS.iter().position(|name| name == number).map(|at| at as i64 + 1);
        let is_unit =
            matches!(*unit, "step" | "steps" | "hop" | "hops" | "degrees" | "links" | "schritte" | "schritten");
        spelled.or_else(|| number.parse().ok()).filter(|_| is_unit)
    })
}

/// What is related to an entity.
pub(super) fn relationships(workspace: &Workspace, args: &Arguments<'_>) -> Result<Outcome> {
    let entity = knowledge::find(workspace, args.text("entity_name")?)?;
    let depth = args.count("depth", 1, 1, 4)? as u8;
    let ask = Ask { depth, limit: MOST, moment: Moment::default() };
    told(workspace, knowledge::relationships(workspace, entity.id, &ask)?.facts)
}

/// What happened to an entity.
pub(super) fn timeline(workspace: &Workspace, args: &Arguments<'_>) -> Result<Outcome> {
    let entity = knowledge::find(workspace, args.text("entity_name")?)?;
    let day = |field: &'static str| {
        let day = args.optional_text(field)?.map(str::parse::<Date>).transpose();
        day.map_err(|_| Error::invalid(field, "must be a date: 2021-03-01"))
    };
    let between = (day("start_date")?, day("end_date")?);
    let (facts, _) = knowledge::timeline(workspace, entity.id, between, &Moment::default(), MOST, 0)?;
    told(workspace, facts)
}

/// Facts, and the passages that state the first of them.
fn told(workspace: &Workspace, facts: Vec<Fact>) -> Result<Outcome> {
    let mut hits: Vec<Hit> = Vec::new();
    for passage in facts.iter().filter_map(|fact| fact.evidence.first()) {
        let is_known = hits.iter().any(|hit| hit.located.chunk.number == passage.chunk);
        if hits.len() >= PASSAGES || is_known {
            continue;
        }
        if let Some(located) = workspace.locate(passage.chunk)? {
            hits.push(Hit::by_tool(located, 1.0));
        }
    }
    let summary = format!("{} facts found", facts.len());
    Ok(Outcome { hits, facts, summary, ..Outcome::default() })
}
