//! Flags of the system that Carrel replaces, so that scripts written for it go on working.

use clap::Args;

/// Characters of a token, as a rule of thumb: what counted in characters then counts in tokens now.
const CHARACTERS: u32 = 4;
/// Tokens that a chunk may aim at.
const FEWEST: u32 = 16;
const MOST: u32 = 65_536;

#[derive(Args)]
#[command(next_help_heading = "Flags of the system before")]
pub struct Former {
    /// Characters that a chunk aims at: a quarter of it in tokens, as far as the embedding model's window goes
    #[arg(long, value_name = "CHARACTERS", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    chunk_size: Option<u32>,
    /// Has no effect: chunks do not overlap, and a search gives a hit's neighbours where it is asked to
    #[arg(long, value_name = "CHARACTERS", hide_short_help = true)]
    chunk_overlap: Option<u32>,
    /// Has no effect: there is no slower way
    #[arg(long, hide_short_help = true)]
    fast: bool,
    /// Has no effect: text is always cut along its structure
    #[arg(long, hide_short_help = true)]
    no_semantic: bool,
}

impl Former {
    /// Tokens that a chunk is to aim at.
    pub fn chunk_tokens(&self) -> Option<u32> {
        self.chunk_size.map(|characters| (characters / CHARACTERS).clamp(FEWEST, MOST))
    }

    /// Says which flags do nothing, and why.
    pub fn explain(&self) {
        if self.chunk_overlap.is_some() {
            eprintln!("--chunk-overlap has no effect: chunks do not overlap; `expand` in a search gives neighbours");
        }
        if self.fast {
            eprintln!("--fast has no effect: there is no slower way");
        }
        if self.no_semantic {
            eprintln!("--no-semantic has no effect: text is always cut along its structure");
        }
    }
}
