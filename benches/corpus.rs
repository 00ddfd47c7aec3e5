//! Passages with their vectors, as many as are asked for.
//!
//! A few thousand are real where a directory of retrieval sets is given, embedded by the product's own model, and
//! generated otherwise. The rest are variations of those: some words are another passage's, and the vector is turned a
//! little way in a direction in which two other passages differ, so that the vectors lie as real ones do.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use carrel::embed::{Embedder, Purpose};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::random::Random;

/// Passages that are not variations, at most.
const DISTINCT: usize = 20_000;
/// Words of a passage.
const WORDS: usize = 80;
/// Questions, at most.
const QUERIES: usize = 200;
/// The cosine of a variation's vector to that of what it was made of: from, to.
const NEARNESS: (f64, f64) = (0.8, 0.95);
/// Of ten words of a variation, how many come from elsewhere.
const FOREIGN: u64 = 3;
/// Passages that a thread embeds before they are remembered.
const BATCH: usize = 64;

pub struct Query {
    pub text: String,
    pub vector: Vec<f32>,
}

pub struct Corpus {
    passages: Vec<String>,
    vectors: Vec<Vec<f32>>,
    pub queries: Vec<Query>,
}

impl Corpus {
    /// From the retrieval sets below `sets`, or generated.
    pub fn load(sets: Option<&Path>, embedder: &dyn Embedder) -> Self {
        match sets {
            Some(sets) => Self::read(sets, embedder),
            None => Self::generate(embedder.model().dimension),
        }
    }

    fn read(sets: &Path, embedder: &dyn Embedder) -> Self {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(sets).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.retain(|folder| folder.join("qrels.tsv").exists());
        folders.sort();
        let (mut passages, mut questions) = (Vec::new(), Vec::new());
        for folder in &folders {
            for document in lines(&folder.join("corpus.jsonl")) {
                let text = |field: &str| document[field].as_str().unwrap_or_default().replace('\0', " ");
                passages.extend(cut(&format!("{} {}", text("title"), text("text"))));
            }
            questions
                .extend(lines(&folder.join("queries.jsonl")).iter().map(|q| q["text"].as_str().unwrap().to_owned()));
        }
        let passages = spread(passages, DISTINCT);
        let questions = spread(questions, QUERIES);
        println!("{} passages and {} questions from {} sets", passages.len(), questions.len(), folders.len());
        let vectors = Remembered::open(&embedder.model().sha256).embed(embedder, &passages);
        let vector = |text: &String| embedder.embed(&[text], Purpose::Query).unwrap().remove(0);
        let queries = questions.iter().map(|text| Query { vector: vector(text), text: text.clone() }).collect();
        Corpus { passages, vectors, queries }
    }

    fn generate(dimension: usize) -> Self {
        let mut random = Random(7);
        let passages: Vec<String> = (0..DISTINCT).map(|_| random.text(WORDS)).collect();
        let centres: Vec<Vec<f32>> = (0..500).map(|_| unit(random.vector(dimension))).collect();
        let vectors =
            (0..DISTINCT).map(|n| turned(&centres[n % centres.len()], &random.vector(dimension), 0.6)).collect();
        let mut corpus = Corpus { passages, vectors, queries: Vec::new() };
        for n in 0..QUERIES {
            let vector = turned(&corpus.vectors[n * 97], &random.vector(dimension), 0.7);
            corpus.queries.push(Query { text: random.text(5), vector });
        }
        corpus
    }

    /// Of passages that are there already.
    #[allow(dead_code, reason = "not every bench hands passages on")]
    pub fn of(passages: Vec<Query>) -> Self {
        let (passages, vectors) = passages.into_iter().map(|passage| (passage.text, passage.vector)).unzip();
        Corpus { passages, vectors, queries: Vec::new() }
    }

    /// Passages that are no variations.
    #[allow(dead_code, reason = "not every bench hands passages on")]
    pub fn distinct(&self) -> usize {
        self.passages.len()
    }

    /// The text and the vector of passage `n`: the same whenever asked.
    pub fn passage(&self, n: usize) -> (String, Vec<f32>) {
        let base = n % self.passages.len();
        let (text, vector) = (&self.passages[base], &self.vectors[base]);
        if n < self.passages.len() {
            return (text.clone(), vector.clone());
        }
        let mut random = Random(n as u64);
        let mut other = || random.below(self.passages.len());
        let (one, two, three) = (other(), other(), other());
        let foreign: Vec<&str> = self.passages[one].split_whitespace().collect();
        let words = text.split_whitespace().map(|word| match foreign.is_empty() || random.next() % 10 >= FOREIGN {
            true => word,
            false => foreign[random.below(foreign.len())],
        });
        let text = words.collect::<Vec<&str>>().join(" ");
        let apart: Vec<f32> = self.vectors[two].iter().zip(&self.vectors[three]).map(|(a, b)| a - b).collect();
        let cosine = NEARNESS.0 + random.uniform() * (NEARNESS.1 - NEARNESS.0);
        (text, turned(vector, &apart, cosine as f32))
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Pieces of about [`WORDS`] words; of scripts without spaces, of as many letters as such words have.
fn cut(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut words = 0;
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if words >= WORDS || pieces.last().unwrap().chars().count() + letters > 8 * WORDS {
            pieces.push(String::new());
            words = 0;
        }
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(6 * WORDS) {
            let piece = pieces.last_mut().unwrap();
            if !piece.is_empty() {
                piece.push(' ');
            }
            piece.extend(part);
        }
        words += 1;
    }
    // A rest of a few words is no passage.
    pieces.retain(|piece| piece.chars().count() > 40);
    pieces
}

/// `count` of `all` at even distances.
fn spread(all: Vec<String>, count: usize) -> Vec<String> {
    let (from, count) = (all.len(), count.min(all.len()));
    (0..count).map(|n| all[n * from / count].clone()).collect()
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|number| *number /= length);
    vector
}

/// The unit vector with this cosine to `vector`, turned towards `direction`.
fn turned(vector: &[f32], direction: &[f32], cosine: f32) -> Vec<f32> {
    let along: f32 = vector.iter().zip(direction).map(|(a, b)| a * b).sum();
    let across = unit(direction.iter().zip(vector).map(|(d, v)| d - along * v).collect());
    let sine = (1.0 - cosine * cosine).sqrt();
    unit(vector.iter().zip(&across).map(|(v, a)| cosine * v + sine * a).collect())
}

/// Vectors of passages, kept in a file between runs.
struct Remembered {
    path: PathBuf,
    vectors: HashMap<[u8; 32], Vec<f32>>,
}

impl Remembered {
    fn open(model: &str) -> Self {
        let path = std::env::temp_dir().join(format!("carrel-bench-{}.vectors", &model[..16]));
        Remembered { path, vectors: HashMap::new() }
    }

    fn embed(mut self, embedder: &dyn Embedder, texts: &[String]) -> Vec<Vec<f32>> {
        let size = 32 + 4 * embedder.model().dimension;
        let mut bytes = Vec::new();
        if let Ok(mut file) = std::fs::File::open(&self.path) {
            file.read_to_end(&mut bytes).unwrap();
        }
        for entry in bytes.chunks_exact(size) {
            let vector = entry[32..].as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
            self.vectors.insert(entry[..32].try_into().unwrap(), vector);
        }
        // A run that was cut off may have left a part of an entry.
        let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(&self.path).unwrap();
        file.set_len((bytes.len() / size * size) as u64).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
        let key = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
        let missing: Vec<&str> =
            texts.iter().map(String::as_str).filter(|text| !self.vectors.contains_key(&key(text))).collect();
        for (done, batch) in missing.chunks(2 * BATCH).enumerate() {
            let made: Vec<Vec<Vec<f32>>> = std::thread::scope(|scope| {
                let half =
                    batch.chunks(BATCH).map(|part| scope.spawn(|| embedder.embed(part, Purpose::Passage).unwrap()));
                half.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for (text, vector) in batch.iter().zip(made.into_iter().flatten()) {
                let mut entry = key(text).to_vec();
                vector.iter().for_each(|number| entry.extend(number.to_le_bytes()));
                file.write_all(&entry).unwrap();
                self.vectors.insert(key(text), vector);
            }
            if done % 20 == 0 {
                eprintln!("embedded {} of {}", done * 2 * BATCH, missing.len());
            }
        }
        texts.iter().map(|text| self.vectors[&key(text)].clone()).collect()
    }
}
