//! Who is calling.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::Role;
use crate::tenancy::api_keys::ApiKey;

/// A caller who was recognised.
#[derive(Debug, Clone)]
pub enum Principal {
    /// Whoever runs the instance.
    InstanceAdmin,
    /// A program with a key of one workspace.
    ApiKey(Arc<ApiKey>),
    /// A person with roles.
    User(Arc<User>),
}

impl Principal {
    /// A name that nobody else has, for programs.
    pub fn name(&self) -> String {
        match self {
            Principal::InstanceAdmin => "admin".to_owned(),
            Principal::ApiKey(key) => format!("key {}", key.id),
            Principal::User(user) => format!("user {}", user.id),
        }
    }
}

/// A person and the roles that organizations and workspaces gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: Uuid,
    /// Role by organization.
    pub organizations: HashMap<Uuid, Role>,
    /// Role by workspace.
    pub workspaces: HashMap<Uuid, Role>,
}
