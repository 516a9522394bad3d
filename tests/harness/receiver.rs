//! A receiver of alerts, for tests: keeps what is posted to it, and answers as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How the receiver answers one request.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    Status(u16),
    /// To another path of the same receiver.
    Redirect,
    /// Not at all.
    Never,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Posted {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

#[derive(Debug)]
pub struct Receiver {
    pub addr: SocketAddr,
    posted: mpsc::UnboundedReceiver<Posted>,
    seen: Arc<AtomicUsize>,
}

impl Receiver {
    /// A receiver that gives these answers in turn, and the last of them ever after.
    pub async fn answering(replies: &[Reply]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let (sender, posted) = mpsc::unbounded_channel();
        let seen = Arc::new(AtomicUsize::new(0));
        let turn = Arc::new(Mutex::new(replies.to_vec()));
        let counted = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, turn, seen) = (sender.clone(), turn.clone(), counted.clone());
                let answer = service_fn(move |request| {
                    seen.fetch_add(1, Ordering::Relaxed);
                    let reply = {
                        let mut turn = turn.lock().expect("no panic");
                        if turn.len() > 1 { turn.remove(0) } else { turn[0] }
                    };
                    answer(request, reply, sender.clone())
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Receiver { addr, posted, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?token=s3cr3t", self.addr)
    }

    /// The next request.
    pub async fn next(&mut self) -> Posted {
        let next = tokio::time::timeout(super::PATIENCE, self.posted.recv());
        next.await.expect("a request in time").expect("the receiver lives on")
    }

    /// How many requests there were.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Posted {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str().expect("text"));
        value.unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("alerts are JSON")
    }
}

async fn answer(
    request: Request<Incoming>,
    reply: Reply,
    sender: mpsc::UnboundedSender<Posted>,
) -> Result<Response<String>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let posted = Posted {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8(body.into()).expect("text"),
    };
    // A test that has seen enough has let go of the other end.
    let _ = sender.send(posted);
    let response = Response::builder();
    let response = match reply {
        Reply::Status(status) => response.status(status),
        Reply::Redirect => response.status(307).header("location", "/elsewhere"),
        Reply::Never => std::future::pending().await,
    };
    Ok(response.body(String::new()).expect("a sound response"))
}
