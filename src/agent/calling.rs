//! The tools that a model calls for: carried out side by side, within bounds, and told back as data.
//!
//! What a call asks for that is wrong, or not to be had, is told to the model, which may do better. A tool that the agent
//! does not have is none, whoever asks for it. Another agent is asked in a turn of its own, never one that is already
//! asking.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answering::{self, Answer, Ask, Desk, blocking};
use super::event::{Event, Listener, ToolUse};
use super::evidence::Evidence;
use super::gate::with_markers;
use super::prompt::{self, Fence, Part, Role, Said};
use super::tools::{ASK_AGENT, Outcome};
use crate::error::{Error, Result};
use crate::llm::ToolCall;

/// Calls of one step that are carried out; the others are told to wait.
const AT_ONCE: usize = 8;
/// Calls that are under way together.
const TOGETHER: usize = 4;
/// Passages that a turn brings together at most.
const MOST_EVIDENCE: usize = 64;
/// Agents that ask each other in a row.
const DEPTH: usize = 3;

/// What was called for in this turn, so that nothing is carried out twice.
#[derive(Default)]
pub(super) struct Calls(HashMap<String, String>);

/// What came of a call.
enum Told {
    Found(Outcome),
    Answer { agent: String, answer: Box<Answer> },
    Nothing(String),
}

/// Carries out `calls` and gives what is told to the model, in their order.
pub(super) async fn carry_out(
    desk: &Desk,
    ask: &Arc<Ask>,
    calls: Vec<ToolCall>,
    before: &mut Calls,
    answer: &mut Answer,
    fence: &Fence,
    listener: &Listener,
) -> Result<Vec<Said>> {
    let mut work = Vec::new();
    for (place, call) in calls.into_iter().enumerate() {
        let args: Option<Map<String, Value>> = match call.arguments.trim() {
            "" => Some(Map::new()),
            text => serde_json::from_str(text).ok(),
        };
        let key = format!("{} {}", call.name, serde_json::to_string(&args).unwrap_or_default());
        let refusal = match (&args, before.0.get(&key)) {
            (None, _) => Some("the arguments are no JSON object".to_owned()),
            (_, Some(earlier)) => Some(format!("this was called for before, as {earlier}; what it said holds")),
            _ if place >= AT_ONCE => {
                Some(format!("only {AT_ONCE} calls are carried out at once; call again for this one"))
            }
            _ if !ask.agent.enabled_tools.contains(&call.name) => {
                Some(format!("there is no such tool here; there are: {}", ask.agent.enabled_tools.join(", ")))
            }
            _ => None,
        };
        if refusal.is_none() {
            before.0.insert(key, call.id.clone());
        }
        let used = ToolUse { tool_name: call.name, args: args.unwrap_or_default(), tool_call_id: call.id };
        listener.tell(Event::ToolCall(used.clone())).await?;
        work.push((used, refusal));
    }
    let done = stream::iter(work).map(|(used, refusal)| async move {
        let told = match refusal {
            Some(why) => Ok(Told::Nothing(why)),
            None => one(desk, ask, &used).await,
        };
        (used, told)
    });
    let done: Vec<_> = done.buffered(TOGETHER).collect().await;
    let mut results = Vec::new();
    for (used, told) in done {
        let told = told.or_else(borne)?;
        let (summary, parts) = taken_in(told, answer, fence);
        listener.tell(Event::ToolResult { tool_call_id: used.tool_call_id.clone(), summary }).await?;
        results.push(Said { role: Role::Tool, parts, calls: Vec::new(), call_id: Some(used.tool_call_id.clone()) });
        answer.tools_used.push(used);
    }
    Ok(results)
}

/// What a model can do something about is told to it.
fn borne(error: Error) -> Result<Told> {
    match error {
        Error::Validation(_) | Error::NotFound(_) | Error::Conflict(_) | Error::Unavailable(_) => {
            Ok(Told::Nothing(error.to_string()))
        }
        other => Err(other),
    }
}

async fn one(desk: &Desk, ask: &Arc<Ask>, used: &ToolUse) -> Result<Told> {
    match used.tool_name.as_str() {
        ASK_AGENT => ask_agent(desk, ask, &used.args).await,
        _ => answering::run(desk, ask, used).await.map(Told::Found),
    }
}

async fn ask_agent(desk: &Desk, ask: &Arc<Ask>, args: &Map<String, Value>) -> Result<Told> {
    let text = |name: &'static str| {
        let text = args.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| Error::invalid(name, "must be given"))
    };
    let (name, query) = (text("agent")?, text("query")?);
    let workspace = desk.workspace.clone();
    let agent = blocking(move || workspace.agent_called(&name)).await?;
    let chain: Vec<Uuid> = ask.chain.iter().copied().chain([ask.agent.id]).collect();
    if chain.contains(&agent.id) {
        return Ok(Told::Nothing("this agent is the one who is asking".into()));
    }
    if chain.len() >= DEPTH {
        return Ok(Told::Nothing("too many agents have asked each other already; answer without".into()));
    }
    // What it takes to answer is set aside for it.
    if !ask.requests.take() {
        return Ok(Told::Nothing("the agents have asked enough for one question; answer from what there is".into()));
    }
    let slug = agent.slug.clone();
    let asked = Ask::alone(agent, query, chain, ask.deadline, ask.requests.clone());
    // A turn within a turn; boxed, as its size would be without end.
    let answer = Box::pin(answering::answer(desk, Arc::new(asked), &Listener::default())).await?;
    Ok(Told::Answer { agent: slug, answer: Box::new(answer) })
}

/// Takes what came of a call into the evidence, and gives its summary and what the model is told.
fn taken_in(told: Told, answer: &mut Answer, fence: &Fence) -> (String, Vec<Part>) {
    match told {
        Told::Nothing(why) => (why.clone(), vec![Part::Text(why)]),
        Told::Found(outcome) => (outcome.summary.clone(), found(outcome, &mut answer.evidence, fence)),
        Told::Answer { agent, answer: sub } => {
            let (numbers, said, left_out) = adopted(&sub, &mut answer.evidence);
            answer.usage.prompt_tokens += sub.usage.prompt_tokens;
            answer.usage.completion_tokens += sub.usage.completion_tokens;
            answer.is_estimate |= sub.is_estimate;
            if let Some(cost) = sub.cost {
                answer.cost = Some(answer.cost.unwrap_or(0.0) + cost);
            }
            let summary = match sub.grounded {
                true => format!("{agent} answered with {} citations", sub.citations.len()),
                false => format!("{agent} found nothing"),
            };
            let mut notes = format!("The agent {agent} says:\n{said}");
            if left_out > 0 {
                notes += &told_of(left_out);
            }
            (summary, prompt::passages(&answer.evidence, &numbers, &notes, fence))
        }
    }
}

/// Takes what a tool found into the evidence, and gives what a model is told of it.
pub(super) fn found(outcome: Outcome, evidence: &mut Evidence, fence: &Fence) -> Vec<Part> {
    let Outcome { mut hits, facts, text, .. } = outcome;
    let wanted = hits.len();
    hits.truncate(MOST_EVIDENCE.saturating_sub(evidence.hits().len()));
    let left_out = wanted - hits.len();
    let numbers = evidence.add(hits);
    let mut notes = text;
    for fact in &facts {
        notes += &format!("\n{}", evidence.tell(fact));
    }
    if left_out > 0 {
        notes += &told_of(left_out);
    }
    if notes.is_empty() && numbers.is_empty() {
        notes = "nothing was found".into();
    }
    prompt::passages(evidence, &numbers, notes.trim(), fence)
}

fn told_of(left_out: usize) -> String {
    format!("\n{left_out} passages are left out: there are enough already.")
}

/// What another agent cited, with the numbers that it has here, its words with those in the place of its own, and how many
/// passages are left out.
fn adopted(sub: &Answer, evidence: &mut Evidence) -> (Vec<usize>, String, usize) {
    let mut left_out = HashSet::new();
    let mut numbers = Vec::new();
    let mut by_marker = HashMap::new();
    for citation in &sub.citations {
        let place = citation.marker.checked_sub(1).and_then(|place| sub.cited.get(place));
        if let Some(hit) = place.and_then(|number| sub.evidence.get(*number)) {
            let chunk = hit.located.chunk.number;
            if evidence.hits().len() >= MOST_EVIDENCE && evidence.number_of(chunk).is_none() {
                left_out.insert(chunk);
                continue;
            }
            let number = evidence.add([hit.clone()]).into_iter().next().unwrap_or_default();
            by_marker.insert(citation.marker, number);
            numbers.push(number);
        }
    }
    let number = |marker| by_marker.get(&marker).map_or_else(String::new, |number| format!("[{number}]"));
    let said = with_markers(&sub.message, |marker| Some(number(marker)));
    numbers.sort();
    numbers.dedup();
    (numbers, said, left_out.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Citation;
    use crate::search::Hit;
    use crate::workspace::chunks::{Chunk, Located};

    fn hit(number: u32) -> Hit {
        let chunk = Chunk {
            number,
            id: Uuid::now_v7(),
            document_id: Uuid::nil(),
            index: number,
            content: format!("Passage {number}."),
            start: 0,
            end: 1,
            heading_path: Vec::new(),
            places: Vec::new(),
            token_count: 1,
        };
        let located = Located { chunk, title: String::new(), source: String::new(), metadata: Map::new() };
        Hit::by_tool(located, 1.0)
    }

    #[test]
    fn what_another_agent_cites_is_bounded_as_what_a_tool_finds() {
        let mut evidence = Evidence::default();
        evidence.add((1..MOST_EVIDENCE as u32).map(hit));
        let mut sub =
            Answer { message: "One [1]. Two [2]. Three [3].".into(), cited: vec![1, 2, 3], ..Answer::default() };
        sub.evidence.add([hit(1000), hit(1001), hit(5)]);
        let cite = |marker: usize| Citation {
            marker,
            document_id: Uuid::nil(),
            chunk_id: Uuid::nil(),
            title: String::new(),
            source: String::new(),
            heading_path: Vec::new(),
            location: None,
            label: String::new(),
            start: 0,
            end: 1,
            quote: "P".into(),
            score: 1.0,
        };
        sub.citations = vec![cite(1), cite(2), cite(3)];
        let (numbers, said, left_out) = adopted(&sub, &mut evidence);
        assert_eq!(evidence.hits().len(), MOST_EVIDENCE);
        assert_eq!((numbers, left_out), (vec![5, MOST_EVIDENCE], 1));
        assert_eq!(said, format!("One [{MOST_EVIDENCE}]. Two . Three [5]."));
    }
}
