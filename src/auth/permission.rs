//! May you: one pure table, from a permission to the scopes and the role that grant it.

use uuid::Uuid;

use super::Principal;
use crate::tenancy::api_keys::Scope;

/// Something that a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Create organizations, set plans, see the instance as a whole.
    ManageInstance,
    ReadOrganization,
    /// Change or delete an organization.
    ManageOrganization,
    /// Create and delete workspaces.
    ManageWorkspaces,
    /// See a workspace's row and figures.
    ReadWorkspace,
    /// Change a workspace's name and settings.
    ManageWorkspace,
    ReadAgents,
    ManageAgents,
    ManageApiKeys,
    ReadDocuments,
    /// See entities and facts.
    ReadGraph,
    WriteDocuments,
    /// Follow ingestion jobs.
    ReadJobs,
    Search,
    Chat,
    /// Reach tools, documents and agents through the Model Context Protocol, each as far as its own permission goes.
    UseTools,
    ReadSessions,
    /// See evaluation sets and their runs.
    ReadEvaluations,
    /// Write and delete evaluation sets.
    KeepEvaluations,
}

/// The role of a person in an organization or workspace, the most powerful first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Owner,
    Admin,
    Member,
    Viewer,
}

/// What it takes: any of the scopes for a key, at least this role for a person. Empty and `None`: nobody but the
/// instance admin.
struct Needs {
    scopes: &'static [Scope],
    role: Option<Role>,
}

impl Permission {
    /// Every permission there is.
    pub const ALL: [Permission; 19] = [
        Permission::ManageInstance,
        Permission::ReadOrganization,
        Permission::ManageOrganization,
        Permission::ManageWorkspaces,
        Permission::ReadWorkspace,
        Permission::ManageWorkspace,
        Permission::ReadAgents,
        Permission::ManageAgents,
        Permission::ManageApiKeys,
        Permission::ReadDocuments,
        Permission::ReadGraph,
        Permission::WriteDocuments,
        Permission::ReadJobs,
        Permission::Search,
        Permission::Chat,
        Permission::UseTools,
        Permission::ReadSessions,
        Permission::ReadEvaluations,
        Permission::KeepEvaluations,
    ];

    fn needs(self) -> Needs {
        use Scope::{Admin, Chat, Ingest, Read, Search};
        let (scopes, role): (&[Scope], _) = match self {
            Permission::ManageInstance => (&[], None),
            Permission::ReadOrganization => (&[], Some(Role::Viewer)),
            Permission::ManageOrganization => (&[], Some(Role::Owner)),
            Permission::ManageWorkspaces => (&[], Some(Role::Admin)),
            Permission::ReadWorkspace => (&[Read, Admin], Some(Role::Viewer)),
            Permission::ManageWorkspace => (&[Admin], Some(Role::Admin)),
            Permission::ReadAgents => (&[Read, Admin], Some(Role::Viewer)),
            Permission::ManageAgents => (&[Admin], Some(Role::Admin)),
            Permission::ManageApiKeys => (&[Admin], Some(Role::Admin)),
            Permission::ReadDocuments => (&[Read], Some(Role::Viewer)),
            Permission::ReadGraph => (&[Read], Some(Role::Viewer)),
            Permission::WriteDocuments => (&[Ingest], Some(Role::Member)),
            Permission::ReadJobs => (&[Read, Ingest], Some(Role::Viewer)),
            Permission::Search => (&[Search], Some(Role::Viewer)),
            Permission::Chat => (&[Chat], Some(Role::Viewer)),
            Permission::UseTools => (&[Chat, Search, Read], Some(Role::Viewer)),
            Permission::ReadSessions => (&[Read], Some(Role::Viewer)),
            Permission::ReadEvaluations => (&[Read], Some(Role::Viewer)),
            Permission::KeepEvaluations => (&[Ingest], Some(Role::Member)),
        };
        Needs { scopes, role }
    }

    /// What is not allowed, as the end of a sentence.
    pub fn describe(self) -> &'static str {
        match self {
            Permission::ManageInstance => "manage this instance",
            Permission::ReadOrganization => "read this organization",
            Permission::ManageOrganization => "manage this organization",
            Permission::ManageWorkspaces => "create or delete workspaces here",
            Permission::ReadWorkspace => "read this workspace",
            Permission::ManageWorkspace => "change this workspace",
            Permission::ReadAgents => "read the agents of this workspace",
            Permission::ManageAgents => "manage the agents of this workspace",
            Permission::ManageApiKeys => "manage the API keys of this workspace",
            Permission::ReadDocuments => "read the documents of this workspace",
            Permission::ReadGraph => "read the knowledge graph of this workspace",
            Permission::WriteDocuments => "write documents to this workspace",
            Permission::ReadJobs => "read the jobs of this workspace",
            Permission::Search => "search this workspace",
            Permission::Chat => "chat in this workspace",
            Permission::UseTools => "use the tools of this workspace",
            Permission::ReadSessions => "read the sessions of this workspace",
            Permission::ReadEvaluations => "read the evaluation sets of this workspace",
            Permission::KeepEvaluations => "keep evaluation sets in this workspace",
        }
    }
}

/// Whether `principal` may do what `permission` names in `workspace` of `organization`. What is not granted is
/// denied.
pub fn allows(
    principal: &Principal,
    permission: Permission,
    organization: Option<Uuid>,
    workspace: Option<Uuid>,
) -> bool {
    let needs = permission.needs();
    match principal {
        Principal::InstanceAdmin => true,
        Principal::ApiKey(key) => {
            workspace == Some(key.workspace_id) && needs.scopes.iter().any(|scope| key.scopes.contains(scope))
        }
        Principal::User(user) => {
            let roles = [
                organization.and_then(|id| user.organizations.get(&id)),
                workspace.and_then(|id| user.workspaces.get(&id)),
            ];
            needs.role.is_some_and(|least| roles.into_iter().flatten().any(|role| *role <= least))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::User;
    use std::sync::Arc;

    fn user(role: Role, organization: Uuid) -> Principal {
        let organizations = [(organization, role)].into();
        Principal::User(Arc::new(User { id: Uuid::now_v7(), organizations, workspaces: Default::default() }))
    }

    #[test]
    fn the_roles_of_people_are_as_documented() {
        use Permission::*;
        let (ours, workspace) = (Uuid::now_v7(), Uuid::now_v7());
        for permission in Permission::ALL {
            let least = match permission {
                ManageInstance => None,
                ManageOrganization => Some(Role::Owner),
                ManageWorkspaces | ManageWorkspace | ManageAgents | ManageApiKeys => Some(Role::Admin),
                WriteDocuments | KeepEvaluations => Some(Role::Member),
                _ => Some(Role::Viewer),
            };
            for role in [Role::Owner, Role::Admin, Role::Member, Role::Viewer] {
                let expected = least.is_some_and(|least| role <= least);
                assert_eq!(
                    allows(&user(role, ours), permission, Some(ours), Some(workspace)),
                    expected,
                    "{permission:?} {role:?}"
                );
                assert!(!allows(&user(role, Uuid::now_v7()), permission, Some(ours), Some(workspace)));
            }
        }
    }
}
