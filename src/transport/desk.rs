//! How connections come from the one who accepts them to those who serve them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::accept::{self, Backoff};
use super::connection::{self, Served};
use super::http2::Method;
use super::library::Services;
use super::unix::Unix;
use super::{CONNECTIONS_MAX, Drained, drain, stopped};

/// The number stands alone: no other memory is published through it.
const RELAXED: Ordering = Ordering::Relaxed;

/// Where connections are handed in for one thread.
#[derive(Debug)]
pub struct Desk {
    arrivals: mpsc::UnboundedSender<Arrival>,
    /// Connections that were handed in here and are open.
    open: Arc<AtomicUsize>,
}

/// What comes to one thread.
#[derive(Debug)]
pub struct Arriving(mpsc::UnboundedReceiver<Arrival>);

/// A connection on its way, and what it holds as long as it is open.
#[derive(Debug)]
struct Arrival {
    stream: Stream,
    place: Place,
}

/// A stream between two pollers.
#[derive(Debug)]
enum Stream {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Where calls may come from.
#[derive(Debug)]
pub struct Listeners {
    pub tcp: TcpListener,
    pub unix: Option<Unix>,
}

/// One of the connections that there may be.
#[derive(Debug)]
struct Place {
    open: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, RELAXED);
    }
}

/// A desk, and what is handed in there. What waits is bounded by the connections there may be.
pub fn desk() -> (Desk, Arriving) {
    let (arrivals, arriving) = mpsc::unbounded_channel();
    (Desk { arrivals, open: Arc::default() }, Arriving(arriving))
}

impl Desk {
    fn hand_in(&self, stream: Stream, permit: OwnedSemaphorePermit) {
        self.open.fetch_add(1, RELAXED);
        let place = Place { open: self.open.clone(), _permit: permit };
        // A thread that has ended takes nothing more, and the connection is closed.
        let _ = self.arrivals.send(Arrival { stream, place });
    }
}

impl Listeners {
    /// The next stream, off the poller that it came by: each thread reads by its own. None is one
    /// that has just broken.
    async fn accept(&self, tcp: &mut Backoff, unix: &mut Backoff) -> Option<Stream> {
        let from_unix = async {
            match &self.unix {
                Some(listener) => accept::accept(listener, unix).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            stream = accept::accept(&self.tcp, tcp) => stream.into_std().ok().map(Stream::Tcp),
            stream = from_unix => stream.into_std().ok().map(Stream::Unix),
        }
    }
}

/// Accepts until told to stop, and hands each connection in where fewest are open.
pub async fn distribute(listeners: Listeners, desks: Vec<Desk>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (mut tcp, mut unix) = (Backoff::default(), Backoff::default());
    loop {
        let accepted = async {
            let permit = places.clone().acquire_owned().await.ok();
            (permit, listeners.accept(&mut tcp, &mut unix).await)
        };
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            (permit, stream) = accepted => {
                let fewest = desks.iter().min_by_key(|desk| desk.open.load(RELAXED));
                if let (Some(permit), Some(stream), Some(desk)) = (permit, stream, fewest) {
                    desk.hand_in(stream, permit);
                }
            }
        }
    }
}

/// Serves what arrives until told to stop; then tells the open connections to finish what they
/// have accepted, and cuts what is left after `drain_deadline`.
pub async fn work<M: Method, S: Services>(
    Arriving(mut arriving): Arriving,
    served: Served<M, S>,
    mut stop: watch::Receiver<bool>,
    drain_deadline: Duration,
) -> Drained {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            arrival = arriving.recv() => {
                let Some(Arrival { stream, place }) = arrival else { break };
                let (served, stop) = (served.clone(), stop.clone());
                connections.spawn(async move {
                    serve(stream, served, stop).await;
                    drop(place);
                });
            }
        }
    }
    drain(connections, drain_deadline).await
}

/// Serves a stream by this thread's poller. One that cannot be is one that has just broken.
async fn serve<M: Method, S: Services>(
    stream: Stream,
    served: Served<M, S>,
    stop: watch::Receiver<bool>,
) {
    match stream {
        Stream::Tcp(stream) => {
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            connection::serve(stream, served, stop).await;
        }
        Stream::Unix(stream) => {
            let Ok(stream) = UnixStream::from_std(stream) else { return };
            connection::serve(stream, served, stop).await;
        }
    }
}
