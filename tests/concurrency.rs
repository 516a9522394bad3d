//! Many callers at once: what is admitted is exactly the budget, and no order of locks hangs.
//!
//! Through the limiter in process, on real threads, with the clock standing still. A deadlock
//! shows as a test that does not end, so each run is given a deadline.

mod harness;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use harness::{NOON, PATIENCE, rules};
use tollgate::limiter::{self, Standing};
use tollgate::query::{Descriptor, Entries, Hits, Query};
use tollgate::rules::RuleSet;
use tollgate::store::{Memory, SHARDS};

const TASKS: usize = 64;
const CALLS: usize = 500;

/// Descriptors of one call, each a list of entries.
type Call = Vec<Vec<(&'static str, String)>>;

fn admitted(rules: &RuleSet, store: &Memory, call: &Call) -> bool {
    let descriptors = call.iter().map(|entries| descriptor(entries, Hits::Take(1))).collect();
    limiter::decide(rules, store, &Query { domain: "d", descriptors, receipt: None }, NOON).admitted
}

fn descriptor<'a>(entries: &'a [(&'static str, String)], hits: Hits) -> Descriptor<'a> {
    let entries = entries.iter().map(|(key, value)| (*key, value.as_str()));
    Descriptor { entries: entries.collect::<Entries<'a>>(), hits, limit: None }
}

/// Has `TASKS` threads make the calls that `call` gives for each task and turn, while another
/// sweeps, and returns how many were admitted. Fails if it does not end.
fn hammer(
    rules: Arc<RuleSet>,
    call: impl Fn(usize, usize) -> Call + Send + Sync + 'static,
) -> (u64, Arc<Memory>) {
    let (done, ended) = mpsc::channel();
    let store = Arc::new(Memory::new());
    let shared = store.clone();
    thread::spawn(move || {
        let (count, start) = (AtomicU64::new(0), Barrier::new(TASKS));
        thread::scope(|scope| {
            for task in 0..TASKS {
                let (rules, store, call, count, start) = (&rules, &shared, &call, &count, &start);
                scope.spawn(move || {
                    start.wait();
                    for turn in 0..CALLS {
                        let passed = admitted(rules, store, &call(task, turn));
                        count.fetch_add(passed.into(), Ordering::Relaxed);
                    }
                });
            }
            scope.spawn(|| (0..SHARDS).map(|shard| shared.sweep(shard, NOON)).sum::<usize>());
        });
        done.send(count.into_inner()).expect("the test waits");
    });
    (ended.recv_timeout(PATIENCE).expect("all calls end"), store)
}

#[test]
fn sixty_four_tasks_on_one_key_admit_exactly_the_budget() {
    for algorithm in ["fixed_window", "sliding_log", "sliding_window", "token_bucket"] {
        let rules = rules(&format!(
            "{{domain: d, rules: [{{name: r, count_by: [key], limits: [
               {{requests: 7001, per: hour, algorithm: {algorithm}}}]}}]}}"
        ));
        let (count, _) = hammer(Arc::new(rules), |_, _| vec![vec![("key", "hot".into())]]);
        assert_eq!(count, 7001, "{algorithm}");
    }
}

#[test]
fn several_limits_and_rules_admit_exactly_the_tightest() {
    let rules = rules(
        "{domain: d, rules: [
           {name: key, count_by: [key], limits: [
             {name: hour, requests: 9000, per: hour}, {name: month, requests: 8000, per: month}]},
           {name: all, limits: [{requests: 5003, per: day, burst: 5003}]}]}",
    );
    let (count, store) = hammer(Arc::new(rules), |_, _| vec![vec![("key", "hot".into())]]);
    assert_eq!(count, 5003);
    assert_eq!(store.len(), 3);
}

#[test]
fn overlapping_sets_of_counters_admit_exactly_what_each_holds() {
    // Each call takes one hit of three of eight counters, in an order of its own, and all are
    // asked for far more than they hold. Use only grows, so a call that still finds room at the
    // end was refused without cause before.
    const COUNTERS: usize = 8;
    let rules = rules(
        "{domain: d, rules: [{name: r, count_by: [key], limits: [{requests: 1000, per: hour}]}]}",
    );
    let set = |task: usize, turn: usize| {
        let seed = task * 31 + turn * 7;
        let key = |step: usize| vec![("key", ((seed + step) % COUNTERS).to_string())];
        let (a, b, c) = (key(0), key(1 + seed % 3), key(4 + seed % 2));
        if task.is_multiple_of(2) { vec![a, b, c] } else { vec![c, b, a] }
    };
    let rules = Arc::new(rules);
    let (count, store) = hammer(rules.clone(), set);
    let left: u64 = (0..COUNTERS).map(|key| left(&rules, &store, key)).sum();
    assert_eq!(3 * count + left, 1000 * COUNTERS as u64, "each call took three hits or none");
    for (task, turn) in (0..TASKS).flat_map(|task| (0..CALLS).map(move |turn| (task, turn))) {
        assert!(!admitted(&rules, &store, &set(task, turn)), "a call was refused without cause");
    }
}

/// How many hits a counter still takes, asked without taking any.
fn left(rules: &RuleSet, store: &Memory, key: usize) -> u64 {
    let entries = [("key", key.to_string())];
    let descriptors = [descriptor(&entries, Hits::Peek)].into_iter().collect();
    let query = Query { domain: "d", descriptors, receipt: None };
    let verdict = limiter::decide(rules, store, &query, NOON);
    match verdict.statuses[0].standing {
        // A peek that passes shows what one hit would have left.
        Standing::Limited { remaining, .. } => remaining + u64::from(verdict.admitted),
        other => panic!("the counter has a limit, yet shows {other:?}"),
    }
}
