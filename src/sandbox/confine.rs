//! What a process that reads documents may still do: compute, and speak through the pipes that it was given.
//!
//! Bounds on memory, processor time and files hold on every Unix. On Linux, Landlock takes the file system and the
//! network away, and a filter of system calls leaves those few that computing needs, so that a document that takes
//! a parser over has gained nothing. What a machine cannot do is told, not passed over.

use serde::{Deserialize, Serialize};

/// What holds a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confinement {
    /// Memory, processor time and files are bounded.
    pub bounded: bool,
    /// The file system and the network are out of reach (Landlock).
    pub walled: bool,
    /// Only harmless system calls are answered (seccomp).
    pub filtered: bool,
}

/// What a process may use.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of address space.
    pub memory: u64,
    /// Seconds of processor time in its life.
    pub seconds: u64,
}

/// Gives up what the whole process does not need. Before it starts any thread.
pub fn give_up(bounds: Bounds) -> Confinement {
    Confinement { bounded: bound(bounds).is_ok(), walled: wall(&[]).is_ok_and(|walled| walled), filtered: false }
}

/// Bounds memory, processor time and files.
#[cfg(unix)]
pub fn bound(bounds: Bounds) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let set = |resource, value| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    set(Resource::Core, 0)?;
    set(Resource::Fsize, 0)?;
    set(Resource::Cpu, bounds.seconds)?;
    #[cfg(target_os = "linux")]
    set(Resource::As, bounds.memory)?;
    set(Resource::Nofile, 64)?;
    Ok(())
}

#[cfg(not(unix))]
fn bound(_: Bounds) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Takes the file system away, but for reading what lies under `readable`, and the network. `false` where the kernel
/// does not know how.
#[cfg(target_os = "linux")]
pub fn wall(readable: &[std::path::PathBuf]) -> Result<bool, landlock::RulesetError> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules,
    };
    let abi = ABI::V5;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(readable, AccessFs::from_read(abi)))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

#[cfg(not(target_os = "linux"))]
pub fn wall(_: &[std::path::PathBuf]) -> std::io::Result<bool> {
    Ok(false)
}

/// Leaves all threads of this process the system calls that computing needs. Whatever else is asked for is refused.
#[cfg(target_os = "linux")]
pub fn filter() -> bool {
    use libc::*;
    let allowed = [
        // Reading and writing what is open already.
        SYS_read,
        SYS_readv,
        SYS_pread64,
        SYS_write,
        SYS_writev,
        SYS_lseek,
        SYS_close,
        // Memory.
        SYS_brk,
        SYS_mmap,
        SYS_munmap,
        SYS_mremap,
        SYS_mprotect,
        SYS_madvise,
        // Threads that there are, and the clock.
        SYS_futex,
        SYS_sched_yield,
        SYS_sched_getaffinity,
        SYS_clock_gettime,
        SYS_gettid,
        SYS_getpid,
        SYS_getrandom,
        // Ending, by signal too.
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_sigaltstack,
        SYS_restart_syscall,
        SYS_tgkill,
        SYS_exit,
        SYS_exit_group,
    ];
    let rules = allowed.into_iter().map(|call| (call, Vec::new())).collect();
    apply(rules, seccompiler::SeccompAction::Errno(EPERM as u32), seccompiler::SeccompAction::Allow)
}

#[cfg(not(target_os = "linux"))]
pub fn filter() -> bool {
    false
}

/// Refuses this process, and what it becomes, what reaches beyond itself: sockets, other processes, the kernel.
#[cfg(target_os = "linux")]
pub fn forbid_reaching_out() -> bool {
    use libc::*;
    let forbidden = [
        SYS_socket,
        SYS_socketpair,
        SYS_connect,
        SYS_bind,
        SYS_listen,
        SYS_accept,
        SYS_accept4,
        SYS_sendto,
        SYS_sendmsg,
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_kill,
        SYS_mount,
        SYS_umount2,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_keyctl,
        SYS_io_uring_setup,
    ];
    let rules = forbidden.into_iter().map(|call| (call, Vec::new())).collect();
    apply(rules, seccompiler::SeccompAction::Allow, seccompiler::SeccompAction::Errno(EPERM as u32))
}

#[cfg(target_os = "linux")]
fn apply(
    rules: std::collections::BTreeMap<i64, Vec<seccompiler::SeccompRule>>,
    otherwise: seccompiler::SeccompAction,
    matching: seccompiler::SeccompAction,
) -> bool {
    let Ok(machine) = std::env::consts::ARCH.try_into() else { return false };
    let Ok(filter) = seccompiler::SeccompFilter::new(rules, otherwise, matching, machine) else { return false };
    let Ok(program) = seccompiler::BpfProgram::try_from(filter) else { return false };
    seccompiler::apply_filter_all_threads(&program).is_ok()
}
