//! Accepting connections, and waiting out the errors of accepting.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::unix::Unix;

/// The first wait after a failure. Errors such as running out of file descriptors last until some
/// connection ends; trying again at once would only burn a core.
const BACKOFF_MIN: Duration = Duration::from_millis(5);

/// No wait is longer, so that a server is back within a second of the cause going away.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// How long to wait after the next failure.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff(BACKOFF_MIN)
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(BACKOFF_MAX);
        wait
    }
}

/// Where connections come from.
pub trait Listener {
    type Stream;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // An answer is one small packet; it must not wait for another to fill it up. A stream that
        // refuses the option still works.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

impl Listener for Unix {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await
    }
}

/// The next connection, however long errors last.
pub async fn accept<L: Listener>(listener: &L, backoff: &mut Backoff) -> L::Stream {
    loop {
        match listener.next().await {
            Ok(stream) => {
                *backoff = Backoff::default();
                return stream;
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                let wait = backoff.next();
                tracing::warn!(%error, wait_ms = wait.as_millis(), "cannot accept connections");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// The peer gave up between its knock and our answer: the next one can be served at once.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(), BACKOFF_MIN);
        assert_eq!(backoff.next(), BACKOFF_MIN * 2);
        for _ in 0..20 {
            backoff.next();
        }
        assert_eq!(backoff.next(), BACKOFF_MAX);
    }
}
