//! What a limit does to a call that would exceed it, and whether callers wait as long as it may.

use crate::config::decode::At;
use crate::config::document;
use crate::config::per;
use crate::config::problem::Span;
use crate::config::words::ON_EXCEED;
use crate::limit::{Algorithm, DEPTH_MAX, OnExceed, Queueing, WAIT_US_MAX};

use super::Compiler;

const WAIT_REMEDY: &str = "write a span of time of at most 30s, such as 500ms or 2s";

/// How long Envoy waits for a decision unless its filter says otherwise, in microseconds.
const ENVOY_TIMEOUT_US: u32 = 20_000;

impl Compiler<'_> {
    pub fn on_exceed(&mut self, written: Option<&At<document::OnExceed>>) -> OnExceed {
        let Some(At { span, value }) = written else { return OnExceed::Deny };
        match value {
            document::OnExceed::Word(word) => match word.as_str() {
                "deny" => return OnExceed::Deny,
                "allow" => return OnExceed::Allow,
                "shadow" => return OnExceed::Shadow,
                "queue" => return self.queue(*span, None, None),
                other => self.unknown_word(*span, other, "on_exceed", &ON_EXCEED),
            },
            document::OnExceed::Queue(queue) => {
                return self.queue(*span, queue.wait.as_ref(), queue.depth.as_ref());
            }
            document::OnExceed::Unknown(keys) => {
                let what = match keys.iter().find(|key| *key != "queue") {
                    Some(key) => format!("`{key}` is not known here"),
                    None => "this map says nothing".into(),
                };
                let remedy = "write deny, allow, shadow, or { queue: { wait: 500ms, depth: 100 } }";
                self.error(*span, what, remedy);
            }
        }
        OnExceed::Deny
    }

    fn queue(
        &mut self,
        span: Span,
        wait: Option<&At<String>>,
        depth: Option<&At<u64>>,
    ) -> OnExceed {
        let mut queueing = Queueing::default();
        if let Some(wait) = wait {
            queueing.wait_us = self.wait_us(wait);
        }
        match depth.map(|depth| (depth.span, u16::try_from(depth.value))) {
            Some((_, Ok(depth))) if (1..=DEPTH_MAX).contains(&depth) => queueing.depth = depth,
            Some((span, _)) => {
                let what = "this is no length of a line";
                self.error(span, what, format!("write a number from 1 to {DEPTH_MAX}"));
            }
            None => {}
        }
        let longest = self.longest_wait.is_none_or(|(_, known)| known < queueing.wait_us);
        if ENVOY_TIMEOUT_US < queueing.wait_us && longest {
            self.longest_wait = Some((span, queueing.wait_us));
        }
        OnExceed::Queue(queueing)
    }

    fn wait_us(&mut self, wait: &At<String>) -> u32 {
        let what = match per::parse_us(&wait.value).map(u32::try_from) {
            Ok(Ok(wait_us)) if wait_us <= WAIT_US_MAX => return wait_us,
            Ok(_) => "this is longer than any call may wait".into(),
            Err(what) => what,
        };
        self.error(wait.span, what, WAIT_REMEDY);
        Queueing::default().wait_us
    }

    /// A slot is free when whoever has it says so, which nobody can promise ahead of time.
    pub fn queue_fits(
        &mut self,
        written: Option<&At<document::OnExceed>>,
        on_exceed: OnExceed,
        algorithm: &Algorithm,
    ) {
        if let (Some(written), OnExceed::Queue(_), Algorithm::Concurrency) =
            (written, on_exceed, algorithm)
        {
            let what = "a call cannot wait for a slot: nobody knows when one will be free";
            self.error(written.span, what, "use `on_exceed: deny` with `concurrency`");
        }
    }

    /// Says once for a file that its calls may wait longer than a proxy does.
    pub fn long_waits(&mut self) {
        let Some((span, wait_us)) = self.longest_wait else { return };
        let what = format!(
            "calls may wait {} ms here, but Envoy gives up on a decision after {} ms unless told \
             otherwise",
            wait_us / 1000,
            ENVOY_TIMEOUT_US / 1000
        );
        let remedy = "set `timeout` of its rate limit filter above the wait, and `max_requests` of \
                      the cluster above the calls that wait: docs/queueing.md has the arithmetic";
        self.warning(span, what, remedy);
    }
}
