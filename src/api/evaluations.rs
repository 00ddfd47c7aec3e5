//! `/workspaces/{workspace_id}/evaluations`: sets of questions with what they should find.

use std::collections::HashMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{Ids, In, KeepEvaluations, ReadEvaluations};
use super::body::JsonBody;
use super::error::{Answer, blocking};
use super::evaluation_runs::Summary;
use super::page::{Page, Params};
use super::search::check_query;
use super::validate::Checks;
use crate::error::Result;
use crate::evaluation::has_words;
use crate::workspace::evaluations::{Draft, Evaluation, Expectation, MOST_QUESTIONS, Question};

/// Things that one question may expect.
const MOST_EXPECTED: usize = 1000;
/// Longest passage, in bytes: several chunks long.
const LONGEST_PASSAGE: usize = 8 << 10;
/// Bytes of all passages that one question may expect: each word of them is compared with each hit.
const MOST_PASSAGE_BYTES: usize = 256 << 10;
/// Longest source, in bytes: that of a document.
const LONGEST_SOURCE: usize = 1024;

/// A set as it is told of.
#[derive(Serialize)]
struct View {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    question_count: u64,
    last_run: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    questions: Option<Vec<QuestionView>>,
    created_at: String,
    updated_at: String,
}

impl View {
    fn of(workspace_id: Uuid, set: Evaluation) -> Self {
        View {
            id: set.id,
            workspace_id,
            name: set.name,
            question_count: set.question_count,
            last_run: set.last_run.map(|run| Summary::of(set.id, run)),
            questions: None,
            created_at: set.created_at,
            updated_at: set.updated_at,
        }
    }
}

/// A question as it is told of, and as it is taken; one that is in no set has no id.
#[derive(Serialize)]
pub struct QuestionView {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    question: String,
    expected: Vec<ExpectationView>,
}

#[derive(Serialize)]
struct ExpectationView {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passage: Option<String>,
    grade: u32,
}

impl From<Draft> for QuestionView {
    fn from(question: Draft) -> Self {
        let expected = question.expected.into_iter().map(|one| ExpectationView {
            source: one.source,
            document_id: one.document_id,
            passage: one.passage,
            grade: one.grade,
        });
        QuestionView { id: None, question: question.question, expected: expected.collect() }
    }
}

impl From<Question> for QuestionView {
    fn from(Question { id, question, expected }: Question) -> Self {
        QuestionView { id: Some(id), ..QuestionView::from(Draft { question, expected }) }
    }
}

/// Whether a set takes a question.
pub fn is_taken(draft: &Draft) -> bool {
    let expected = draft.expected.iter().cloned().map(|one| GivenExpectation {
        source: one.source,
        document_id: one.document_id,
        passage: one.passage,
        grade: Some(i64::from(one.grade)),
    });
    let given = GivenQuestion { question: draft.question.clone(), expected: expected.collect() };
    let mut checks = Checks::default();
    given.checked("", &mut checks);
    checks.done().is_ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    name: String,
    questions: Vec<GivenQuestion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenQuestion {
    question: String,
    expected: Vec<GivenExpectation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenExpectation {
    source: Option<String>,
    document_id: Option<Uuid>,
    passage: Option<String>,
    grade: Option<i64>,
}

#[derive(Deserialize)]
pub struct Named {
    name: Option<String>,
}

impl GivenQuestion {
    /// As it is stored; `place` goes before the names of fields.
    fn checked(self, place: &str, checks: &mut Checks) -> Draft {
        check_query(checks, &format!("{place}question"), &self.question);
        let field = format!("{place}expected");
        let many = (1..=MOST_EXPECTED).contains(&self.expected.len());
        checks.require(many, &field, &format!("must have 1 to {MOST_EXPECTED} elements"));
        let bytes: usize = self.expected.iter().filter_map(|given| given.passage.as_ref()).map(String::len).sum();
        let right = format!("must have at most {MOST_PASSAGE_BYTES} bytes of passages");
        checks.require(bytes <= MOST_PASSAGE_BYTES, &field, &right);
        let mut seen: HashMap<Expectation, usize> = HashMap::new();
        let mut expected = Vec::with_capacity(self.expected.len().min(MOST_EXPECTED));
        for (at, given) in self.expected.into_iter().take(MOST_EXPECTED).enumerate() {
            let one = given.checked(&format!("{field}[{at}]"), checks);
            let first = *seen.entry(Expectation { grade: 1, ..one.clone() }).or_insert(at);
            checks.require(first == at, &format!("{field}[{at}]"), &format!("is the same as element {first}"));
            expected.push(one);
        }
        Draft { question: self.question, expected }
    }
}

impl GivenExpectation {
    fn checked(self, field: &str, checks: &mut Checks) -> Expectation {
        let named = self.source.is_some() || self.document_id.is_some() || self.passage.is_some();
        checks.require(named, field, "must have a source, a document_id or a passage");
        let twice = self.source.is_some() && self.document_id.is_some();
        checks.require(!twice, field, "must have either a source or a document_id");
        if let Some(source) = &self.source {
            let fits = (1..=LONGEST_SOURCE).contains(&source.len()) && !source.chars().any(char::is_control);
            let right = format!("must have 1 to {LONGEST_SOURCE} bytes and no control characters");
            checks.require(fits, &format!("{field}.source"), &right);
        }
        if let Some(passage) = &self.passage {
            checks.require(has_words(passage), &format!("{field}.passage"), "must have a word");
            checks.text(&format!("{field}.passage"), passage, LONGEST_PASSAGE);
        }
        let grade = self.grade.map_or(Some(1), |grade| u32::try_from(grade).ok().filter(|n| (1..=100).contains(n)));
        checks.require(grade.is_some(), &format!("{field}.grade"), "must be from 1 to 100");
        Expectation {
            source: self.source,
            document_id: self.document_id,
            passage: self.passage,
            grade: grade.unwrap_or(1),
        }
    }
}

impl Create {
    fn checked(self) -> Result<(String, Vec<Draft>)> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        let few = self.questions.len() <= MOST_QUESTIONS;
        checks.require(few, "questions", &format!("must have at most {MOST_QUESTIONS} elements"));
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut drafts = Vec::with_capacity(self.questions.len().min(MOST_QUESTIONS));
        for (at, given) in self.questions.into_iter().take(MOST_QUESTIONS).enumerate() {
            let draft = given.checked(&format!("questions[{at}]."), &mut checks);
            let first = *seen.entry(draft.question.clone()).or_insert(at);
            let field = format!("questions[{at}].question");
            checks.require(first == at, &field, &format!("is the same as that of element {first}"));
            drafts.push(draft);
        }
        checks.done()?;
        Ok((self.name, drafts))
    }
}

fn status(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

/// `POST /workspaces/{workspace_id}/evaluations`
///
/// Under a name that is taken, the set of that name gets these questions for its own.
pub async fn create(entered: In<KeepEvaluations>, JsonBody(body): JsonBody<Create>) -> Answer<Response> {
    let (name, questions) = body.checked()?;
    let workspace = entered.access.workspace;
    let (view, is_new) = blocking(move || {
        let (set, is_new) = workspace.put_evaluation(&name, &questions)?;
        Ok((View::of(workspace.id(), set), is_new))
    })
    .await?;
    let location = [("location", format!("/workspaces/{}/evaluations/{}", view.workspace_id, view.id))];
    Ok((status(is_new), location, Json(view)).into_response())
}

/// `GET /workspaces/{workspace_id}/evaluations?name=`
pub async fn list(entered: In<ReadEvaluations>, Params(named): Params<Named>, page: Page) -> Answer<Response> {
    let workspace = entered.access.workspace;
    let (limit, offset, id) = (page.limit, page.offset, workspace.id());
    let (sets, total) = blocking(move || workspace.evaluations(named.name.as_deref(), limit, offset)).await?;
    Ok(page.answer(sets.into_iter().map(|set| View::of(id, set)).collect(), total))
}

/// `GET /workspaces/{workspace_id}/evaluations/{evaluation_id}`
pub async fn show(entered: In<ReadEvaluations>, ids: Ids) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("evaluation_id", "evaluation")?);
    let view = blocking(move || {
        let (set, questions) = workspace.evaluation(id)?;
        let questions = questions.into_iter().map(QuestionView::from).collect();
        Ok(View { questions: Some(questions), ..View::of(workspace.id(), set) })
    });
    Ok(Json(view.await?).into_response())
}

/// `DELETE /workspaces/{workspace_id}/evaluations/{evaluation_id}`
pub async fn delete(entered: In<KeepEvaluations>, ids: Ids) -> Answer<Json<Value>> {
    let (workspace, id) = (entered.access.workspace, ids.get("evaluation_id", "evaluation")?);
    blocking(move || workspace.delete_evaluation(id)).await?;
    Ok(Json(json!({"status": "success", "message": "Evaluation deleted"})))
}

/// `POST /workspaces/{workspace_id}/evaluations/{evaluation_id}/questions`
///
/// The same words again change what is expected.
pub async fn add_question(
    entered: In<KeepEvaluations>,
    ids: Ids,
    JsonBody(body): JsonBody<GivenQuestion>,
) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("evaluation_id", "evaluation")?);
    let mut checks = Checks::default();
    let draft = body.checked("", &mut checks);
    checks.done()?;
    let (question, is_new) = blocking(move || workspace.put_evaluation_question(id, &draft)).await?;
    Ok((status(is_new), Json(QuestionView::from(question))).into_response())
}

/// `DELETE /workspaces/{workspace_id}/evaluations/{evaluation_id}/questions/{question_id}`
pub async fn delete_question(entered: In<KeepEvaluations>, ids: Ids) -> Answer<Json<Value>> {
    let (workspace, id) = (entered.access.workspace, ids.get("evaluation_id", "evaluation")?);
    let question = ids.get("question_id", "question")?;
    blocking(move || workspace.delete_evaluation_question(id, question)).await?;
    Ok(Json(json!({"status": "success", "message": "Question deleted"})))
}
