//! The tables of `knowledge.db`. New entries go to the end of [`MIGRATIONS`]; none is ever changed.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::error::Result;
use crate::sqlite;

/// Tables whose rows are counted as they come and go.
pub const COUNTED: [&str; 18] = [
    "documents",
    "chunks",
    "agents",
    "sessions",
    "messages",
    "answers",
    "answer_evidence",
    "jobs",
    "job_items",
    "job_results",
    "evaluations",
    "evaluation_questions",
    "evaluation_runs",
    "entities",
    "entity_names",
    "mentions",
    "facts",
    "evidence",
];

/// SQL that brings a file from each version to the next.
pub const MIGRATIONS: &[&str] = &[
    r#"
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 0), ('tombstones_since', 0);

CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    source TEXT NOT NULL UNIQUE,
    content TEXT NOT NULL,
    content_type TEXT NOT NULL,
    metadata TEXT NOT NULL,
    chunk_count INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    file_type TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX documents_by_hash ON documents (content_hash);
CREATE INDEX documents_by_time ON documents (created_at);

-- Numbers are never used twice: what is derived knows chunks by them.
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    position INTEGER NOT NULL,
    content TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    heading_path TEXT NOT NULL,
    page INTEGER,
    token_count INTEGER NOT NULL,
    generation INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX chunks_of_document ON chunks (document, position);
CREATE INDEX chunks_by_generation ON chunks (generation);

-- Chunks that an index may still hold, until it has caught up.
CREATE TABLE deleted_chunks (number INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
-- Originals that lost a reference; looked at, and removed, after the commit.
CREATE TABLE unreferenced_files (sha256 TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    description TEXT,
    system_prompt TEXT NOT NULL,
    model_provider TEXT NOT NULL,
    model_name TEXT NOT NULL,
    temperature REAL NOT NULL,
    max_tokens INTEGER NOT NULL,
    enabled_tools TEXT NOT NULL,
    tool_config TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    settings TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents ON DELETE CASCADE,
    user_id TEXT,
    title TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_of_agent ON sessions (agent_id);

CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    details TEXT NOT NULL,
    rating INTEGER,
    comment TEXT,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX messages_of_session ON messages (session_id, number);

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    total INTEGER NOT NULL,
    done INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    errors TEXT NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT
) STRICT;
CREATE INDEX jobs_by_status ON jobs (status);

-- What a job has still to do.
CREATE TABLE job_items (
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    item TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_items_by_file ON job_items (sha256);
"#,
    r#"
-- Each commit of knowledge bears a random mark, so that an index can tell this file's history from another's.
CREATE TABLE generations (generation INTEGER PRIMARY KEY, mark INTEGER NOT NULL) STRICT;
INSERT INTO generations SELECT value, random() FROM meta WHERE key = 'generation';
DELETE FROM meta WHERE key = 'tombstones_since';
DELETE FROM deleted_chunks;

-- What tells a text or vector that came from another moment than its row.
ALTER TABLE documents ADD COLUMN content_sum TEXT;
ALTER TABLE chunks ADD COLUMN vector_sum INTEGER;

-- How many rows each table should have: a copy that was put together from two moments gives itself away.
CREATE TABLE tallies (name TEXT PRIMARY KEY, rows INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO tallies SELECT 'documents', count(*) FROM documents;
CREATE TRIGGER documents_added AFTER INSERT ON documents BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'documents'; END;
CREATE TRIGGER documents_removed AFTER DELETE ON documents BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'documents'; END;
INSERT INTO tallies SELECT 'chunks', count(*) FROM chunks;
CREATE TRIGGER chunks_added AFTER INSERT ON chunks BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'chunks'; END;
CREATE TRIGGER chunks_removed AFTER DELETE ON chunks BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'chunks'; END;
INSERT INTO tallies SELECT 'agents', count(*) FROM agents;
CREATE TRIGGER agents_added AFTER INSERT ON agents BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'agents'; END;
CREATE TRIGGER agents_removed AFTER DELETE ON agents BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'agents'; END;
INSERT INTO tallies SELECT 'sessions', count(*) FROM sessions;
CREATE TRIGGER sessions_added AFTER INSERT ON sessions BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'sessions'; END;
CREATE TRIGGER sessions_removed AFTER DELETE ON sessions BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'sessions'; END;
INSERT INTO tallies SELECT 'messages', count(*) FROM messages;
CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'messages'; END;
CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'messages'; END;
INSERT INTO tallies SELECT 'jobs', count(*) FROM jobs;
CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'jobs'; END;
CREATE TRIGGER jobs_removed AFTER DELETE ON jobs BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'jobs'; END;
INSERT INTO tallies SELECT 'job_items', count(*) FROM job_items;
CREATE TRIGGER job_items_added AFTER INSERT ON job_items BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'job_items'; END;
CREATE TRIGGER job_items_removed AFTER DELETE ON job_items BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'job_items'; END;
"#,
    r#"
-- The embedding models that chunks have vectors of; searches use the active one's. Each has a table of its own.
CREATE TABLE embedding_models (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    sha256 TEXT NOT NULL UNIQUE,
    is_active INTEGER NOT NULL,
    -- Whether it was active before, and is kept until the change is confirmed.
    is_kept INTEGER NOT NULL,
    -- The reindexing that fills it, or filled it last.
    job TEXT
) STRICT;
CREATE UNIQUE INDEX embedding_models_active ON embedding_models (is_active) WHERE is_active;

-- A sum for each vector, and so which chunks have one of which model.
CREATE TABLE vector_sums (
    model INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    sum INTEGER,
    PRIMARY KEY (model, chunk)
) STRICT, WITHOUT ROWID;
INSERT INTO vector_sums SELECT 0, number, vector_sum FROM chunks;
ALTER TABLE chunks DROP COLUMN vector_sum;
"#,
    r#"
-- Questions with what they should find, and how searches fared with them.
CREATE TABLE evaluations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE evaluation_questions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    evaluation_id TEXT NOT NULL REFERENCES evaluations ON DELETE CASCADE,
    question TEXT NOT NULL,
    expected TEXT NOT NULL,
    UNIQUE (evaluation_id, question)
) STRICT;

CREATE TABLE evaluation_runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    evaluation_id TEXT NOT NULL REFERENCES evaluations ON DELETE CASCADE,
    k INTEGER NOT NULL,
    conditions TEXT NOT NULL,
    legs TEXT NOT NULL,
    absent TEXT NOT NULL,
    question_count INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    -- The figures of each question; given up for old runs.
    questions TEXT,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX evaluation_runs_of_evaluation ON evaluation_runs (evaluation_id, number);

INSERT INTO tallies VALUES ('evaluations', 0);
CREATE TRIGGER evaluations_added AFTER INSERT ON evaluations BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'evaluations'; END;
CREATE TRIGGER evaluations_removed AFTER DELETE ON evaluations BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'evaluations'; END;
INSERT INTO tallies VALUES ('evaluation_questions', 0);
CREATE TRIGGER evaluation_questions_added AFTER INSERT ON evaluation_questions BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'evaluation_questions'; END;
CREATE TRIGGER evaluation_questions_removed AFTER DELETE ON evaluation_questions BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'evaluation_questions'; END;
INSERT INTO tallies VALUES ('evaluation_runs', 0);
CREATE TRIGGER evaluation_runs_added AFTER INSERT ON evaluation_runs BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'evaluation_runs'; END;
CREATE TRIGGER evaluation_runs_removed AFTER DELETE ON evaluation_runs BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'evaluation_runs'; END;
"#,
    r#"
-- Where in the original each chunk came from, as marks; and what of a document was left out, as warnings.
ALTER TABLE chunks DROP COLUMN page;
ALTER TABLE chunks ADD COLUMN places TEXT;
ALTER TABLE documents ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';
"#,
    r#"
-- How much a job has to do and has done, and the time that it was worked on.
ALTER TABLE jobs ADD COLUMN bytes_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN bytes_done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN worked_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN worked_ms INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET bytes_total = (SELECT ifnull(sum(json_extract(item, '$.size')), 0) FROM job_items WHERE job_id = id);

-- What became of each document of a job; given up for old jobs.
CREATE TABLE job_results (
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    document_id TEXT,
    chunk_count INTEGER,
    code TEXT,
    message TEXT,
    warnings TEXT NOT NULL,
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO tallies VALUES ('job_results', 0);
CREATE TRIGGER job_results_added AFTER INSERT ON job_results BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'job_results'; END;
CREATE TRIGGER job_results_removed AFTER DELETE ON job_results BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'job_results'; END;
"#,
    r#"
-- How often a job was begun since it got further: what ends the whole program must not end every start of it.
ALTER TABLE jobs ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
"#,
    r#"
-- What the documents say. Which version of the reader of facts has read a document; 0 is none.
ALTER TABLE documents ADD COLUMN facts_read INTEGER NOT NULL DEFAULT 0;
-- How many of its chunks a language model was asked about.
ALTER TABLE documents ADD COLUMN chunks_asked INTEGER NOT NULL DEFAULT 0;
-- And how many tokens that took.
ALTER TABLE documents ADD COLUMN tokens_used INTEGER NOT NULL DEFAULT 0;
CREATE INDEX documents_to_ask_about ON documents (number, facts_read, chunk_count, chunks_asked)
    WHERE chunks_asked < chunk_count;
-- The key of the entity that its title names.
ALTER TABLE documents ADD COLUMN subject TEXT;
CREATE INDEX documents_by_subject ON documents (subject);
CREATE INDEX documents_by_facts_read ON documents (facts_read);
-- The commit of facts that a network in memory or on disk reflects; its mark tells it from another history's.
INSERT INTO meta VALUES ('graph_generation', 0), ('graph_mark', random());

-- An entity lives as long as a document names it. Its name and kind are what most of them say.
CREATE TABLE entities (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE
) STRICT;
-- The names that a document has for an entity, how often each, and which is the fullest.
CREATE TABLE entity_names (
    document INTEGER NOT NULL,
    entity INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    is_fullest INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (document, entity, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX entity_names_by_entity ON entity_names (entity);
-- Where a chunk names an entity, in bytes of the document's content.
CREATE TABLE mentions (
    chunk INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    entity INTEGER NOT NULL,
    PRIMARY KEY (chunk, start, entity)
) STRICT, WITHOUT ROWID;
CREATE INDEX mentions_by_entity ON mentions (entity, chunk);

-- A fact lives as long as a document says it.
CREATE TABLE facts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    subject INTEGER NOT NULL,
    predicate TEXT NOT NULL,
    object INTEGER NOT NULL,
    exclusive TEXT NOT NULL,
    valid_at TEXT,
    invalid_at TEXT
) STRICT;
-- The sentence that says it, in bytes of the document's content.
CREATE TABLE evidence (
    document INTEGER NOT NULL,
    fact INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    -- The language model that read it; none where no model was asked.
    model TEXT,
    stated_at TEXT,
    recorded_at TEXT NOT NULL,
    PRIMARY KEY (document, fact, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_by_fact ON evidence (fact);
-- When what a document said was recorded, until its next state has been read.
CREATE TABLE recorded_facts (
    document TEXT NOT NULL,
    fact TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    PRIMARY KEY (document, fact)
) STRICT, WITHOUT ROWID;
INSERT INTO tallies VALUES ('entities', 0);
CREATE TRIGGER entities_added AFTER INSERT ON entities BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'entities'; END;
CREATE TRIGGER entities_removed AFTER DELETE ON entities BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'entities'; END;
INSERT INTO tallies VALUES ('entity_names', 0);
CREATE TRIGGER entity_names_added AFTER INSERT ON entity_names BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'entity_names'; END;
CREATE TRIGGER entity_names_removed AFTER DELETE ON entity_names BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'entity_names'; END;
INSERT INTO tallies VALUES ('mentions', 0);
CREATE TRIGGER mentions_added AFTER INSERT ON mentions BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'mentions'; END;
CREATE TRIGGER mentions_removed AFTER DELETE ON mentions BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'mentions'; END;
INSERT INTO tallies VALUES ('facts', 0);
CREATE TRIGGER facts_added AFTER INSERT ON facts BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'facts'; END;
CREATE TRIGGER facts_removed AFTER DELETE ON facts BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'facts'; END;
INSERT INTO tallies VALUES ('evidence', 0);
CREATE TRIGGER evidence_added AFTER INSERT ON evidence BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'evidence'; END;
CREATE TRIGGER evidence_removed AFTER DELETE ON evidence BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'evidence'; END;
"#,
    // What there is only one of at a time is said by each document, and goes with it.
    r#"
ALTER TABLE evidence ADD COLUMN exclusive TEXT NOT NULL DEFAULT 'no';
UPDATE evidence SET exclusive = (SELECT exclusive FROM facts WHERE number = fact);
ALTER TABLE facts DROP COLUMN exclusive;
"#,
    // What answers rested on; sessions are told again by what was said in them.
    r#"
ALTER TABLE sessions ADD COLUMN transcript TEXT;
CREATE INDEX sessions_by_transcript ON sessions (transcript) WHERE transcript IS NOT NULL;
CREATE INDEX sessions_by_time ON sessions (updated_at);
CREATE TABLE answers (
    message TEXT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    -- The question as it was understood, the searches and tools, what the model was told and asked, tokens and times.
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- The passages that an answer was made from, cited or not, numbered from 1; the text goes with the document.
CREATE TABLE answer_evidence (
    message TEXT NOT NULL REFERENCES answers ON DELETE CASCADE,
    number INTEGER NOT NULL,
    document TEXT NOT NULL,
    chunk TEXT NOT NULL,
    text TEXT NOT NULL,
    -- Title, source, place, score and rank in each leg.
    hit TEXT NOT NULL,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_evidence_by_document ON answer_evidence (document);
INSERT INTO tallies VALUES ('answers', 0);
CREATE TRIGGER answers_added AFTER INSERT ON answers BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'answers'; END;
CREATE TRIGGER answers_removed AFTER DELETE ON answers BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'answers'; END;
INSERT INTO tallies VALUES ('answer_evidence', 0);
CREATE TRIGGER answer_evidence_added AFTER INSERT ON answer_evidence BEGIN UPDATE tallies SET rows = rows + 1 WHERE name = 'answer_evidence'; END;
CREATE TRIGGER answer_evidence_removed AFTER DELETE ON answer_evidence BEGIN UPDATE tallies SET rows = rows - 1 WHERE name = 'answer_evidence'; END;
"#,
    // When a reader judged an answer; of older judgments no more is known than when it was given.
    r#"
ALTER TABLE messages ADD COLUMN rated_at TEXT;
UPDATE messages SET rated_at = created_at WHERE rating IS NOT NULL;
CREATE INDEX messages_by_judgment ON messages (rated_at, number) WHERE rated_at IS NOT NULL;
"#,
];

/// A table of vectors of all chunks, by the chunk's number; `dimension` numbers each.
///
/// sqlite-vec keeps vectors in blobs of `chunk_size`. Its default of 1024 makes an empty workspace take 1.5 MB and
/// the lookup of one vector walk hundreds of pages; 256 is a fifth of the time for that and scans as fast.
pub fn vectors(table: &str, dimension: usize) -> String {
    format!(
        "CREATE VIRTUAL TABLE IF NOT EXISTS {table}
         USING vec0(embedding float[{dimension}] distance_metric=cosine, chunk_size=256)"
    )
}

/// The triggers and views that a file of the current version has.
pub fn programs() -> Result<BTreeSet<String>> {
    let db = Connection::open_in_memory()?;
    MIGRATIONS.iter().try_for_each(|sql| db.execute_batch(sql))?;
    sqlite::programs(&db)
}
