//! Vectors that were computed before, by the text's hash, each workspace's for itself.
//!
//! The workspace is part of the key: else the time that an upload takes would tell one tenant what another has.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Embedder, ModelInfo, Purpose};
use crate::cache::Cache;
use crate::error::{Error, Result};

/// A vector as the cache keeps it.
pub struct Remembered {
    key: Vec<u8>,
    vector: Vec<u8>,
}

/// A passage's vector.
pub struct Passage {
    pub vector: Vec<f32>,
    /// What is to be remembered of it, where it was not known.
    pub fresh: Option<Remembered>,
}

/// An embedder that remembers the passages of one workspace.
pub struct Cached {
    inner: Arc<dyn Embedder>,
    cache: Arc<Cache>,
    scope: Uuid,
}

impl Cached {
    pub fn new(inner: Arc<dyn Embedder>, cache: Arc<Cache>, scope: Uuid) -> Self {
        Cached { inner, cache, scope }
    }

    /// The embedder itself, which remembers nothing: for what is no passage of the workspace.
    pub fn forgetful(&self) -> Arc<dyn Embedder> {
        self.inner.clone()
    }

    fn key(&self, text: &str) -> Vec<u8> {
        let model = self.inner.model().sha256.as_bytes();
        let hash = Sha256::new().chain_update(model).chain_update(text).finalize();
        [self.scope.as_bytes().as_slice(), &hash].concat()
    }

    /// The vector of one passage, known or computed on this thread. For callers that embed many, each on a thread of
    /// its own, and [`Cached::remember`] what is fresh together.
    pub fn passage(&self, text: &str) -> Result<Passage> {
        let key = self.key(text);
        if let Some(vector) = self.known(&key) {
            return Ok(Passage { vector, fresh: None });
        }
        let vector = self.inner.embed(&[text], Purpose::Passage)?.pop();
        let vector = vector.ok_or_else(|| Error::Internal("the embedder gave no vector".into()))?;
        let fresh = Some(Remembered { key, vector: to_bytes(&vector) });
        Ok(Passage { vector, fresh })
    }

    /// Remembers passages, in one write.
    pub fn remember(&self, fresh: Vec<Remembered>) {
        self.cache.put(fresh.iter().map(|one| (one.key.as_slice(), one.vector.clone())));
    }

    fn known(&self, key: &[u8]) -> Option<Vec<f32>> {
        let vector = self.cache.get(key).and_then(|bytes| from_bytes(&bytes));
        vector.filter(|vector| vector.len() == self.model().dimension)
    }

    /// Forgets passages that were deleted.
    pub fn forget(&self, texts: &[String]) {
        texts.iter().for_each(|text| self.cache.remove(&self.key(text)));
    }
}

impl Embedder for Cached {
    fn model(&self) -> &ModelInfo {
        self.inner.model()
    }

    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>> {
        if purpose != Purpose::Passage {
            return self.inner.embed(texts, purpose);
        }
        let keys: Vec<Vec<u8>> = texts.iter().map(|text| self.key(text)).collect();
        let mut vectors: Vec<Option<Vec<f32>>> = keys.iter().map(|key| self.known(key)).collect();
        let missing: Vec<usize> = (0..texts.len()).filter(|at| vectors.get(*at).is_some_and(Option::is_none)).collect();
        let fresh: Vec<&str> = missing.iter().filter_map(|at| texts.get(*at).copied()).collect();
        let fresh = self.inner.embed(&fresh, purpose)?;
        self.cache.put(missing.iter().zip(&fresh).filter_map(|(at, v)| Some((keys.get(*at)?.as_slice(), to_bytes(v)))));
        for (at, vector) in missing.into_iter().zip(fresh) {
            if let Some(slot) = vectors.get_mut(at) {
                *slot = Some(vector);
            }
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    fn at_once(&self) -> usize {
        self.inner.at_once()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.inner.count_tokens(text)
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.inner.token_offsets(text)
    }
}

fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|n| f32::from_le_bytes(*n)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Gives each text its length and counts how many it was asked for.
    struct Counting(ModelInfo, AtomicUsize);

    impl Embedder for Counting {
        fn model(&self) -> &ModelInfo {
            &self.0
        }

        fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>> {
            self.1.fetch_add(texts.len(), Ordering::Relaxed);
            Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
        }

        fn count_tokens(&self, text: &str) -> usize {
            text.len()
        }

        fn token_offsets(&self, _: &str) -> Vec<(usize, usize)> {
            Vec::new()
        }
    }

    #[test]
    fn what_is_known_is_not_computed_again_and_workspaces_share_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(&directory.path().join("cache"), 1 << 30));
        let info = ModelInfo { name: "m".into(), dimension: 1, sha256: "0".into(), max_tokens: 9 };
        let inner = Arc::new(Counting(info, AtomicUsize::new(0)));
        let one = Cached::new(inner.clone(), cache.clone(), Uuid::now_v7());
        let other = Cached::new(inner.clone(), cache, Uuid::now_v7());
        assert_eq!(one.embed(&["a", "bb"], Purpose::Passage).unwrap(), [[1.0], [2.0]]);
        assert_eq!(one.embed(&["bb", "ccc", "a"], Purpose::Passage).unwrap(), [[2.0], [3.0], [1.0]]);
        assert_eq!(inner.1.load(Ordering::Relaxed), 3);
        other.embed(&["a"], Purpose::Passage).unwrap();
        assert_eq!(inner.1.load(Ordering::Relaxed), 4);
        one.embed(&["d"], Purpose::Glance).unwrap();
        one.embed(&["d"], Purpose::Glance).unwrap();
        assert_eq!(inner.1.load(Ordering::Relaxed), 6);
        let unknown = one.passage("eeee").unwrap();
        one.remember(unknown.fresh.into_iter().collect());
        let known = one.passage("eeee").unwrap();
        assert_eq!((unknown.vector, known.vector, known.fresh.is_none()), (vec![4.0], vec![4.0], true));
        assert_eq!(inner.1.swap(6, Ordering::Relaxed), 7);
        one.forget(&["a".to_owned()]);
        one.embed(&["a"], Purpose::Passage).unwrap();
        assert_eq!(inner.1.load(Ordering::Relaxed), 7);
    }
}
