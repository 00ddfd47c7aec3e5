//! One model's answers: the prompt read, and then token after token.
//!
//! What the model read last stays in its memory, so that a question that begins like the one before is read from where they part.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::answer::Answer;
use super::choice::Choice;
use super::grammar;
use super::load::{BATCH, Loaded};
use super::prompt::turns;
use super::worker::Job;
use super::{Settings, stopped};
use crate::llm::speech::{End, Failure, Finish, LONGEST_ANSWER, Piece, Tokens};

/// The only conversation that a context holds.
const SEQUENCE: i32 = 0;
/// Bytes of a prompt at most: some hundred times what a context holds.
const LONGEST_PROMPT: usize = 64 << 20;

/// A model that reads and speaks.
pub(super) struct Conversation<'m> {
    loaded: &'m Loaded,
    context: LlamaContext<'m>,
    /// Tokens that the context holds at most.
    room: usize,
    /// The tokens that it holds.
    held: Vec<LlamaToken>,
}

impl<'m> Conversation<'m> {
    pub fn new(loaded: &'m Loaded, settings: &Settings) -> Result<Self, Failure> {
        let (context, room) = loaded.context(settings)?;
        Ok(Conversation { loaded, context, room, held: Vec::new() })
    }

    /// Answers, piece by piece; tells what it took.
    pub fn answer(&mut self, job: &Job, ending: &AtomicBool) -> Result<Tokens, Failure> {
        let request = &job.request;
        let grammar = grammar::grammar(request)?;
        let mut choice = Choice::new(&self.loaded.model, grammar.as_deref(), request.temperature)?;
        let prompt = self.tokens_of(job)?;
        self.read(&prompt, job, ending)?;
        let may_call = !request.tools.is_empty() && request.shape.is_none() && !request.must_answer;
        let mut answer = Answer::new(may_call, self.loaded.template.stop());
        let vocabulary = self.loaded.model.vocab();
        let (mut said, mut bytes, mut told) = (0_u32, Vec::new(), 0);
        let finish = loop {
            if said >= request.max_tokens || self.held.len() >= self.room || told > LONGEST_ANSWER {
                break Finish::Length;
            }
            wanted(job, ending)?;
            let token = choice.next(&self.context).map_err(|why| self.unavailable(why))?;
            if vocabulary.is_eog(token) {
                break Finish::Stop;
            }
            said += 1;
            bytes.clear();
            vocabulary.token_to_piece_into(token, &mut bytes, false, None);
            told += bytes.len();
            answer.push(&bytes);
            if answer.has_stopped() {
                break Finish::Stop;
            }
            // Room is kept for the last text and the end. Who takes nothing for a while gets more at once. A text that is
            // empty says that there is no silence: a call is written.
            if job.pieces.capacity() > 2 {
                job.pieces.try_send(Ok(Piece::Text(answer.tell()))).map_err(|_| stopped())?;
            }
            self.decode(&[token])?;
        };
        let (text, call) = answer.end();
        let tokens = Tokens { prompt: prompt.len() as u64, completion: u64::from(said) };
        if !text.is_empty() {
            job.pieces.try_send(Ok(Piece::Text(text))).map_err(|_| stopped())?;
        }
        let finish = if call.is_some() { Finish::ToolCalls } else { finish };
        let end = End { calls: call.into_iter().collect(), finish, tokens: Some(tokens) };
        job.pieces.try_send(Ok(Piece::End(end))).map_err(|_| stopped())?;
        Ok(tokens)
    }

    /// The prompt, if there is room for it and an answer.
    fn tokens_of(&self, job: &Job) -> Result<Vec<LlamaToken>, Failure> {
        let text = self.loaded.template.render(turns(&job.request)).map_err(|error| {
            tracing::warn!(error, model = self.loaded.name, "a model's chat template could not be filled");
            self.unavailable("has a chat template that does not take the conversation")
        })?;
        if text.len() > LONGEST_PROMPT {
            return Err(Failure::Refused(format!("it has {} bytes, which is more than any model takes", text.len())));
        }
        let vocabulary = self.loaded.model.vocab();
        let mut tokens = vocabulary.tokenize(text.as_bytes(), false, true);
        if vocabulary.should_add_bos() && tokens.first() != Some(&vocabulary.bos()) {
            tokens.insert(0, vocabulary.bos());
        }
        if tokens.len() >= self.room {
            let (has, name, takes) = (tokens.len(), &self.loaded.name, self.room);
            return Err(Failure::Refused(format!(
                "it has {has} tokens, and the model {name} takes {takes} with its answer"
            )));
        }
        if tokens.is_empty() {
            return Err(Failure::Refused("it says nothing".into()));
        }
        Ok(tokens)
    }

    /// Reads a prompt from where it parts from what the context holds.
    fn read(&mut self, prompt: &[LlamaToken], job: &Job, ending: &AtomicBool) -> Result<(), Failure> {
        let common = prompt.iter().zip(&self.held).take_while(|(new, held)| new == held).count();
        // The last token is always read: the answer begins with what follows from it.
        let common = common.min(prompt.len() - 1);
        let from = u32::try_from(common).unwrap_or(0);
        let is_cut = self.context.clear_kv_cache_seq(Some(0), Some(from), None).unwrap_or(false);
        // Some kinds of models cannot forget in part.
        if is_cut {
            self.held.truncate(common)
        } else {
            self.forget()
        }
        let new = prompt.get(self.held.len()..).unwrap_or_default();
        for batch in new.chunks(BATCH) {
            wanted(job, ending)?;
            self.decode(batch)?;
        }
        Ok(())
    }

    fn decode(&mut self, tokens: &[LlamaToken]) -> Result<(), Failure> {
        let mut batch = LlamaBatch::new(tokens.len(), 1);
        for (at, token) in tokens.iter().enumerate() {
            // invariant: as long as the tokens, and no context has 2³¹ of them.
            let position = i32::try_from(self.held.len() + at).unwrap_or(i32::MAX);
            batch.add(*token, position, &[SEQUENCE], at + 1 == tokens.len()).map_err(|_| stopped())?;
        }
        if let Err(error) = self.context.decode(&mut batch) {
            tracing::warn!(%error, model = self.loaded.name, "a model could not compute");
            self.forget();
            return Err(self.unavailable("could not compute"));
        }
        self.held.extend_from_slice(tokens);
        Ok(())
    }

    fn forget(&mut self) {
        self.context.clear_kv_cache();
        self.held.clear();
    }

    fn unavailable(&self, why: &str) -> Failure {
        Failure::Unavailable(format!("the model {} {why}", self.loaded.name))
    }
}

/// Whether somebody still waits for the answer.
fn wanted(job: &Job, ending: &AtomicBool) -> Result<(), Failure> {
    if ending.load(Ordering::Relaxed) || job.pieces.is_closed() {
        return Err(stopped());
    }
    if Instant::now() < job.deadline { Ok(()) } else { Err(Failure::Late) }
}
