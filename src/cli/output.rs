//! Where an export goes: to standard output, or into a file that is there only once it is whole.

use std::fs::File;
use std::io::stdout;
use std::path::Path;

use super::client::Reply;
use super::{Failure, Outcome};

/// Writes what was answered.
pub async fn write(reply: Reply, output: Option<&Path>) -> Outcome<()> {
    let Some(file) = output else { return reply.write_to(&mut stdout()).await };
    if !reply.status.is_success() {
        return reply.json().await.map(|_| ());
    }
    let unwritable = |e: std::io::Error| Failure::Failed(format!("{} cannot be written: {e}", file.display()));
    let part = file.with_added_extension("part");
    let mut out = File::create(&part).map_err(unwritable)?;
    let written = match reply.write_to(&mut out).await {
        Ok(()) => out.sync_all().and_then(|()| std::fs::rename(&part, file)).map_err(unwritable),
        Err(failure) => Err(failure),
    };
    match &written {
        Ok(()) => eprintln!("{} was written", file.display()),
        // Why it failed is what matters.
        Err(_) => drop(std::fs::remove_file(&part)),
    }
    written
}
