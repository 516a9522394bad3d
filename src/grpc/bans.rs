//! `tollgate.v1.Bans`: who is kept out as gRPC, over the same `quota` as its JSON.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::quota::{self, BANS_USUAL, Quota, Sentence, WHICH_BAN};

use super::proto::tollgate::v1;
use super::proto::tollgate::v1::bans_server::Bans;
use super::quotas::{status, subject, who};

pub struct Service {
    quota: Arc<Quota>,
}

impl Service {
    pub fn new(quota: Arc<Quota>) -> Service {
        Service { quota }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Bans for Service {
    async fn list_bans(&self, asked: Request<v1::ListBansRequest>) -> Answer<v1::ListBansResponse> {
        let asked = asked.get_ref();
        // Numbers of 32 bits fit.
        let limit = asked.limit.map_or(BANS_USUAL, |limit| limit as usize);
        let bans = self.quota.bans(&asked.domain, asked.rule.as_deref(), limit);
        let bans = bans.map_err(status)?;
        let listed = bans.bans.into_iter().map(in_force).collect();
        Ok(Response::new(v1::ListBansResponse { bans: listed, total: bans.total }))
    }

    async fn ban(&self, request: Request<v1::BanRequest>) -> Answer<v1::BanInForce> {
        let (who, asked) = (who(&request)?, request.get_ref());
        let subject = subject(&asked.domain, &asked.entries);
        let why = asked.why.as_deref();
        let sentence = Sentence { rule: &asked.rule, for_s: asked.for_seconds, why };
        let banned = self.quota.ban(who, &subject, sentence).await.map_err(status)?;
        Ok(Response::new(in_force(banned)))
    }

    async fn unban(&self, request: Request<v1::UnbanRequest>) -> Answer<v1::BanInForce> {
        let (who, asked) = (who(&request)?, request.get_ref());
        let lifted = match &asked.id {
            None => {
                let subject = subject(&asked.domain, &asked.entries);
                self.quota.unban(who, &subject, &asked.rule).await
            }
            Some(id) if asked.rule.is_empty() && asked.entries.is_empty() => {
                self.quota.unban_by_id(who, &asked.domain, id).await
            }
            Some(_) => return Err(Status::invalid_argument(WHICH_BAN)),
        };
        Ok(Response::new(in_force(lifted.map_err(status)?)))
    }
}

fn in_force(it: quota::BanInForce) -> v1::BanInForce {
    v1::BanInForce {
        id: it.id,
        rule: it.rule,
        values: it.values.into_iter().map(|(key, value)| v1::Entry { key, value }).collect(),
        why: it.why,
        since: it.since,
        until: it.until,
        reset_seconds: it.reset_seconds,
        strikes: it.strikes,
        shadow: it.shadow,
    }
}
