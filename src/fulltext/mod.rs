//! The BM25 index of one workspace: open, apply, search, generation.
//!
//! Derived and disposable: every commit carries the generation of the SQLite file that it reflects, and an index
//! that cannot be trusted is made anew by its owner. Knows numbers of chunks and their text; no SQL, no tenant.
//! Reading takes no lock. Changes take turns behind one mutex; the writer is opened for them and dropped by
//! [`Fulltext::rest`], because an open one costs threads and memory.

mod files;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use roaring::RoaringBitmap;
use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Directory, HasLen, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use self::files::Files;
use crate::error::{Error, Result};
use crate::stamp::Stamp;
use crate::text::Analyzer;

/// Raised when an index written by an older version must be made anew.
const FORMAT: u32 = 3;
/// Name under which the analyzer is registered with tantivy.
const TOKENIZER: &str = "carrel";
/// Bytes that a writer may fill before it flushes a segment: tantivy's minimum.
const WRITER_BYTES: usize = 15_000_000;
/// Terms of one query that are looked at; the rest of a longer query is ignored.
const QUERY_TERMS: usize = 64;
/// BM25's term saturation k₁ as tantivy has it: no term adds more than `idf * (1 + K1)`.
const K1: f32 = 1.2;

/// A chunk as it is indexed.
pub struct Entry {
    /// The chunk's number in its workspace.
    pub chunk: u32,
    /// Title, headings and text, as they are to be found.
    pub text: String,
}

/// A chunk that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    pub chunk: u32,
    /// BM25 as a part of what a text that says nothing but the query's words could reach: `0..=1`.
    pub score: f32,
}

/// What the index says of itself in each commit.
#[derive(serde::Serialize, serde::Deserialize)]
struct Payload {
    format: u32,
    language: String,
    #[serde(flatten)]
    stamp: Stamp,
}

/// An open index.
pub struct Fulltext {
    language: String,
    analyzer: Analyzer,
    index: Index,
    reader: IndexReader,
    fields: Fields,
    writer: Mutex<Option<IndexWriter>>,
}

#[derive(Clone, Copy)]
struct Fields {
    chunk: Field,
    text: Field,
}

impl Fulltext {
    /// Opens the index in `directory`, which stems words of `language`.
    ///
    /// One that is missing, unreadable, of another format or of another language is made anew, empty and with the
    /// stamp of nothing: in memory where `read_only` says that the medium takes no writes.
    pub fn open(directory: &Path, language: &str, read_only: bool) -> Result<Self> {
        // tantivy trusts what it reads, and a flipped bit can make it panic.
        let opened = catch_unwind(|| Self::open_existing(directory, language, read_only));
        match opened.unwrap_or_else(|_| Err(Error::Internal("full-text index: it cannot be read".into()))) {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the full-text index is damaged and is made anew"),
        }
        Self::create(directory, language, read_only)
    }

    /// Makes an empty index in place of whatever is in `directory`; in memory where `read_only`, or where there is no
    /// room on the disk: then it is made again when it is opened next.
    pub fn create(directory: &Path, language: &str, read_only: bool) -> Result<Self> {
        let in_memory = || Self::with(Index::create_in_ram(schema().0), language);
        if read_only {
            return in_memory();
        }
        Self::create_on_disk(directory, language).or_else(|error| {
            tracing::warn!(%error, "the full-text index cannot be written, and lies in memory");
            in_memory()
        })
    }

    fn create_on_disk(directory: &Path, language: &str) -> Result<Self> {
        let (schema, _) = schema();
        if directory.exists() {
            std::fs::remove_dir_all(directory)?;
        }
        std::fs::create_dir_all(directory)?;
        let files = Files::open(directory, false).map_err(engine)?;
        let index = Index::create(files, schema, IndexSettings::default()).map_err(engine)?;
        Self::with(index, language)
    }

    fn open_existing(directory: &Path, language: &str, read_only: bool) -> Result<Option<Self>> {
        if !directory.join("meta.json").exists() {
            return Ok(None);
        }
        let index = Index::open(Files::open(directory, read_only).map_err(engine)?).map_err(engine)?;
        let payload = read_payload(&index)?;
        if index.schema() != schema().0 {
            return Err(Error::Internal("full-text index: its schema is another than was written".into()));
        }
        if !payload.is_some_and(|p| p.format == FORMAT && p.language == language) {
            return Ok(None);
        }
        Self::with(index, language).map(Some)
    }

    /// Whether every file of the index bears the checksum that it was written with. Reads all of them.
    pub fn is_whole(&self) -> bool {
        let check = || -> tantivy::Result<bool> {
            for path in self.files()? {
                if !self.index.directory().validate_checksum(&path)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let segments = || self.index.searchable_segment_ids().map(|ids| ids.into_iter().collect::<HashSet<_>>()).ok();
        loop {
            let before = segments();
            if catch_unwind(AssertUnwindSafe(check)).is_ok_and(|checked| checked.unwrap_or(false)) {
                return true;
            }
            // A merge takes files away while they are being read; then these were not the ones to look at.
            if before.is_none() || segments() == before {
                return false;
            }
        }
    }

    /// Bytes of the index's files.
    pub fn size_bytes(&self) -> u64 {
        let files = self.files().unwrap_or_default();
        let length = |path: &PathBuf| self.index.directory().open_read(path).map_or(0, |file| file.len() as u64);
        files.iter().map(length).sum()
    }

    /// The files of the segments that are in use.
    fn files(&self) -> tantivy::Result<Vec<PathBuf>> {
        use tantivy::index::SegmentComponent::{Delete, FastFields, FieldNorms, Positions, Postings, Store, Terms};
        let parts = |segment: &tantivy::index::SegmentMeta| {
            let always = [Postings, Positions, FastFields, FieldNorms, Terms, Store];
            let parts = always.into_iter().chain(segment.has_deletes().then_some(Delete));
            parts.map(|part| segment.relative_path(part)).collect::<Vec<_>>()
        };
        Ok(self.index.searchable_segment_metas()?.iter().flat_map(parts).collect())
    }

    /// Rewrites the segments that hold deleted chunks, so that nothing of those is left on disk.
    pub fn purge(&self) -> Result<()> {
        let readers = self.reader.searcher();
        let stale = readers.segment_readers().iter().filter(|segment| segment.has_deletes());
        let stale: Vec<_> = stale.map(|segment| segment.segment_id()).collect();
        drop(readers);
        if stale.is_empty() {
            return Ok(());
        }
        let mut slot = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = match &mut *slot {
            Some(writer) => writer,
            empty => empty.insert(self.open_writer()?),
        };
        for segment in stale {
            // One that a merge of its own took meanwhile is gone already.
            if let Err(error) = writer.merge(&[segment]).wait() {
                tracing::debug!(%error, "a segment was merged already");
            }
        }
        self.reader.reload().map_err(engine)?;
        writer.garbage_collect_files().wait().map_err(engine)?;
        Ok(())
    }

    fn with(mut index: Index, language: &str) -> Result<Self> {
        let (_, fields) = schema();
        let analyzer = Analyzer::new(language);
        let tokenizers = tantivy::tokenizer::TokenizerManager::default();
        tokenizers.register(TOKENIZER, TextAnalyzer::from(Words(analyzer.clone())));
        index.set_tokenizers(tokenizers);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(engine)?;
        Ok(Fulltext { language: language.to_owned(), analyzer, index, reader, fields, writer: Mutex::new(None) })
    }

    /// The state that the last commit reflects; that of nothing for an index without one.
    pub fn stamp(&self) -> Result<Stamp> {
        Ok(read_payload(&self.index)?.map_or(Stamp::default(), |payload| payload.stamp))
    }

    /// The analyzer that documents and queries go through.
    pub fn analyzer(&self) -> &Analyzer {
        &self.analyzer
    }

    /// Chunks in the index.
    pub fn len(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// The numbers of the chunks in the index.
    pub fn chunks(&self) -> Result<RoaringBitmap> {
        let mut found = RoaringBitmap::new();
        for segment in self.reader.searcher().segment_readers() {
            let numbers = segment.fast_fields().u64("chunk").map_err(engine)?;
            let live = segment.doc_ids_alive().filter_map(|document| numbers.first(document));
            found.extend(live.filter_map(|number| u32::try_from(number).ok()));
        }
        Ok(found)
    }

    /// Whether there is no chunk in the index.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes `removed` out and puts `added` in, in one commit that bears `stamp`. With `anew` all that was
    /// there before goes. Adding a chunk that is there replaces it, so a repeated call changes nothing.
    pub fn apply(
        &self,
        stamp: Stamp,
        anew: bool,
        removed: impl IntoIterator<Item = u32>,
        added: impl IntoIterator<Item = Result<Entry>>,
    ) -> Result<()> {
        let mut slot = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = match &mut *slot {
            Some(writer) => writer,
            empty => empty.insert(self.open_writer()?),
        };
        let result = self.write(writer, stamp, anew, removed, added);
        if result.is_err() {
            // A writer that failed may hold half of the change; the next one starts from the last commit.
            *slot = None;
            self.sweep();
        }
        result?;
        self.reload()
    }

    /// Removes what a writer that failed has left: on a disk without room for names even empty files are in the way of
    /// the next one. No writer is open.
    fn sweep(&self) {
        let Ok(used) = self.files() else { return };
        for path in self.index.directory().list_managed_files() {
            let is_segments = path.extension().is_some_and(|ending| ending != "json" && ending != "lock");
            if is_segments && !used.contains(&path) {
                // One that is gone already is as good.
                let _ = self.index.directory().delete(&path);
            }
        }
    }

    /// Lets searches see the last commit.
    pub fn reload(&self) -> Result<()> {
        self.reader.reload().map_err(engine)
    }

    fn open_writer(&self) -> Result<IndexWriter> {
        let options = tantivy::indexer::IndexWriterOptions::builder()
            .memory_budget_per_thread(WRITER_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        self.index.writer_with_options(options).map_err(engine)
    }

    fn write(
        &self,
        writer: &mut IndexWriter,
        stamp: Stamp,
        anew: bool,
        removed: impl IntoIterator<Item = u32>,
        added: impl IntoIterator<Item = Result<Entry>>,
    ) -> Result<()> {
        if anew {
            writer.delete_all_documents().map_err(engine)?;
        }
        for chunk in removed {
            writer.delete_term(self.chunk_term(chunk));
        }
        for entry in added {
            let entry = entry?;
            if !anew {
                writer.delete_term(self.chunk_term(entry.chunk));
            }
            let mut document = TantivyDocument::new();
            document.add_u64(self.fields.chunk, entry.chunk.into());
            document.add_text(self.fields.text, &entry.text);
            writer.add_document(document).map_err(engine)?;
        }
        let payload = Payload { format: FORMAT, language: self.language.clone(), stamp };
        let payload = serde_json::to_string(&payload).map_err(|e| Error::internal("index stamp", e))?;
        let mut commit = writer.prepare_commit().map_err(engine)?;
        commit.set_payload(&payload);
        commit.commit().map_err(engine)?;
        Ok(())
    }

    fn chunk_term(&self, chunk: u32) -> Term {
        Term::from_field_u64(self.fields.chunk, chunk.into())
    }

    /// Lets merges end and closes the writer, where one is open.
    pub fn rest(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && let Err(error) = writer.wait_merging_threads()
        {
            tracing::warn!(%error, "merging index segments failed; the next writer tries again");
        }
    }

    /// The `limit` chunks that match `query` best, best first, from `allowed` where that is given. Any text is a
    /// query; one without words finds nothing.
    pub fn search(&self, query: &str, limit: usize, allowed: Option<&RoaringBitmap>) -> Result<Vec<Match>> {
        let searcher = self.reader.searcher();
        // In order, because sums of floats depend on it.
        let mut weights: BTreeMap<String, f32> = BTreeMap::new();
        for word in self.analyzer.words(query) {
            if weights.len() < QUERY_TERMS || weights.contains_key(&word.term) {
                *weights.entry(word.term).or_default() += 1.0;
            }
        }
        let mut ceiling = 0.0;
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::with_capacity(weights.len());
        for (text, weight) in weights {
            let term = Term::from_field_text(self.fields.text, &text);
            let frequency = searcher.doc_freq(&term).map_err(engine)?;
            ceiling += weight * (1.0 + K1) * idf(frequency, searcher.num_docs());
            if frequency > 0 {
                let clause = TermQuery::new(term, IndexRecordOption::WithFreqs);
                clauses.push((Occur::Should, Box::new(BoostQuery::new(Box::new(clause), weight))));
            }
        }
        if clauses.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let query = BooleanQuery::new(clauses);
        let top = TopDocs::with_limit(limit).order_by_score();
        let found = match allowed {
            None => searcher.search(&query, &top),
            Some(allowed) => {
                let allowed = allowed.clone();
                let permit = move |chunk: u64| u32::try_from(chunk).is_ok_and(|c| allowed.contains(c));
                searcher.search(&query, &FilterCollector::new("chunk".to_owned(), permit, top))
            }
        };
        let mut matches = Vec::with_capacity(limit);
        for (score, address) in found.map_err(engine)? {
            let numbers = searcher.segment_reader(address.segment_ord).fast_fields().u64("chunk").map_err(engine)?;
            let number = numbers.first(address.doc_id).and_then(|n| u32::try_from(n).ok());
            if let Some(chunk) = number {
                matches.push(Match { chunk, score: (score / ceiling).clamp(0.0, 1.0) });
            }
        }
        matches.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        Ok(matches)
    }

    /// How telling each term is here: its inverse document frequency as BM25 has it, in the order given.
    pub fn idf(&self, terms: &[String]) -> Result<Vec<f32>> {
        let searcher = self.reader.searcher();
        let of = |term: &String| {
            let frequency = searcher.doc_freq(&Term::from_field_text(self.fields.text, term)).map_err(engine)?;
            Ok(idf(frequency, searcher.num_docs()))
        };
        terms.iter().map(of).collect()
    }
}

/// Inverse document frequency with the 1 inside the logarithm that keeps it positive (Lucene's BM25).
fn idf(frequency: u64, documents: u64) -> f32 {
    let documents = documents.max(frequency);
    (1.0 + ((documents - frequency) as f32 + 0.5) / (frequency as f32 + 0.5)).ln()
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let chunk = builder.add_u64_field("chunk", INDEXED | FAST);
    let indexing = TextFieldIndexing::default().set_tokenizer(TOKENIZER).set_index_option(IndexRecordOption::WithFreqs);
    let text = builder.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
    (builder.build(), Fields { chunk, text })
}

fn read_payload(index: &Index) -> Result<Option<Payload>> {
    let payload = index.load_metas().map_err(engine)?.payload;
    payload.map(|text| serde_json::from_str(&text).map_err(|e| Error::internal("index stamp", e))).transpose()
}

fn engine(cause: tantivy::TantivyError) -> Error {
    match &cause {
        tantivy::TantivyError::IoError(io) if io.kind() == std::io::ErrorKind::StorageFull => {
            Error::InsufficientStorage
        }
        _ => Error::internal("full-text index", cause),
    }
}

/// The analyzer in tantivy's form.
#[derive(Clone)]
struct Words(Analyzer);

/// Words that were cut beforehand, handed out one by one.
struct WordStream {
    words: std::vec::IntoIter<crate::text::Word>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        WordStream { words: self.0.indexed_words(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token.offset_from = word.start;
        self.token.offset_to = word.end;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text = word.term;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(generation: u64) -> Stamp {
        Stamp { generation, mark: 7 }
    }

    fn entry(chunk: u32, text: &str) -> Result<Entry> {
        Ok(Entry { chunk, text: text.to_owned() })
    }

    fn found(index: &Fulltext, query: &str) -> Vec<u32> {
        index.search(query, 10, None).unwrap().into_iter().map(|m| m.chunk).collect()
    }

    #[test]
    fn a_commit_is_found_stamped_and_survives_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let index = Fulltext::open(directory.path(), "en", false).unwrap();
        assert_eq!(index.stamp().unwrap(), Stamp::default());
        index
            .apply(at(3), false, [], [entry(1, "The fridge alarm"), entry(2, "Parking"), entry(7, "東京都の規則")])
            .unwrap();
        assert_eq!(found(&index, "alarms"), [1]);
        assert_eq!(found(&index, "東京"), [7]);
        index.apply(at(4), false, [2], [entry(1, "Silence")]).unwrap();
        assert!(found(&index, "alarm parking").is_empty());
        index.rest();
        drop(index);
        let again = Fulltext::open(directory.path(), "en", false).unwrap();
        assert_eq!((again.stamp().unwrap(), again.len()), (at(4), 2));
        drop(again);
        assert_eq!(Fulltext::open(directory.path(), "de", false).unwrap().stamp().unwrap(), Stamp::default());
    }

    #[test]
    fn a_damaged_index_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        Fulltext::open(directory.path(), "en", false).unwrap().apply(at(3), false, [], [entry(1, "word")]).unwrap();
        std::fs::write(directory.path().join("meta.json"), "{").unwrap();
        assert_eq!(Fulltext::open(directory.path(), "en", false).unwrap().stamp().unwrap(), Stamp::default());
    }

    #[test]
    fn the_filter_acts_before_the_limit_and_no_query_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let index = Fulltext::open(directory.path(), "en", false).unwrap();
        index
            .apply(at(1), false, [], (0..50).map(|n| entry(n, if n < 49 { "alarm alarm" } else { "alarm and more" })))
            .unwrap();
        let only: RoaringBitmap = [49].into_iter().collect();
        let matches = index.search("alarm", 1, Some(&only)).unwrap();
        assert_eq!(matches.iter().map(|m| m.chunk).collect::<Vec<_>>(), [49]);
        assert!((0.0..=1.0).contains(&matches[0].score));
        for query in ["", "\"", "a:b AND (", "[x TO y]~9", "\u{0}"] {
            index.search(query, 5, None).unwrap();
        }
    }
}
