//! The kill switch: a rule taken out of force, or put into shadow, while the server runs.
//!
//! A switch outlives reloads and restarts, until somebody puts the rule in force again.

use crate::audit::Who;
use crate::limit::Durability;
use crate::rules::Mode;
use crate::store::NoteKey;
use crate::store::ledger::{self, Kind, Note};
use crate::time::Timestamp;

use super::made::Made;
use super::{Quota, Refusal, resolve};

/// What is switched stays so until it is switched again.
const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);

/// A rule that is not as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    pub domain: String,
    pub rule: String,
    pub mode: &'static str,
    /// Whether there is such a rule; a switch waits for one that is not loaded.
    pub loaded: bool,
}

impl Quota {
    /// Switches a rule; `on` puts it in force as its file says.
    pub async fn switch(
        &self,
        who: Who,
        domain: &str,
        rule: &str,
        mode: &str,
    ) -> Result<Switched, Refusal> {
        let (switched, made) = self.put_switch(domain, rule, mode)?;
        self.write(who, "switch", made).await?;
        Ok(switched)
    }

    /// All rules that are not as their files say.
    pub fn switches(&self) -> Result<Vec<Switched>, Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let mut all = Vec::new();
        for (_, _, note) in self.gate.memory().ledger().all(Kind::Switch, now) {
            if let Note::Switch(ledger::Switch { domain, rule, mode }) = note
                && let Some(mode) = Mode::named(&mode)
            {
                let loaded = rules.domain(&domain).is_some_and(|it| it.rule(&rule).is_some());
                all.push(Switched { domain, rule, mode: mode.name(), loaded });
            }
        }
        all.sort_by(|a, b| (&a.domain, &a.rule).cmp(&(&b.domain, &b.rule)));
        Ok(all)
    }

    fn put_switch(
        &self,
        domain: &str,
        rule: &str,
        mode: &str,
    ) -> Result<(Switched, Made), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let Some(mode) = Mode::named(mode) else {
            let what = format!("mode is `{mode}`; write `on`, `shadow` or `off`");
            return Err(Refusal::Invalid(what));
        };
        let key = rules.switch_key(domain, rule);
        let loaded = rules.domain(domain).is_some_and(|it| it.rule(rule).is_some());
        let name = NoteKey::of_identity(Kind::Switch, key);
        // A switch that was left behind by a rule can be taken away.
        let left = mode == Mode::On && self.gate.memory().ledger().get(name, now).is_some();
        if !loaded && !left {
            resolve::named(&rules, domain)?;
            return Err(Refusal::NotFound(format!("domain `{domain}` has no rule `{rule}`")));
        }
        let mut open = self.gate.memory().ledger().open(&[name]);
        let before = match open.get(name, now) {
            Some(Note::Switch(switch)) => switch.mode.clone(),
            _ => Mode::On.name().to_owned(),
        };
        let note = Note::Switch(ledger::Switch {
            domain: domain.to_owned(),
            rule: rule.to_owned(),
            mode: mode.name().to_owned(),
        });
        let ticket = match mode {
            Mode::On => open.remove(name, Durability::Strict).1,
            Mode::Shadow | Mode::Off => open.put(name, note, NEVER, Durability::Strict),
        };
        // The note is locked meanwhile, and the rules are looked at behind it: of two changes both
        // keep the same one, and a reload that is under way finds either this note or these rules.
        self.gate.switch(domain, rule, mode);
        drop(open);
        let details =
            vec![("rule", rule.to_owned()), ("mode", mode.name().to_owned()), ("before", before)];
        let made = Made { details, ticket, ..Made::in_domain(domain, now) };
        let (domain, rule) = (domain.to_owned(), rule.to_owned());
        Ok((Switched { domain, rule, mode: mode.name(), loaded }, made))
    }
}
