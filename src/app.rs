//! The composition root: every component of a running instance, made in order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Map;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::agent;
use crate::auth::{self, Auth};
use crate::cache::Cache;
use crate::clock;
use crate::config::{Config, ProviderKind};
use crate::datadir::{DataDir, Owner};
use crate::embed::{Cached, Embedder, Models, Purpose};
use crate::error::{Error, Result};
use crate::evaluation;
use crate::ingest::{Bounds, Facts, Jobs, OpenWorkspace, Opening, Pipeline, Proposals, Reader};
use crate::llm::{self, Providers};
use crate::sandbox::{self, Recognizer, Sandbox};
use crate::sqlite::Access;
use crate::tenancy::organizations::{Organization, PlanTier};
use crate::tenancy::{Tenancy, workspaces};
use crate::workspace::agents::Agent;
use crate::workspace::{ModelIdentity, Unfinished, Workspace, facts};

/// The organization that the first start makes.
pub const DEFAULT_ORGANIZATION: Uuid = Uuid::from_u128(1);
/// The workspace that the first start makes.
pub const DEFAULT_WORKSPACE: Uuid = Uuid::from_u128(2);
/// The agent that the first start makes.
pub const DEFAULT_AGENT: Uuid = Uuid::from_u128(3);

/// Documents that are taken in at once: enough to share commits, few beside the threads that may block.
const TAKEN_IN_AT_ONCE: usize = 64;
/// Questions of evaluations that are asked at once: each keeps one core busy.
const EVALUATED_AT_ONCE: usize = 2;
/// How long the default model is believed to work after it was seen to.
const LATELY: Duration = Duration::from_secs(10);
/// The language whose words a new workspace stems where its settings name none.
pub const DEFAULT_LANGUAGE: &str = "en";

/// A running instance.
pub struct App {
    pub config: Config,
    /// The data directory and its lock.
    pub directory: Arc<DataDir>,
    /// Organizations, workspaces and keys.
    pub tenancy: Arc<Tenancy>,
    /// The authorization step: the only way to an open workspace.
    pub auth: Arc<Auth>,
    /// Embedding models and the reranker.
    pub models: Arc<Models>,
    /// The processes that read documents.
    pub sandbox: Arc<Sandbox>,
    /// Vectors that were computed before.
    pub cache: Arc<Cache>,
    /// Ingestion that goes on after the answer.
    pub jobs: Arc<Jobs>,
    /// What reads the facts of documents.
    pub facts: Arc<Facts>,
    /// The language models that the operator configured.
    pub providers: Arc<Providers>,
    /// The turns that are under way.
    pub turns: Arc<agent::Queue>,
    /// What asks one of them for more of them, where one is configured for that.
    pub proposals: Option<Arc<Proposals>>,
    /// Whether the instance is about to end: what goes on by itself ends, and nothing new begins.
    stopping: watch::Sender<bool>,
    /// Documents that are taken in at once; the next waits.
    pub taking_in: Arc<Semaphore>,
    /// Evaluations under way.
    pub evaluations: evaluation::Running,
    /// Questions of evaluations that are asked at once, of all workspaces: the runs take turns.
    pub evaluating: Arc<Semaphore>,
    /// When the default model was last seen to work.
    embedded: Mutex<Option<Instant>>,
    /// A key with the instance admin's rights for the life of this process.
    pub local_token: String,
    /// The instance admin's key, where this start made it.
    pub first_start: Option<String>,
}

impl App {
    /// Opens the data directory and all that works on it. Blocks.
    ///
    /// # Errors
    /// A directory that is in use or cannot be written, a model or runtime that is missing or damaged: one sentence.
    pub fn open(config: Config) -> Result<Arc<App>> {
        let directory = Arc::new(DataDir::open(&config.data, config.allow_network_fs)?);
        let models = Models::open(&config.models, config.memory.embedding_threads, &directory.scratch())?;
        let models = Arc::new(models.with_reranker(&config.reranker)?);
        if config.reranker.is_empty() && models.rerankers().len() > 1 {
            tracing::warn!(
                "there are several rerankers and the setting `reranker` names none: searches cannot use one"
            );
        }
        let tenancy =
            Arc::new(Tenancy::open(directory.clone(), config.memory.open_workspaces, config.limits.session_days)?);
        if (1..24).contains(&config.admin_key.len()) {
            tracing::warn!("the configured admin key is short enough to be guessed; 24 random characters are not");
        }
        let opened = Auth::open(tenancy.clone(), &config.admin_key)?;
        let limits = &config.limits;
        let bounds =
            Bounds { files: limits.job_documents, file_bytes: limits.document_bytes, bytes: limits.archive_bytes };
        let readers = sandbox::Limits {
            memory: config.ingest.reader_bytes,
            seconds: config.ingest.reader_seconds,
            at_once: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let recognizer = match config.ingest.ocr_languages.as_str() {
            "off" => None,
            languages => Recognizer::find(languages),
        };
        let graph = facts::Bounds { entities: config.graph.entities, facts: config.graph.facts };
        let recognizer = recognizer.filter(|found| {
            let reaches = found.reaches(&config.data);
            if reaches {
                tracing::warn!(
                    "text in pictures is not read: what recognizes it could read the data directory where it lies"
                );
            }
            !reaches
        });
        let (stopping, stopped) = watch::channel(false);
        let providers = Arc::new(Providers::new(&config.providers, &config.models)?);
        let proposals =
            reader(&config, &providers).map(|reader| Arc::new(Proposals::new(reader, graph, stopped.clone())));
        let app = App {
            directory: directory.clone(),
            tenancy,
            auth: Arc::new(opened.auth),
            models,
            sandbox: Arc::new(Sandbox::new(Sandbox::this_program(), readers, recognizer)),
            cache: Arc::new(Cache::open(&directory.cache(), config.memory.cache_bytes)),
            jobs: Arc::new(Jobs::new(directory.clone(), bounds, stopped.clone())),
            facts: Arc::new(Facts::new(graph, proposals.clone(), stopped)),
            providers,
            turns: Arc::new(agent::Queue::new(config.limits.turns)),
            proposals,
            stopping,
            taking_in: Arc::new(Semaphore::new(TAKEN_IN_AT_ONCE)),
            evaluations: evaluation::Running::default(),
            evaluating: Arc::new(Semaphore::new(EVALUATED_AT_ONCE)),
            embedded: Mutex::default(),
            local_token: opened.local_token,
            first_start: opened.admin_key,
            config,
        };
        if app.directory.access() == Access::Read {
            tracing::warn!("the data directory takes no writes: it can be read and searched");
            return Ok(Arc::new(app));
        }
        app.make_defaults()?;
        if let Err(error) = app.empty_trash() {
            tracing::error!(%error, "the trash was not emptied");
        }
        Ok(Arc::new(app))
    }

    fn make_defaults(&self) -> Result<()> {
        const DONE: &str = "defaults_made";
        if self.tenancy.instance_value(DONE)?.is_some() {
            return Ok(());
        }
        let now = clock::now();
        if self.tenancy.organization(DEFAULT_ORGANIZATION).is_err() {
            self.tenancy.put_organization(&Organization {
                id: DEFAULT_ORGANIZATION,
                name: "Default organization".into(),
                slug: "default".into(),
                plan_tier: PlanTier::default(),
                limits: PlanTier::default().limits(),
                contact_email: "admin@localhost".into(),
                contact_name: None,
                settings: Map::new(),
                created_at: now.clone(),
                updated_at: now.clone(),
            })?;
        }
        if self.tenancy.workspace(DEFAULT_WORKSPACE).is_err() {
            let model = self.models.default_model();
            let workspace = workspaces::Workspace {
                id: DEFAULT_WORKSPACE,
                organization_id: DEFAULT_ORGANIZATION,
                name: "Default workspace".into(),
                slug: "default".into(),
                description: None,
                settings: Map::new(),
                embedding_model: model.model().name.clone(),
                created_at: now.clone(),
                updated_at: now.clone(),
            };
            self.tenancy.create_workspace(&workspace, DEFAULT_LANGUAGE, identity(model.as_ref()))?;
        }
        let workspace = self.auth.resume(DEFAULT_WORKSPACE)?;
        workspace.put_agent(&Agent {
            id: DEFAULT_AGENT,
            name: "General assistant".into(),
            slug: "general".into(),
            description: Some("Answers questions from the documents of this workspace.".into()),
            system_prompt: "Answer from the documents of this workspace and cite them.".into(),
            model_provider: llm::EXTRACTIVE.into(),
            model_name: llm::EXTRACTIVE.into(),
            temperature: 0.0,
            max_tokens: 1024,
            enabled_tools: vec!["hybrid_search".into(), "vector_search".into(), "fulltext_search".into()],
            tool_config: Map::new(),
            is_active: true,
            settings: Map::new(),
            created_at: now.clone(),
            updated_at: now.clone(),
        })?;
        self.tenancy.set_instance_value(DONE, &now)
    }

    /// The embedder of a workspace's model, with what it computed before for that workspace.
    ///
    /// # Errors
    /// [`crate::error::Error::Unavailable`] where another model lies under the name that the workspace remembers.
    pub fn embedder(&self, workspace: &Workspace) -> Result<Arc<Cached>> {
        self.embedder_of(workspace, &workspace.model())
    }

    /// As [`App::embedder`], of another model that the workspace has, or is to have, vectors of.
    pub fn embedder_of(&self, workspace: &Workspace, model: &ModelIdentity) -> Result<Arc<Cached>> {
        embedder(&self.models, &self.cache, workspace.id(), model)
    }

    /// The name of the default model, once it has been seen to work lately: anybody may ask, so not each time.
    pub fn embeds(&self) -> Result<String> {
        let model = self.models.default_model();
        let mut seen = self.embedded.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none_or(|seen| seen.elapsed() > LATELY) {
            model.embed(&["ready"], Purpose::Query)?;
            *seen = Some(Instant::now());
        }
        Ok(model.model().name.clone())
    }

    /// What turns of a chat are taken with.
    pub fn desk(&self, access: &auth::Access) -> Result<agent::Desk> {
        Ok(agent::Desk {
            workspace: access.workspace.clone(),
            name: access.record.name.clone(),
            description: access.record.description.clone(),
            embedder: self.embedder(&access.workspace)?,
            providers: self.providers.clone(),
            queue: self.turns.clone(),
            patience: Duration::from_secs(self.config.limits.turn_seconds),
        })
    }

    /// What takes documents into a workspace.
    pub fn pipeline(&self, access: &auth::Access) -> Result<Pipeline> {
        Ok(Pipeline {
            embedder: self.embedder(&access.workspace)?,
            workspace: access.workspace.clone(),
            sandbox: self.sandbox.clone(),
            chunk_tokens: self.config.ingest.chunk_tokens,
            facts: self.facts.clone(),
        })
    }

    /// Starts the workers on the current runtime and gives them what an earlier process left undone.
    pub fn start_workers(&self) {
        let (auth, models, cache, tenancy) =
            (self.auth.clone(), self.models.clone(), self.cache.clone(), self.tenancy.clone());
        let opening = Opening {
            workspace: Box::new(move |id| auth.resume(id)),
            embedder: Box::new(move |workspace, model| embedder(&models, &cache, workspace.id(), model)),
            sandbox: self.sandbox.clone(),
            chunk_tokens: self.config.ingest.chunk_tokens,
            facts: self.facts.clone(),
            note_model: Box::new(move |workspace, model| tenancy.note_model(workspace, model)),
        };
        self.jobs.start(self.config.ingest.workers, Arc::new(opening));
        let auth = self.auth.clone();
        let open: Arc<OpenWorkspace> = Arc::new(move |id| auth.resume(id));
        self.facts.start(open.clone());
        let graph = &self.config.graph;
        if let (Some(proposals), Some(provider)) = (&self.proposals, self.config.providers.get(&graph.provider)) {
            let (model, place) = (&graph.model, provider.base_url());
            match provider.kind {
                ProviderKind::Llama => tracing::info!(model, "a language model in this process reads facts"),
                ProviderKind::OpenAi | ProviderKind::Anthropic => {
                    tracing::info!(model, place, "a language model reads facts: what documents say is sent there");
                }
            }
            proposals.start(open);
        }
        match self.tenancy.unfinished() {
            Ok(found) => {
                for (workspace, Unfinished { jobs, facts, chunks }) in found {
                    jobs.into_iter().for_each(|job| self.jobs.enqueue(workspace, job));
                    if facts {
                        self.facts.note(workspace);
                    }
                    self.proposals.iter().filter(|_| chunks).for_each(|proposals| proposals.note(workspace));
                }
            }
            Err(error) => tracing::error!(%error, "what was left from before could not be found"),
        }
    }

    /// Carries out what must go through even on a full disk: with the room that was set aside, where there is no other.
    pub fn with_ballast<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(Error::InsufficientStorage) if self.directory.release_ballast() => work(),
            done => done,
        }
    }

    /// Brings to rest what is left alone, and closes workspaces that nobody uses.
    pub fn close_idle(&self) {
        if let Err(error) = self.directory.keep_ballast() {
            tracing::debug!(%error, "no room was set aside");
        }
        let idle = Duration::from_secs(self.config.memory.idle_seconds);
        self.tenancy.registry().tidy(idle);
        // However documents came in: with a directory, or before there was a reader of facts.
        for workspace in self.tenancy.registry().open_ones() {
            match workspace.has_unread() {
                Ok(false) => self.ask_about(&workspace),
                Ok(true) => self.facts.note(workspace.id()),
                Err(error) => tracing::debug!(workspace.id = %workspace.id(), %error, "what is unread is not known"),
            }
        }
        self.sandbox.tidy(idle);
    }

    /// Has a language model asked about what it was not asked about, where there is one.
    fn ask_about(&self, workspace: &Workspace) {
        if let Some(proposals) = &self.proposals
            && !workspace.is_read_only()
            && workspace.has_unasked().is_ok_and(|unasked| unasked)
        {
            proposals.note(workspace.id());
        }
    }

    /// Reads through the workspace whose turn it is. How long that took; `None` where none is due.
    pub fn inspect(&self) -> Result<Option<Duration>> {
        let days = u64::from(self.config.limits.check_days);
        if days == 0 || self.directory.access() == Access::Read {
            return Ok(None);
        }
        let started = Instant::now();
        let Some((workspace, found)) = self.tenancy.inspect_next(Duration::from_secs(days * 24 * 3600))? else {
            return Ok(None);
        };
        match found {
            Ok(report) if report.findings.is_empty() => tracing::debug!(workspace.id = %workspace, "read, and whole"),
            Ok(report) => {
                for finding in report.findings {
                    let (part, problem, repaired) = (finding.part, finding.problem, finding.repaired);
                    tracing::error!(workspace.id = %workspace, part, problem, repaired, "the workspace is damaged");
                }
            }
            Err(error) => tracing::error!(workspace.id = %workspace, %error, "the workspace cannot be read"),
        }
        Ok(Some(started.elapsed()))
    }

    /// Removes the conversations that are not kept any more from the workspace after `last`. Which one that was; `None`
    /// after the last.
    pub fn expire_sessions(&self, last: Uuid) -> Result<Option<Uuid>> {
        let Some((workspace, gone)) = self.tenancy.expire_next(last)? else { return Ok(None) };
        match gone {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(workspace.id = %workspace, sessions, "conversations came to their end"),
            // It may be frozen, full or damaged; the next round tries again.
            Err(error) => tracing::warn!(workspace.id = %workspace, %error, "conversations stay beyond their time"),
        }
        Ok(Some(workspace))
    }

    /// Removes for good what was deleted long enough ago.
    pub fn empty_trash(&self) -> Result<()> {
        let cutoff = jiff::Timestamp::now()
            .saturating_sub(jiff::SignedDuration::from_hours(24 * i64::from(self.config.limits.trash_days)));
        self.tenancy.empty_trash(&clock::text(cutoff.map_err(|e| crate::error::Error::internal("clock", e))?))
    }

    /// Tells other processes on this machine where this one listens. A full disk keeps commands from finding it, not
    /// others from being served.
    pub fn announce(&self, url: String) {
        if let Err(error) = self.directory.announce(&Owner { url, token: self.local_token.clone() }) {
            tracing::warn!(%error, "commands on this machine will not find this server by themselves");
        }
    }

    /// Tells all that goes on by itself to end soon.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Turns true when the instance is about to end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Stops, waits a while for the jobs' last batches, and closes every workspace and the register.
    pub async fn close(self: &Arc<Self>) {
        self.stop();
        let patience = Duration::from_secs(self.config.limits.drain_seconds);
        let ended = async {
            let proposals = async {
                if let Some(proposals) = &self.proposals {
                    proposals.ended().await;
                }
            };
            tokio::join!(self.jobs.ended(), self.facts.ended(), proposals)
        };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("a job is still at work; it goes on after the next start");
        }
        let app = self.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || app.tenancy.close()).await {
            tracing::error!(%error, "closing ended early");
        }
    }
}

/// What a workspace remembers of a model.
pub fn identity(embedder: &dyn Embedder) -> ModelIdentity {
    let info = embedder.model();
    ModelIdentity { name: info.name.clone(), dimension: info.dimension, sha256: info.sha256.clone() }
}

/// The language model that reads facts, where the configuration names one.
fn reader(config: &Config, providers: &Providers) -> Option<Reader> {
    let provider = providers.get(&config.graph.provider)?.clone();
    let tokens_per_document = config.graph.tokens_per_document;
    Some(Reader { provider, model: config.graph.model.clone(), tokens_per_document })
}

fn embedder(models: &Models, cache: &Arc<Cache>, workspace: Uuid, remembered: &ModelIdentity) -> Result<Arc<Cached>> {
    let unavailable = |why: String| crate::error::Error::Unavailable(why);
    let model = models.get(&remembered.name).map_err(|error| unavailable(error.to_string()))?;
    if model.model().sha256 != remembered.sha256 {
        return Err(unavailable(format!(
            "the model {} is another than the one that made this workspace's vectors",
            remembered.name
        )));
    }
    Ok(Arc::new(Cached::new(model, cache.clone(), workspace)))
}
