//! Alerts on their way: what a receiver is sent, when it is tried again, where nothing is sent to,
//! and that nobody waits for a receiver that hangs.

mod harness;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::http::Http;
use harness::receiver::{Posted, Receiver, Reply};
use harness::{NOON, PATIENCE, Server};
use ring::hmac;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollgate::alert::{Alert, Form, Secret, Target, To, Webhook};
use tollgate::notify::{self, Counts, Courier, Notifier, Patience};
use tollgate::time::ManualClock;

/// Waits that a test can bear.
const QUICK: Patience = Patience {
    try_max: PATIENCE,
    tries_max: 3,
    wait_first: Duration::from_millis(1),
    wait_max: Duration::from_millis(4),
    asked_max: Duration::from_millis(4),
};

/// A queue and its worker.
struct Alerting {
    notifier: Notifier,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<()>,
}

impl Alerting {
    fn start(patience: Patience, drain_max: Duration) -> Alerting {
        let (notifier, queue) = notify::queue();
        let clock = ManualClock::starting_at(NOON).clock();
        let courier = Courier::new(patience, clock).expect("HTTP and TLS");
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let worker = tokio::spawn(queue.deliver(courier, stopped, drain_max));
        Alerting { notifier, stop, worker }
    }

    /// Waits until every alert has been dealt with.
    async fn finish(self) -> Counts {
        drop(self.stop);
        let ended = tokio::time::timeout(PATIENCE, self.worker).await;
        ended.expect("an end in time").expect("no panic");
        self.notifier.counts()
    }
}

fn target(url: &str) -> Target {
    let webhook = Webhook::parse(url).expect("a URL");
    Target { name: "ops".into(), webhook, form: Form::Plain, secret: None, allow_private: true }
}

fn alert(to: To) -> Alert {
    Alert {
        domain: "shop-api".into(),
        rule: "per-key".into(),
        limit: "per-key.month".into(),
        percent: 90,
        used: 36_000,
        budget: 40_000,
        window_start: None,
        window_end: Some(NOON.plus(3_600_000_000)),
        at: NOON,
        values: Box::new([("key".into(), "…4f9a".into())]),
        to,
    }
}

/// Raises one alert to a target, and returns what became of it.
async fn raise(target: Target) -> Counts {
    let alerting = Alerting::start(QUICK, PATIENCE);
    alerting.notifier.raise(alert(To::Target(Arc::new(target))));
    alerting.finish().await
}

fn counts(delivered: u64, failed: u64, dropped: u64) -> Counts {
    Counts { delivered, failed, dropped }
}

#[tokio::test]
async fn an_alert_says_what_was_crossed() {
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    assert_eq!(raise(target(&receiver.url())).await, counts(1, 0, 0));
    let posted = receiver.next().await;
    assert_eq!((posted.method.as_str(), posted.path.as_str()), ("POST", "/hook?token=s3cr3t"));
    assert_eq!(posted.header("content-type"), "application/json");
    assert_eq!(posted.header("tollgate-signature"), "");
    let expected = serde_json::json!({
        "type": "tollgate.limit_alert",
        "id": posted.header("tollgate-alert-id"),
        "at": "2026-03-10T12:00:00Z",
        "domain": "shop-api",
        "rule": "per-key",
        "limit": "per-key.month",
        "counted_by": { "key": "…4f9a" },
        "threshold_percent": 90,
        "used": 36_000,
        "budget": 40_000,
        "window_start": null,
        "window_end": "2026-03-10T13:00:00Z",
    });
    assert_eq!(posted.json(), expected);
}

#[tokio::test]
async fn a_receiver_can_tell_who_sent_it() {
    let mut receiver = Receiver::answering(&[Reply::Status(200)]).await;
    let secret = b"sixteen or more chars";
    raise(Target { secret: Some(Secret::new(secret)), ..target(&receiver.url()) }).await;
    let posted = receiver.next().await;
    let signature = posted.header("tollgate-signature");
    let (time, code) = signature.split_once(",v1=").expect("time and code");
    assert_eq!(time, "t=1773144000");
    let signed = format!("1773144000.{}", posted.body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, signed.as_bytes(), &bytes(code)).expect("the code is right");
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[tokio::test]
async fn slack_is_sent_a_sentence_that_calls_nobody() {
    let mut receiver = Receiver::answering(&[Reply::Status(200)]).await;
    let target = Target { form: Form::Slack, ..target(&receiver.url()) };
    let alerting = Alerting::start(QUICK, PATIENCE);
    let values = Box::new([("team".into(), "<!channel> R&D".into())]);
    alerting.notifier.raise(Alert { values, ..alert(To::Target(Arc::new(target))) });
    assert_eq!(alerting.finish().await, counts(1, 0, 0));
    let expected = "shop-api: per-key.month is at 90 % or more: 36000 of 40000 used by \
                    team=&lt;!channel&gt; R&amp;D. The window ends at 2026-03-10T13:00:00Z.";
    assert_eq!(receiver.next().await.json(), serde_json::json!({ "text": expected }));
}

#[tokio::test]
async fn a_receiver_in_trouble_is_tried_again_with_the_same_id() {
    for trouble in [500, 503, 408, 429] {
        let mut receiver = Receiver::answering(&[Reply::Status(trouble), Reply::Status(200)]).await;
        assert_eq!(raise(target(&receiver.url())).await, counts(1, 0, 0), "{trouble}");
        let (first, second) = (receiver.next().await, receiver.next().await);
        let id = |posted: &Posted| posted.header("tollgate-alert-id").to_owned();
        assert_eq!(id(&first).len(), 32);
        assert_eq!((id(&first), first.body), (id(&second), second.body));
    }
}

#[tokio::test]
async fn tries_come_to_an_end() {
    let receiver = Receiver::answering(&[Reply::Status(500)]).await;
    assert_eq!(raise(target(&receiver.url())).await, counts(0, 1, 0));
    assert_eq!(receiver.seen(), 3);
}

#[tokio::test]
async fn a_receiver_that_refuses_is_not_tried_again() {
    for refusal in [400, 401, 404, 410] {
        let receiver = Receiver::answering(&[Reply::Status(refusal)]).await;
        assert_eq!(raise(target(&receiver.url())).await, counts(0, 1, 0), "{refusal}");
        assert_eq!(receiver.seen(), 1, "{refusal}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::answering(&[Reply::Redirect, Reply::Status(200)]).await;
    assert_eq!(raise(target(&receiver.url())).await, counts(0, 1, 0));
    assert_eq!(receiver.seen(), 1);
}

#[tokio::test]
async fn nothing_is_sent_to_a_private_address_that_nobody_allowed() {
    let receiver = Receiver::answering(&[Reply::Status(200)]).await;
    let port = receiver.addr.port();
    for host in ["127.0.0.1", "localhost", "localhost.", "[::ffff:127.0.0.1]", "2130706433", "0"] {
        let target = target(&format!("http://{host}:{port}/"));
        let target = Target { allow_private: false, ..target };
        assert_eq!(raise(target).await, counts(0, 1, 0), "{host}");
    }
    // A key's own webhook is never allowed to.
    let alerting = Alerting::start(QUICK, PATIENCE);
    for url in [receiver.url(), format!("http://localhost:{port}/")] {
        alerting.notifier.raise(alert(To::Own(Webhook::parse(&url).expect("a URL"))));
    }
    assert_eq!(alerting.finish().await, counts(0, 2, 0));
    assert_eq!(receiver.seen(), 0);
}

#[tokio::test]
async fn a_name_of_this_machine_is_reached_if_allowed() {
    let receiver = Receiver::answering(&[Reply::Status(200)]).await;
    let target = target(&format!("http://localhost:{}/", receiver.addr.port()));
    assert_eq!(raise(target).await, counts(1, 0, 0));
}

#[tokio::test]
async fn nobody_there_is_a_failure_after_all_tries() {
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = receiver.local_addr().expect("a bound listener has an address");
    drop(receiver);
    assert_eq!(raise(target(&format!("http://{addr}/"))).await, counts(0, 1, 0));
}

#[tokio::test]
async fn https_is_not_taken_for_http() {
    // Cryptography that is missing or there twice would end in a panic, not in a failure.
    let receiver = Receiver::answering(&[Reply::Status(200)]).await;
    assert_eq!(raise(target(&format!("https://{}/", receiver.addr))).await, counts(0, 1, 0));
    assert_eq!(receiver.seen(), 0);
}

#[tokio::test]
async fn the_log_names_the_host_and_nothing_that_is_secret() {
    let log = Log::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || lines.clone())
        .finish();
    // For all tests of this file: a subscriber of one thread would miss what another thread has
    // found to be of no interest. None of them may write a secret.
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber here");
    let secret = || Some(Secret::new(b"s3cr3t and sixteen"));
    let answers = [Reply::Status(500), Reply::Status(404), Reply::Redirect, Reply::Never];
    for reply in answers {
        let receiver = Receiver::answering(&[reply]).await;
        let alerting =
            Alerting::start(Patience { try_max: Duration::from_millis(50), ..QUICK }, PATIENCE);
        let target = Target { secret: secret(), ..target(&receiver.url()) };
        alerting.notifier.raise(alert(To::Target(Arc::new(target))));
        assert_eq!(alerting.finish().await, counts(0, 1, 0));
    }
    let alerting = Alerting::start(QUICK, Duration::ZERO);
    let webhook = Webhook::parse("http://10.0.0.1/hook?token=s3cr3t").expect("a URL");
    (0..2 * notify::QUEUE_MAX)
        .for_each(|_| alerting.notifier.raise(alert(To::Own(webhook.clone()))));
    alerting.finish().await;
    let log = log.text();
    for said in ["the receiver answered 404", "no answer within 50ms", "was dropped"] {
        assert!(log.contains(said), "`{said}` is missing from:\n{log}");
    }
    assert!(log.contains("host=\"127.0.0.1\"") && log.contains("host=\"10.0.0.1\""), "{log}");
    assert!(!log.contains("s3cr3t") && !log.contains("/hook"), "{log}");
}

#[test]
fn the_rules_in_the_documentation_load() {
    let text = include_str!("../docs/alerts.md");
    let sample = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.yaml");
    std::fs::write(&path, sample.expect("a sample")).expect("written");
    std::fs::write(folder.path().join("billing.key"), "0123456789abcdef\n").expect("written");
    let loaded = tollgate::config::load(harness::KEY, &[path]);
    assert_eq!(loaded.warnings, "");
    loaded.rules.unwrap_or_else(|rejected| panic!("{rejected}"));
}

/// What was written to the log.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other_and_fills_no_memory() {
    let hung = Receiver::answering(&[Reply::Never]).await;
    let mut well = Receiver::answering(&[Reply::Status(200)]).await;
    let alerting = Alerting::start(QUICK, Duration::ZERO);
    let to_hung = To::Target(Arc::new(target(&hung.url())));
    let to_well = To::Target(Arc::new(target(&well.url())));
    for _ in 0..300 {
        alerting.notifier.raise(alert(to_hung.clone()));
    }
    alerting.notifier.raise(alert(to_well.clone()));
    well.next().await;
    // Four are on their way and 256 wait; the rest was too much for one receiver.
    assert_eq!(alerting.notifier.counts().dropped, 40);
    // The worker has no turn between these, so that the queue itself overflows.
    for _ in 0..notify::QUEUE_MAX + 7 {
        alerting.notifier.raise(alert(to_hung.clone()));
    }
    assert_eq!(alerting.notifier.counts().dropped, 47);
    let Counts { delivered, failed, dropped } = alerting.finish().await;
    assert_eq!((delivered + dropped, failed), (301 + notify::QUEUE_MAX as u64 + 7, 0));
}

#[tokio::test]
async fn a_server_that_ends_sends_what_was_raised_and_counts_it() {
    let mut receiver = Receiver::answering(&[Reply::Status(200)]).await;
    let server = Server::start(&format!(
        "domain: d
alerts: {{ ops: {{ url: '{}', allow_private: true }} }}
rules: [{{ name: r, limits: [{{ requests: 9, per: day, alert_at: 90, alert_to: ops }}] }}]
",
        receiver.url()
    ))
    .await;
    let ops = server.gate.rules().domain("d").expect("the domain").alerts["ops"].clone();
    server.gate.raise(alert(To::Target(ops.clone())));
    receiver.next().await;
    // The receiver has it; that it answered comes to the worker's ears a little later.
    while server.gate.alerts().delivered == 0 {
        tokio::task::yield_now().await;
    }
    let text = Http::new(server.http).get("/metrics").await.text;
    for line in ["{outcome=\"delivered\"} 1", "{outcome=\"failed\"} 0", "{outcome=\"dropped\"} 0"] {
        assert!(text.contains(&format!("tollgate_alerts_total{line}\n")), "{text}");
    }
    let gate = server.gate.clone();
    gate.raise(alert(To::Target(ops.clone())));
    server.stop().await;
    assert_eq!(gate.alerts(), counts(2, 0, 0));
    gate.raise(alert(To::Target(ops)));
    assert_eq!(gate.alerts(), counts(2, 0, 1));
}
