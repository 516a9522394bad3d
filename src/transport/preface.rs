//! The first words of a connection: which version of HTTP the peer speaks.
//!
//! hyper waits for them without a deadline, and a drain would wait with it. So they are read here,
//! before the connection is hyper's.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http2::PREFACE;

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

/// Reads the preface.
///
/// # Errors
///
/// If the peer goes away, is silent, or says something else.
pub async fn http2<I: AsyncRead + AsyncWrite + Unpin>(stream: &mut I) -> io::Result<()> {
    if first_words(stream).await? != PREFACE {
        // What becomes of the explanation is the other side's business.
        let _ = tokio::time::timeout(FAREWELL, explain(stream)).await;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not HTTP/2"));
    }
    Ok(())
}

/// A stream whose preface has been read, as if it had not.
pub fn again<I: AsyncRead + AsyncWrite>(stream: I) -> impl AsyncRead + AsyncWrite + Unpin {
    let (rest, writer) = tokio::io::split(stream);
    tokio::io::join(PREFACE.chain(rest), writer)
}

/// Reads until it is certain whether HTTP/1 or HTTP/2 comes, and returns the stream as if nothing
/// had been read of it.
///
/// # Errors
///
/// If the peer goes away or is silent.
pub async fn either(
    mut stream: TcpStream,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    let words = io::Cursor::new(first_words(&mut stream).await?);
    let (rest, writer) = stream.into_split();
    Ok(tokio::io::join(words.chain(rest), writer))
}

async fn explain<I: AsyncRead + AsyncWrite + Unpin>(stream: &mut I) -> io::Result<()> {
    stream.write_all(WRONG_PROTOCOL).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut (&mut *stream).take(UNREAD_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

/// The preface, or as much as shows that what comes is something else.
async fn first_words<I: AsyncRead + Unpin>(stream: &mut I) -> io::Result<Vec<u8>> {
    let reading = async {
        let mut words = Vec::with_capacity(PREFACE.len());
        while words.len() < PREFACE.len() && PREFACE.starts_with(&words) {
            let missing = PREFACE.len() - words.len();
            if (&mut *stream).take(missing as u64).read_buf(&mut words).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(words)
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}
