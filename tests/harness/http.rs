//! A client of the people's side, for tests: plain requests over HTTP/1.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Asks one server, always with the same headers.
#[derive(Clone, Debug)]
pub struct Http {
    addr: SocketAddr,
    headers: Vec<(String, String)>,
}

/// A status, and the body as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Http {
    /// Sends what curl would send.
    pub fn new(addr: SocketAddr) -> Http {
        // Who listens on every address is reached on loopback too.
        let addr = SocketAddr::from(([127, 0, 0, 1], addr.port()));
        let headers = [("host", addr.to_string()), ("content-type", "application/json".into())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        Http { addr, headers: headers.into() }
    }

    /// The same with a header in place of any of that name; none at all if it has no value.
    pub fn with(&self, name: &str, value: &str) -> Http {
        let mut headers = self.headers.clone();
        headers.retain(|(other, _)| other != name);
        if !value.is_empty() {
            headers.push((name.into(), value.into()));
        }
        Http { addr: self.addr, headers }
    }

    pub fn with_token(&self, token: &str) -> Http {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, String::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, body.to_string()).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: String) -> Answer {
        let stream = TcpStream::connect(self.addr).await.expect("the server accepts");
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a sound request");
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        Answer { status, text: String::from_utf8(body.into()).expect("answers are text") }
    }
}

impl Answer {
    /// The body of an answer that must be a good one.
    pub fn good(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).expect("answers are JSON")
    }

    /// The status and the message of one that must not be.
    pub fn refused(&self) -> (u16, String) {
        assert_ne!(self.status, 200, "{}", self.text);
        let body: Value = serde_json::from_str(&self.text).expect("errors are JSON");
        let message = body["error"]["message"].as_str().expect("an error has a message");
        (self.status, message.to_owned())
    }
}
