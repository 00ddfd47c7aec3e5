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
    /// The file system is out of reach (Landlock).
    pub walled: bool,
    /// Only harmless system calls are answered (seccomp), those of the network not among them.
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
    drop_rights();
    Confinement { bounded: bound(bounds).is_ok(), walled: wall(&[]).is_ok_and(|walled| walled), filtered: false }
}

/// Gives up what a superuser's process may do more than others.
pub fn drop_rights() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        if let Err(error) = set_capabilities(None, sets) {
            tracing::debug!(%error, "a confined process keeps its rights");
        }
    }
}

/// Lets this process end with the thread that started it: for one that does not notice that nobody listens any more.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        tracing::debug!(%error, "a confined process may outlive the server");
    }
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
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
        path_beneath_rules,
    };
    // What a kernel does not know of these yet is left out.
    let abi = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
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
        SYS_exit,
        SYS_exit_group,
    ];
    let Some(own) = to_itself() else { return false };
    let rules = allowed.into_iter().map(|call| (call, Vec::new())).chain([(SYS_tgkill, vec![own])]).collect();
    apply(rules, seccompiler::SeccompAction::Errno(EPERM as u32), seccompiler::SeccompAction::Allow)
}

/// A call whose first argument is this process.
#[cfg(target_os = "linux")]
fn to_itself() -> Option<seccompiler::SeccompRule> {
    use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
    let own = u64::from(std::process::id());
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, own).ok()?;
    SeccompRule::new(vec![condition]).ok()
}

#[cfg(not(target_os = "linux"))]
pub fn filter() -> bool {
    false
}

/// Refuses this process, and what it becomes, what reaches beyond itself: sockets, other processes, the kernel. It can
/// start threads and no process.
#[cfg(target_os = "linux")]
pub fn forbid_reaching_out() -> bool {
    use libc::*;
    use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
    let forbidden = [
        // The network.
        SYS_socket,
        SYS_socketpair,
        SYS_connect,
        SYS_bind,
        SYS_listen,
        SYS_accept,
        SYS_accept4,
        SYS_sendto,
        SYS_sendmsg,
        SYS_sendmmsg,
        // Other processes.
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_process_madvise,
        SYS_kill,
        SYS_tkill,
        SYS_rt_sigqueueinfo,
        SYS_rt_tgsigqueueinfo,
        SYS_pidfd_open,
        SYS_pidfd_getfd,
        SYS_pidfd_send_signal,
        SYS_prlimit64,
        SYS_setpriority,
        SYS_sched_setaffinity,
        SYS_setsid,
        SYS_setpgid,
        SYS_unshare,
        SYS_setns,
        // Memory that outlives it.
        SYS_shmget,
        SYS_shmat,
        SYS_msgget,
        SYS_semget,
        SYS_memfd_create,
        // The kernel.
        SYS_mount,
        SYS_umount2,
        SYS_fsopen,
        SYS_open_tree,
        SYS_move_mount,
        SYS_pivot_root,
        SYS_chroot,
        SYS_open_by_handle_at,
        SYS_name_to_handle_at,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_userfaultfd,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        SYS_io_uring_setup,
        SYS_init_module,
        SYS_finit_module,
        SYS_kexec_load,
        #[cfg(target_arch = "x86_64")]
        SYS_fork,
        #[cfg(target_arch = "x86_64")]
        SYS_vfork,
    ];
    let (dword, qword) = (SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword);
    let own = u64::from(std::process::id());
    let to_another = SeccompCondition::new(0, dword, SeccompCmpOp::Ne, own);
    let no_thread = SeccompCondition::new(0, qword, SeccompCmpOp::MaskedEq(CLONE_THREAD as u64), 0);
    let rule = |condition: Result<SeccompCondition, _>| SeccompRule::new(vec![condition.ok()?]).ok();
    let (Some(to_another), Some(no_thread)) = (rule(to_another), rule(no_thread)) else { return false };
    let rules = forbidden.into_iter().map(|call| (call, Vec::new()));
    let rules = rules.chain([(SYS_tgkill, vec![to_another]), (SYS_clone, vec![no_thread])]).collect();
    // Its arguments lie in memory, where a filter does not look; the C library then takes the older call.
    let unknown = std::iter::once((SYS_clone3, Vec::new())).collect();
    apply(rules, SeccompAction::Allow, SeccompAction::Errno(EPERM as u32))
        && apply(unknown, SeccompAction::Allow, SeccompAction::Errno(ENOSYS as u32))
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

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::process::Command;

    use rustix::process::Pid;

    use super::*;

    /// Tells the process that tries, which is this program once more, whom to reach.
    const TRY: &str = "CARREL_TEST_CONFINED_TRIES";

    /// What a parser that was taken over would like to do, and whether it can.
    fn attempts(listener: SocketAddr, parent: Pid) -> [(&'static str, bool); 6] {
        [
            ("reading a file", std::fs::read("/etc/passwd").is_ok()),
            ("looking into a directory", std::fs::read_dir("/").is_ok()),
            ("writing a file", tempfile::tempfile().is_ok()),
            ("connecting", TcpStream::connect(listener).is_ok()),
            ("starting a process", Command::new("true").status().is_ok()),
            ("signalling", rustix::process::test_kill_process(parent).is_ok()),
        ]
    }

    #[test]
    fn what_reads_documents_can_do_nothing_else() {
        const NAME: &str = "sandbox::confine::tests::what_reads_documents_can_do_nothing_else";
        if let Some(listener) = std::env::var(TRY).ok().and_then(|listener| listener.parse().ok()) {
            let parent = rustix::process::getppid().unwrap();
            let before = attempts(listener, parent);
            let held = give_up(Bounds { memory: 1 << 30, seconds: 30 });
            let is_filtered = filter();
            println!(
                "{}",
                serde_json::json!({"before": before, "held": held, "filtered": is_filtered, "after": attempts(listener, parent)})
            );
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", NAME, "--nocapture"]).env(TRY, listener.local_addr().unwrap().to_string());
        let output = String::from_utf8(again.output().unwrap().stdout).unwrap();
        let told =
            output.lines().find_map(|line| line.get(line.find("{\"after")?..)).unwrap_or_else(|| panic!("{output}"));
        let told: serde_json::Value = serde_json::from_str(told).unwrap();
        let able = |when: &str| {
            let attempts = told[when].as_array().unwrap().iter();
            attempts.filter(|attempt| attempt[1] == true).map(|attempt| attempt[0].to_string()).collect::<Vec<_>>()
        };
        assert_eq!(able("before").len(), 6, "it can do all of it before: {told}");
        assert_eq!(told["filtered"], true);
        assert_eq!(able("after"), Vec::<String>::new());
    }
}
