//! `/workspaces/{workspace_id}/feedback`: what readers judged, and the evaluation set that comes of it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{Chat, Ids, In, ReadSessions};
use super::body::JsonBody;
use super::error::{Answer, blocking};
use super::evaluations;
use super::page::{Page, Params};
use super::validate::Checks;
use crate::clock;
use crate::error::{Error, Result};
use crate::evaluation::Approved;
use crate::workspace::feedback::{Judged, Judgments};

/// What the set that comes of feedback is called.
const SET: &str = "feedback";

/// A judgment.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    rating: i64,
    comment: Option<String>,
}

/// Which judgments are asked for.
#[derive(Deserialize)]
pub struct Wanted {
    rating: Option<i64>,
    from: Option<String>,
    to: Option<String>,
}

/// A judged answer as it is told of.
#[derive(Serialize)]
struct View {
    message_id: Uuid,
    session_id: Uuid,
    session_title: String,
    agent_id: Uuid,
    agent_name: String,
    user_id: Option<String>,
    question: Option<String>,
    /// The question as it was searched for.
    understood: Option<String>,
    answer: String,
    rating: Option<i8>,
    comment: Option<String>,
    citations: Vec<Value>,
    answered_at: String,
    rated_at: String,
}

impl From<Judged> for View {
    fn from(judged: Judged) -> Self {
        View {
            understood: judged.understood().map(str::to_owned),
            citations: judged.citations().to_vec(),
            message_id: judged.answer.id,
            session_id: judged.session.id,
            session_title: judged.session.title,
            agent_id: judged.session.agent_id,
            agent_name: judged.agent_name,
            user_id: judged.session.user_id,
            question: judged.question.map(|question| question.content),
            answer: judged.answer.content,
            rating: judged.answer.rating,
            comment: judged.answer.comment,
            answered_at: judged.answer.created_at,
            rated_at: judged.rated_at,
        }
    }
}

impl Wanted {
    fn checked(self) -> Result<Judgments> {
        let rating = match self.rating {
            None => None,
            Some(1) => Some(1),
            Some(-1) => Some(-1),
            Some(_) => return Err(Error::invalid("rating", "must be 1 or -1")),
        };
        let from = self.from.map(|text| moment("from", &text, false)).transpose()?;
        let before = self.to.map(|text| moment("to", &text, true)).transpose()?;
        Ok(Judgments { rating, from, before })
    }
}

/// A time, or the beginning of a day in UTC, or with `after` its end.
fn moment(field: &'static str, text: &str, after: bool) -> Result<String> {
    let day = |day: Date| {
        let day = if after { day.saturating_add(1.day()) } else { day };
        Offset::UTC.to_timestamp(day.at(0, 0, 0, 0))
    };
    let time = text.parse::<Timestamp>().or_else(|_| text.parse::<Date>().and_then(day));
    let right = "must be a time such as 2026-01-31T00:00:00Z, or a day such as 2026-01-31";
    time.map(clock::text).map_err(|_| Error::invalid(field, right))
}

/// `GET /workspaces/{workspace_id}/feedback?rating=&from=&to=`
pub async fn list(entered: In<ReadSessions>, Params(wanted): Params<Wanted>, page: Page) -> Answer<Response> {
    let (workspace, judgments) = (entered.access.workspace, wanted.checked()?);
    let (limit, offset) = (page.limit, page.offset);
    let (judged, total) = blocking(move || workspace.judgments(&judgments, limit, offset)).await?;
    Ok(page.answer(judged.into_iter().map(View::from).collect(), total))
}

/// `GET /workspaces/{workspace_id}/feedback/questions?rating=1&from=&to=`
///
/// The body is one that `POST …/evaluations` takes.
pub async fn questions(entered: In<ReadSessions>, Params(wanted): Params<Wanted>) -> Answer<Json<Value>> {
    let judgments = Judgments { rating: Some(1), ..wanted.checked_for_set()? };
    let workspace = entered.access.workspace;
    let drafts = blocking(move || {
        let mut approved = Approved::default();
        workspace.each_judgment(&judgments, |judged| Ok(approved.add(&judged, evaluations::is_taken)))?;
        Ok(approved.questions())
    });
    let questions: Vec<evaluations::QuestionView> = drafts.await?.into_iter().map(Into::into).collect();
    Ok(Json(json!({"name": SET, "questions": questions})))
}

impl Wanted {
    /// What was judged bad says what an answer should not have been, and nothing of what should be found.
    fn checked_for_set(self) -> Result<Judgments> {
        match self.rating {
            None | Some(1) => self.checked(),
            Some(_) => {
                Err(Error::invalid("rating", "must be 1: what was judged -1 says nothing of what should be found"))
            }
        }
    }
}

/// `POST /workspaces/{workspace_id}/messages/{message_id}/feedback`
pub async fn judge(entered: In<Chat>, ids: Ids, JsonBody(body): JsonBody<Feedback>) -> Answer<Response> {
    let mut checks = Checks::default();
    checks.require(matches!(body.rating, 1 | -1), "rating", "must be 1 or -1");
    body.comment.iter().for_each(|comment| checks.text("comment", comment, 10_000));
    checks.done()?;
    let (workspace, id) = (entered.access.workspace, ids.get("message_id", "message")?);
    let rating = if body.rating == 1 { 1 } else { -1 };
    let rated = blocking(move || workspace.rate_message(id, rating, body.comment.as_deref())).await?;
    let answer = json!({"status": "success", "message_id": rated.id, "rating": rated.rating, "comment": rated.comment});
    Ok(Json(answer).into_response())
}
