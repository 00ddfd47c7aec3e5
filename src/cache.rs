//! A disposable key-value cache on disk: whatever goes wrong with it is a miss, never an error.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

/// Bytes that the cache holds in memory.
const MEMORY: u64 = 16 << 20;
/// Entries written between two looks at the size on disk.
const CHECK_EVERY: usize = 1024;

/// The cache; without a store under it where none can be opened.
pub struct Cache {
    directory: PathBuf,
    /// Taken for writing only to make the store anew.
    store: RwLock<Option<sled::Db>>,
    most: u64,
    written: AtomicUsize,
}

impl Cache {
    /// Opens the cache in `directory`, anew where it is damaged. It is emptied, now and later, when it takes more
    /// than `most` bytes of disk. It is looked at now and then, and sled writes late, so for a while it may be over
    /// by some megabytes.
    pub fn open(directory: &Path, most: u64) -> Self {
        let store = RwLock::new(open_store(directory));
        let cache = Cache { directory: directory.to_owned(), store, most, written: AtomicUsize::new(0) };
        cache.keep_bound();
        cache
    }

    /// The value of `key`, where it is known.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.with(|store| store.get(key))?.map(|bytes| bytes.to_vec())
    }

    /// Keeps values.
    pub fn put<'a>(&self, entries: impl Iterator<Item = (&'a [u8], Vec<u8>)>) {
        let mut batch = sled::Batch::default();
        let mut count = 0;
        for (key, value) in entries {
            batch.insert(key, value);
            count += 1;
        }
        self.with(|store| store.apply_batch(batch));
        let before = self.written.fetch_add(count, Ordering::Relaxed);
        if before / CHECK_EVERY != (before + count) / CHECK_EVERY {
            self.keep_bound();
        }
    }

    /// Forgets the value of `key`.
    pub fn remove(&self, key: &[u8]) {
        self.with(|store| store.remove(key));
    }

    /// Forgets all values whose keys begin with `prefix`.
    pub fn remove_prefix(&self, prefix: &[u8]) {
        self.with(|store| store.scan_prefix(prefix).keys().try_for_each(|key| store.remove(key?).map(drop)));
    }

    /// What `work` gives; nothing where there is no store or it fails.
    fn with<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Option<T> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        work(store.as_ref()?).inspect_err(|error| tracing::debug!(%error, "the cache failed")).ok()
    }

    /// Starts anew when the bound is passed. sled uses the space of removed entries again but never gives it back,
    /// so only a new store is a small one.
    fn keep_bound(&self) {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let passed = |store: &sled::Db| store.size_on_disk().is_ok_and(|size| size > self.most);
        if !store.as_ref().is_some_and(passed) {
            return;
        }
        *store = None;
        match std::fs::remove_dir_all(&self.directory) {
            Ok(()) => *store = open_store(&self.directory),
            Err(error) => {
                tracing::warn!(%error, "the cache outgrew its bound and cannot be emptied: it is left unused")
            }
        }
    }
}

fn open_store(directory: &Path) -> Option<sled::Db> {
    let open = || sled::Config::new().path(directory).cache_capacity(MEMORY).open();
    let store = open().or_else(|error| {
        tracing::warn!(%error, "the cache is damaged and is made anew");
        std::fs::remove_dir_all(directory)?;
        open()
    });
    store.inspect_err(|error| tracing::warn!(%error, "there is no cache: it cannot be opened")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts so many megabytes, in batches as ingestion has them.
    fn fill(cache: &Cache, megabytes: u64) {
        for batch in 0..16 * megabytes {
            let keys: Vec<[u8; 8]> = (0..64).map(|at| (batch * 64 + at).to_be_bytes()).collect();
            cache.put(keys.iter().map(|key| (key.as_slice(), vec![7; 1024])));
        }
    }

    fn size(directory: &Path) -> u64 {
        let files = walkdir::WalkDir::new(directory).into_iter().flatten().filter_map(|entry| entry.metadata().ok());
        files.filter(|file| file.is_file()).map(|file| file.len()).sum()
    }

    #[test]
    fn values_are_kept_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 1 << 30);
        cache.put([(b"a1".as_slice(), vec![1]), (b"a2", vec![2]), (b"b1", vec![3])].into_iter());
        assert_eq!(cache.get(b"a1"), Some(vec![1]));
        cache.remove(b"a1");
        assert_eq!((cache.get(b"a1"), cache.get(b"a2")), (None, Some(vec![2])));
        cache.remove_prefix(b"a");
        assert_eq!((cache.get(b"a2"), cache.get(b"b1")), (None, Some(vec![3])));
    }

    #[test]
    fn it_keeps_near_its_bound_and_goes_on_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let cache = Cache::open(&path, 4 << 20);
        fill(&cache, 64);
        assert!(size(&path) < 24 << 20, "{} bytes", size(&path));
        cache.put([(b"k".as_slice(), vec![1])].into_iter());
        assert_eq!(cache.get(b"k"), Some(vec![1]));
    }

    #[test]
    fn what_is_over_the_bound_at_the_start_is_emptied() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let cache = Cache::open(&path, 1 << 30);
        fill(&cache, 8);
        drop(cache);
        let before = size(&path);
        let cache = Cache::open(&path, 4 << 20);
        assert_eq!(cache.get(&0u64.to_be_bytes()), None);
        assert!(size(&path) < 4 << 20 && before > 4 << 20, "{} of {before} bytes", size(&path));
    }

    #[test]
    fn a_damaged_cache_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        drop(Cache::open(&path, 1 << 30));
        std::fs::write(path.join("conf"), "rubbish").unwrap();
        let cache = Cache::open(&path, 1 << 30);
        cache.put([(b"k".as_slice(), vec![1])].into_iter());
        assert_eq!(cache.get(b"k"), Some(vec![1]));
    }

    #[test]
    fn a_place_that_cannot_hold_a_cache_does_not_stop_anything() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = Cache::open(&file.path().join("x"), 1);
        cache.put([(b"k".as_slice(), vec![1])].into_iter());
        assert_eq!(cache.get(b"k"), None);
    }
}
