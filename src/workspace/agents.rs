//! Agents: who answers, and how.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Workspace, id, json, to_json};
use crate::error::{Error, Result};
use crate::sqlite::conflict;

/// An agent of a workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    pub id: Uuid,
    pub name: String,
    pub slug: String,
    pub description: Option<String>,
    pub system_prompt: String,
    /// The provider of language models that it speaks with.
    pub model_provider: String,
    pub model_name: String,
    pub temperature: f64,
    /// Tokens of an answer at most.
    pub max_tokens: u32,
    pub enabled_tools: Vec<String>,
    /// Defaults of a tool's arguments, by the tool's name.
    pub tool_config: Map<String, Value>,
    pub is_active: bool,
    pub settings: Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

const COLUMNS: &str = "id, name, slug, description, system_prompt, model_provider, model_name, temperature, max_tokens,
                       enabled_tools, tool_config, is_active, settings, created_at, updated_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        id: id(row, "id")?,
        name: row.get("name")?,
        slug: row.get("slug")?,
        description: row.get("description")?,
        system_prompt: row.get("system_prompt")?,
        model_provider: row.get("model_provider")?,
        model_name: row.get("model_name")?,
        temperature: row.get("temperature")?,
        max_tokens: row.get("max_tokens")?,
        enabled_tools: json(row, "enabled_tools")?,
        tool_config: json(row, "tool_config")?,
        is_active: row.get("is_active")?,
        settings: json(row, "settings")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

pub(super) fn find(db: &Connection, agent: Uuid) -> Result<Agent> {
    let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM agents WHERE id = ?1"))?;
    query.query_row([agent.to_string()], read).optional()?.ok_or(Error::NotFound("agent"))
}

fn put(db: &Connection, agent: &Agent) -> Result<()> {
    let (tools, config) = (to_json(&agent.enabled_tools)?, to_json(&agent.tool_config)?);
    let settings = to_json(&agent.settings)?;
    let stored = db.execute(
        &format!(
            "INSERT INTO agents ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                     ON CONFLICT (id) DO UPDATE SET name = ?2, slug = ?3, description = ?4, system_prompt = ?5,
                        model_provider = ?6, model_name = ?7, temperature = ?8, max_tokens = ?9, enabled_tools = ?10,
                        tool_config = ?11, is_active = ?12, settings = ?13, updated_at = ?15"
        ),
        rusqlite::params![
            agent.id.to_string(),
            agent.name,
            agent.slug,
            agent.description,
            agent.system_prompt,
            agent.model_provider,
            agent.model_name,
            agent.temperature,
            agent.max_tokens,
            tools,
            config,
            agent.is_active,
            settings,
            agent.created_at,
            agent.updated_at,
        ],
    );
    conflict(stored, "another agent of this workspace has this slug")?;
    Ok(())
}

impl Workspace {
    /// Stores an agent, new or in its old one's place. A slug that another one has is [`Error::Conflict`].
    pub fn put_agent(&self, agent: &Agent) -> Result<()> {
        self.write(|tx| put(tx, agent))
    }

    /// Changes an agent; nobody else's change comes in between.
    pub fn update_agent(&self, agent: Uuid, change: impl FnOnce(&mut Agent) -> Result<()>) -> Result<Agent> {
        self.write(|tx| {
            let mut agent = find(tx, agent)?;
            change(&mut agent)?;
            put(tx, &agent)?;
            Ok(agent)
        })
    }

    pub fn agent(&self, agent: Uuid) -> Result<Agent> {
        self.read(|db| find(db, agent))
    }

    /// The active agent with this slug, or else with this id.
    pub fn agent_called(&self, name: &str) -> Result<Agent> {
        self.read(|db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM agents WHERE is_active AND (slug = ?1 OR id = ?1) ORDER BY slug = ?1 DESC LIMIT 1"
            ))?;
            query.query_row([name.to_lowercase()], read).optional()?.ok_or(Error::NotFound("agent"))
        })
    }

    /// The agents in the order they were made, the inactive ones only where asked for, and how many there are.
    pub fn agents(&self, with_inactive: bool, limit: usize, offset: usize) -> Result<(Vec<Agent>, u64)> {
        self.read(|db| {
            let count = "SELECT count(*) FROM agents WHERE is_active OR ?1";
            let total = db.query_row(count, [with_inactive], |row| row.get(0))?;
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM agents WHERE is_active OR ?1 ORDER BY created_at, id LIMIT ?2 OFFSET ?3"
            ))?;
            let rows = query.query_map((with_inactive, limit as i64, offset as i64), read)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }

    /// Deletes an agent and its conversations.
    pub fn delete_agent(&self, agent: Uuid) -> Result<()> {
        match self.write(|tx| Ok(tx.execute("DELETE FROM agents WHERE id = ?1", [agent.to_string()])?))? {
            0 => Err(Error::NotFound("agent")),
            _ => Ok(()),
        }
    }
}
