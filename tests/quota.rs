//! Charges, refunds, reservations and grants through the people's port, as JSON and as gRPC.

mod harness;

use harness::http::Http;
use harness::{NOON, Server};
use hyper::Method;
use serde_json::{Value, json};
use tollgate::calendar::rfc3339;
use tollgate::grpc::proto::tollgate::v1;
use tollgate::grpc::proto::tollgate::v1::quotas_client::QuotasClient;
use tonic::Code;

const SHOP: &str = "
domain: shop
directory: { by: key }
plans:
  free:
    limits:
      - { name: minute, requests: 10, per: minute }
      - { name: month, requests: 50, per: month, archive: true }
  premium:
    limits:
      - { name: month, requests: unlimited, per: month, archive: true }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
  - { name: agents, match: { agent: { present: true } }, count_by: [key],
      limits: [{ name: at-once, requests: 1, algorithm: concurrency }],
      hold: { by: request_id, settle: { phase: done }, expires: 1m } }
";

const ALICE: &str = "/v1/usage?domain=shop&entries=key=alice";

struct Desk {
    server: Server,
    http: Http,
}

impl Desk {
    async fn start() -> Desk {
        let server = Server::start(SHOP).await;
        let http = Http::new(server.http);
        Desk { server, http }
    }

    /// Asks for alice, with what else is given.
    async fn ask(&self, what: &str, more: Value) -> harness::http::Answer {
        let mut body = json!({ "domain": "shop", "entries": { "key": "alice" } });
        let more = more.as_object().expect("members").clone();
        body.as_object_mut().expect("members").extend(more);
        self.http.post(&format!("/v1/{what}"), body).await
    }

    async fn good(&self, what: &str, more: Value) -> Value {
        self.ask(what, more).await.good()
    }

    async fn refused(&self, what: &str, more: Value) -> u16 {
        self.ask(what, more).await.refused().0
    }

    /// What alice has used of a minute and of a month.
    async fn used(&self) -> (u64, u64) {
        let usage = self.http.get(ALICE).await.good();
        let used = |at: usize| usage["limits"][at]["used"].as_u64().expect("a number");
        (used(0), used(1))
    }

    async fn grpc(&self) -> QuotasClient<tonic::transport::Channel> {
        QuotasClient::connect(format!("http://{}", self.server.http)).await.expect("a connection")
    }
}

#[tokio::test]
async fn a_charge_takes_all_limits_or_none_and_tells_how_each_stands() {
    let desk = Desk::start().await;
    let charged = desk.good("charge", json!({ "hits": 8 })).await;
    assert_eq!((&charged["admitted"], &charged["repeated"]), (&json!(true), &json!(false)));
    let month = json!({
        "rule": "per-key", "limit": "month", "used": 8, "requests": 50, "per": "month",
        "remaining": 42, "on_exceed": "deny", "reset_seconds": 1857600,
        "reset_at": "2026-04-01T00:00:00Z", "refuses": false, "retry_after_seconds": null,
    });
    assert_eq!(charged["limits"][1], month);
    let refused = desk.good("charge", json!({ "hits": 3 })).await;
    assert_eq!(
        (&refused["admitted"], &refused["retry_after_seconds"]),
        (&json!(false), &json!(60))
    );
    assert_eq!(refused["limits"][0]["refuses"], true);
    assert_eq!(refused["limits"][1]["refuses"], false);
    assert_eq!(desk.used().await, (8, 8));
    let never = desk.good("charge", json!({ "hits": 11 })).await;
    assert_eq!((&never["admitted"], &never["retry_after_seconds"]), (&json!(false), &json!(null)));
    // A peek is answered as one hit would be.
    assert_eq!(desk.good("charge", json!({ "hits": 0 })).await["admitted"], true);
    desk.good("charge", json!({})).await;
    desk.good("charge", json!({})).await;
    assert_eq!(desk.good("charge", json!({ "hits": 0 })).await["admitted"], false);
    assert_eq!(desk.used().await, (10, 10));
    desk.server.stop().await;
}

#[tokio::test]
async fn the_directory_decides_on_a_charge_and_unlimited_is_minus_one() {
    let desk = Desk::start().await;
    let row = json!({ "domain": "shop", "key": "alice", "row": { "plan": "premium" } });
    desk.http.ask(Method::PUT, "/v1/directory", row.to_string()).await.good();
    let charged = desk.good("charge", json!({ "hits": 1000 })).await;
    let month = &charged["limits"][0];
    assert_eq!((&month["limit"], &month["used"]), (&json!("month"), &json!(1000)));
    assert_eq!((&month["requests"], &month["remaining"]), (&json!(-1), &json!(-1)));
    desk.server.stop().await;
}

#[tokio::test]
async fn an_id_is_charged_once_for_a_day_and_for_one_thing() {
    let desk = Desk::start().await;
    let once = json!({ "hits": 2, "id": "job-1" });
    let first = desk.good("charge", once.clone()).await;
    let again = desk.good("charge", once.clone()).await;
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(false), &json!(true)));
    assert_eq!((&again["admitted"], &again["limits"]), (&json!(true), &first["limits"]));
    let other = json!({ "hits": 3, "id": "job-1" });
    assert_eq!(desk.refused("charge", other.clone()).await, 409);
    // The order of entries is no argument, and an id belongs to its key.
    let bob = json!({ "entries": { "key": "bob" }, "hits": 3, "id": "job-1" });
    assert_eq!(desk.good("charge", bob).await["repeated"], false);
    assert_eq!(desk.used().await, (2, 2));
    // Another day it is another id.
    desk.server.advance_s(24 * 3600);
    assert_eq!(desk.good("charge", other).await["repeated"], false);
    assert_eq!(desk.used().await, (3, 5));
    desk.server.stop().await;
}

#[tokio::test]
async fn a_repeat_of_what_was_charged_passes_at_the_end_of_the_budget() {
    let desk = Desk::start().await;
    let last = json!({ "hits": 10, "id": "job-1" });
    desk.good("charge", last.clone()).await;
    assert_eq!(desk.good("charge", last).await["admitted"], true);
    // What was refused is not remembered.
    let refused = json!({ "hits": 4, "id": "job-2" });
    assert_eq!(desk.good("charge", refused.clone()).await["admitted"], false);
    desk.server.advance_s(60);
    let later = desk.good("charge", refused).await;
    assert_eq!((&later["admitted"], &later["repeated"]), (&json!(true), &json!(false)));
    desk.server.stop().await;
}

#[tokio::test]
async fn a_refund_goes_into_the_window_it_came_from_and_never_twice() {
    let desk = Desk::start().await;
    desk.good("charge", json!({ "hits": 6, "id": "job-1" })).await;
    let part = json!({ "hits": 2, "id": "job-1" });
    let refunded = desk.good("refund", part.clone()).await;
    let limits = json!([
        { "limit": "per-key.minute", "charged": 4, "put_back": 2 },
        { "limit": "per-key.month", "charged": 4, "put_back": 2 },
    ]);
    let expected = json!({ "hits": 6, "refunded": 2, "repeated": false, "limits": limits });
    assert_eq!(refunded, expected);
    assert_eq!(desk.used().await, (4, 4));
    let again = desk.good("refund", part).await;
    assert_eq!((&again["refunded"], &again["repeated"]), (&json!(2), &json!(true)));
    assert_eq!(again["limits"], limits);
    assert_eq!(desk.used().await, (4, 4));
    desk.server.advance_s(60);
    // The minute has closed, the month has not.
    let rest = desk.good("refund", json!({ "hits": 99, "id": "job-1" })).await;
    assert_eq!(rest["refunded"], 6);
    assert_eq!(
        rest["limits"][0],
        json!({ "limit": "per-key.minute", "charged": 4, "put_back": 2 })
    );
    assert_eq!(rest["limits"][1], json!({ "limit": "per-key.month", "charged": 0, "put_back": 6 }));
    assert_eq!(desk.used().await, (0, 0));
    assert_eq!(desk.refused("refund", json!({ "id": "job-2" })).await, 404);
    // A refunded charge is still known for what it was.
    let repeat = desk.good("charge", json!({ "hits": 6, "id": "job-1" })).await;
    assert_eq!(repeat["repeated"], true);
    desk.server.stop().await;
}

#[tokio::test]
async fn a_reservation_is_settled_at_its_true_cost() {
    let desk = Desk::start().await;
    let estimate = json!({ "hits": 8, "id": "run-1" });
    let reserved = desk.good("reserve", estimate.clone()).await;
    assert_eq!(reserved["admitted"], true);
    assert_eq!(reserved["expires_at"], rfc3339(NOON.plus(300_000_000)));
    assert_eq!(desk.good("reserve", estimate.clone()).await["repeated"], true);
    assert_eq!(desk.used().await, (8, 8));
    assert_eq!(desk.refused("refund", json!({ "id": "run-1" })).await, 409);
    let true_cost = json!({ "hits": 5, "id": "run-1" });
    let settled = desk.good("commit", true_cost.clone()).await;
    let minute = json!({ "limit": "per-key.minute", "charged": 5, "put_back": 3 });
    assert_eq!((&settled["hits"], &settled["limits"][0]), (&json!(5), &minute));
    assert_eq!(desk.used().await, (5, 5));
    let again = desk.good("commit", true_cost).await;
    assert_eq!((&again["repeated"], &again["limits"]), (&json!(true), &settled["limits"]));
    assert_eq!(desk.refused("commit", json!({ "hits": 6, "id": "run-1" })).await, 409);
    assert_eq!(desk.refused("cancel", json!({ "id": "run-1" })).await, 409);
    assert_eq!(desk.refused("reserve", estimate).await, 409);
    desk.good("refund", json!({ "id": "run-1" })).await;
    assert_eq!(desk.used().await, (0, 0));
    // What costs more than was held is charged beyond the budget.
    desk.good("reserve", json!({ "hits": 9, "id": "run-2" })).await;
    desk.good("commit", json!({ "hits": 30, "id": "run-2" })).await;
    assert_eq!(desk.used().await, (30, 30));
    desk.server.stop().await;
}

#[tokio::test]
async fn a_reservation_is_cancelled_or_ends_by_itself() {
    let desk = Desk::start().await;
    desk.good("reserve", json!({ "hits": 8, "id": "run-1" })).await;
    desk.good("cancel", json!({ "id": "run-1" })).await;
    assert_eq!(desk.good("cancel", json!({ "id": "run-1" })).await["repeated"], true);
    assert_eq!(desk.used().await, (0, 0));
    assert_eq!(desk.refused("commit", json!({ "hits": 8, "id": "run-1" })).await, 409);
    desk.good("reserve", json!({ "hits": 7, "id": "run-2", "expires_seconds": 30 })).await;
    desk.server.advance_s(30);
    // It keeps its estimate.
    assert_eq!(desk.refused("commit", json!({ "hits": 1, "id": "run-2" })).await, 404);
    assert_eq!(desk.used().await, (7, 7));
    desk.good("charge", json!({ "id": "job-1" })).await;
    assert_eq!(desk.refused("commit", json!({ "hits": 1, "id": "job-1" })).await, 409);
    desk.server.stop().await;
}

#[tokio::test]
async fn a_reservation_holds_a_slot_until_it_is_settled() {
    let desk = Desk::start().await;
    let of = |id: &str| json!({ "entries": { "key": "alice", "agent": "a" }, "hits": 1, "id": id });
    assert_eq!(desk.good("reserve", of("run-1")).await["admitted"], true);
    assert_eq!(desk.good("reserve", of("run-2")).await["admitted"], false);
    desk.good("commit", of("run-1")).await;
    assert_eq!(desk.good("reserve", of("run-2")).await["admitted"], true);
    desk.server.advance_s(300);
    assert_eq!(desk.good("reserve", of("run-3")).await["admitted"], true);
    desk.server.stop().await;
}

#[tokio::test]
async fn what_has_an_id_is_not_held_by_a_rule_as_well() {
    // Settled by its rule and refunded by its id, it would have given back more than it took.
    let desk = Desk::start().await;
    let entries = json!({ "key": "alice", "agent": "a", "request_id": "r" });
    let charge = json!({ "entries": entries, "id": "run-1" });
    assert_eq!(desk.good("charge", charge.clone()).await["admitted"], true);
    let other = json!({ "entries": entries, "id": "run-2" });
    assert_eq!(desk.good("charge", other.clone()).await["admitted"], false);
    let done = json!({ "entries": { "key": "alice", "request_id": "r", "phase": "done" } });
    desk.good("charge", done).await;
    assert_eq!(desk.good("charge", other.clone()).await["admitted"], false);
    desk.good("refund", json!({ "id": "run-1" })).await;
    assert_eq!(desk.good("charge", other).await["admitted"], true);
    desk.server.stop().await;
}

#[tokio::test]
async fn a_grant_is_spent_after_the_limits_own_and_until_its_end() {
    let desk = Desk::start().await;
    let until = rfc3339(NOON.plus(3_600_000_000));
    let grant = json!({ "limit": "per-key.minute", "hits": 3, "until": until });
    let granted = desk.good("grant", grant.clone()).await;
    let expected = json!({
        "limit": "per-key.minute", "values": { "key": "alice" }, "granted": 3, "left": 3,
        "until": until,
    });
    assert_eq!(granted, json!({ "grant": expected }));
    desk.good("charge", json!({ "hits": 9 })).await;
    let charged = desk.good("charge", json!({ "hits": 2, "id": "job-1" })).await;
    let minute = &charged["limits"][0];
    assert_eq!((&minute["used"], &minute["granted"]), (&json!(10), &json!(2)));
    let usage = desk.http.get(ALICE).await.good();
    let minute = &usage["limits"][0];
    assert_eq!((&minute["granted"], &minute["granted_until"]), (&json!(2), &json!(until)));
    assert_eq!(minute["remaining"], 2);
    // What was spent last comes back first.
    desk.good("refund", json!({ "hits": 1, "id": "job-1" })).await;
    let listed = desk.http.get("/v1/grants?domain=shop").await.good();
    assert_eq!(listed["grants"][0]["left"], 3);
    // More joins the same pool; the later end counts.
    let more =
        json!({ "limit": "per-key.minute", "hits": 2, "until": rfc3339(NOON.plus(1_000_000)) });
    let granted = desk.good("grant", more).await;
    assert_eq!((&granted["grant"]["left"], &granted["grant"]["until"]), (&json!(5), &json!(until)));
    assert_eq!(desk.good("charge", json!({ "hits": 5 })).await["admitted"], true);
    assert_eq!(desk.good("charge", json!({})).await["admitted"], false);
    desk.good("grant", grant).await;
    desk.server.advance_s(3600);
    assert_eq!(desk.good("charge", json!({ "hits": 10 })).await["admitted"], true);
    assert_eq!(desk.good("charge", json!({})).await["admitted"], false);
    assert_eq!(desk.http.get("/v1/grants?domain=shop").await.good()["grants"], json!([]));
    desk.server.stop().await;
}

#[tokio::test]
async fn a_grant_pays_for_what_the_smallest_budget_of_its_counter_lacks() {
    // The larger budget had room and was charged, so that the grant was never spent: of ten and
    // three in a minute, a hundred passed.
    const SHARED: &str = "
domain: shop
rules:
  - { name: wide, counter: per-key, limits: [{ name: minute, requests: 100, per: minute }] }
  - { name: per-key, count_by: [key], limits: [{ name: minute, requests: 10, per: minute }] }
  - { name: seen, counter: per-key, enforce: 0%,
      limits: [{ name: minute, requests: 5, per: minute }] }
";
    let server = Server::start(SHARED).await;
    let http = Http::new(server.http);
    let desk = Desk { server, http };
    let until = rfc3339(NOON.plus(3_600_000_000));
    desk.good("grant", json!({ "limit": "per-key.minute", "hits": 3, "until": until })).await;
    for number in 1..=13 {
        assert_eq!(desk.good("charge", json!({})).await["admitted"], true, "charge {number}");
    }
    assert_eq!(desk.good("charge", json!({})).await["admitted"], false);
    let listed = desk.http.get("/v1/grants?domain=shop").await.good();
    assert_eq!(listed["grants"][0]["left"], 0);
    desk.server.stop().await;
}

#[tokio::test]
async fn grants_are_listed_and_revoked_and_bad_ones_refused() {
    let desk = Desk::start().await;
    let until = rfc3339(NOON.plus(3_600_000_000));
    let month = json!({ "limit": "per-key.month", "hits": 3, "until": until });
    desk.good("grant", month.clone()).await;
    let with = |name: &str, value: Value| {
        let mut body = month.clone();
        body[name] = value;
        body
    };
    for (status, body) in [
        (400, with("until", json!(rfc3339(NOON)))),
        (400, with("until", json!("soon"))),
        (400, with("hits", json!(0))),
        (400, with("hits", json!(-1))),
        (404, with("limit", json!("per-key.year"))),
        (400, with("entries", json!({ "key": "alice", "plan": "premium" }))),
        (404, with("domain", json!("other"))),
    ] {
        assert_eq!(desk.refused("grant", body.clone()).await, status, "{body}");
    }
    let of = |key: &str| format!("/v1/grants?domain=shop&entries=key={key}");
    assert_eq!(desk.http.get(&of("bob")).await.good()["grants"], json!([]));
    assert_eq!(desk.http.get(&of("alice")).await.good()["grants"][0]["left"], 3);
    let revoked = desk.http.ask(Method::DELETE, &of("alice"), String::new()).await.good();
    assert_eq!(revoked, json!({ "revoked": [{ "limit": "per-key.month", "left": 3 }] }));
    assert_eq!(desk.http.get(&of("alice")).await.good()["grants"], json!([]));
    // Erasing takes grants along.
    desk.good("grant", month).await;
    desk.good("erase", json!({})).await;
    assert_eq!(desk.http.get(&of("alice")).await.good()["grants"], json!([]));
    desk.server.stop().await;
}

#[tokio::test]
async fn what_is_asked_badly_is_refused_in_words() {
    let desk = Desk::start().await;
    for (what, body) in [
        ("charge", json!({ "hits": -1 })),
        ("charge", json!({ "hits": u64::MAX })),
        ("charge", json!({ "id": "" })),
        ("charge", json!({ "id": "x".repeat(257) })),
        ("charge", json!({ "expires_seconds": 5 })),
        ("charge", json!({ "entries": {} })),
        ("reserve", json!({ "hits": 1 })),
        ("reserve", json!({ "id": "a" })),
        ("reserve", json!({ "id": "a", "hits": 0 })),
        ("reserve", json!({ "id": "a", "hits": 1, "expires_seconds": 0 })),
        ("reserve", json!({ "id": "a", "hits": 1, "expires_seconds": 86_401 })),
        ("commit", json!({ "id": "a" })),
        ("cancel", json!({ "id": "a", "hits": 1 })),
        ("refund", json!({})),
    ] {
        assert_eq!(desk.refused(what, body.clone()).await, 400, "{what} {body}");
    }
    assert_eq!(desk.refused("charge", json!({ "domain": "other" })).await, 404);
    // What no rule is for passes, as it does at a proxy.
    let stranger = desk.good("charge", json!({ "entries": { "user": "a" } })).await;
    assert_eq!((&stranger["admitted"], &stranger["limits"]), (&json!(true), &json!([])));
    desk.server.stop().await;
}

#[tokio::test]
async fn all_of_it_is_grpc_too() {
    let desk = Desk::start().await;
    let mut grpc = desk.grpc().await;
    let (domain, id) = (String::from("shop"), String::from("job-1"));
    let entries = vec![v1::Entry { key: "key".into(), value: "alice".into() }];
    let charge = v1::ChargeRequest {
        domain: domain.clone(),
        entries: entries.clone(),
        hits: Some(4),
        id: Some(id.clone()),
    };
    let charged = grpc.charge(charge.clone()).await.expect("an answer").into_inner();
    assert!(charged.admitted && charged.limits[0].limit.as_ref().is_some_and(|it| it.used == 4));
    let other = v1::ChargeRequest { hits: None, ..charge };
    let refused = grpc.charge(other).await.expect_err("another charge");
    assert_eq!(refused.code(), Code::AlreadyExists);
    let refund = v1::RefundRequest { domain, entries, id, hits: None };
    assert_eq!(grpc.refund(refund.clone()).await.expect("an answer").get_ref().refunded, 4);
    let v1::RefundRequest { domain, entries, .. } = refund;
    let id = String::from("run-1");
    let reserve = v1::ReserveRequest {
        domain: domain.clone(),
        entries: entries.clone(),
        hits: 7,
        id: id.clone(),
        expires_seconds: Some(60),
    };
    let reserved = grpc.reserve(reserve.clone()).await.expect("an answer").into_inner();
    assert_eq!(reserved.expires_at, Some(rfc3339(NOON.plus(60_000_000))));
    let commit = v1::CommitRequest {
        domain: domain.clone(),
        entries: entries.clone(),
        id: id.clone(),
        hits: Some(3),
    };
    assert_eq!(grpc.commit(commit.clone()).await.expect("an answer").get_ref().hits, 3);
    let refused = grpc.commit(v1::CommitRequest { hits: Some(4), ..commit.clone() }).await;
    assert_eq!(refused.expect_err("another cost").code(), Code::AlreadyExists);
    let unknown = v1::CommitRequest { id: "run-9".into(), ..commit };
    assert_eq!(grpc.commit(unknown).await.expect_err("no such id").code(), Code::NotFound);
    let grant = v1::GrantRequest {
        domain: domain.clone(),
        entries: entries.clone(),
        limit: "per-key.month".into(),
        hits: 5,
        until: "2026-04-01T00:00:00Z".into(),
    };
    grpc.grant(grant).await.expect("an answer");
    let list = v1::ListGrantsRequest { domain: domain.clone(), entries: entries.clone() };
    assert_eq!(grpc.list_grants(list).await.expect("an answer").get_ref().grants[0].left, 5);
    let revoke = v1::RevokeGrantsRequest { domain, entries, limit: None };
    assert_eq!(grpc.revoke_grants(revoke).await.expect("an answer").get_ref().revoked[0].left, 5);
    desk.server.stop().await;
}

#[tokio::test]
async fn a_refund_fills_only_the_grant_that_it_came_from() {
    // It filled whatever grant was there, and so made budget that nobody had granted.
    let desk = Desk::start().await;
    let until = rfc3339(NOON.plus(3_600_000_000));
    let limit = "per-key.minute";
    let grant = |hits: u64| json!({ "limit": limit, "hits": hits, "until": until });
    desk.good("grant", grant(20)).await;
    desk.good("charge", json!({ "hits": 10 })).await;
    desk.good("charge", json!({ "hits": 20, "id": "a" })).await;
    let of = "/v1/grants?domain=shop&entries=key=alice";
    desk.http.ask(Method::DELETE, of, String::new()).await.good();
    desk.server.advance_s(1);
    desk.good("grant", grant(10)).await;
    desk.good("charge", json!({ "hits": 5, "id": "b" })).await;
    let refunded = desk.good("refund", json!({ "id": "a" })).await;
    let minute = json!({ "limit": limit, "charged": 20, "put_back": 0 });
    assert_eq!(refunded["limits"][0], minute);
    let left = async || desk.http.get("/v1/grants?domain=shop").await.good()["grants"][0].clone();
    assert_eq!(left().await["left"], 5);
    // What is added to it leaves it the same grant.
    desk.server.advance_s(1);
    desk.good("grant", grant(1)).await;
    desk.good("refund", json!({ "id": "b" })).await;
    assert_eq!(left().await["left"], 11);
    desk.server.stop().await;
}
