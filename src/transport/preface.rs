//! The first words of a connection: whether the peer speaks HTTP/2 at all.
//!
//! hyper waits for them without a deadline, and a drain would wait with it. So they are read here,
//! before the connection is hyper's.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What every HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A proxy says it with its first packet. Whoever takes longer than this holds a place for
/// nothing.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long somebody who speaks something else may take to hear so.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is read of such a call before its end: closing with bytes unread would reset the
/// connection, and the explanation would be lost with it.
const UNREAD_BYTES_MAX: u64 = 64 << 10;

/// What somebody gets who came with HTTP/1, as browsers and curl do.
const WRONG_PROTOCOL: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks gRPC, that is HTTP/2 without TLS. Try: grpcurl -plaintext HOST:PORT list\n";

/// Reads the preface, and returns the stream as if nothing had been read of it.
///
/// # Errors
///
/// If the peer goes away, is silent, or says something else.
pub async fn read(
    mut stream: TcpStream,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    match tokio::time::timeout(DEADLINE, is_http2(&mut stream)).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => {
            // What becomes of the explanation is the other side's business.
            let _ = tokio::time::timeout(FAREWELL, explain(stream)).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not HTTP/2"));
        }
        Ok(Err(error)) => return Err(error),
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    }
    let (rest, writer) = stream.into_split();
    Ok(tokio::io::join(PREFACE.chain(rest), writer))
}

async fn explain(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(WRONG_PROTOCOL).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(UNREAD_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Whether what comes is the preface, said as soon as it is certain.
async fn is_http2(stream: &mut TcpStream) -> io::Result<bool> {
    let mut bytes = [0; PREFACE.len()];
    let mut read = 0;
    while read < bytes.len() {
        match stream.read(&mut bytes[read..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => read += more,
        }
        if !PREFACE.starts_with(&bytes[..read]) {
            return Ok(false);
        }
    }
    Ok(true)
}
