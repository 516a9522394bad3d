//! Connecting to a server and calling it: HTTP/2 without a gRPC library, which would cost more
//! than many a server that is measured.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::answer::{self, Answer};
use crate::settings::Target;

const PATH: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// What a server may send ahead of our reading, per call and per connection: more than all the
/// answers that can be open, so that no answer ever waits for leave to be sent.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 24;

/// An answer that is longer is none; so that a strange server cannot fill our memory.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// gRPC's number for "all went well", and for "there is no such service".
pub const GRPC_OK: u32 = 0;
pub const GRPC_UNIMPLEMENTED: u32 = 12;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server answered with a gRPC status that is an error.
    Status { code: u32, message: String },
    /// The server answered with something else than gRPC.
    NotGrpc(String),
    /// The server gave up this call.
    Reset(String),
    /// The connection ended.
    Lost(String),
}

/// One end of a connection. Clones share it, each for one call at a time.
#[derive(Clone, Debug)]
pub struct Caller {
    send: SendRequest<Bytes>,
    request: Request<()>,
}

impl Caller {
    /// Opens a connection, served by a task of the set of local tasks that this runs in.
    pub async fn connect(target: &Target) -> io::Result<Caller> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, async {
            match target {
                Target::Tcp(addr) => {
                    let stream = TcpStream::connect(addr).await?;
                    stream.set_nodelay(true)?;
                    Caller::over(stream, addr).await
                }
                Target::Unix(path) => Caller::over_unix(path).await,
            }
        });
        connected.await.map_err(|_| {
            let waited = CONNECT_TIMEOUT.as_secs();
            io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {waited} s"))
        })?
    }

    async fn over_unix(path: &Path) -> io::Result<Caller> {
        // A socket's path is no host's name, and every call must name one.
        Caller::over(UnixStream::connect(path).await?, "localhost").await
    }

    async fn over<S>(stream: S, authority: &str) -> io::Result<Caller>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let request = Request::post(format!("http://{authority}{PATH}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "write it as host:port"))?;
        let (send, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        // How it ended is told to every call that was open.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(Caller { send, request })
    }

    /// Sends a message and reads its answer.
    pub async fn call(&mut self, message: Bytes) -> Result<Answer, Failure> {
        std::future::poll_fn(|context| self.send.poll_ready(context)).await.map_err(lost)?;
        let (response, mut body) =
            self.send.send_request(self.request.clone(), false).map_err(lost)?;
        body.send_data(message, true).map_err(failure)?;
        let (head, mut body) = response.await.map_err(failure)?.into_parts();
        if !head.status.is_success() {
            return Err(Failure::NotGrpc(format!("HTTP status {}", head.status.as_u16())));
        }
        let message = read(&mut body).await?;
        // An error without a message comes in the headers.
        let trailers = body.trailers().await.map_err(failure)?;
        let ended = trailers.as_ref().unwrap_or(&head.headers);
        match status(ended).ok_or_else(|| Failure::NotGrpc("no grpc-status".into()))? {
            GRPC_OK => answer::read(&message)
                .ok_or_else(|| Failure::NotGrpc("an answer that cannot be read".into())),
            code => Err(Failure::Status { code, message: text(ended, "grpc-message") }),
        }
    }
}

/// The body of an answer, nearly always in one piece.
async fn read(body: &mut h2::RecvStream) -> Result<Bytes, Failure> {
    let mut whole = Bytes::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(failure)?;
        let _ = body.flow_control().release_capacity(piece.len());
        whole = if whole.is_empty() { piece } else { joined(&whole, &piece) };
        if ANSWER_BYTES_MAX < whole.len() {
            return Err(Failure::NotGrpc("an answer of more than 4 MiB".into()));
        }
    }
    Ok(whole)
}

fn joined(first: &[u8], second: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(first.len() + second.len());
    whole.extend_from_slice(first);
    whole.extend_from_slice(second);
    whole.freeze()
}

fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn failure(error: h2::Error) -> Failure {
    if error.is_reset() { Failure::Reset(error.to_string()) } else { lost(error) }
}

fn lost(error: h2::Error) -> Failure {
    Failure::Lost(error.to_string())
}
