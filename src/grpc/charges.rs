//! Charges, reservations and grants of `tollgate.v1.Quotas`, from messages to `quota` and back.

use tonic::{Request, Response, Status};

use crate::quota::{self, Charge, Quota, Reserve};

use super::proto::tollgate::v1;
use super::quotas::{Answer, status, subject, use_of, who};

pub async fn charge(
    quota: &Quota,
    request: &Request<v1::ChargeRequest>,
) -> Answer<v1::ChargeResponse> {
    let (who, asked) = (who(request)?, request.get_ref());
    let charge = Charge { hits: asked.hits.unwrap_or(1), id: asked.id.as_deref() };
    let subject = subject(&asked.domain, &asked.entries);
    let charged = quota.charge(who, &subject, charge).await.map_err(status)?;
    Ok(Response::new(charged_of(charged)))
}

pub async fn reserve(
    quota: &Quota,
    request: &Request<v1::ReserveRequest>,
) -> Answer<v1::ReserveResponse> {
    let (who, asked) = (who(request)?, request.get_ref());
    let v1::ReserveRequest { hits, expires_seconds, .. } = *asked;
    let reserve = Reserve { hits, id: &asked.id, expires_s: expires_seconds };
    let subject = subject(&asked.domain, &asked.entries);
    let reserved = quota.reserve(who, &subject, reserve).await.map_err(status)?;
    let charged = Some(charged_of(reserved.charged));
    Ok(Response::new(v1::ReserveResponse { charged, expires_at: reserved.expires_at }))
}

pub async fn commit(
    quota: &Quota,
    request: &Request<v1::CommitRequest>,
) -> Answer<v1::SettledResponse> {
    let (who, asked) = (who(request)?, request.get_ref());
    let Some(hits) = asked.hits else {
        return Err(Status::invalid_argument("say how many `hits`"));
    };
    let subject = subject(&asked.domain, &asked.entries);
    let settled = quota.commit(who, &subject, &asked.id, hits).await.map_err(status)?;
    Ok(Response::new(settled_of(settled)))
}

pub async fn cancel(
    quota: &Quota,
    request: &Request<v1::CancelRequest>,
) -> Answer<v1::SettledResponse> {
    let (who, asked) = (who(request)?, request.get_ref());
    let subject = subject(&asked.domain, &asked.entries);
    let settled = quota.cancel(who, &subject, &asked.id).await.map_err(status)?;
    Ok(Response::new(settled_of(settled)))
}

pub async fn refund(
    quota: &Quota,
    request: &Request<v1::RefundRequest>,
) -> Answer<v1::RefundResponse> {
    let (who, asked) = (who(request)?, request.get_ref());
    let subject = subject(&asked.domain, &asked.entries);
    let refunded = quota.refund(who, &subject, &asked.id, asked.hits).await.map_err(status)?;
    Ok(Response::new(v1::RefundResponse {
        hits: refunded.hits,
        refunded: refunded.refunded,
        repeated: refunded.repeated,
        limits: refunded.limits.into_iter().map(settled_limit).collect(),
    }))
}

pub async fn grant(
    quota: &Quota,
    request: &Request<v1::GrantRequest>,
) -> Answer<v1::GrantResponse> {
    let (who, asked) = (who(request)?, request.get_ref());
    let subject = subject(&asked.domain, &asked.entries);
    let granted = quota.grant(who, &subject, &asked.limit, (asked.hits, &asked.until)).await;
    let grant = Some(granted_of(granted.map_err(status)?));
    Ok(Response::new(v1::GrantResponse { grant }))
}

pub fn grants(quota: &Quota, asked: &v1::ListGrantsRequest) -> Answer<v1::ListGrantsResponse> {
    let grants = quota.grants(&subject(&asked.domain, &asked.entries)).map_err(status)?;
    let grants = grants.into_iter().map(granted_of).collect();
    Ok(Response::new(v1::ListGrantsResponse { grants }))
}

pub async fn revoke(
    quota: &Quota,
    request: &Request<v1::RevokeGrantsRequest>,
) -> Answer<v1::RevokeGrantsResponse> {
    let (who, asked) = (who(request)?, request.get_ref());
    let subject = subject(&asked.domain, &asked.entries);
    let revoked = quota.revoke(who, &subject, asked.limit.as_deref()).await.map_err(status)?;
    let revoked_of = |it: quota::Revoked| v1::RevokedGrant { limit: it.limit, left: it.left };
    let revoked = revoked.into_iter().map(revoked_of).collect();
    Ok(Response::new(v1::RevokeGrantsResponse { revoked }))
}

fn charged_of(it: quota::Charged) -> v1::ChargeResponse {
    v1::ChargeResponse {
        admitted: it.admitted,
        repeated: it.repeated,
        retry_after_seconds: it.retry_after_seconds,
        limits: it.limits.into_iter().map(stand).collect(),
        refusing: it.refusing,
        banned_by: it.banned_by,
    }
}

fn stand(it: quota::Stand) -> v1::Stand {
    let quota::Stand { limit, refuses, retry_after_seconds } = it;
    v1::Stand { limit: Some(use_of(limit)), refuses, retry_after_seconds }
}

fn settled_of(it: quota::Settled) -> v1::SettledResponse {
    let limits = it.limits.into_iter().map(settled_limit).collect();
    v1::SettledResponse { hits: it.hits, repeated: it.repeated, limits }
}

fn settled_limit(it: quota::SettledLimit) -> v1::SettledLimit {
    v1::SettledLimit { limit: it.limit, charged: it.charged, put_back: it.put_back }
}

fn granted_of(it: quota::Granted) -> v1::GrantInForce {
    v1::GrantInForce {
        limit: it.limit,
        values: entries(it.values),
        granted: it.granted,
        left: it.left,
        until: it.until,
    }
}

/// Values that a counter counts by.
pub fn entries(values: Vec<(String, String)>) -> Vec<v1::Entry> {
    values.into_iter().map(|(key, value)| v1::Entry { key, value }).collect()
}
