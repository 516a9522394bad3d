//! `tollgate.v1.Directory`: rows of keys as gRPC, over the same `quota` as their JSON.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::directory::{Written, WrittenLimit, WrittenStage};
use crate::quota::{self, Origin, PAGE_USUAL, Quota};

use super::proto::tollgate::v1;
use super::proto::tollgate::v1::directory_server::Directory;
use super::quotas::{status, who};

/// How an unlimited budget is written.
const UNLIMITED: i64 = -1;

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
impl Directory for Service {
    async fn list_rows(&self, asked: Request<v1::ListRowsRequest>) -> Answer<v1::ListRowsResponse> {
        let asked = asked.get_ref();
        // Numbers of 32 bits fit.
        let limit = asked.limit.map_or(PAGE_USUAL, |limit| limit as usize);
        let page = self.quota.directory(&asked.domain, asked.after.as_deref(), limit);
        let page = page.map_err(status)?;
        let rows = page.rows.into_iter().map(in_force).collect();
        Ok(Response::new(v1::ListRowsResponse { by: page.by, rows, next: page.next }))
    }

    async fn get_row(&self, asked: Request<v1::GetRowRequest>) -> Answer<v1::RowInForce> {
        let asked = asked.get_ref();
        let row = self.quota.directory_row(&asked.domain, &asked.key).map_err(status)?;
        Ok(Response::new(in_force(row)))
    }

    async fn set_row(&self, request: Request<v1::SetRowRequest>) -> Answer<v1::SetRowResponse> {
        let (who, asked) = (who(&request)?, request.into_inner());
        let Some(row) = asked.row else {
            return Err(Status::invalid_argument("say which `row`; an empty one adds nothing"));
        };
        let row = written(row)?;
        let set = self.quota.set_directory_row(who, &asked.domain, &asked.key, &row).await;
        let set = set.map_err(status)?;
        Ok(Response::new(v1::SetRowResponse { row: Some(in_force(set)) }))
    }

    async fn remove_row(
        &self,
        request: Request<v1::RemoveRowRequest>,
    ) -> Answer<v1::RemoveRowResponse> {
        let (who, asked) = (who(&request)?, request.get_ref());
        let left = self.quota.remove_directory_row(who, &asked.domain, &asked.key).await;
        let row = left.map_err(status)?.map(in_force);
        Ok(Response::new(v1::RemoveRowResponse { row }))
    }
}

fn written(row: v1::Row) -> Result<Written, Status> {
    let stages = row.stages.into_iter().map(stage).collect::<Result<_, _>>()?;
    Ok(Written { stages })
}

fn stage(stage: v1::Stage) -> Result<WrittenStage, Status> {
    Ok(WrittenStage {
        from: stage.from,
        until: stage.until,
        entries: stage.entries.into_iter().map(|entry| (entry.key, entry.value)).collect(),
        limits: stage.limits.into_iter().map(limit).collect::<Result<_, _>>()?,
        anchor_day: stage.anchor_day.map(|day| day.to_string()),
        time_zone: stage.time_zone,
        alert_to: stage.alert_to,
    })
}

fn limit(it: v1::Allowance) -> Result<WrittenLimit, Status> {
    let requests = match it.requests {
        None => None,
        Some(UNLIMITED) => Some("unlimited".to_owned()),
        Some(requests) if requests < 0 => {
            let what =
                format!("requests is {requests}; write 0 or more, or {UNLIMITED} for no end");
            return Err(Status::invalid_argument(what));
        }
        Some(requests) => Some(requests.to_string()),
    };
    Ok(WrittenLimit { limit: it.limit, requests, burst: it.burst.map(|burst| burst.to_string()) })
}

fn in_force(it: quota::RowInForce) -> v1::RowInForce {
    let stages = it.row.stages.into_iter().map(stage_of).collect();
    let origin = match it.origin {
        Origin::File => "file",
        Origin::Api => "api",
    };
    v1::RowInForce { key: it.key, origin: origin.into(), row: Some(v1::Row { stages }) }
}

fn stage_of(stage: WrittenStage) -> v1::Stage {
    let entry = |(key, value)| v1::Entry { key, value };
    v1::Stage {
        from: stage.from,
        until: stage.until,
        entries: stage.entries.into_iter().map(entry).collect(),
        limits: stage.limits.into_iter().map(limit_of).collect(),
        anchor_day: stage.anchor_day.and_then(|day| day.parse().ok()),
        time_zone: stage.time_zone,
        alert_to: stage.alert_to,
    }
}

/// Budgets beyond 63 bits are shown as the largest number there is room for.
fn limit_of(it: WrittenLimit) -> v1::Allowance {
    let requests = it.requests.map(|requests| match requests.parse::<u64>() {
        Ok(requests) => i64::try_from(requests).unwrap_or(i64::MAX),
        Err(_) => UNLIMITED,
    });
    v1::Allowance { limit: it.limit, requests, burst: it.burst.and_then(|it| it.parse().ok()) }
}
