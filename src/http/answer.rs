//! Answers: JSON, and errors in the form in which the question came.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::quota::Refusal;

/// What went wrong, as far as a program can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Invalid,
    TooLarge,
    WrongType,
    WrongMethod,
    Unauthenticated,
    Forbidden,
    NotFound,
    Exists,
    Conflict,
    Unimplemented,
    Unavailable,
}

/// How the question was asked, and its answer is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Grpc,
}

/// An error as it is told.
#[derive(Clone, Debug)]
pub struct Problem {
    pub kind: Kind,
    pub message: String,
}

/// What handlers return.
pub type Answer = Result<Json<Value>, Problem>;

impl Form {
    pub fn of(request: &Request) -> Form {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if is_grpc { Form::Grpc } else { Form::Json }
    }
}

impl Kind {
    /// The status of HTTP, the word that stands in the answer, and the code of gRPC.
    fn codes(self) -> (StatusCode, &'static str, tonic::Code) {
        use tonic::Code;
        match self {
            Kind::Invalid => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", Code::InvalidArgument),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "OUT_OF_RANGE", Code::OutOfRange),
            Kind::WrongType => {
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                (status, "INVALID_ARGUMENT", Code::InvalidArgument)
            }
            Kind::WrongMethod => {
                (StatusCode::METHOD_NOT_ALLOWED, "UNIMPLEMENTED", Code::Unimplemented)
            }
            Kind::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", Code::Unauthenticated)
            }
            Kind::Forbidden => (StatusCode::FORBIDDEN, "PERMISSION_DENIED", Code::PermissionDenied),
            Kind::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND", Code::NotFound),
            Kind::Exists => (StatusCode::CONFLICT, "ALREADY_EXISTS", Code::AlreadyExists),
            Kind::Conflict => {
                (StatusCode::CONFLICT, "FAILED_PRECONDITION", Code::FailedPrecondition)
            }
            Kind::Unimplemented => (StatusCode::NOT_FOUND, "NOT_FOUND", Code::Unimplemented),
            Kind::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", Code::Unavailable)
            }
        }
    }
}

impl Problem {
    pub fn new(kind: Kind, message: impl Into<String>) -> Problem {
        Problem { kind, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Problem {
        Problem::new(Kind::Invalid, message)
    }

    /// The answer in the form of its question.
    pub fn told(self, form: Form) -> Response {
        let (status, word, code) = self.kind.codes();
        if form == Form::Grpc {
            return tonic::Status::new(code, self.message).into_http::<Body>();
        }
        let error = json!({ "error": { "code": word, "message": self.message } });
        let mut response = (status, Json(error)).into_response();
        if self.kind == Kind::Unauthenticated {
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.told(Form::Json)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let kind = match refusal {
            Refusal::NotFound(_) => Kind::NotFound,
            Refusal::Invalid(_) => Kind::Invalid,
            Refusal::Exists(_) => Kind::Exists,
            Refusal::Conflict(_) => Kind::Conflict,
            Refusal::Unavailable(_) => Kind::Unavailable,
        };
        Problem::new(kind, refusal.to_string())
    }
}
