//! Clocks and counters: times of one thread, memory, descriptors, bytes on disk.

use std::path::Path;
use std::time::{Duration, Instant};

use carrel::embed::{Embedder, ModelInfo, Purpose};
use carrel::error::Result;

/// How long something took, each time: on the wall, and of this thread's processor time, which others on the same
/// machine disturb less.
#[derive(Default)]
pub struct Times {
    wall: Vec<f64>,
    processor: Vec<f64>,
}

impl Times {
    pub fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (started, processor) = (Instant::now(), time_of(libc::CLOCK_THREAD_CPUTIME_ID));
        let done = work();
        self.wall.push(started.elapsed().as_secs_f64() * 1e3);
        self.processor.push((time_of(libc::CLOCK_THREAD_CPUTIME_ID) - processor).as_secs_f64() * 1e3);
        done
    }

    /// Milliseconds of processor time that this part of all stayed within.
    pub fn processor(&self, part: f64) -> f64 {
        quantile(&self.processor, part)
    }

    /// Milliseconds on the wall that this part of all stayed within.
    pub fn wall(&self, part: f64) -> f64 {
        quantile(&self.wall, part)
    }
}

pub fn quantile(numbers: &[f64], part: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len().saturating_sub(1) as f64 * part) as usize).copied().unwrap_or(f64::NAN)
}

/// Processor time of all threads of this process.
pub fn process_time() -> Duration {
    time_of(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn time_of(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in the structure that it is given.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident memory of this process in bytes, after what the allocator kept was given back, where the system tells.
pub fn resident() -> u64 {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call changes nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Descriptors that this process has open, where the system tells.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

/// Bytes of a file, or of all files below a directory.
pub fn size_of(path: &Path) -> u64 {
    match path.is_dir() {
        true => std::fs::read_dir(path).unwrap().map(|entry| size_of(&entry.unwrap().path())).sum(),
        false => path.metadata().map_or(0, |metadata| metadata.len()),
    }
}

/// How busy the machine is: processes that run or want to, on average of the last minute.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// Answers every question with one vector that is known beforehand.
pub struct Known<'a> {
    pub inner: &'a dyn Embedder,
    pub vector: &'a [f32],
}

impl Embedder for Known<'_> {
    fn model(&self) -> &ModelInfo {
        self.inner.model()
    }

    fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>> {
        Ok(vec![self.vector.to_vec(); texts.len()])
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.inner.count_tokens(text)
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.inner.token_offsets(text)
    }
}
