//! JetPero's page on abuse, through a real Envoy with the files in `deploy/`: traffic that is
//! blocked for a while even below quota.

mod harness;

use harness::envoy::eventually;
use harness::jetpero::{CALLS, JetPero, refused_by, wait_s};
use serde_json::{Value, json};

const NOVA: &str = "jp_live_nova_71c0";
const ORBIT: &str = "jp_live_orbit_web_09aa";
const GLOBEX: &str = "jp_live_globex_2d18";

const ATTACKER: &str = "x-forwarded-for: 203.0.113.66";
const NEIGHBOUR: &str = "x-forwarded-for: 203.0.113.67";

/// Twenty guesses from the attacker's address, each with a key of its own, until a ban has fallen
/// that is so many in a row. Envoy reports a failure after its response, so that takes a moment.
async fn fail(api: &JetPero, strikes: u64) {
    for guess in 0..20 {
        let key = format!("jp_live_guess_{guess}");
        let answer = api.get_with(&key, CALLS, &[ATTACKER, "x-status: 401"]).await;
        assert_eq!(answer.status, 401, "{guess}: {answer:?}");
    }
    eventually("a ban falls", async || {
        let bans = api.bans("failing-address").await;
        bans.iter().any(|ban| ban["strikes"] == strikes).then_some(())
    })
    .await;
}

#[tokio::test]
async fn rapid_repeated_failures_from_one_address() {
    let Some(api) = JetPero::open().await else { return };
    for (strikes, minutes) in [(1, 5), (2, 10), (3, 20)] {
        fail(&api, strikes).await;
        // Whatever the key, and however much of its limits is left.
        let blocked = api.get_with(ORBIT, CALLS, &[ATTACKER]).await;
        assert_eq!(
            (refused_by(&blocked), wait_s(&blocked)),
            ("failing-address".into(), minutes * 60)
        );
        assert_eq!(api.get_with(ORBIT, CALLS, &[NEIGHBOUR]).await.status, 200);
        // A ban grows when it is repeated, not while it lasts.
        api.advance_s(minutes * 60 - 1);
        let blocked = api.get_with(ORBIT, CALLS, &[ATTACKER]).await;
        assert_eq!(wait_s(&blocked), 1);
        api.advance_s(1);
        assert_eq!(api.get_with(ORBIT, CALLS, &[ATTACKER]).await.status, 200);
    }
}

#[tokio::test]
async fn a_ban_is_listed_and_lifted() {
    let Some(api) = JetPero::open().await else { return };
    fail(&api, 1).await;
    let bans = api.bans("failing-address").await;
    assert_eq!(bans.len(), 1);
    assert_eq!(bans[0]["why"], "20 hits within 60 s");
    assert_eq!(bans[0]["values"], json!({ "remote_address": "203.0.113.66/32" }));
    assert_eq!(api.get_with(ORBIT, CALLS, &[ATTACKER]).await.status, 429);
    let lift = json!({
        "domain": "jetpero",
        "rule": "failing-address",
        "entries": { "remote_address": "203.0.113.66" },
    });
    api.people.post("/v1/unban", lift).await.good();
    assert_eq!(api.get_with(ORBIT, CALLS, &[ATTACKER]).await.status, 200);
    assert_eq!(api.bans("failing-address").await, [] as [Value; 0]);
}

#[tokio::test]
async fn who_sends_no_key_is_kept_out_as_well() {
    let Some(api) = JetPero::open().await else { return };
    for call in 0..20 {
        let answer = api.edge.get(CALLS, &[ATTACKER, "x-status: 401"]).await;
        assert_eq!(answer.status, 401, "{call}: {answer:?}");
    }
    eventually("a ban falls", async || {
        (!api.bans("failing-address").await.is_empty()).then_some(())
    })
    .await;
    let reached = api.edge.backend.served();
    let blocked = api.edge.get(CALLS, &[ATTACKER]).await;
    assert_eq!((refused_by(&blocked), wait_s(&blocked)), ("failing-address".into(), 300));
    assert_eq!(refused_by(&api.get_with(ORBIT, CALLS, &[ATTACKER]).await), "failing-address");
    assert_eq!(api.edge.backend.served(), reached, "the API hears of neither");
    // Nobody else is, with a key or without one.
    assert_eq!(api.edge.get(CALLS, &[NEIGHBOUR]).await.status, 200);
    assert_eq!(api.get_with(ORBIT, CALLS, &[NEIGHBOUR]).await.status, 200);
}

#[tokio::test]
async fn nobody_is_kept_out_for_refusals_of_ours_nor_for_our_own_failures() {
    let Some(api) = JetPero::open().await else { return };
    let from_attacker = async |key: &str, status: u16| {
        let answer = api.get_with(key, CALLS, &[ATTACKER, &format!("x-status: {status}")]).await;
        answer.status.as_u16()
    };
    for _ in 0..10 {
        assert_eq!(from_attacker(NOVA, 200).await, 200);
    }
    for _ in 0..40 {
        assert_eq!(from_attacker(NOVA, 200).await, 429);
    }
    for (status, times) in [(500, 30), (429, 30), (404, 19)] {
        for _ in 0..times {
            assert_eq!(from_attacker(GLOBEX, status).await, status);
        }
    }
    // Asked for and passed: 10, 30, 30 and 19; and of these 19 are reported.
    let reported = async || (api.edge.server.gate.decisions().admitted == 89 + 19).then_some(());
    eventually("nineteen failures are reported", reported).await;
    assert_eq!(from_attacker(GLOBEX, 200).await, 200);
    assert_eq!(api.bans("failing-address").await, [] as [Value; 0]);
}

#[tokio::test]
async fn suspicious_spikes_in_burst_traffic() {
    let Some(api) = JetPero::open().await else { return };
    // Ten a minute for an hour is what is usual for Globex, whose limit is 1,000.
    for _ in 0..60 {
        api.pass(GLOBEX, 10).await;
        api.advance_s(60);
    }
    api.pass(GLOBEX, 400).await;
    let blocked = api.get(GLOBEX).await;
    assert_eq!((refused_by(&blocked), wait_s(&blocked)), ("spike".into(), 300));
    assert_eq!(api.get(ORBIT).await.status, 200);
    api.advance_s(300);
    assert_eq!(api.get(GLOBEX).await.status, 200);
}

#[tokio::test]
async fn misuse_of_api_keys() {
    let Some(api) = JetPero::open().await else { return };
    // A hundred machines of one customer's are fine, however often they come.
    for round in 0..2 {
        for host in 0..100 {
            let from = format!("x-forwarded-for: 198.51.100.{host}");
            assert_eq!(api.get_with(GLOBEX, CALLS, &[&from]).await.status, 200, "{round}: {host}");
        }
    }
    let one_more = "x-forwarded-for: 198.51.100.100";
    assert_eq!(api.get_with(GLOBEX, CALLS, &[one_more]).await.status, 200);
    let blocked = api.get_with(GLOBEX, CALLS, &["x-forwarded-for: 198.51.100.7"]).await;
    assert_eq!((refused_by(&blocked), wait_s(&blocked)), ("shared-key".into(), 3600));
    let bans = api.bans("shared-key").await;
    let key = bans[0]["values"]["key"].as_str().expect("a key");
    assert!(key.ends_with("…2d18") && !key.contains("globex"), "{key}");
}
