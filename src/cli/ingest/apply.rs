//! Brings a workspace in step with what a plan says: sends, removes, and tells what became of it.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;

use super::super::{Failure, Outcome};
use super::holdings::Holdings;
use super::plan::{self, Gone, Step};
use super::report::Report;
use super::send::{Sender, Sent, shipments};

/// Documents that are removed at once; they share a commit.
const REMOVED_AT_ONCE: usize = 16;

pub struct Run<'a> {
    pub sender: Sender<'a>,
    /// Requests under way at once.
    pub at_once: usize,
    /// Whether what concerns all files ends the run, to be begun anew later.
    pub gives_up: bool,
    /// Whether documents go that an archive held in the state before and does not hold any more.
    pub prunes: bool,
    /// Whether small files go together, which takes a look at the list of documents afterwards.
    pub together: bool,
    pub bar: ProgressBar,
}

impl Run<'_> {
    /// Sends `steps` and removes `gone`; `holdings` are what the workspace holds, before and after.
    ///
    /// # Errors
    /// What concerns all files, where the run gives up for that. What concerns one is in the report.
    pub async fn apply(
        &self,
        steps: Vec<Step>,
        gone: &[Gone],
        holdings: &mut Holdings,
        report: &mut Report,
    ) -> Outcome<()> {
        let (mut filed, mut unpacked) = (Vec::new(), Vec::new());
        let mut sending = stream::iter(shipments(steps, self.together))
            .map(|shipment| self.sender.send(shipment))
            .buffer_unordered(self.at_once);
        while let Some((sources, outcome)) = sending.next().await {
            self.bar.inc(sources.len() as u64);
            match outcome {
                Ok(all) => {
                    all.into_iter().try_for_each(|sent| note(sent, &mut filed, &mut unpacked, report, holdings))?
                }
                Err(Failure::Closed) => return Err(Failure::Closed),
                Err(failure) if self.gives_up && concerns_all(&failure) => return Err(failure),
                Err(failure) => {
                    let (code, message) = match failure {
                        Failure::Refused { code, detail } => (code, detail),
                        other => ("failed".to_owned(), other.to_string()),
                    };
                    sources.iter().try_for_each(|source| report.fail(source, &code, &message))?;
                }
            }
        }
        self.look_up(filed, holdings, report).await?;
        self.remove(gone, holdings, report).await?;
        if self.prunes && unpacked.iter().any(|archive| archive.replaces) {
            *holdings = Holdings::list(self.sender.client, self.sender.workspace).await?;
            let failed: HashSet<String> = report.failed().map(|(source, _)| source.to_owned()).collect();
            let gone = plan::left_behind(holdings, &unpacked, |source| failed.contains(source));
            self.remove(&gone, holdings, report).await?;
        }
        Ok(())
    }

    /// Tells what became of files that went in with others: a job counts documents and does not show them.
    async fn look_up(&self, filed: Vec<Step>, holdings: &mut Holdings, report: &mut Report) -> Outcome<()> {
        if filed.is_empty() {
            return Ok(());
        }
        let sources: HashSet<String> = filed.iter().map(|step| step.file.source.clone()).collect();
        holdings.look_up(self.sender.client, self.sender.workspace, sources).await?;
        for step in filed {
            let source = &step.file.source;
            match holdings.documents.get(source).filter(|held| held.hash == step.hash) {
                Some(held) => {
                    report.note(if step.replaces { "replaced" } else { "added" }, source, 1, held.chunks)?;
                    report.warn(source, &held.warnings)?;
                }
                None => report.fail(source, "failed", "the job ended without it, or it was changed since")?,
            }
        }
        Ok(())
    }

    async fn remove(&self, gone: &[Gone], holdings: &mut Holdings, report: &mut Report) -> Outcome<()> {
        let mut removing = stream::iter(gone)
            .map(|gone| async move { (gone, self.sender.remove(gone).await) })
            .buffer_unordered(REMOVED_AT_ONCE);
        while let Some((gone, outcome)) = removing.next().await {
            match outcome {
                Ok(()) => {
                    holdings.documents.remove(&gone.source);
                    report.note("removed", &gone.source, 1, 0)?;
                }
                Err(failure) if self.gives_up && concerns_all(&failure) => return Err(failure),
                Err(failure) => report.fail(&gone.source, "failed", &failure.to_string())?,
            }
        }
        Ok(())
    }
}

fn note(
    sent: Sent,
    filed: &mut Vec<Step>,
    unpacked: &mut Vec<Step>,
    report: &mut Report,
    holdings: &mut Holdings,
) -> Outcome<()> {
    match sent {
        Sent::Filed(step) => {
            filed.push(step);
            Ok(())
        }
        Sent::Stored { document, how, chunks } => {
            let source = holdings.take(&document).unwrap_or_default();
            report.note(how, &source, 1, chunks)?;
            if how == "unchanged" { Ok(()) } else { report.warn(&source, &document["warnings"]) }
        }
        Sent::Unpacked { step, documents, chunks, warnings, errors, whole, unnamed } => {
            holdings.stale = true;
            let how = if step.replaces { "replaced" } else { "added" };
            report.note(how, &step.file.source, documents, chunks)?;
            warnings.iter().try_for_each(|(source, warnings)| report.warn(source, warnings))?;
            report.fail_unnamed(unnamed);
            errors.iter().try_for_each(|error| {
                let text = |name: &str| error[name].as_str().unwrap_or_default();
                report.fail(text("source"), text("code"), text("message"))
            })?;
            // What was not looked at, or failed without a name, may be what was there before.
            if whole {
                unpacked.push(step);
            }
            Ok(())
        }
        Sent::Failed { source, code, message } => report.fail(&source, &code, &message),
    }
}

/// Whether every other file would fail in the same way.
fn concerns_all(failure: &Failure) -> bool {
    let refused = |code: &str| ["unauthorized", "forbidden", "not_found"].contains(&code);
    passes(failure) || matches!(failure, Failure::Refused { code, .. } if refused(code))
}

/// Whether it is worth trying again later.
pub fn passes(failure: &Failure) -> bool {
    let later = |code: &str| ["unavailable", "insufficient_storage", "rate_limited"].contains(&code);
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Refused { code, .. } => later(code),
        _ => false,
    }
}
