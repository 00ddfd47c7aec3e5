//! How many workspaces may be open at once on this machine, by the limits that hold at the start.

/// File descriptors that an open workspace may need: its database with a writer and four readers (three files each),
/// an index of eight segments (six files each), and the rows of its vectors.
const DESCRIPTORS: u64 = 64;
/// Descriptors for everything else: connections, uploads, the register, the cache.
const OTHER_DESCRIPTORS: u64 = 512;
/// Bytes of memory that an open workspace takes, about: page caches, the index's dictionaries, the codes of some
/// thousand vectors.
const MEMORY: u64 = 4 << 20;
/// The part of the free memory that open workspaces may take: one in so many.
const MEMORY_SHARE: u64 = 4;
/// Beyond this, opening again is cheaper than keeping open.
const MOST: u64 = 4096;
/// Below this, nothing would work.
const LEAST: u64 = 8;

/// What a workspace counts for whose vectors and knowledge graph take so many bytes of memory, in workspaces of the usual
/// size.
pub fn weight(memory: u64) -> usize {
    usize::try_from(memory / MEMORY).unwrap_or(usize::MAX).saturating_add(1)
}

/// The bound, after raising the soft limit of descriptors to the hard one.
pub fn open_workspaces() -> usize {
    let descriptors = descriptor_limit();
    let memory = free_memory();
    let by_descriptors = descriptors.map_or(MOST, |limit| limit.saturating_sub(OTHER_DESCRIPTORS) / DESCRIPTORS);
    let by_memory = memory.map_or(MOST, |free| free / MEMORY_SHARE / MEMORY);
    let limit = by_descriptors.min(by_memory).clamp(LEAST, MOST);
    tracing::info!(limit, descriptors, free_memory = memory, "so many workspaces may be open at once");
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(target_os = "linux")]
fn descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

#[cfg(not(target_os = "linux"))]
fn descriptor_limit() -> Option<u64> {
    None
}

/// Free memory in bytes, where the system tells.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
