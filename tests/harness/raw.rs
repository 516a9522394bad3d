//! Calls without a gRPC library, so that a test can say what no library would.

use std::net::SocketAddr;

use h2::client::{self, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};
use prost::Message;
use prost::bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitRequest;

/// The path of the hot call.
pub const HOT: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// What a peer may want of the flow of bytes towards it.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    pub stream: u32,
    pub connection: u32,
}

/// A connection of HTTP/2.
#[derive(Clone)]
pub struct Raw {
    send: SendRequest<Bytes>,
    authority: String,
}

/// An answer, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub grpc_status: Option<String>,
    pub grpc_message: Option<String>,
    pub body: Vec<u8>,
}

impl Raw {
    pub async fn connect(addr: SocketAddr) -> Raw {
        Raw::connect_with(addr, client::Builder::new()).await
    }

    pub async fn connect_within(addr: SocketAddr, windows: Windows) -> Raw {
        let mut builder = client::Builder::new();
        builder
            .initial_window_size(windows.stream)
            .initial_connection_window_size(windows.connection);
        Raw::connect_with(addr, builder).await
    }

    async fn connect_with(addr: SocketAddr, builder: client::Builder) -> Raw {
        let stream = TcpStream::connect(addr).await.expect("the server accepts");
        let (send, connection) = builder.handshake(stream).await.expect("HTTP/2");
        // It ends with the server.
        tokio::spawn(async move { drop(connection.await) });
        Raw { send, authority: addr.to_string() }
    }

    /// Headers as gRPC wants them, for a test to spoil.
    pub fn request(&self, path: &str) -> Request<()> {
        let uri = format!("http://{}{path}", self.authority);
        let request = Request::builder().method(Method::POST).uri(uri);
        let request = request.header("content-type", "application/grpc").header("te", "trailers");
        request.body(()).expect("a sound request")
    }

    pub async fn begin(
        &self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut send = self.send.clone().ready().await.expect("an open connection");
        send.send_request(request, ends).expect("a sound request")
    }

    /// Sends a request in these parts and reads the answer to its end.
    pub async fn call(&self, request: Request<()>, parts: &[Bytes]) -> Result<Answer, h2::Error> {
        let (response, mut body) = self.begin(request, parts.is_empty()).await;
        for (position, part) in parts.iter().enumerate() {
            // What the server does not want to hear to the end is said as far as it goes.
            if body.send_data(part.clone(), position + 1 == parts.len()).is_err() {
                break;
            }
        }
        read(response.await?).await
    }

    pub async fn hot(&self, parts: &[Bytes]) -> Result<Answer, h2::Error> {
        self.call(self.request(HOT), parts).await
    }
}

/// Reads an answer to its end, and lets the server send more as it is read.
pub async fn read(response: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut rest) = response.into_parts();
    let mut body = Vec::new();
    while let Some(part) = rest.data().await {
        let part = part?;
        rest.flow_control().release_capacity(part.len())?;
        body.extend_from_slice(&part);
    }
    let trailers = rest.trailers().await?.unwrap_or_default();
    let field = |name: &str| {
        let find = |fields: &HeaderMap| Some(fields.get(name)?.to_str().ok()?.to_owned());
        find(&trailers).or_else(|| find(&head.headers))
    };
    Ok(Answer {
        status: head.status.as_u16(),
        grpc_status: field("grpc-status"),
        grpc_message: field("grpc-message"),
        body,
    })
}

/// A message with its head.
pub fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::from(&[0][..]);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    framed.freeze()
}

pub fn framed_request(request: &RateLimitRequest) -> Bytes {
    framed(&request.encode_to_vec())
}
