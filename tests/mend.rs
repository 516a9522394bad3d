//! Changes that people make to one counter: for every way to measure, on disk before their answer.

mod harness;

use std::sync::Arc;
use std::time::Duration;

use harness::{NOON, rules};
use tollgate::audit::{Audit, Who};
use tollgate::gate::Gate;
use tollgate::quota::{Amount, Quota, Refusal, Subject};
use tollgate::store::journal::Shared;
use tollgate::time::{ManualClock, SECOND_US};

const KINDS: &str = "
domain: d
rules:
  - name: fixed
    match: { kind: fixed }
    count_by: [key]
    limits: [{ name: l, requests: 10, per: hour }]
  - name: calendar
    match: { kind: calendar }
    count_by: [key]
    limits: [{ name: l, requests: 10, per: month }]
  - name: log
    match: { kind: log }
    count_by: [key]
    limits: [{ name: l, requests: 10, per: hour, algorithm: sliding_log }]
  - name: pair
    match: { kind: pair }
    count_by: [key]
    limits: [{ name: l, requests: 10, per: hour, algorithm: sliding_window }]
  - name: bucket
    match: { kind: bucket }
    count_by: [key]
    limits: [{ name: l, requests: 10, per: hour, burst: 10 }]
";

const WHO: Who =
    Who(std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1));

struct Desk {
    quota: Quota,
    clock: ManualClock,
}

impl Desk {
    fn new() -> Desk {
        let clock = ManualClock::starting_at(NOON);
        let gate = Arc::new(Gate::new(rules(KINDS), clock.clock()));
        Desk { quota: Quota::new(gate, Audit::Log), clock }
    }

    async fn adjust(&self, kind: &str, amount: Amount) -> Result<(u64, u64), Refusal> {
        let limit = format!("{kind}.l");
        let changed = self.quota.adjust(WHO, &subject(kind), &limit, amount).await?;
        Ok((changed.before, changed.after))
    }

    fn used(&self, kind: &str) -> u64 {
        self.quota.usage(&subject(kind)).expect("known entries").limits[0].used
    }
}

fn subject(kind: &str) -> Subject<'_> {
    Subject { domain: "d", entries: [("key", "a"), ("kind", kind)].into_iter().collect() }
}

#[tokio::test]
async fn every_algorithm_can_be_set_added_to_and_taken_back_from() {
    for kind in ["fixed", "calendar", "log", "pair", "bucket"] {
        let desk = Desk::new();
        assert_eq!(desk.adjust(kind, Amount::Add(3)).await, Ok((0, 3)), "{kind}");
        desk.clock.advance_us(60 * SECOND_US);
        assert_eq!(desk.adjust(kind, Amount::Add(20)).await, Ok((3, 23)), "{kind}");
        assert_eq!(desk.adjust(kind, Amount::Add(-21)).await, Ok((23, 2)), "{kind}");
        let below = desk.adjust(kind, Amount::Add(-3)).await;
        assert!(matches!(below, Err(Refusal::Invalid(_))), "{kind}: {below:?}");
        assert_eq!(desk.adjust(kind, Amount::Set(7)).await, Ok((2, 7)), "{kind}");
        assert_eq!(desk.adjust(kind, Amount::Set(0)).await, Ok((7, 0)), "{kind}");
        assert_eq!(desk.used(kind), 0, "{kind}");
    }
}

#[tokio::test]
async fn a_log_loses_its_newest_hits_and_what_is_set_came_just_now() {
    let desk = Desk::new();
    for hits in [2, 3] {
        desk.adjust("log", Amount::Add(hits)).await.expect("room");
        desk.clock.advance_us(60 * SECOND_US);
    }
    desk.adjust("log", Amount::Add(-3)).await.expect("three came last");
    // The two hits of noon are gone an hour after they came.
    desk.clock.advance_us(3480 * SECOND_US);
    assert_eq!(desk.used("log"), 0);
    desk.adjust("log", Amount::Set(4)).await.expect("a sound number");
    desk.clock.advance_us(3599 * SECOND_US);
    assert_eq!(desk.used("log"), 4);
    desk.clock.advance_us(SECOND_US);
    assert_eq!(desk.used("log"), 0);
}

#[tokio::test]
async fn a_change_is_answered_when_it_is_on_disk_or_known_not_to_be() {
    for written in [true, false] {
        let (shared, clock) = (Arc::new(Shared::new()), ManualClock::starting_at(NOON));
        let gate = Gate::kept(rules(KINDS), clock.clock(), shared.clone(), 60 * SECOND_US);
        let desk = Arc::new(Desk { quota: Quota::new(Arc::new(gate), Audit::Log), clock });
        let starting = desk.adjust("fixed", Amount::Set(5)).await;
        assert!(matches!(starting, Err(Refusal::Unavailable(_))), "{starting:?}");
        desk.quota.gate().open();
        let asking = desk.clone();
        let asked = tokio::spawn(async move { asking.adjust("fixed", Amount::Set(5)).await });
        let taking = shared.clone();
        let batch = tokio::task::spawn_blocking(move || taking.take(Duration::from_secs(30)));
        let batch = batch.await.expect("no panic");
        assert_eq!(batch.keys.len(), 1);
        tokio::task::yield_now().await;
        assert!(!asked.is_finished(), "answered ahead of the disk");
        shared.settle(batch.ticket, written);
        let answer = asked.await.expect("no panic");
        match written {
            true => assert_eq!(answer, Ok((0, 5))),
            false => assert!(matches!(answer, Err(Refusal::Unavailable(_))), "{answer:?}"),
        }
    }
}
