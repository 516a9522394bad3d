//! What stands behind Envoy: an HTTP server on a free port, by default one that answers requests
//! with 200.
//!
//! That one sends the request's `x-cost` back, so that a test says what an answer costs, as
//! `x-tokens-used` too, and its `x-body` as the body. A request with `x-hang` is never answered,
//! one with `x-fail` with a 503, one with `x-status` with that.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves until it is dropped.
pub struct Backend {
    pub addr: SocketAddr,
    served: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

/// What an application is to a server.
pub trait Application: Send + Sync + 'static {
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

pub type Reply = Response<Full<Bytes>>;

struct Fine;

impl Backend {
    pub async fn start() -> Backend {
        Backend::serving(Arc::new(Fine)).await
    }

    pub async fn serving(application: Arc<impl Application>) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let served = Arc::new(AtomicUsize::new(0));
        let serving = tokio::spawn(accept(listener, application, served.clone()));
        Backend { addr, served, serving }
    }

    /// Requests that came through. Relaxed: the request's own answer orders the count.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(
    listener: TcpListener,
    application: Arc<impl Application>,
    served: Arc<AtomicUsize>,
) {
    loop {
        let (stream, _) = listener.accept().await.expect("the listener is sound");
        let (application, served) = (application.clone(), served.clone());
        let service = service_fn(move |request| {
            served.fetch_add(1, Ordering::Relaxed);
            let application = application.clone();
            async move { Ok::<_, Infallible>(application.answer(request).await) }
        });
        // Envoy ends connections as it likes; that is no failure of a test.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl Application for Fine {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let header = |name| request.headers().get(name);
        if header("x-hang").is_some() {
            std::future::pending::<()>().await;
        }
        let body = header("x-body").map(|body| Bytes::copy_from_slice(body.as_bytes()));
        let mut answer = Response::new(Full::new(body.unwrap_or(Bytes::from_static(b"fine"))));
        if let Some(cost) = header("x-cost") {
            answer.headers_mut().insert("x-cost", cost.clone());
            answer.headers_mut().insert("x-tokens-used", cost.clone());
        }
        if header("x-fail").is_some() {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let status = header("x-status").and_then(|text| text.to_str().ok());
        if let Some(status) = status.and_then(|text| text.parse().ok()) {
            *answer.status_mut() = status;
        }
        answer
    }
}
