//! What one server decides with: the rules in force, the counters, and the clock.
//!
//! The rules stand behind one pointer that is swapped whole, so a call is decided by one set from
//! its start to its end, and a reload never makes a call wait. A gate that opens only later, when
//! what was on disk is back in memory, decides nothing before.

mod alarm;
mod crossing;
mod overages;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::alert::Alert;
use crate::directory::{Lives, Row};
use crate::limiter::{self, Manner, Turn, Verdict, Wait};
use crate::notify::{self, Counts, Notifier, Queue};
use crate::query::Query;
use crate::queue::{Lines, Place};
use crate::rules::{Mode, RuleSet};
use crate::store::journal::{NotWritten, Shared, Ticket};
use crate::store::ledger::{Kind, Note};
use crate::store::{Memory, NoteKey, SHARDS};
use crate::time::{Clock, Timestamp};

use self::alarm::{Alarm, TurnedAway, Word};
use self::overages::Overages;

#[derive(Debug)]
pub struct Gate {
    rules: ArcSwap<RuleSet>,
    /// Rows that people set. They stay when the rules are replaced.
    lives: Lives,
    counters: Arc<Memory>,
    /// Calls that wait for room.
    lines: Arc<Lines>,
    journal: Option<Arc<Shared>>,
    clock: Clock,
    open: AtomicBool,
    draining: AtomicBool,
    /// When the rules in force were put there, in microseconds.
    loaded_at: AtomicU64,
    decisions: Counted,
    overages: Overages,
    /// Whether somebody has asked for a domain that nobody has rules for: most often a slip in a
    /// proxy's configuration. Said once, because each call would say it again.
    strange_domain: AtomicBool,
    /// Whether people know that there is no memory for new counters.
    alarm: Mutex<Alarm>,
    alerts: Notifier,
    /// The other end of `alerts`, until somebody takes it to deliver them.
    alerts_to_deliver: Mutex<Option<Queue>>,
}

/// What this server wants of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The counters are not back from disk yet.
    Starting,
    Serving,
    /// Accepted calls are answered; no new ones are wanted.
    Draining,
}

/// Decisions made since the start, by outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decisions {
    pub admitted: u64,
    pub refused: u64,
}

/// On a cache line of its own: every decision writes here, and must not make others wait for
/// the pointer to the rules, which only a reload writes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counted {
    admitted: AtomicU64,
    refused: AtomicU64,
}

/// The flag stands alone, and so does each number: no other memory is published through it.
const RELAXED: Ordering = Ordering::Relaxed;

/// So much of a strange domain's name goes into the log: callers choose it.
const DOMAIN_SHOWN_CHARS: usize = 100;

impl Gate {
    /// A gate over counters that end with the process; it is open at once.
    pub fn new(mut rules: RuleSet, clock: Clock) -> Gate {
        let (alerts, to_deliver) = notify::queue();
        let lives = Lives::default();
        rules.attach(&lives);
        Gate {
            rules: ArcSwap::from_pointee(rules),
            lives,
            counters: Arc::new(Memory::new()),
            lines: Arc::default(),
            journal: None,
            loaded_at: AtomicU64::new(clock.now().as_micros()),
            clock,
            open: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            decisions: Counted::default(),
            overages: Overages::default(),
            strange_domain: AtomicBool::new(false),
            alarm: Mutex::default(),
            alerts,
            alerts_to_deliver: Mutex::new(Some(to_deliver)),
        }
    }

    /// A gate over counters that a journal keeps; it opens when they have been restored.
    pub fn kept(rules: RuleSet, clock: Clock, journal: Arc<Shared>, window_us_min: u64) -> Gate {
        Gate {
            counters: Arc::new(Memory::kept(journal.clone(), window_us_min)),
            journal: Some(journal),
            open: AtomicBool::new(false),
            ..Gate::new(rules, clock)
        }
    }

    /// From now on the gate decides. What was restored before is seen by whoever sees it open.
    pub fn open(&self) {
        self.restore_rows();
        self.restore_switches(&self.rules());
        self.open.store(true, Ordering::Release);
    }

    /// Puts rows that people set, and that are back as notes, where calls find them.
    fn restore_rows(&self) {
        for (_, _, note) in self.counters.ledger().all(Kind::Row, self.now()) {
            let Note::Row(kept) = note else { continue };
            match Row::from_text(&kept.text) {
                Some(row) => self.lives.of(&kept.domain).set(&kept.key, Arc::new(row)),
                None => tracing::warn!(domain = kept.domain, "a row that was set cannot be read"),
            }
        }
    }

    /// Puts rules into the mode that people switched them to. Each with its note locked, so that
    /// whoever switches it meanwhile has the last word, if the rules are in force by then.
    fn restore_switches(&self, rules: &RuleSet) {
        let ledger = self.counters.ledger();
        if ledger.count(Kind::Switch) == 0 {
            return;
        }
        for domain in rules.domains() {
            for rule in domain.rules() {
                let identity = rules.switch_key(&domain.name, &rule.name);
                let key = NoteKey::of_identity(Kind::Switch, identity);
                let open = ledger.open(&[key]);
                let mode = match open.get(key, self.now()) {
                    Some(Note::Switch(switch)) => Mode::named(&switch.mode),
                    _ => Some(Mode::On),
                };
                rule.force.switch(mode.unwrap_or(Mode::On));
            }
        }
    }

    /// Switches a rule of the set in force, if it is in there.
    pub fn switch(&self, domain: &str, rule: &str, mode: Mode) {
        let rules = self.rules();
        if let Some(rule) = rules.domain(domain).and_then(|domain| domain.rule(rule)) {
            rule.force.switch(mode);
        }
    }

    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// From now on the gate says that it wants no new calls; it goes on deciding those it gets,
    /// and nobody waits for room any longer.
    pub fn drain(&self) {
        self.draining.store(true, RELAXED);
        self.lines.close();
    }

    pub fn phase(&self) -> Phase {
        match (self.draining.load(RELAXED), self.is_open()) {
            (true, _) => Phase::Draining,
            (false, true) => Phase::Serving,
            (false, false) => Phase::Starting,
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn memory(&self) -> &Arc<Memory> {
        &self.counters
    }

    pub fn journal(&self) -> Option<&Arc<Shared>> {
        self.journal.as_ref()
    }

    /// Ends when what a verdict depends on is on disk, or cannot be.
    pub async fn written(&self, ticket: Ticket) -> Result<(), NotWritten> {
        match &self.journal {
            Some(journal) => journal.written(ticket).await,
            None => Ok(()),
        }
    }

    /// The rules in force; the guard must not be kept beyond one call.
    pub fn rules(&self) -> Guard<Arc<RuleSet>> {
        self.rules.load()
    }

    /// Puts other rules in force, from the next call on. Counters stay as they are. Returns the
    /// rules that were in force.
    pub fn replace(&self, mut rules: RuleSet) -> Arc<RuleSet> {
        rules.attach(&self.lives);
        self.loaded_at.store(self.now().as_micros(), RELAXED);
        // Ahead of the first call, which must not meet a rule that is switched off; and once more,
        // for what was switched in the rules before while this went on.
        self.restore_switches(&rules);
        let before = self.rules.swap(Arc::new(rules));
        self.restore_switches(&self.rules());
        // Whoever waits did so by the rules before.
        self.lines.wake_all();
        before
    }

    /// Reads the clock: once for each call, and nowhere below.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Decides a call at once.
    pub fn decide<'a>(&self, rules: &'a RuleSet, query: &Query<'_>) -> Verdict<'a> {
        self.decide_in_manner(rules, query, self.at_once(false))
    }

    /// Decides a call at once, and tells how every limit stands.
    pub fn decide_telling<'a>(&self, rules: &'a RuleSet, query: &Query<'_>) -> Verdict<'a> {
        self.decide_in_manner(rules, query, self.at_once(true))
    }

    fn at_once(&self, tells: bool) -> Manner<'_> {
        let turn = Turn { lines: &self.lines, patience_us: &|| 0, place: None };
        Manner { turn: Some(turn), tells }
    }

    /// Decides a call, or has it wait; `patience_us` says for how long its caller does, and `place`
    /// where it has waited so far.
    pub fn decide_or_wait<'a>(
        &self,
        rules: &'a RuleSet,
        query: &Query<'_>,
        patience_us: &dyn Fn() -> u64,
        place: Option<Place>,
    ) -> Verdict<'a> {
        let turn = Some(Turn { lines: &self.lines, patience_us, place });
        self.decide_in_manner(rules, query, Manner { turn, tells: false })
    }

    fn decide_in_manner<'a>(
        &self,
        rules: &'a RuleSet,
        query: &Query<'_>,
        manner: Manner<'_>,
    ) -> Verdict<'a> {
        if rules.domain(query.domain).is_none() && !self.strange_domain.swap(true, RELAXED) {
            let domain = query.domain.escape_debug().take(DOMAIN_SHOWN_CHARS).collect::<String>();
            tracing::warn!(
                domain,
                "calls for a domain that no rules are loaded for pass; first seen"
            );
        }
        let verdict = limiter::decide_in_manner(rules, &self.counters, query, self.now(), manner);
        if verdict.wait.is_some() {
            return verdict;
        }
        let outcome =
            if verdict.admitted { &self.decisions.admitted } else { &self.decisions.refused };
        outcome.fetch_add(1, RELAXED);
        for &overage in &verdict.overages {
            self.overages.add(query.domain, overage);
        }
        verdict.fallen.iter().filter_map(|rule| rule.ban.as_ref()).for_each(|ban| ban.falls());
        if !verdict.crossings.is_empty()
            && let Some(domain) = rules.domain(query.domain)
        {
            let alert = |it| crossing::alert(domain, query, it, verdict.at);
            verdict.crossings.iter().filter_map(alert).for_each(|alert| self.raise(alert));
        }
        verdict
    }

    /// Lets a call wait until it is to be decided again, and returns its place.
    pub async fn wait(&self, wait: Wait) -> Place {
        let Wait { since, wait_us, mut place } = wait;
        let waited_us = tokio::select! {
            // Of the two the timer is true also while the system's clock is being set.
            () = self.clock.until(since.plus(wait_us)) => wait_us.max(self.now().since(since)),
            () = place.woken() => self.now().since(since),
        };
        place.has_waited(waited_us);
        place
    }

    /// Calls that wait for room, and what became of those that did.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Sends word of a crossing on its way. Never waits; what finds no place in the queue is
    /// dropped and counted.
    pub fn raise(&self, alert: Alert) {
        self.alerts.raise(alert);
    }

    /// Hits beyond soft limits: domain, rule and limit name, and how many.
    pub fn overages(&self) -> Vec<(String, String, u64)> {
        self.overages.all()
    }

    /// What became of the alerts so far.
    pub fn alerts(&self) -> Counts {
        self.alerts.counts()
    }

    /// The alerts to deliver, for the one who does: the second who asks gets none.
    pub fn alerts_to_deliver(&self) -> Option<Queue> {
        // A poisoned lock means that somebody died between two whole steps.
        self.alerts_to_deliver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How many decisions were made.
    pub fn decisions(&self) -> Decisions {
        let Counted { admitted, refused } = &self.decisions;
        Decisions { admitted: admitted.load(RELAXED), refused: refused.load(RELAXED) }
    }

    /// When the rules in force were put there.
    pub fn loaded_at(&self) -> Timestamp {
        Timestamp::from_micros(self.loaded_at.load(RELAXED))
    }

    /// Drops the expired counters of one shard, counted round from any number.
    pub fn sweep(&self, shard: usize) -> usize {
        self.counters.sweep(shard % SHARDS, self.now())
    }

    /// Tells in the log when new counters begin to find no memory, and when they find some again.
    /// To be called every now and then.
    pub fn watch_space(&self) {
        let space = self.counters.space();
        let turned_away = TurnedAway { decisions: space.crowded(), notes: space.notes_left_out() };
        // A poisoned lock means that somebody died between two whole steps.
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        match alarm.observe(turned_away, self.now()) {
            Some(Word::Begins) => tracing::warn!(
                bytes = space.used(),
                ceiling = space.ceiling(),
                "no memory is left for new counters: new keys share counters and are limited as a \
                 crowd, known ones go on as before; find out who sends so many keys, or raise \
                 --max-memory"
            ),
            Some(Word::Ends(TurnedAway { decisions, notes })) => tracing::warn!(
                decisions,
                notes,
                "new counters find memory again; so many decisions were counted in a crowd, and so \
                 many notes not written"
            ),
            None => {}
        }
    }

    /// Counters held, expired ones that were not swept yet included.
    pub fn counters(&self) -> usize {
        self.counters.len()
    }
}
