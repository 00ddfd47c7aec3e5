//! `/workspaces/{workspace_id}/evaluations/{evaluation_id}/runs`: how well searches find what a set expects.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::access::{Ids, In, KeepEvaluations, ReadEvaluations, Search};
use super::body::OptionalBody;
use super::error::{Answer, blocking};
use super::page::Page;
use super::validate::Checks;
use crate::app::App;
use crate::error::{Error, Result};
use crate::evaluation::{self, Comparison, Measurement, Moved, Settings};
use crate::workspace::Workspace;
use crate::workspace::evaluation_runs::{Conditions, Figures, Run};
use crate::workspace::evaluations::{Absent, Question};

/// A run without its questions, as it is told of.
#[derive(Serialize)]
pub struct Summary {
    id: Uuid,
    evaluation_id: Uuid,
    /// What `ndcg`, `recall` and `mrr` look at: so many first hits.
    k: usize,
    question_count: u64,
    /// By the leg's name.
    metrics: BTreeMap<String, MetricsView>,
    conditions: ConditionsView,
    /// Documents that questions expect and the workspace does not hold.
    missing: Vec<MissingView>,
    duration_ms: u64,
    created_at: String,
}

#[derive(Serialize)]
struct MetricsView {
    ndcg: f64,
    recall: f64,
    mrr: f64,
    success_at_1: f64,
}

#[derive(Serialize)]
struct ConditionsView {
    text_weight: Option<f32>,
    reranker: Option<String>,
    embedding_model: String,
    model_sha256: String,
    generation: u64,
    documents: u64,
    chunks: u64,
    carrel_version: String,
}

#[derive(Serialize)]
struct MissingView {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<Uuid>,
    /// Questions that expect it.
    questions: u64,
}

/// A whole run.
#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    summary: Summary,
    /// `null` for an old run.
    questions: Option<Vec<AnsweredView>>,
    /// With the run before it; `null` where there is none that can be compared.
    comparison: Option<ComparisonView>,
}

#[derive(Serialize)]
struct AnsweredView {
    question_id: Uuid,
    /// `null` where the set has it no more.
    question: Option<String>,
    metrics: BTreeMap<String, MetricsView>,
}

#[derive(Serialize)]
struct ComparisonView {
    run_id: Uuid,
    created_at: String,
    conditions: ConditionsView,
    /// Questions that both runs asked: what is compared.
    question_count: usize,
    /// What each figure gained, by the leg's name.
    changes: BTreeMap<String, MetricsView>,
    better: Vec<MovedView>,
    worse: Vec<MovedView>,
}

/// A question with its nDCG in the fused search.
#[derive(Serialize)]
struct MovedView {
    question_id: Uuid,
    question: Option<String>,
    before: f64,
    after: f64,
}

impl From<Figures> for MetricsView {
    fn from(figures: Figures) -> Self {
        MetricsView {
            ndcg: figures.ndcg,
            recall: figures.recall,
            mrr: figures.reciprocal_rank,
            success_at_1: figures.success_at_1,
        }
    }
}

impl From<Conditions> for ConditionsView {
    fn from(conditions: Conditions) -> Self {
        ConditionsView {
            text_weight: conditions.text_weight,
            reranker: conditions.reranker,
            embedding_model: conditions.embedding_model,
            model_sha256: conditions.model_sha256,
            generation: conditions.generation,
            documents: conditions.documents,
            chunks: conditions.chunks,
            carrel_version: conditions.carrel_version,
        }
    }
}

fn metrics(legs: BTreeMap<String, Figures>) -> BTreeMap<String, MetricsView> {
    legs.into_iter().map(|(leg, figures)| (leg, figures.into())).collect()
}

impl Summary {
    pub fn of(evaluation_id: Uuid, run: Run) -> Self {
        let missing = |absent: Absent| MissingView {
            source: absent.source,
            document_id: absent.document_id,
            questions: absent.questions,
        };
        Summary {
            id: run.id,
            evaluation_id,
            k: run.k,
            question_count: run.question_count,
            metrics: metrics(run.legs),
            conditions: run.conditions.into(),
            missing: run.absent.into_iter().map(missing).collect(),
            duration_ms: run.duration_ms,
            created_at: run.created_at,
        }
    }
}

impl View {
    fn of(workspace: &Workspace, evaluation: Uuid, questions: Vec<Question>, mut run: Run) -> Result<Self> {
        let words: HashMap<Uuid, String> = questions.into_iter().map(|one| (one.id, one.question)).collect();
        let before = workspace.evaluation_run_before(evaluation, &run)?;
        let comparison = before.and_then(|before| {
            let compared = evaluation::compare(&run, &before)?;
            Some(ComparisonView::of(before, compared, &words))
        });
        let answered = run.questions.take().map(|answered| {
            let view = answered.into_iter().map(|one| AnsweredView {
                question_id: one.question_id,
                question: words.get(&one.question_id).cloned(),
                metrics: metrics(one.legs),
            });
            view.collect()
        });
        Ok(View { summary: Summary::of(evaluation, run), questions: answered, comparison })
    }
}

impl ComparisonView {
    fn of(before: Run, compared: Comparison, words: &HashMap<Uuid, String>) -> Self {
        let moved = |moved: Vec<Moved>| {
            let view = moved.into_iter().map(|moved| MovedView {
                question_id: moved.question_id,
                question: words.get(&moved.question_id).cloned(),
                before: moved.before,
                after: moved.after,
            });
            view.collect()
        };
        ComparisonView {
            run_id: before.id,
            created_at: before.created_at,
            conditions: before.conditions.into(),
            question_count: compared.question_count,
            changes: metrics(compared.changes),
            better: moved(compared.better),
            worse: moved(compared.worse),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Body {
    limit: Option<i64>,
    text_weight: Option<f32>,
    rerank: Option<bool>,
}

impl Body {
    /// With `rerank` loads the reranker, which blocks.
    fn checked(self, app: &App) -> Result<Settings> {
        let mut checks = Checks::default();
        let k = usize::try_from(self.limit.unwrap_or(10)).ok().filter(|k| (1..=100).contains(k));
        checks.require(k.is_some(), "limit", "must be from 1 to 100");
        let weight = self.text_weight.is_none_or(|weight| (0.0..=1.0).contains(&weight));
        checks.require(weight, "text_weight", "must be from 0 to 1");
        checks.done()?;
        let reranker = self.rerank.unwrap_or(false).then(|| app.models.reranker()).transpose()?;
        Ok(Settings { k: k.unwrap_or(10), text_weight: self.text_weight, reranker })
    }
}

/// `POST /workspaces/{workspace_id}/evaluations/{evaluation_id}/runs`
///
/// It searches, and stores what it measured: for whoever may do both. Answers when the run has ended, which takes as
/// long as the set is large; for whoever goes away it ends after the question that is being asked, and is not stored.
pub async fn run(
    entered: In<KeepEvaluations>,
    _searches: In<Search>,
    ids: Ids,
    State(app): State<Arc<App>>,
    OptionalBody(body): OptionalBody<Body>,
) -> Answer<Response> {
    let (workspace, evaluation) = (entered.access.workspace, ids.get("evaluation_id", "evaluation")?);
    let prepared = blocking({
        let (app, workspace) = (app.clone(), workspace.clone());
        move || {
            let settings = body.checked(&app)?;
            let (_, questions) = workspace.evaluation(evaluation)?;
            if questions.is_empty() {
                return Err(Error::Conflict("the set has no questions yet".into()));
            }
            let slot = app.evaluations.begin(workspace.id())?;
            let embedder = app.embedder(&workspace)?;
            Ok((slot, Measurement::new(workspace, embedder, questions, settings)?))
        }
    });
    let (_slot, mut measurement) = prepared.await?;
    let stopping = app.stopping();
    loop {
        if *stopping.borrow() {
            return Err(Error::Unavailable("the server is stopping; run the evaluation again".into()).into());
        }
        let turn = app.evaluating.clone().acquire_owned().await;
        let turn = turn.map_err(|e| Error::internal("evaluations", e))?;
        let asked = blocking(move || {
            let _turn = turn;
            let is_asked = measurement.ask_next()?;
            Ok((measurement, is_asked))
        });
        let is_asked;
        (measurement, is_asked) = asked.await?;
        if !is_asked {
            break;
        }
    }
    let view = blocking(move || {
        let (run, questions) = measurement.end()?;
        workspace.put_evaluation_run(evaluation, &run)?;
        View::of(&workspace, evaluation, questions, run)
    });
    let view = view.await?;
    let place = format!("/workspaces/{}/evaluations/{evaluation}/runs/{}", entered.access.record.id, view.summary.id);
    Ok((StatusCode::CREATED, [("location", place)], Json(view)).into_response())
}

/// `GET /workspaces/{workspace_id}/evaluations/{evaluation_id}/runs`
pub async fn list(entered: In<ReadEvaluations>, ids: Ids, page: Page) -> Answer<Response> {
    let (workspace, evaluation) = (entered.access.workspace, ids.get("evaluation_id", "evaluation")?);
    let (limit, offset) = (page.limit, page.offset);
    let (runs, total) = blocking(move || workspace.evaluation_runs(evaluation, limit, offset)).await?;
    Ok(page.answer(runs.into_iter().map(|run| Summary::of(evaluation, run)).collect(), total))
}

/// `GET /workspaces/{workspace_id}/evaluations/{evaluation_id}/runs/{run_id}`
pub async fn show(entered: In<ReadEvaluations>, ids: Ids) -> Answer<Response> {
    let (workspace, evaluation) = (entered.access.workspace, ids.get("evaluation_id", "evaluation")?);
    let run = ids.get("run_id", "run")?;
    let view = blocking(move || {
        let (_, questions) = workspace.evaluation(evaluation)?;
        let run = workspace.evaluation_run(evaluation, run)?;
        View::of(&workspace, evaluation, questions, run)
    });
    Ok(Json(view.await?).into_response())
}
