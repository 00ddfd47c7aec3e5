//! The BM25 index of one workspace: open, apply, ask, generation.
//!
//! Derived and disposable: every commit carries the generation of the SQLite file that it reflects, and an index
//! that cannot be trusted is made anew by its owner. Knows numbers of chunks and their text; no SQL, no tenant.
//! Reading takes no lock. Changes take turns behind one mutex; the writer is opened for them and dropped by
//! [`Fulltext::rest`], because an open one costs threads and memory.

mod asked;
mod dictionary;
mod files;
mod live;
mod plan;
mod query;
mod restrict;
mod schema;
mod score;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Directory, HasLen, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use self::dictionary::Dictionary;
use self::files::Files;
use self::live::Live;
use self::schema::{FORMAT, Fields, TOKENIZER, Words, schema};
use crate::error::{Error, Result};
use crate::stamp::Stamp;
use crate::text::Analyzer;

/// Bytes that a writer may fill before it flushes a segment: tantivy's minimum.
const WRITER_BYTES: usize = 15_000_000;

pub use self::asked::Asked;
pub use self::query::Query;

/// A chunk as it is indexed.
pub struct Entry {
    /// The chunk's number in its workspace.
    pub chunk: u32,
    /// Its document's title and the headings that it stands under, a line each.
    pub title: String,
    /// Its own text.
    pub body: String,
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
    live: Arc<Live>,
    writer: Mutex<Option<IndexWriter>>,
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
        let (language, live, writer) = (language.to_owned(), Arc::default(), Mutex::new(None));
        Ok(Fulltext { language, analyzer, index, reader, fields, live, writer })
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
        live::read(&self.reader.searcher()).map_err(engine)
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
            document.add_text(self.fields.title, &entry.title);
            document.add_text(self.fields.body, &entry.body);
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

    /// A query, ready to be asked of the index as it is now.
    pub fn ask(&self, query: &Query) -> Result<Asked> {
        Asked::new(query, &self.analyzer, self.reader.searcher(), self.fields, self.live.clone())
    }

    /// How telling each term is here: its inverse document frequency as BM25 has it, in the order given.
    pub fn idf(&self, terms: &[String]) -> Result<Vec<f32>> {
        let searcher = self.reader.searcher();
        let dictionary = Dictionary { searcher: &searcher, fields: self.fields };
        let of = |term: &String| Ok(plan::idf(dictionary.frequency(term).map_err(engine)?, searcher.num_docs()));
        terms.iter().map(of).collect()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(generation: u64) -> Stamp {
        Stamp { generation, mark: 7 }
    }

    fn entry(chunk: u32, text: &str) -> Result<Entry> {
        titled(chunk, "", text)
    }

    fn titled(chunk: u32, title: &str, text: &str) -> Result<Entry> {
        Ok(Entry { chunk, title: title.to_owned(), body: text.to_owned() })
    }

    fn of(language: &str, texts: &[&str]) -> (tempfile::TempDir, Fulltext) {
        let directory = tempfile::tempdir().unwrap();
        let index = Fulltext::open(directory.path(), language, false).unwrap();
        let entries = texts.iter().zip(0..).map(|(text, chunk)| entry(chunk, text));
        index.apply(at(1), false, [], entries).unwrap();
        (directory, index)
    }

    fn ask(index: &Fulltext, query: &str) -> Asked {
        index.ask(&Query::parse(query)).unwrap()
    }

    fn found(index: &Fulltext, query: &str) -> Vec<u32> {
        ask(index, query).best(10, None).unwrap().into_iter().map(|m| m.chunk).collect()
    }

    fn found_sorted(index: &Fulltext, query: &str) -> Vec<u32> {
        let mut found = found(index, query);
        found.sort();
        found
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
        let matches = ask(&index, "alarm").best(1, Some(&only)).unwrap();
        assert_eq!(matches.iter().map(|m| m.chunk).collect::<Vec<_>>(), [49]);
        assert!((0.0..=1.0).contains(&matches[0].score));
        for query in ["", "\"", "a:b AND (", "[x TO y]~9", "\u{0}"] {
            found(&index, query);
        }
    }

    #[test]
    fn a_word_in_the_title_counts_more_and_is_found_alone() {
        let (_directory, index) = of("en", &[]);
        let body = "One part of the fridge is the compressor, which hums.";
        let entries = [titled(1, "Kitchen", body), titled(2, "Fridge", "It hums."), titled(3, "Sink", "Water.")];
        index.apply(at(2), false, [], entries).unwrap();
        assert_eq!(found(&index, "fridge"), [2, 1]);
    }

    #[test]
    fn phrases_and_signs_say_what_every_hit_has() {
        let texts = ["the red fox", "the fox is red", "a red dog", "wi-fi for the dog", "wi without fi"];
        let (_directory, index) = of("en", &texts);
        assert_eq!(found(&index, "\"red fox\""), [0]);
        assert_eq!(found(&index, "red \"the fox\""), [1]);
        assert_eq!(found_sorted(&index, "fox +red"), [0, 1, 2]);
        assert_eq!(found(&index, "red -fox"), [2]);
        assert_eq!(found(&index, "+wi-fi"), [3]);
        assert_eq!(found(&index, "-\"red fox\" fox"), [1]);
        assert_eq!(found_sorted(&index, "+the \"red\""), [0, 1]);
        for nothing in ["-fox", "+cat red", "\"fox red\"", "red -re*"] {
            assert_eq!(found(&index, nothing), [0; 0], "{nothing}");
        }
        assert_eq!(ask(&index, "red fox").permitted(None).unwrap(), None);
        assert_eq!(ask(&index, "-fox").permitted(None).unwrap().unwrap().iter().collect::<Vec<_>>(), [2, 3, 4]);
        let (_directory, index) = of("ja", &["東京都の規則", "京都の東", "都 ok"]);
        assert_eq!(found(&index, "+東京都"), [0]);
        assert_eq!(found(&index, "「京都の東」"), [1]);
        assert_eq!(found(&index, "「都 ok」"), [2]);
    }

    #[test]
    fn words_that_are_everywhere_count_only_alone() {
        let (_directory, index) = of("en", &["to be or not to be", "the alarm sounds", "what is it"]);
        assert_eq!(found(&index, "what is the alarm"), [1]);
        assert_eq!(found(&index, "what is"), [2]);
        assert_eq!(found(&index, "\"to be or not\""), [0]);
        assert_eq!(found(&index, "alarm \"to be\""), [0], "required, and silent");
    }

    #[test]
    fn what_is_not_there_stands_for_what_is_near() {
        let texts = ["the refrigerators hum", "policies of the house", "A1234 and A1235", "the house"];
        let (_directory, index) = of("en", &texts);
        assert_eq!(found(&index, "refirgerator"), [0], "a slip");
        assert_eq!(found(&index, "refridgeratr"), [0], "a slip in an ending keeps it from being cut off");
        assert_eq!(found(&index, "refridgxratr"), [0; 0], "slips all over are another word");
        assert_eq!(found(&index, "the policy of refrig"), [1, 0], "an unfinished last word");
        assert_eq!(found(&index, "refrig policy"), [1], "an unfinished word in the midst");
        assert_eq!(found(&index, "refrigerat*"), [0], "a stem is shorter than the beginning of its word");
        assert_eq!(found(&index, "+hous* -pol*"), [3]);
        assert_eq!(found(&index, "A1236"), [0; 0], "numbers are exact");
        assert_eq!(found(&index, "+polixies"), [0; 0], "what is required is exact");
        let score = |query: &str| ask(&index, query).best(1, None).unwrap()[0].score;
        assert!(score("polixies") < score("policies"));
        assert!(ask(&index, "polixies").terms().eq(["polici"]));
    }

    #[test]
    fn given_chunks_score_as_they_do_in_the_ranking() {
        let words = ["alarm", "fridge", "door", "night", "the", "pump"];
        let text = |n: usize| (0..1 + n % 17).map(|k| words[(n * 7 + k * k * 3) % 6]).collect::<Vec<_>>().join(" ");
        let (_directory, index) = of("en", &[]);
        for batch in 0..4u32 {
            let chunks =
                (batch * 1500..(batch + 1) * 1500).map(|n| titled(n, words[n as usize % 6], &text(n as usize)));
            index.apply(at(batch.into()), false, [batch * 1000], chunks).unwrap();
        }
        for query in ["alarm pump", "+door fridge", "alarm -night", "fridg* \"door pump\""] {
            let asked = ask(&index, query);
            let mut all = asked.best(10_000, None).unwrap();
            assert!(all.len() > 50, "{query}");
            assert_eq!(asked.best(20, None).unwrap(), all[..20], "{query}");
            all.sort_by_key(|found| found.chunk);
            let everything = index.chunks().unwrap();
            assert_eq!(asked.scores(&everything).unwrap(), all, "{query}");
            if let Some(permitted) = asked.permitted(None).unwrap() {
                assert!(all.iter().all(|found| permitted.contains(found.chunk)), "{query}");
            }
        }
    }

    #[test]
    fn a_query_of_many_beginnings_looks_for_a_few() {
        let letter = |n: u32| char::from(b'a' + (n % 26) as u8);
        let words = |chunk: u32| (0..500u32).map(move |n| format!("s{}{}{n}x{chunk}", letter(n), letter(n / 26)));
        let texts: Vec<String> = (0..40).map(|chunk| words(chunk).collect::<Vec<_>>().join(" ")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (_directory, index) = of("en", &texts);
        assert_eq!(found(&index, &"sa* ".repeat(5000)).len(), 10);
        assert_eq!(found(&index, &"+sa* -zz* ".repeat(3000)).len(), 10);
        let beginnings = |sign: &str| {
            let every = (0..26 * 26).map(|n| format!("{sign}s{}{}*", letter(n), letter(n / 26)));
            every.collect::<Vec<_>>().join(" ")
        };
        let asked = ask(&index, &beginnings(""));
        assert!(asked.terms().count() <= (8 + 4) * 20 + 64, "of eight beginnings, four guesses, and words as they are");
        assert!(!asked.best(10, None).unwrap().is_empty());
        ask(&index, &beginnings("+")).best(10, None).unwrap();
    }

    #[test]
    fn what_is_required_in_vain_and_what_is_left_out_can_be_told() {
        let (_directory, index) = of("en", &["the red fox", "a red dog"]);
        index.apply(at(2), false, [1], [entry(2, "a red cat")]).unwrap();
        let told = |query: &str| {
            let asked = ask(&index, query);
            let told = |words: &mut dyn Iterator<Item = &str>| words.map(str::to_owned).collect::<Vec<_>>();
            (told(&mut asked.absent()), told(&mut asked.excluded()))
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(told("+red \"fox red\" +zep* +Dog"), (words(&["fox red", "zep*", "Dog"]), words(&[])));
        assert_eq!(told("red +fox -\"a dog\" -Cats"), (words(&[]), words(&["a dog", "Cats"])));
    }

    #[test]
    fn all_but_a_few_are_taken_from_what_is_known_of_the_index() {
        let (_directory, index) = of("en", &["fox", "dog", "cat"]);
        let permitted = |within: Option<&[u32]>| {
            let within = within.map(|chunks| chunks.iter().copied().collect());
            let permitted = ask(&index, "cat -fox").permitted(within).unwrap().unwrap();
            permitted.iter().collect::<Vec<_>>()
        };
        assert_eq!(permitted(None), [1, 2]);
        assert_eq!(permitted(Some(&[0, 2, 9])), [2], "nor what the index does not know");
        let live = || index.live.of(&index.reader.searcher()).unwrap();
        let before = live();
        assert!(Arc::ptr_eq(&before, &live()), "read once");
        index.apply(at(2), false, [2], [entry(0, "wolf"), entry(3, "fox")]).unwrap();
        assert_eq!(permitted(None), [0, 1], "and anew after a change");
        assert_eq!(live().iter().collect::<Vec<_>>(), [0, 1, 3]);
    }
}
