//! `/workspaces/{workspace_id}/sessions/{session_id}/export`: a conversation as a file.

use std::io::{BufWriter, Seek, Write};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::access::{Ids, In, ReadSessions};
use super::error::{Answer, blocking};
use super::page::Params;
use super::sessions::{MessageView, View};
use super::transcript;
use crate::app::App;
use crate::error::{Error, Result};
use crate::workspace::Workspace;
use crate::workspace::session_list::Part;

/// Letters and digits of a title that go into a file's name.
const LONGEST_NAME: usize = 60;

/// Writes a conversation in some form and gives its title.
type Writer = fn(&Workspace, Uuid, &mut dyn Write) -> Result<String>;

#[derive(Deserialize)]
pub struct Wanted {
    format: Option<String>,
}

/// `GET /workspaces/{workspace_id}/sessions/{session_id}/export?format=`
pub async fn export(
    entered: In<ReadSessions>,
    ids: Ids,
    State(app): State<Arc<App>>,
    Params(wanted): Params<Wanted>,
) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("session_id", "session")?);
    let (write, media_type, ending): (Writer, _, _) = match wanted.format.as_deref() {
        None | Some("markdown") => (as_markdown, "text/markdown; charset=utf-8", "md"),
        Some("json") => (as_json, "application/json", "json"),
        Some(_) => return Err(Error::invalid("format", "must be markdown or json").into()),
    };
    // Written out before it is sent: the database's log must not wait for whoever reads slowly.
    let written = blocking(move || {
        let mut file = app.directory.scratch_file()?;
        let mut out = BufWriter::new(&mut file);
        let title = write(&workspace, id, &mut out)?;
        out.flush()?;
        drop(out);
        file.rewind()?;
        Ok((file, title))
    });
    let (file, title) = written.await?;
    let mut response = Response::new(Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{}.{ending}\"", file_name(&title, id)));
    headers.insert(CONTENT_DISPOSITION, name.unwrap_or(HeaderValue::from_static("attachment")));
    Ok(response)
}

/// Writes `{"session", "agent", "messages"}` and gives the title.
fn as_json(workspace: &Workspace, session: Uuid, out: &mut dyn Write) -> Result<String> {
    let (mut title, mut between) = (String::new(), "");
    workspace.each_part(session, |part| {
        match part {
            Part::Head(head) => {
                let (listed, agent) = *head;
                title.clone_from(&listed.session.title);
                let agent = json!({"id": agent.id, "name": agent.name, "slug": agent.slug});
                let session = json!(View::of(workspace.id(), listed));
                write!(out, "{{\"session\":{session},\"agent\":{agent},\"messages\":[")?;
            }
            Part::Message(message) => {
                write!(out, "{between}\n{}", json!(MessageView::from(*message)))?;
                between = ",";
            }
        }
        Ok(())
    })?;
    out.write_all(b"\n]}\n")?;
    Ok(title)
}

/// Writes what [`transcript`] makes of it and gives the title.
fn as_markdown(workspace: &Workspace, session: Uuid, out: &mut dyn Write) -> Result<String> {
    let (mut title, mut speaker) = (String::new(), String::new());
    workspace.each_part(session, |part| {
        let text = match part {
            Part::Head(head) => {
                let (listed, agent) = *head;
                let text = transcript::head(&listed, &agent.name);
                (title, speaker) = (listed.session.title, agent.name);
                text
            }
            Part::Message(message) => transcript::said(&message, &speaker),
        };
        Ok(out.write_all(text.as_bytes())?)
    })?;
    Ok(title)
}

/// A name that is safe on every system: what of the title is plain letters and digits, or else the id.
fn file_name(title: &str, session: Uuid) -> String {
    let mut name = String::new();
    for c in crate::text::fold(title).chars() {
        match c.is_ascii_alphanumeric() {
            true => name.push(c),
            false if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            false => {}
        }
        if name.len() >= LONGEST_NAME {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    // So that none is called as a device is.
    if name.is_empty() { format!("session-{session}") } else { format!("session-{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_a_name_that_no_system_takes_amiss() {
        let name = |title: &str| file_name(title, Uuid::nil());
        assert_eq!(name("Who services the *centrifuge*?"), "session-who-services-the-centrifuge");
        assert_eq!(name("../../Über \"alles\"\r\nX: y"), "session-uber-alles-x-y");
        assert_eq!(name("面会時間"), format!("session-{}", Uuid::nil()));
        assert_eq!(name("con"), "session-con");
        assert_eq!(name(&"ab ".repeat(100)).len(), "session-".len() + 59);
    }
}
