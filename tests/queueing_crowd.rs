//! Lines under many callers at once, and the wait that is told to who stands in one.

mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{NOON, PATIENCE, rules};
use proptest::prelude::*;
use tokio::task::JoinSet;
use tollgate::algorithm::{self, Fit, State};
use tollgate::gate::Gate;
use tollgate::limit::Terms;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::queue::Place;
use tollgate::time::{ManualClock, Timestamp};

const CALLERS: usize = 48;
const CALLS: usize = 40;

/// A thousand hits a second for each key and for all, and ten at once.
const CROWDED: &str = "
domain: d
rules:
  - name: key
    count_by: [key]
    limits:
      - { requests: 1000, per: s, burst: 10, on_exceed: { queue: { wait: 30s, depth: 1000 } } }
  - name: all
    limits:
      - { requests: 1500, per: s, burst: 15, on_exceed: { queue: { wait: 30s, depth: 1000 } } }
";

/// One call, waiting for as long as it must; when it was admitted, if it was.
async fn call(gate: &Gate, key: &str, hits: u64) -> Option<Timestamp> {
    let mut place: Option<Place> = None;
    loop {
        let entries = [("key", key)].into_iter().collect();
        let asked = Descriptor { entries, hits: Hits::Take(hits), limit: None };
        let descriptors = [asked].into_iter().collect();
        let query = Query { domain: "d", descriptors, receipt: None };
        let wait = {
            let rules = gate.rules();
            let patience_us = || u64::MAX;
            let verdict = gate.decide_or_wait(&rules, &query, &patience_us, place.take());
            match verdict.wait {
                Some(wait) => wait,
                None => return verdict.admitted.then_some(verdict.at),
            }
        };
        place = Some(gate.wait(*wait).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_gets_what_the_budget_allows_and_nobody_starves() {
    let clock = ManualClock::starting_at(NOON);
    let gate = Arc::new(Gate::new(rules(CROWDED), clock.clock()));
    let going_on = Arc::new(AtomicUsize::new(CALLERS));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (gate, going_on) = (gate.clone(), going_on.clone());
        callers.spawn(async move {
            let mut admitted = Vec::new();
            for turn in 0..CALLS {
                let (key, hits) = (caller % 2, 1 + (caller * 7 + turn) as u64 % 4);
                let at = call(&gate, if key == 0 { "a" } else { "b" }, hits).await;
                let at = at.expect("thirty seconds are enough for everybody");
                admitted.push((at, key, hits));
            }
            going_on.fetch_sub(1, Ordering::Relaxed);
            admitted
        });
    }
    let driving = async {
        while going_on.load(Ordering::Relaxed) > 0 {
            if gate.lines().waiting() > 0 {
                clock.advance_us(100);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, driving).await.expect("everybody is answered");
    let mut admitted = callers.join_all().await.concat();
    admitted.sort();
    assert_eq!(admitted.len(), CALLERS * CALLS);
    assert_eq!(gate.lines().waiting(), 0);
    for (rate, burst, keys) in [(1000, 10, vec![0]), (1000, 10, vec![1]), (1500, 15, vec![0, 1])] {
        let of_these = admitted.iter().filter(|(_, key, _)| keys.contains(key));
        let mut sum = 0;
        for (at, _, hits) in of_these {
            sum += hits;
            let most = burst * 1_000_000 + rate * at.since(NOON);
            assert!(sum * 1_000_000 <= most, "{sum} hits within {} us", at.since(NOON));
        }
    }
}

/// When the last of these demands is let go, if each is as soon as there is room and those ahead
/// were; none if it never is.
fn let_go(
    terms: &Terms<'_>,
    mut state: State,
    mut now: Timestamp,
    demands: &[u64],
) -> Option<Timestamp> {
    for &demand in demands {
        match algorithm::fit(terms, &state, now, demand) {
            Fit::Now => {}
            Fit::After(wait_us) => now = now.plus(wait_us),
            Fit::Never => return None,
        }
        algorithm::charge(terms, &mut state, now, demand);
    }
    Some(now)
}

proptest! {
    #[test]
    fn the_wait_behind_others_is_exact(
        algorithm in 0..4usize,
        used in prop::collection::vec((0..3_000_000u64, 1..5u64), 0..12),
        demands in prop::collection::vec(1..5u64, 1..12),
        later_us in 0..2_000_000u64,
    ) {
        let word = ["fixed_window", "sliding_log", "token_bucket, burst: 6", "sliding_window"];
        let rules = rules(&format!(
            "{{domain: d, rules: [{{name: r, limits: [
               {{requests: 10, per: 2s, algorithm: {}}}]}}]}}",
            word[algorithm]
        ));
        let domain = rules.domain("d").expect("the domain");
        let limit = domain.rules()[0].all_limits().next().expect("a limit");
        let (terms, mut state, mut now) = (limit.terms(), algorithm::fresh(limit), NOON);
        for (after_us, hits) in used {
            now = now.plus(after_us);
            if algorithm::fit(&terms, &state, now, hits) == Fit::Now {
                algorithm::charge(&terms, &mut state, now, hits);
            }
        }
        now = now.plus(later_us);
        let (&own, ahead) = demands.split_last().expect("one at least");
        let promised = algorithm::fit_behind(&terms, &state, now, ahead.iter().sum(), own);
        let happens = let_go(&terms, state, now, &demands);
        match promised {
            // Nobody is told less than it takes.
            Fit::Now => prop_assert_eq!(happens, Some(now)),
            // Two counts that estimate a window are told an upper bound.
            Fit::After(wait_us) if algorithm == 3 => {
                prop_assert!(happens.is_some_and(|at| at <= now.plus(wait_us)));
            }
            Fit::After(wait_us) => prop_assert_eq!(happens, Some(now.plus(wait_us))),
            Fit::Never => prop_assert!(demands.iter().sum::<u64>() > 10),
        }
    }
}
