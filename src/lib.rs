//! Carrel: private knowledge bases with agents, in one binary.
//!
//! Rooms import downward only; `ARCHITECTURE.md` has the map and the law, `tests/` enforces it.

pub mod clock;
pub mod config;
pub mod digest;
pub mod error;
pub mod failpoint;
pub mod place;
pub mod pread;
pub mod stamp;
pub mod text;

pub mod cache;
pub mod embed;
pub mod extract;
pub mod fulltext;
pub mod graph;
pub mod knn;
pub mod knowledge;
pub mod llm;
pub mod sandbox;
pub mod sqlite;

pub mod datadir;
pub mod workspace;

pub mod tenancy;

pub mod backup;

pub mod agent;
pub mod auth;
pub mod evaluation;
pub mod ingest;
pub mod search;

pub mod app;

pub mod api;
pub mod cli;
pub mod server;
