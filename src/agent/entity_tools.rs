//! The tools that tell of an entity: what is around it, and what happened to it when. An agent without a language model
//! uses one by a rule: where the question names an entity and asks for that, with the days and steps that it names.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::tools;
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
            let configured = || tools::configured(agent, tool, "depth").map_or(1, |depth| depth as i64);
            args.insert("depth".into(), json!(steps(&lower).unwrap_or_else(configured).clamp(1, 4)));
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
        return knowledge::timeline(workspace, entity.id, between, &Moment::default(), MOST, 0).map(|(facts, _)| facts);
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
