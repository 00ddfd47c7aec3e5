//! A disposable key-value cache on disk: whatever goes wrong with it is a miss, never an error.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that the cache holds in memory.
const MEMORY: u64 = 16 << 20;
/// Entries written between two looks at the size on disk.
const CHECK_EVERY: usize = 4096;

/// The cache; without a store under it where none can be opened.
pub struct Cache {
    store: Option<sled::Db>,
    most: u64,
    written: AtomicUsize,
}

impl Cache {
    /// Opens the cache in `directory`, anew where it is damaged. It is emptied when it takes more than `most` bytes
    /// of disk.
    pub fn open(directory: &Path, most: u64) -> Self {
        let open = || sled::Config::new().path(directory).cache_capacity(MEMORY).open();
        let store = open().or_else(|error| {
            tracing::warn!(%error, "the cache is damaged and is made anew");
            std::fs::remove_dir_all(directory)?;
            open()
        });
        let store = store.inspect_err(|error| tracing::warn!(%error, "there is no cache: it cannot be opened")).ok();
        let cache = Cache { store, most, written: AtomicUsize::new(0) };
        cache.keep_bound();
        cache
    }

    /// The value of `key`, where it is known.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.store.as_ref()?.get(key).inspect_err(|error| tracing::debug!(%error, "cache miss")).ok()?;
        value.map(|bytes| bytes.to_vec())
    }

    /// Keeps values.
    pub fn put<'a>(&self, entries: impl Iterator<Item = (&'a [u8], Vec<u8>)>) {
        let Some(store) = &self.store else { return };
        let mut batch = sled::Batch::default();
        let mut count = 0;
        for (key, value) in entries {
            batch.insert(key, value);
            count += 1;
        }
        if let Err(error) = store.apply_batch(batch) {
            tracing::debug!(%error, "the cache kept nothing");
        }
        let before = self.written.fetch_add(count, Ordering::Relaxed);
        if before / CHECK_EVERY != (before + count) / CHECK_EVERY {
            self.keep_bound();
        }
    }

    /// Forgets the value of `key`.
    pub fn remove(&self, key: &[u8]) {
        if let Some(Err(error)) = self.store.as_ref().map(|store| store.remove(key)) {
            tracing::debug!(%error, "the cache did not forget");
        }
    }

    /// Forgets all values whose keys begin with `prefix`.
    pub fn remove_prefix(&self, prefix: &[u8]) {
        let Some(store) = &self.store else { return };
        for key in store.scan_prefix(prefix).keys().flatten() {
            self.remove(&key);
        }
    }

    fn keep_bound(&self) {
        let Some(store) = &self.store else { return };
        if store.size_on_disk().is_ok_and(|size| size > self.most)
            && let Err(error) = store.clear()
        {
            tracing::debug!(%error, "the cache was not emptied");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 1 << 30);
        cache.put([(b"a1".as_slice(), vec![1]), (b"a2", vec![2]), (b"b1", vec![3])].into_iter());
        assert_eq!(cache.get(b"a1"), Some(vec![1]));
        cache.remove(b"a1");
        cache.remove_prefix(b"a");
        assert_eq!((cache.get(b"a1"), cache.get(b"a2"), cache.get(b"b1")), (None, None, Some(vec![3])));
    }

    #[test]
    fn a_place_that_cannot_hold_a_cache_does_not_stop_anything() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = Cache::open(&file.path().join("x"), 1);
        cache.put([(b"k".as_slice(), vec![1])].into_iter());
        assert_eq!(cache.get(b"k"), None);
    }
}
