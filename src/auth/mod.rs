//! Who are you, and may you: from a token to a principal, from a principal to an open workspace.
//!
//! [`Auth::enter`] is the only way to a workspace's handle. A key is verified with argon2 once; after that a
//! bounded cache in memory knows its digest, so that the hot path costs one SHA-256. Whatever changes a key or takes
//! its workspace away also clears that workspace's part of the cache.

mod api_key;
mod listed_origins;
mod password;
mod permission;
mod principal;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::clock;
use crate::error::{Error, Result};
use crate::tenancy::{Tenancy, api_keys, workspaces};
use crate::workspace::{Report, Workspace};

use listed_origins::ListedOrigins;

pub use api_key::Kind;
pub use permission::{Permission, Role};
pub use principal::{Principal, User};

/// Verified tokens that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap(); // invariant: not zero
/// How stale `last_used_at` may get.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// The row of `instance` with the hash of a generated admin key.
const ADMIN_HASH: &str = "admin_key_hash";

type TokenDigest = [u8; 32];

/// The authorization step.
pub struct Auth {
    tenancy: Arc<Tenancy>,
    /// Digests of the admin keys that are known in clear: the configured one and this process's own.
    admins: Vec<TokenDigest>,
    verified: Mutex<LruCache<TokenDigest, Verified>>,
    /// Raised by each change of a key, so that a verification that it overtook is not remembered.
    epoch: AtomicU64,
    /// Where browsers may use some key.
    origins: ListedOrigins,
}

#[derive(Clone)]
struct Verified {
    principal: Principal,
    touched: Instant,
}

/// A workspace that its holder was let into.
#[derive(Clone)]
pub struct Access {
    pub principal: Principal,
    /// What the register says of it.
    pub record: workspaces::Workspace,
    pub workspace: Arc<Workspace>,
}

impl Access {
    /// Whether its holder may also do what `permission` names here.
    pub fn may(&self, permission: Permission) -> bool {
        permission::allows(&self.principal, permission, Some(self.record.organization_id), Some(self.record.id))
    }
}

/// The authorization step and the keys that its making brought about.
pub struct Opened {
    pub auth: Auth,
    /// The instance admin's key, where it was made just now.
    pub admin_key: Option<String>,
    /// A key with the instance admin's rights for the life of this process.
    pub local_token: String,
}

impl Auth {
    /// Sets up authorization. `configured` is the admin key from the configuration; where it is empty the stored
    /// one holds, and where there is none yet, one is made.
    pub fn open(tenancy: Arc<Tenancy>, configured: &str) -> Result<Opened> {
        let local_token = api_key::generate(Kind::Local)?.key;
        let mut admins = vec![digest(&local_token)];
        let mut admin_key = None;
        if !configured.is_empty() {
            admins.push(digest(configured));
        } else if tenancy.instance_value(ADMIN_HASH)?.is_none() {
            let key = api_key::generate(Kind::Admin)?.key;
            tenancy.set_instance_value(ADMIN_HASH, &password::hash(&key)?)?;
            admin_key = Some(key);
        }
        let verified = Mutex::new(LruCache::new(REMEMBERED));
        let (epoch, origins) = (AtomicU64::new(0), ListedOrigins::default());
        Ok(Opened { auth: Auth { tenancy, admins, verified, epoch, origins }, admin_key, local_token })
    }

    fn remembered(&self) -> MutexGuard<'_, LruCache<TokenDigest, Verified>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who bears `token`. Blocks where it was not seen lately.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for any token that opens nothing, whatever the reason.
    pub fn authenticate(&self, token: &str) -> Result<Principal> {
        let digest = digest(token);
        if self.admins.iter().any(|admin| bool::from(admin.ct_eq(&digest))) {
            return Ok(Principal::InstanceAdmin);
        }
        let remembered = self.remembered().get(&digest).cloned();
        let mut verified = match remembered {
            Some(verified) => verified,
            None => self.verify(token, digest)?,
        };
        if let Principal::ApiKey(key) = &verified.principal {
            if !key.is_valid(&clock::now()) {
                return Err(Error::Unauthorized);
            }
            if verified.touched.elapsed() >= TOUCH_EVERY {
                self.note_use(key.id);
                verified.touched = Instant::now();
                if let Some(kept) = self.remembered().get_mut(&digest) {
                    kept.touched = verified.touched;
                }
            }
        }
        Ok(verified.principal)
    }

    /// Who bears `token`, where that is known without blocking.
    pub fn recognise(&self, token: &str) -> Option<Principal> {
        let digest = digest(token);
        if self.admins.iter().any(|admin| bool::from(admin.ct_eq(&digest))) {
            return Some(Principal::InstanceAdmin);
        }
        let verified = self.remembered().get(&digest).cloned()?;
        let fresh = verified.touched.elapsed() < TOUCH_EVERY;
        match &verified.principal {
            // One that expired, or whose use is to be noted, takes the long way.
            Principal::ApiKey(key) if !fresh || !key.is_valid(&clock::now()) => None,
            _ => Some(verified.principal),
        }
    }

    fn verify(&self, token: &str, digest: TokenDigest) -> Result<Verified> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        let principal = match api_key::parse(token) {
            Some((Kind::Admin, _)) => {
                let hash = self.tenancy.instance_value(ADMIN_HASH)?;
                // A configured key takes the stored one's place.
                let hash = hash.filter(|_| self.admins.len() == 1);
                password::verify(token, hash.as_deref())?.then_some(Principal::InstanceAdmin)
            }
            Some((Kind::Live | Kind::Test, prefix)) => {
                let key = self.tenancy.api_key_by_prefix(prefix)?;
                let matches = password::verify(token, key.as_ref().map(|k| k.hash.as_str()))?;
                key.filter(|_| matches).map(|key| Principal::ApiKey(Arc::new(key)))
            }
            _ => None,
        };
        let principal = principal.ok_or(Error::Unauthorized)?;
        if let Principal::ApiKey(key) = &principal
            && key.is_valid(&clock::now())
        {
            self.note_use(key.id);
        }
        let verified = Verified { principal, touched: Instant::now() };
        let mut remembered = self.remembered();
        if self.epoch.load(Ordering::SeqCst) == epoch {
            remembered.put(digest, verified.clone());
        }
        Ok(verified)
    }

    /// Notes that a key was used. A disk that takes no writes must not keep anybody from reading.
    fn note_use(&self, key: Uuid) {
        if let Err(error) = self.tenancy.touch_api_key(key) {
            tracing::debug!(%error, "the use of a key was not noted");
        }
    }

    /// Whether some living key lists `origin`, where that is known without blocking.
    pub fn knows_origin(&self, origin: &str) -> Option<bool> {
        self.origins.known(origin)
    }

    /// Whether some living key lists `origin`. Blocks where a key has changed.
    pub fn lists_origin(&self, origin: &str) -> Result<bool> {
        self.origins.contains(&self.tenancy, origin)
    }

    /// Forgets the verified keys of a workspace, so that a change in one holds at once.
    pub fn forget(&self, workspace: Uuid) {
        self.origins.forget();
        let mut remembered = self.remembered();
        self.epoch.fetch_add(1, Ordering::SeqCst);
        let of_it = |verified: &Verified| match &verified.principal {
            Principal::ApiKey(key) => key.workspace_id == workspace,
            _ => false,
        };
        let stale: Vec<TokenDigest> = remembered.iter().filter(|(_, v)| of_it(v)).map(|(digest, _)| *digest).collect();
        for digest in stale {
            remembered.pop(&digest);
        }
    }

    /// Whether `principal` may do what concerns the instance or an organization as a whole.
    pub fn permit(&self, principal: &Principal, permission: Permission, organization: Option<Uuid>) -> Result<()> {
        match permission::allows(principal, permission, organization, None) {
            true => Ok(()),
            false => Err(refused(permission)),
        }
    }

    /// Whether a workspace is whole, damaged though it may be; for those whom `permission` lets in.
    ///
    /// # Errors
    /// As [`Auth::enter`].
    pub fn inspect(
        &self,
        principal: &Principal,
        permission: Permission,
        workspace: Uuid,
        repair: bool,
    ) -> Result<Report> {
        self.admit(principal, permission, workspace)?;
        self.tenancy.check_workspace(workspace, repair)
    }

    /// Lets `principal` into a workspace for what `permission` names, or refuses.
    ///
    /// # Errors
    /// [`Error::Forbidden`], in the same words whether or not the workspace exists, for all who may not see it;
    /// [`Error::NotFound`] for those who could.
    pub fn enter(&self, principal: &Principal, permission: Permission, workspace: Uuid) -> Result<Access> {
        let record = self.admit(principal, permission, workspace)?;
        let workspace = self.tenancy.open_workspace(&record)?;
        Ok(Access { principal: principal.clone(), record, workspace })
    }

    fn admit(&self, principal: &Principal, permission: Permission, workspace: Uuid) -> Result<workspaces::Workspace> {
        let record = self.tenancy.workspace(workspace);
        let organization = record.as_ref().ok().map(|r| r.organization_id);
        match permission::allows(principal, permission, organization, Some(workspace)) {
            true => record,
            false => Err(refused(permission)),
        }
    }

    /// The workspace of a job that was accepted before: who filed it was authorized then.
    pub fn resume(&self, workspace: Uuid) -> Result<Arc<Workspace>> {
        self.tenancy.open_workspace(&self.tenancy.workspace(workspace)?)
    }

    /// A new key and the row that stands for it; the key itself is in no row.
    pub fn issue(&self, mut row: api_keys::ApiKey) -> Result<(String, api_keys::ApiKey)> {
        let generated = api_key::generate(Kind::Live)?;
        row.prefix = generated.prefix;
        row.hash = password::hash(&generated.key)?;
        self.tenancy.put_api_key(&row)?;
        self.origins.forget();
        Ok((generated.key, row))
    }
}

fn refused(permission: Permission) -> Error {
    Error::Forbidden(format!("this credential may not {}", permission.describe()))
}

fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}
