//! What a caller is told beyond the statuses: headers, the body of a refusal, metadata.
//!
//! Pure, from a verdict and what the rules want said to plain values. Numbers stay numbers, and
//! names are borrowed from the rules; the rim writes them out. Knows no wire and no clock.

mod choice;
mod headers;
mod metadata;
mod of_tree;
mod refusal;
mod retry;
mod text;

pub use self::headers::{BROUGHT_ALONG, Header, Value};
pub use self::metadata::Metadata;
pub use self::of_tree::{Asked, OfTree};
pub use self::refusal::Body;
pub use crate::rules::Metadata as OwnMetadata;

use smallvec::SmallVec;

use crate::limiter::Verdict;
use crate::query::Query;
use crate::rules::Domain;

use self::choice::Choice;

/// The usual three and what goes with a refusal.
const HEADERS_INLINE: usize = 4;

pub type Headers<'v> = SmallVec<[Header<'v>; HEADERS_INLINE]>;

/// What is said to the caller of one call.
#[derive(Debug, Default)]
pub struct Answer<'v> {
    pub headers: Headers<'v>,
    /// Only for a refused call.
    pub body: Option<Body>,
    /// For the caller's own use: Envoy can put it into access logs.
    pub metadata: Option<Metadata<'v>>,
}

/// What the rules want said of a verdict on this query; nothing unless its domain speaks.
#[inline]
pub fn answer<'v>(verdict: &'v Verdict<'_>, query: &Query<'_>) -> Option<Answer<'v>> {
    let domain = verdict.speaker?;
    Some(spoken(domain, verdict, query))
}

fn spoken<'v>(domain: &'v Domain, verdict: &'v Verdict<'_>, query: &Query<'_>) -> Answer<'v> {
    let choice = Choice::of(domain, verdict);
    let mut answer = Answer::default();
    let retry_after_s = retry::retry_after_s(&choice, verdict, query);
    headers::add(&mut answer.headers, &choice, verdict);
    if let (Some(seconds), true) = (retry_after_s, choice.asks_to_wait()) {
        let value = Value::Number(seconds);
        answer.headers.push(Header { name: retry::RETRY_AFTER, value });
    }
    if let Some(on_refusal) = choice.on_refusal {
        answer.body =
            refusal::add(&mut answer.headers, on_refusal, &choice, verdict, query, retry_after_s);
    }
    answer.metadata = Metadata::of(domain, verdict, &choice, query);
    answer
}
