//! Bodies that blocking code writes or reads, some kilobytes at a time.

use std::io::{self, Read, Write};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;
/// Pieces that wait for whoever is slower.
const WAITING: usize = 8;
/// How long a sender may be silent.
const SILENCE: Duration = Duration::from_secs(60);

type Piece = io::Result<Bytes>;

/// The writing end of a body.
struct Writer {
    pieces: mpsc::Sender<Piece>,
    buffer: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        if piece.is_empty() {
            return Ok(());
        }
        // Whoever was to read it has gone; so may whoever writes.
        self.pieces.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// A body that `write` writes on a blocking thread. Where it fails the connection breaks off, so that nobody takes
/// what came for all there was.
pub fn written(write: impl FnOnce(&mut dyn Write) -> Result<()> + Send + 'static) -> Body {
    let (pieces, mut receiver) = mpsc::channel::<Piece>(WAITING);
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        let mut writer = Writer { pieces: pieces.clone(), buffer: Vec::with_capacity(2 * PIECE) };
        if let Err(error) = write(&mut writer).and_then(|()| Ok(writer.flush()?)) {
            tracing::warn!(%error, "a download broke off");
            // A reader that has gone needs no word of it.
            let _ = pieces.blocking_send(Err(io::Error::other("the download broke off")));
        }
    });
    Body::from_stream(futures_util::stream::poll_fn(move |context| receiver.poll_recv(context)))
}

/// The reading end of a body.
struct Reader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        let piece = self.current.split_to(count);
        if let Some(place) = buffer.get_mut(..count) {
            place.copy_from_slice(&piece);
        }
        Ok(count)
    }
}

/// Gives a body to `read` on a blocking thread. A sender that breaks off or falls silent is an error to the reader.
pub async fn read<T: Send + 'static>(
    body: Body,
    read: impl FnOnce(&mut dyn Read) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, pieces) = mpsc::channel::<Piece>(WAITING);
    let span = tracing::Span::current();
    let work = tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        read(&mut Reader { pieces, current: Bytes::new() })
    });
    let mut stream = body.into_data_stream();
    loop {
        let next = tokio::time::timeout(SILENCE, stream.next()).await;
        let piece = match next {
            Ok(None) => break,
            Ok(Some(Ok(bytes))) => Ok(bytes),
            Ok(Some(Err(_))) => Err(io::Error::other("the upload broke off")),
            Err(_) => Err(io::Error::other("the upload fell silent")),
        };
        let ended = piece.is_err();
        // A reader that needs no more has made up its mind.
        if sender.send(piece).await.is_err() || ended {
            break;
        }
    }
    drop(sender);
    work.await.map_err(|e| Error::internal("reading an upload ended early", e))?
}
