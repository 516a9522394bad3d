//! `tollgate.v1.Quotas`: the people's side as gRPC, over the same `quota` as its JSON.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::audit::Who;
use crate::quota::{self, Amount, Quota, Refusal, Subject};

use super::charges;
use super::history;
use super::proto::tollgate::v1;
use super::proto::tollgate::v1::adjust_request;
use super::proto::tollgate::v1::quotas_server::Quotas;

/// How an unlimited budget is written, and what is left of it.
const UNLIMITED: i64 = -1;

pub struct Service {
    quota: Arc<Quota>,
}

impl Service {
    pub fn new(quota: Arc<Quota>) -> Service {
        Service { quota }
    }
}

pub type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Quotas for Service {
    async fn usage(&self, request: Request<v1::UsageRequest>) -> Answer<v1::UsageResponse> {
        let asked = request.get_ref();
        let usage = self.quota.usage(&subject(&asked.domain, &asked.entries)).map_err(status)?;
        Ok(Response::new(v1::UsageResponse {
            domain: usage.domain,
            limits: usage.limits.into_iter().map(use_of).collect(),
            refusing: usage.refusing,
        }))
    }

    async fn charge(&self, request: Request<v1::ChargeRequest>) -> Answer<v1::ChargeResponse> {
        charges::charge(&self.quota, &request).await
    }

    async fn refund(&self, request: Request<v1::RefundRequest>) -> Answer<v1::RefundResponse> {
        charges::refund(&self.quota, &request).await
    }

    async fn reserve(&self, request: Request<v1::ReserveRequest>) -> Answer<v1::ReserveResponse> {
        charges::reserve(&self.quota, &request).await
    }

    async fn commit(&self, request: Request<v1::CommitRequest>) -> Answer<v1::SettledResponse> {
        charges::commit(&self.quota, &request).await
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Answer<v1::SettledResponse> {
        charges::cancel(&self.quota, &request).await
    }

    async fn grant(&self, request: Request<v1::GrantRequest>) -> Answer<v1::GrantResponse> {
        charges::grant(&self.quota, &request).await
    }

    async fn list_grants(
        &self,
        request: Request<v1::ListGrantsRequest>,
    ) -> Answer<v1::ListGrantsResponse> {
        charges::grants(&self.quota, request.get_ref())
    }

    async fn revoke_grants(
        &self,
        request: Request<v1::RevokeGrantsRequest>,
    ) -> Answer<v1::RevokeGrantsResponse> {
        charges::revoke(&self.quota, &request).await
    }

    type HistoryStream = history::Windows;

    async fn history(&self, request: Request<v1::HistoryRequest>) -> Answer<history::Windows> {
        history::history(&self.quota, request.get_ref())
    }

    async fn switch(&self, request: Request<v1::SwitchRequest>) -> Answer<v1::Switched> {
        history::switch(&self.quota, &request).await
    }

    async fn list_switches(
        &self,
        _: Request<v1::ListSwitchesRequest>,
    ) -> Answer<v1::ListSwitchesResponse> {
        history::switches(&self.quota)
    }

    async fn fingerprint(
        &self,
        request: Request<v1::FingerprintRequest>,
    ) -> Answer<v1::FingerprintResponse> {
        history::fingerprint(&self.quota, request.get_ref())
    }

    async fn reset(&self, request: Request<v1::ResetRequest>) -> Answer<v1::ResetResponse> {
        let (who, asked) = (who(&request)?, request.get_ref());
        let subject = subject(&asked.domain, &asked.entries);
        let reset = self.quota.reset(who, &subject, asked.limit.as_deref()).await;
        let reset = reset.map_err(status)?.into_iter().map(changed).collect();
        Ok(Response::new(v1::ResetResponse { reset }))
    }

    async fn adjust(&self, request: Request<v1::AdjustRequest>) -> Answer<v1::AdjustResponse> {
        let (who, asked) = (who(&request)?, request.get_ref());
        let amount = amount(asked.amount)?;
        let subject = subject(&asked.domain, &asked.entries);
        let adjusted = self.quota.adjust(who, &subject, &asked.limit, amount).await;
        let adjusted = Some(changed(adjusted.map_err(status)?));
        Ok(Response::new(v1::AdjustResponse { adjusted }))
    }

    async fn erase(&self, request: Request<v1::EraseRequest>) -> Answer<v1::EraseResponse> {
        let (who, asked) = (who(&request)?, request.get_ref());
        let subject = subject(&asked.domain, &asked.entries);
        let erased = self.quota.erase(who, &subject).await.map_err(status)?;
        Ok(Response::new(v1::EraseResponse {
            erased: erased.erased.into_iter().map(changed).collect(),
            unreachable: erased.unreachable.into_iter().map(unreachable).collect(),
        }))
    }

    async fn rules(&self, _: Request<v1::RulesRequest>) -> Answer<v1::RulesResponse> {
        let domains = self.quota.rules().into_iter().map(domain).collect();
        Ok(Response::new(v1::RulesResponse { domains }))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
        let status = self.quota.status();
        Ok(Response::new(v1::StatusResponse {
            version: status.version.into(),
            state: status.state.into(),
            uptime_seconds: status.uptime_seconds,
            rules_loaded_at: status.rules_loaded_at,
            counters: status.counters,
            journal: status.journal.into(),
            journal_detail: status.journal_detail.into(),
        }))
    }
}

pub fn subject<'a>(domain: &'a str, entries: &'a [v1::Entry]) -> Subject<'a> {
    let entries = entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
    Subject { domain, entries }
}

/// The transport says who asks; a server that was put together without it changes nothing.
pub fn who<T>(request: &Request<T>) -> Result<Who, Status> {
    let who = request.extensions().get::<Who>().copied();
    who.ok_or_else(|| Status::internal("nobody knows where this request came from"))
}

fn amount(amount: Option<adjust_request::Amount>) -> Result<Amount, Status> {
    match amount {
        Some(adjust_request::Amount::Set(used)) => {
            u64::try_from(used).map(Amount::Set).map_err(|_| {
                Status::invalid_argument(format!("set is {used}; what is used cannot be negative"))
            })
        }
        Some(adjust_request::Amount::Add(hits)) => Ok(Amount::Add(hits)),
        None => Err(Status::invalid_argument("say either `set` or `add`")),
    }
}

pub fn status(refusal: Refusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        Refusal::NotFound(_) => Status::not_found(message),
        Refusal::Invalid(_) => Status::invalid_argument(message),
        Refusal::Exists(_) => Status::already_exists(message),
        Refusal::Conflict(_) => Status::failed_precondition(message),
        Refusal::Unavailable(_) => Status::unavailable(message),
    }
}

pub fn use_of(it: quota::Use) -> v1::Use {
    v1::Use {
        rule: it.rule,
        limit: it.limit,
        used: it.used,
        requests: or_unlimited(it.requests),
        per: it.per,
        remaining: or_unlimited(it.remaining),
        on_exceed: it.on_exceed.into(),
        reset_seconds: it.reset_seconds,
        reset_at: it.reset_at,
        granted: it.granted,
        granted_until: it.granted_until,
    }
}

fn changed(it: quota::Changed) -> v1::Changed {
    v1::Changed { limit: it.limit, before: it.before, after: it.after }
}

fn unreachable(it: quota::Unreachable) -> v1::Unreachable {
    v1::Unreachable { limit: it.limit, missing: it.missing, expires_by: it.expires_by }
}

fn domain(it: quota::DomainRules) -> v1::Domain {
    let rules = it.rules.into_iter().map(rule).collect();
    v1::Domain { domain: it.domain, overrides: it.overrides, rules }
}

fn rule(it: quota::RuleInForce) -> v1::Rule {
    let limits = it.limits.into_iter().map(limit).collect();
    v1::Rule {
        rule: it.rule,
        matches_on: it.matches_on,
        count_by: it.count_by,
        limits,
        mode: it.mode.into(),
        enforce: it.enforce,
    }
}

fn limit(it: quota::LimitInForce) -> v1::Limit {
    v1::Limit {
        limit: it.limit,
        plan: it.plan,
        requests: or_unlimited(it.requests),
        per: it.per,
        algorithm: it.algorithm.into(),
        on_exceed: it.on_exceed.into(),
        charge: it.charge.into(),
        durability: it.durability.into(),
        queue: it
            .queue
            .map(|bounds| v1::Queue { wait_ms: bounds.wait_us / 1000, depth: bounds.depth.into() }),
    }
}

/// Budgets beyond 63 bits are shown as the largest number there is room for.
pub fn or_unlimited(number: Option<u64>) -> i64 {
    number.map_or(UNLIMITED, |number| i64::try_from(number).unwrap_or(i64::MAX))
}
