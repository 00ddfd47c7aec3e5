//! The fields of the index, and how text becomes the terms in them.

use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::text::Analyzer;

/// Raised when an index written by an older version must be made anew.
pub const FORMAT: u32 = 4;
/// Name under which the analyzer is registered with tantivy.
pub const TOKENIZER: &str = "carrel";
/// Name of the column that holds the numbers of the chunks.
pub const CHUNK: &str = "chunk";

#[derive(Clone, Copy)]
pub struct Fields {
    pub chunk: Field,
    /// The title and the headings that a chunk stands under.
    pub title: Field,
    /// The chunk's own text.
    pub body: Field,
}

impl Fields {
    /// The fields with words, in the order in which a term's occurrences are added up.
    pub fn texts(&self) -> [Field; 2] {
        [self.title, self.body]
    }
}

pub fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let chunk = builder.add_u64_field(CHUNK, INDEXED | FAST);
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = TextOptions::default();
    let title = builder.add_text_field("title", text.clone().set_indexing_options(indexing.clone()));
    let body = builder.add_text_field("body", text.set_indexing_options(indexing));
    (builder.build(), Fields { chunk, title, body })
}

/// The analyzer in tantivy's form.
#[derive(Clone)]
pub struct Words(pub Analyzer);

/// Words that were cut beforehand, handed out one by one.
pub struct WordStream {
    words: std::vec::IntoIter<(usize, crate::text::Word)>,
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
        let Some((position, word)) = self.words.next() else { return false };
        self.token.offset_from = word.start;
        self.token.offset_to = word.end;
        self.token.position = position;
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
