//! An instance, on a temporary directory where none is given, filled as jobs fill it.

use std::path::Path;
use std::sync::Arc;

use carrel::app::{App, DEFAULT_ORGANIZATION, identity};
use carrel::auth::{Access, Permission, Principal};
use carrel::config::Config;
use carrel::tenancy::workspaces::Workspace;
use carrel::workspace::job_items::Item;
use carrel::workspace::jobs::Status;
use uuid::Uuid;

pub struct Instance {
    pub app: Arc<App>,
    _directory: Option<tempfile::TempDir>,
}

impl Instance {
    /// Must be called within a tokio runtime; `set` may change the settings.
    pub fn start(set: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let instance = Self::at(&directory.path().join("data"), set);
        Instance { _directory: Some(directory), ..instance }
    }

    /// As [`Instance::start`], on the data directory `data`.
    pub fn at(data: &Path, set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { data: data.to_owned(), ..Config::default() };
        config.admin_key = "sk_admin_for_benchmarks_only".into();
        config.memory.idle_seconds = 3600;
        set(&mut config);
        let app = App::open(config).unwrap();
        app.start_workers();
        Instance { app, _directory: None }
    }

    pub fn workspace(&self, language: &str) -> Access {
        let (id, now) = (Uuid::now_v7(), carrel::clock::now());
        let model = self.app.models.default_model();
        let record = Workspace {
            id,
            organization_id: DEFAULT_ORGANIZATION,
            name: "bench".into(),
            slug: format!("bench-{id}"),
            description: None,
            settings: Default::default(),
            embedding_model: model.model().name.clone(),
            created_at: now.clone(),
            updated_at: now,
        };
        self.app.tenancy.create_workspace(&record, language, identity(model.as_ref())).unwrap();
        self.app.auth.enter(&Principal::InstanceAdmin, Permission::Search, id).unwrap()
    }

    /// Takes documents `(source, title, text)` in as one job and waits for its end.
    pub async fn fill(&self, access: &Access, documents: impl Iterator<Item = (String, String, String)>) {
        let mut changes = self.app.jobs.changes();
        let (mut items, mut uploads) = (Vec::new(), Vec::new());
        for (source, title, text) in documents {
            let mut upload = self.app.directory.upload().unwrap();
            upload.write(text.as_bytes()).unwrap();
            let upload = upload.finish().unwrap();
            items.push(Item {
                within: false,
                file_name: None,
                content_type: Some("text/plain".into()),
                title: Some(title).filter(|title| !title.is_empty()),
                source: Some(source),
                metadata: None,
                chunk_tokens: None,
                archive: false,
                depth: 0,
                sha256: upload.sha256.clone(),
                size: upload.size,
            });
            uploads.push(upload);
        }
        let pipeline = self.app.pipeline(access).unwrap();
        let job = self.app.jobs.submit(&pipeline, items, uploads, Vec::new()).unwrap();
        loop {
            let now = access.workspace.job(job.id).unwrap();
            if now.status.is_final() {
                assert_eq!((now.status, now.failed), (Status::Succeeded, 0), "{:?}", now.errors.first());
                return;
            }
            // Having missed some changes is as good a reason to look again.
            let _ = changes.recv().await;
        }
    }
}
