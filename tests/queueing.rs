//! Calls that wait for room, through the wire: when they are answered, in which order, and what
//! becomes of those that cannot wait.
//!
//! The clock stands still unless a test moves it, so whoever waits waits for the test.

mod harness;

use harness::http::Http;
use harness::{Client, PATIENCE, Server, descriptor, request, rules};
use tokio::task::JoinHandle;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tollgate::queue::Counts;
use tollgate::transport::Drained;
use tonic::Request;

const SECOND_US: u64 = 1_000_000;

/// One call a second for each key, and a line before it.
const SMOOTH: &str = "
domain: d
rules:
  - name: r
    count_by: [key]
    limits:
      - { requests: 60, per: minute, burst: 1, on_exceed: { queue: { wait: 2500ms, depth: 2 } } }
";

type Waiting = JoinHandle<RateLimitResponse>;

/// A server, and a client of it whose calls are made beside the test.
struct Line {
    domain: &'static str,
    server: Server,
    client: Client,
}

impl Line {
    async fn before(rules: &str) -> Line {
        Line::of("d", rules).await
    }

    async fn of(domain: &'static str, rules: &str) -> Line {
        let server = Server::start(rules).await;
        let client = server.client().await;
        Line { domain, server, client }
    }

    /// The answer to a call that is not held.
    async fn ask(&self, descriptors: &[&str]) -> RateLimitResponse {
        self.client.clone().ask(self.domain, descriptors).await
    }

    async fn admits(&self, descriptors: &[&str]) -> bool {
        admitted(&self.ask(descriptors).await)
    }

    async fn stands_not(&self, asked: RateLimitRequest) -> RateLimitResponse {
        self.client.clone().call(asked).await.expect("an answer")
    }

    /// What is used of each limit.
    async fn used(&self, entries: &str) -> Vec<u64> {
        let path = format!("/v1/usage?domain=d&entries={entries}");
        let usage = Http::new(self.server.http).get(&path).await.good();
        let limits = usage["limits"].as_array().expect("a list").iter();
        limits.map(|limit| limit["used"].as_u64().expect("a number")).collect()
    }

    /// Makes a call and returns once it stands in line, as so many calls then do.
    async fn stands(&self, asked: RateLimitRequest, waiting: usize) -> Waiting {
        let mut client = self.client.clone();
        let call = tokio::spawn(async move { client.call(asked).await.expect("an answer") });
        self.waiting(waiting).await;
        call
    }

    async fn key_stands(&self, descriptors: &[&str], waiting: usize) -> Waiting {
        self.stands(request(self.domain, descriptors), waiting).await
    }

    /// Returns when so many calls wait.
    async fn waiting(&self, count: usize) {
        let standing = async {
            while self.server.gate.lines().waiting() != count {
                tokio::task::yield_now().await;
            }
        };
        let waiting = self.server.gate.lines().waiting();
        let in_time = tokio::time::timeout(PATIENCE, standing).await;
        in_time.unwrap_or_else(|_| panic!("{count} calls should wait, and {waiting} did"));
    }

    /// Fails if one of these calls is answered; gives the server the time of another call first.
    async fn still_wait(&self, calls: &[&Waiting]) {
        self.ask(&["beside=1"]).await;
        for (position, call) in calls.iter().enumerate() {
            assert!(!call.is_finished(), "call {position} should still wait");
        }
    }

    fn advance_us(&self, us: u64) {
        self.server.clock.advance_us(us);
    }

    fn counts(&self) -> (u64, u64, u64) {
        let Counts { admitted, refused, cancelled } = self.server.gate.lines().counts();
        (admitted, refused, cancelled)
    }
}

fn admitted(response: &RateLimitResponse) -> bool {
    response.overall_code() == Code::Ok
}

/// What a refused call is told to wait, in seconds.
fn told_s(response: &RateLimitResponse) -> i64 {
    assert!(!admitted(response), "this call is refused");
    response.statuses[0].duration_until_reset.expect("a wait").seconds
}

/// Whether a call that waited was admitted.
async fn answered(call: Waiting) -> bool {
    let answer = tokio::time::timeout(PATIENCE, call).await.expect("an answer in time");
    admitted(&answer.expect("no panic"))
}

#[tokio::test]
async fn a_call_is_held_until_exactly_when_there_is_room() {
    let line = Line::before(SMOOTH).await;
    assert!(line.admits(&["key=a"]).await);
    let call = line.key_stands(&["key=a"], 1).await;
    line.advance_us(SECOND_US - 1);
    line.still_wait(&[&call]).await;
    line.advance_us(1);
    assert!(answered(call).await);
    assert_eq!(line.counts(), (1, 0, 0));
    // What was charged is what was admitted: the next call waits another second.
    let next = line.key_stands(&["key=a"], 1).await;
    line.advance_us(SECOND_US - 1);
    line.still_wait(&[&next]).await;
    line.advance_us(1);
    assert!(answered(next).await);
    line.server.stop().await;
}

#[tokio::test]
async fn those_who_came_first_are_answered_first_and_nobody_overtakes_them() {
    let line = Line::before(SMOOTH).await;
    assert!(line.admits(&["key=a"]).await);
    let first = line.key_stands(&["key=a"], 1).await;
    let second = line.key_stands(&["key=a"], 2).await;
    // The line is full; what stands ahead makes the wait three seconds.
    assert_eq!(told_s(&line.ask(&["key=a"]).await), 3);
    assert!(line.admits(&["key=b"]).await, "other keys have lines of their own");
    line.advance_us(SECOND_US);
    assert!(answered(first).await);
    line.still_wait(&[&second]).await;
    // There is a place again, and it is behind.
    let third = line.key_stands(&["key=a"], 2).await;
    line.advance_us(SECOND_US);
    assert!(answered(second).await);
    line.still_wait(&[&third]).await;
    line.advance_us(SECOND_US);
    assert!(answered(third).await);
    line.server.stop().await;
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_refused_at_once() {
    let line = Line::before(&SMOOTH.replace("depth: 2", "depth: 100")).await;
    assert!(line.admits(&["key=a"]).await);
    let first = line.key_stands(&["key=a"], 1).await;
    let second = line.key_stands(&["key=a"], 2).await;
    assert_eq!(told_s(&line.ask(&["key=a"]).await), 3, "2.5 seconds are the longest wait");
    line.advance_us(SECOND_US / 2);
    let third = line.key_stands(&["key=a"], 3).await;
    line.advance_us(SECOND_US * 5 / 2);
    // The clock jumped, and a bucket of one gives one hit for it.
    assert!(answered(first).await);
    assert!(!answered(second).await);
    assert!(!answered(third).await);
    assert_eq!(line.counts(), (1, 2, 0));
    line.server.stop().await;
}

#[tokio::test]
async fn a_caller_with_less_patience_than_the_wait_is_refused_at_once() {
    // The client keeps its own deadline too, by real time, so these are long ones.
    let slow = SMOOTH.replace("requests: 60", "requests: 3").replace("2500ms", "30s");
    let line = Line::before(&slow).await;
    assert!(line.admits(&["key=a"]).await);
    let within = |timeout: &str| {
        let mut asked = Request::new(request("d", &["key=a"]));
        asked.metadata_mut().insert("grpc-timeout", timeout.parse().expect("plain text"));
        let mut client = line.client.clone();
        async move { client.0.should_rate_limit(asked).await.expect("an answer").into_inner() }
    };
    for timeout in ["10S", "20009m"] {
        assert_eq!(told_s(&within(timeout).await), 20, "within {timeout}");
    }
    // Twenty seconds and the margin are enough.
    let call = tokio::spawn(within("20010m"));
    line.waiting(1).await;
    line.advance_us(20 * SECOND_US);
    assert!(answered(call).await);
    line.server.stop().await;
}

#[tokio::test]
async fn a_cancelled_call_leaves_the_line_and_charges_nothing() {
    let line = Line::before(SMOOTH).await;
    assert!(line.admits(&["key=a"]).await);
    let first = line.key_stands(&["key=a"], 1).await;
    let second = line.key_stands(&["key=a"], 2).await;
    first.abort();
    line.waiting(1).await;
    // It is the second one's turn a second earlier than it was.
    line.advance_us(SECOND_US);
    assert!(answered(second).await);
    assert_eq!(line.counts(), (1, 0, 1));
    line.server.stop().await;
}

#[tokio::test]
async fn a_line_before_a_window_is_let_go_when_the_window_ends() {
    let rules = "
domain: d
rules:
  - name: r
    count_by: [key]
    limits: [{ requests: 3, per: minute, on_exceed: { queue: { wait: 10s, depth: 100 } } }]
";
    let line = Line::before(rules).await;
    line.advance_us(49 * SECOND_US);
    for _ in 0..3 {
        assert!(line.admits(&["key=a"]).await);
    }
    assert_eq!(told_s(&line.ask(&["key=a"]).await), 11, "too long a wait");
    line.advance_us(SECOND_US);
    let mut calls = Vec::new();
    for waiting in 1..=3 {
        calls.push(line.key_stands(&["key=a"], waiting).await);
    }
    // The next window is spoken for, and a cost beyond the budget has none at all.
    assert_eq!(told_s(&line.ask(&["key=a"]).await), 10);
    let dear = RateLimitRequest { hits_addend: 4, ..request("d", &["key=b"]) };
    let dear = line.client.clone().call(dear).await.expect("an answer");
    assert!(!admitted(&dear) && dear.statuses[0].duration_until_reset.is_none());
    line.still_wait(&calls.iter().collect::<Vec<_>>()).await;
    line.advance_us(10 * SECOND_US);
    for call in calls {
        assert!(answered(call).await);
    }
    assert_eq!(told_s(&line.ask(&["key=a"]).await), 60);
    line.server.stop().await;
}

#[tokio::test]
async fn deny_refuses_at_once_and_nothing_is_charged_while_waiting() {
    let rules = "
domain: d
rules:
  - name: r
    count_by: [key]
    limits:
      - { name: rate, requests: 60, per: minute, burst: 1,
          on_exceed: { queue: { wait: 10s, depth: 9 } } }
      - { name: day, requests: 3, per: day }
      - { name: tries, requests: 100, per: day, on_exceed: shadow, charge: always }
";
    let line = Line::before(rules).await;
    assert!(line.admits(&["key=a"]).await);
    let second = line.key_stands(&["key=a"], 1).await;
    let third = line.key_stands(&["key=a"], 2).await;
    let fourth = line.key_stands(&["key=a"], 3).await;
    assert_eq!(line.used("key=a").await, [1, 1, 1], "not even what is charged always");
    // Nothing is charged ahead: the day still has two left, and the rate's is what refuses this.
    let peek = line.stands_not(peeked("key=a")).await;
    assert!(!admitted(&peek));
    assert_eq!(peek.statuses[0].current_limit.as_ref().expect("a limit").name, "r.rate");
    line.advance_us(SECOND_US);
    assert!(answered(second).await);
    line.advance_us(SECOND_US);
    assert!(answered(third).await);
    line.advance_us(SECOND_US);
    assert!(!answered(fourth).await, "the day is used up, and does not queue");
    assert_eq!(line.counts(), (2, 1, 0));
    assert_eq!(line.used("key=a").await, [0, 3, 4], "once for each call");
    assert!(told_s(&line.ask(&["key=a"]).await) > 3600);
    line.server.stop().await;
}

/// A call that asks without taking.
fn peeked(entries: &str) -> RateLimitRequest {
    let mut asked = request("d", &[]);
    asked.descriptors = vec![descriptor(entries)];
    asked.descriptors[0].hits_addend = Some(0);
    asked
}

#[tokio::test]
async fn a_call_of_several_counters_waits_for_all_of_them() {
    let rules = "
domain: d
rules:
  - name: key
    count_by: [key]
    limits: [{ requests: 60, per: minute, burst: 1, on_exceed: { queue: { wait: 5s } } }]
  - name: team
    count_by: [team]
    limits: [{ requests: 30, per: minute, burst: 1, on_exceed: { queue: { wait: 5s } } }]
";
    let line = Line::before(rules).await;
    assert!(line.admits(&["key=a,team=t"]).await);
    // The key has room after a second, its team after two.
    let both = line.key_stands(&["key=a,team=t"], 1).await;
    line.advance_us(SECOND_US);
    line.still_wait(&[&both]).await;
    // The key alone has room for one, and that is the waiting call's.
    let behind = line.key_stands(&["key=a"], 2).await;
    let beside = line.key_stands(&["team=t"], 3).await;
    line.advance_us(SECOND_US);
    assert!(answered(both).await);
    line.still_wait(&[&behind, &beside]).await;
    line.advance_us(SECOND_US);
    assert!(answered(behind).await);
    line.advance_us(SECOND_US);
    assert!(answered(beside).await);
    line.server.stop().await;
}

#[tokio::test]
async fn a_drain_answers_all_who_wait() {
    let line = Line::before(SMOOTH).await;
    assert!(line.admits(&["key=a"]).await);
    let first = line.key_stands(&["key=a"], 1).await;
    let second = line.key_stands(&["key=a"], 2).await;
    let ending = line.server.begin_stop();
    assert!(!answered(first).await);
    assert!(!answered(second).await);
    drop(line.client);
    // The drain's deadline is the test's own patience.
    assert_eq!(ending.await, Drained { cut: 0 });
}

#[tokio::test]
async fn who_waits_is_decided_by_the_rules_in_force_when_it_is_decided() {
    let line = Line::before(SMOOTH).await;
    assert!(line.admits(&["key=a"]).await);
    let first = line.key_stands(&["key=a"], 1).await;
    let second = line.key_stands(&["key=a"], 2).await;
    // Room for one more at once, and for each that follows after half a second.
    let wider = SMOOTH.replace("requests: 60", "requests: 120").replace("burst: 1", "burst: 2");
    line.server.gate.replace(rules(&wider));
    assert!(answered(first).await);
    line.still_wait(&[&second]).await;
    line.advance_us(SECOND_US / 2);
    assert!(answered(second).await);
    // Without a queue whoever waits is refused.
    let third = line.key_stands(&["key=a"], 1).await;
    let denies =
        wider.replace("on_exceed: { queue: { wait: 2500ms, depth: 2 } }", "on_exceed: deny");
    line.server.gate.replace(rules(&denies));
    assert!(!answered(third).await);
    assert_eq!((line.server.gate.lines().waiting(), line.counts()), (0, (2, 1, 0)));
    line.server.stop().await;
}

#[tokio::test]
async fn hits_given_back_let_the_first_in_line_pass_with_the_next_who_comes() {
    let rules = "
domain: d
rules:
  - name: r
    count_by: [key]
    refundable: true
    limits: [{ requests: 2, per: 10s, on_exceed: { queue: { wait: 10s } } }]
";
    let line = Line::before(rules).await;
    for _ in 0..2 {
        assert!(line.admits(&["key=a"]).await);
    }
    let first = line.key_stands(&["key=a"], 1).await;
    let mut back = request("d", &["key=a"]);
    back.descriptors[0].hits_addend = Some(2);
    back.descriptors[0].is_negative_hits = true;
    assert!(admitted(&line.stands_not(back).await));
    // There is room for who waits and for this one.
    assert!(line.admits(&["key=a"]).await);
    assert!(answered(first).await);
    line.server.stop().await;
}

/// JetPero's page: PRO has 50 a minute over a rolling window and a basic queue, BUSINESS 150 and a
/// smart burst buffer. The minutes are its page's; what queue and buffer bear is our choice. Rules
/// as docs/queueing.md shows them.
fn jetpero() -> &'static str {
    let (_, rest) =
        include_str!("../docs/queueing.md").split_once("```yaml rules\n").expect("rules");
    rest.split_once("```").expect("an end").0
}

#[tokio::test]
async fn jetperos_basic_queue_bridges_the_end_of_a_rolling_minute() {
    let line = Line::of("jetpero", jetpero()).await;
    let pro = ["key=p,plan=pro"];
    // Fifty within the first ten seconds of a minute.
    for _ in 0..50 {
        assert!(line.admits(&pro).await);
        line.advance_us(SECOND_US / 5);
    }
    assert_eq!(told_s(&line.ask(&pro).await), 50, "nobody is held for the rest of the minute");
    line.advance_us(48 * SECOND_US);
    // The first of the fifty leaves in two seconds, and a fifth of a second later the next: of a
    // sequence of calls the first fits into the wait, and those behind it do not.
    let first = line.key_stands(&pro, 1).await;
    assert_eq!(told_s(&line.ask(&pro).await), 3, "2.2 seconds");
    line.advance_us(SECOND_US / 5);
    let second = line.key_stands(&pro, 2).await;
    line.advance_us(2 * SECOND_US - SECOND_US / 5 - 1);
    line.still_wait(&[&first, &second]).await;
    line.advance_us(1);
    assert!(answered(first).await);
    line.still_wait(&[&second]).await;
    line.advance_us(SECOND_US / 5);
    assert!(answered(second).await);
    line.server.stop().await;
}

#[tokio::test]
async fn jetperos_burst_buffer_takes_a_burst_at_once_and_spreads_what_is_beyond() {
    let line = Line::of("jetpero", jetpero()).await;
    let business = ["key=b,plan=business"];
    for _ in 0..30 {
        assert!(line.admits(&business).await, "the burst passes at once");
    }
    // 150 a minute is one in 400 ms, so ten can stand within four seconds.
    let mut calls = Vec::new();
    for waiting in 1..=10 {
        calls.push(line.key_stands(&business, waiting).await);
    }
    assert_eq!(told_s(&line.ask(&business).await), 5, "the eleventh would wait 4.4 seconds");
    for call in calls {
        line.advance_us(400_000);
        assert!(answered(call).await);
    }
    line.server.stop().await;
}

#[tokio::test]
async fn the_bounds_of_a_line_are_shown_with_the_rules() {
    let line = Line::before(SMOOTH).await;
    let http = Http::new(line.server.http);
    let rules = http.get("/v1/rules").await.good();
    let limit = &rules["domains"][0]["rules"][0]["limits"][0];
    assert_eq!(limit["on_exceed"], "queue");
    assert_eq!(limit["queue"].to_string(), r#"{"wait_ms":2500,"depth":2}"#);
    assert!(line.admits(&["key=a"]).await);
    let call = line.key_stands(&["key=a"], 1).await;
    let metrics = http.get("/metrics").await.text;
    assert!(metrics.contains("\ntollgate_queue_waiting 1\n"), "{metrics}");
    line.advance_us(SECOND_US);
    assert!(answered(call).await);
    let metrics = http.get("/metrics").await.text;
    assert!(metrics.contains("tollgate_queue_total{outcome=\"admitted\"} 1\n"), "{metrics}");
    line.server.stop().await;
}
