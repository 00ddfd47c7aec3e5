//! Carrel from outside: the real program, spoken to over HTTP and on its command line.
//!
//! `server` starts it in a directory of its own and ends it with a check of its log; `client` speaks to it; `tenant`
//! is a workspace with a key; `routes` is the table of all routes; `handbook` is what the documents say,
//! `originals` writes them in other formats, `provider` and `model` answer for a language model, `browser` is a real one. All other
//! modules are subjects. Nothing here sleeps: tests wait on a job's events or on what the program prints.

#[cfg(unix)]
mod browser;
mod client;
mod handbook;
mod model;
mod originals;
mod provider;
mod routes;
mod server;
mod tenant;

mod agents;
mod api_keys;
mod architecture;
mod bad_input;
#[cfg(target_os = "linux")]
mod calls;
mod chat;
mod command_line;
mod directory;
mod documents;
mod evaluations;
#[cfg(all(unix, feature = "failpoints"))]
mod failpoints;
#[cfg(unix)]
mod faults;
#[cfg(target_os = "linux")]
mod faulty;
mod feedback;
mod folders;
mod formats;
mod graph;
mod hits;
mod ingest_jobs;
mod isolation;
mod legacy;
#[cfg(feature = "llama")]
mod llama;
#[cfg(target_os = "linux")]
mod machine;
mod mcp;
mod model_facts;
mod models;
mod n8n;
mod nearest;
mod openai;
mod openai_clients;
mod operations;
mod organizations;
#[cfg(target_os = "linux")]
mod power;
mod quick_start;
mod readers;
mod reindex;
mod reranking;
#[cfg(target_os = "linux")]
mod rot;
mod search;
mod sessions;
mod widget;
#[cfg(unix)]
mod widget_in_a_browser;
#[cfg(unix)]
mod widget_streams;
mod wire;
mod workspaces;
