//! Parses the command line, runs it, prints the error, sets the exit code.

use std::process::ExitCode;

use carrel::cli::{self, Failure};
use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("carrel: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
