//! Closed windows and switched rules of `tollgate.v1.Quotas`.

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::quota::{self, Quota, Span};

use super::charges::entries;
use super::proto::tollgate::v1;
use super::quotas::{Answer, or_unlimited, status, subject, who};

pub type Windows = Pin<Box<dyn Stream<Item = Result<v1::ClosedWindow, Status>> + Send>>;

/// Where the export ends, and the next may begin.
const UNTIL: &str = "tollgate-history-until";

/// Each part is made when the one before it is on its way.
pub fn history(quota: &Quota, asked: &v1::HistoryRequest) -> Answer<Windows> {
    let (until, limit) = (asked.until.as_deref(), asked.limit.as_deref());
    let span = Span { from: &asked.from, until, limit };
    let history = quota.history(&subject(&asked.domain, &asked.entries), span).map_err(status)?;
    let until = history.until().parse();
    let until = until.map_err(|_| Status::internal("a moment is plain text"))?;
    let parts = (0..quota::History::PARTS).flat_map(move |number| history.part(number));
    let windows = tokio_stream::iter(parts.map(|window| Ok(closed(window))));
    let mut response: Response<Windows> = Response::new(Box::pin(windows));
    response.metadata_mut().insert(UNTIL, until);
    Ok(response)
}

pub async fn switch(quota: &Quota, request: &Request<v1::SwitchRequest>) -> Answer<v1::Switched> {
    let (who, asked) = (who(request)?, request.get_ref());
    let switched = quota.switch(who, &asked.domain, &asked.rule, &asked.mode).await;
    Ok(Response::new(switched_of(switched.map_err(status)?)))
}

pub fn switches(quota: &Quota) -> Answer<v1::ListSwitchesResponse> {
    let switches = quota.switches().map_err(status)?.into_iter().map(switched_of).collect();
    Ok(Response::new(v1::ListSwitchesResponse { switches }))
}

pub fn fingerprint(
    quota: &Quota,
    asked: &v1::FingerprintRequest,
) -> Answer<v1::FingerprintResponse> {
    let shown = quota.shown_as(&asked.domain, &asked.entry, &asked.values).map_err(status)?;
    Ok(Response::new(v1::FingerprintResponse { shown }))
}

fn closed(it: quota::ClosedWindow) -> v1::ClosedWindow {
    v1::ClosedWindow {
        domain: it.domain,
        limit: it.limit,
        values: entries(it.values),
        start: it.start,
        end: it.end,
        used: it.used,
        requests: or_unlimited(it.requests),
    }
}

fn switched_of(it: quota::Switched) -> v1::Switched {
    v1::Switched { domain: it.domain, rule: it.rule, mode: it.mode.into(), loaded: it.loaded }
}
