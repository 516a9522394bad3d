//! The bar on a terminal: how far a run is, and how fast it goes. Silent when nobody watches.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use super::schedule::{Plan, Until};
use crate::time::Stopwatch;

/// Cells of the bar.
const WIDTH: usize = 30;

/// Back to the start of the line, and all of it gone.
const CLEAR: &str = "\r\x1b[2K";

/// The progress of one run.
#[derive(Debug)]
pub struct Bar {
    label: String,
    whole: Whole,
    since: Stopwatch,
    /// When it was drawn last, and how many calls were answered by then.
    last: (Duration, u64),
    shown: bool,
}

/// What makes a run whole.
#[derive(Clone, Copy, Debug)]
enum Whole {
    Time(Duration),
    Calls(u64),
}

impl Bar {
    /// The bar of a run over so many threads, of which each goes by `plan`.
    pub fn new(label: String, plan: Plan, threads: u64) -> Bar {
        let whole = match plan.until {
            Until::Time(time) => Whole::Time(plan.warm_up + time),
            Until::Calls(calls) => Whole::Calls(calls * threads),
        };
        let shown = io::stderr().is_terminal();
        Bar { label, whole, since: Stopwatch::start(), last: (Duration::ZERO, 0), shown }
    }

    pub fn draw(&mut self, answered: u64) {
        let now = self.since.elapsed();
        let line = self.line(now, answered);
        self.last = (now, answered);
        if self.shown {
            let mut out = io::stderr().lock();
            let _ = write!(out, "{CLEAR}{line}").and_then(|()| out.flush());
        }
    }

    /// Leaves the terminal to what comes after.
    pub fn clear(&self) {
        if self.shown {
            let mut out = io::stderr().lock();
            let _ = write!(out, "{CLEAR}").and_then(|()| out.flush());
        }
    }

    fn line(&self, now: Duration, answered: u64) -> String {
        let share = match self.whole {
            Whole::Time(time) => now.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE),
            Whole::Calls(calls) => answered as f64 / calls.max(1) as f64,
        };
        let share = share.min(1.0);
        let full = (share * WIDTH as f64) as usize;
        let (then, before) = self.last;
        let seconds = now.saturating_sub(then).as_secs_f64();
        let rate = if 0.0 < seconds { (answered - before) as f64 / seconds } else { 0.0 };
        let (done, rest) = ("#".repeat(full), "-".repeat(WIDTH - full));
        format!("{} [{done}{rest}] {:3.0} % {rate:.0}/s", self.label, share * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_how_far_and_how_fast() {
        let plan = Plan {
            rate: None,
            warm_up: Duration::from_secs(2),
            until: Until::Time(Duration::from_secs(8)),
        };
        let mut bar = Bar::new("here".into(), plan, 1);
        bar.last = (Duration::from_secs(4), 1000);
        let line = bar.line(Duration::from_secs(5), 1500);
        assert_eq!(line, "here [###############---------------]  50 % 500/s");
        let late = bar.line(Duration::from_secs(60), 1500);
        assert!(late.contains("100 %") && !late.contains('-'), "{late}");
    }
}
