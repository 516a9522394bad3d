//! The hot call, answered ahead of tonic's routes.
//!
//! `ShouldRateLimit` is nearly all that is ever asked here, and what tonic does around a method
//! costs more than deciding. So a call that has come whole and plain, as all proxies send it, is
//! read from its bytes and answered in place. Whatever is odd about one, in its headers or in how
//! its message is framed, is left to tonic with all that was read of it: what gRPC has to say of
//! oddities is said in one place. `tests/conformance.rs` asks both ways the same.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::{Service, service_fn};
use prost::bytes::{BufMut as _, BytesMut};
use tonic::Status;
use tonic::service::Routes;
use tower_service::Service as _;

use crate::gate::Gate;
use crate::queue::Place;

use super::ratelimit::{Decided, RateLimit};
use super::wire;

const PATH: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// Longer messages are left to tonic. The longest header that Envoy forwards fits twice.
const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// gRPC puts a flag and the length ahead of each message.
const HEAD_BYTES: usize = 5;

/// Answers are cut from a piece of memory of this size, a hundred or so from each. It is let go
/// with the last of them, so that a slow reader holds no more than a few of these.
const PIECE_BYTES: usize = 16 << 10;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

thread_local! {
    static PIECE: RefCell<BytesMut> = RefCell::default();
}

/// What one connection after another is served with.
struct Services {
    hot: Option<RateLimit>,
    routes: Routes,
}

/// All services of the data side; the hot call ahead of the others if `gate` is given.
pub fn services(
    gate: Option<Arc<Gate>>,
    routes: Routes,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Reply>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    let services = Arc::new(Services { hot: gate.map(RateLimit::new), routes });
    service_fn(move |request| answer(services.clone(), request))
}

async fn answer(
    services: Arc<Services>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let Some(hot) = services.hot.as_ref().filter(|_| is_plain(&request)) else {
        return Box::pin(services.routed(request)).await;
    };
    let (head, mut body) = request.into_parts();
    let read = read(&mut body).await;
    let Some(message) = only_message(&read) else {
        let begun = Begun { read: Some(read).filter(|read| !read.is_empty()), rest: body };
        return Box::pin(services.routed(Request::from_parts(head, begun))).await;
    };
    let answered = match decide(hot, message, &head.headers, None) {
        Ok(Decided::Answered(answer, None)) => Ok(answer),
        Ok(decided) => Box::pin(later(hot, decided, message, &head)).await,
        Err(status) => Err(status),
    };
    Ok(answered.map_or_else(Status::into_http, whole))
}

/// Answers a call that waits, for room or for the disk.
async fn later(
    hot: &RateLimit,
    decided: Decided<Bytes>,
    message: &[u8],
    head: &Parts,
) -> Result<Bytes, Status> {
    hot.answered(decided, |place| decide(hot, message, &head.headers, Some(place))).await
}

fn decide(
    hot: &RateLimit,
    message: &[u8],
    headers: &HeaderMap,
    place: Option<Place>,
) -> Result<Decided<Bytes>, Status> {
    hot.is_open()?;
    let query = wire::query(message)?;
    Ok(hot.decide(&query, headers, place, |verdict, answer| {
        framed(|out| wire::response(verdict, answer, out))
    }))
}

/// Whether a call is one for this way, as far as its headers tell.
fn is_plain(request: &Request<Incoming>) -> bool {
    let headers = request.headers();
    request.uri().path() == PATH
        && request.method() == Method::POST
        && headers.get(CONTENT_TYPE) == Some(&GRPC)
        && !headers.contains_key("grpc-encoding")
}

/// The body, or as much of it as shows that it is no usual one.
async fn read(body: &mut Incoming) -> Bytes {
    let mut read = Bytes::new();
    while !body.is_end_stream() && read.len() <= MESSAGE_BYTES_MAX {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        // Who has broken off hears no answer, and trailers of a caller say nothing that counts.
        let Some(Ok(frame)) = frame else { break };
        let Ok(data) = frame.into_data() else { continue };
        if read.is_empty() {
            read = data;
        } else {
            let mut joined = BytesMut::with_capacity(read.len() + data.len());
            joined.extend_from_slice(&read);
            joined.extend_from_slice(&data);
            read = joined.freeze();
        }
    }
    read
}

/// The message, if the body is that and nothing else.
fn only_message(body: &[u8]) -> Option<&[u8]> {
    let (head, message) = body.split_first_chunk::<HEAD_BYTES>()?;
    let [0, length @ ..] = head else { return None };
    let whole = u32::from_be_bytes(*length) as usize == message.len();
    (whole && message.len() <= MESSAGE_BYTES_MAX).then_some(message)
}

/// A message with its head, cut from this thread's piece of memory.
fn framed(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    PIECE.with_borrow_mut(|piece| {
        if piece.capacity() < HEAD_BYTES {
            *piece = BytesMut::with_capacity(PIECE_BYTES);
        }
        piece.put_bytes(0, HEAD_BYTES);
        write(piece);
        // Answers are far shorter than what 32 bits hold.
        let length = (piece.len() - HEAD_BYTES) as u32;
        piece[1..HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
        piece.split().freeze()
    })
}

fn whole(answer: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(answer));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

impl Services {
    async fn routed<B>(&self, request: Request<B>) -> Result<Response<Reply>, Infallible>
    where
        B: Body<Data = Bytes, Error = hyper::Error> + Send + 'static,
    {
        let response = self.routes.clone().call(request).await?;
        Ok(response.map(Reply::Routed))
    }
}

/// A body of which the first part was read already.
struct Begun {
    read: Option<Bytes>,
    rest: Incoming,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.read.take() {
            Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none() && self.rest.is_end_stream()
    }
}

/// The body of an answer.
#[derive(Debug, Default)]
pub enum Reply {
    /// A message, and then that all is well.
    Whole(Bytes),
    Trailers,
    #[default]
    Ended,
    Routed(tonic::body::Body),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match &mut *self {
            Reply::Whole(message) => {
                let message = std::mem::take(message);
                *self = Reply::Trailers;
                Frame::data(message)
            }
            Reply::Trailers => {
                *self = Reply::Ended;
                Frame::trailers(all_is_well())
            }
            Reply::Ended => return Poll::Ready(None),
            Reply::Routed(body) => return Pin::new(body).poll_frame(cx),
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Reply::Whole(_) | Reply::Trailers => false,
            Reply::Ended => true,
            Reply::Routed(body) => body.is_end_stream(),
        }
    }
}

fn all_is_well() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}
