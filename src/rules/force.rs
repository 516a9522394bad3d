//! How far a rule is in force: for all its counters, for a share of them, or not at all.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::key::Identity;

/// Shares are told in hundredths of a percent.
pub const SHARE_WHOLE: u16 = 10_000;

/// What people may do to a rule while it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// As the file says.
    On,
    /// It counts, and refuses nobody.
    Shadow,
    /// As if it were not there.
    Off,
}

/// What a rule does to one of its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    Enforced,
    /// Its limits are shadow, its bans are only shown, and it replaces nothing.
    Shadow,
    Absent,
}

/// How far one rule is in force.
#[derive(Debug)]
pub struct Force {
    /// Of ten thousand counters, how many are held to the rule.
    share: u16,
    /// Set by people at run time; carried over when the rules are read again.
    mode: AtomicU8,
}

/// The mode stands alone: no other memory is published through it.
const RELAXED: Ordering = Ordering::Relaxed;

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::On, Mode::Shadow, Mode::Off];

    pub fn name(self) -> &'static str {
        match self {
            Mode::On => "on",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        }
    }

    pub fn named(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

impl Force {
    /// In force for so many of ten thousand counters.
    pub fn of(share: u16) -> Force {
        Force { share, mode: AtomicU8::new(Mode::On as u8) }
    }

    pub fn share(&self) -> u16 {
        self.share
    }

    pub fn mode(&self) -> Mode {
        let mode = self.mode.load(RELAXED);
        Mode::ALL.into_iter().find(|known| *known as u8 == mode).unwrap_or(Mode::On)
    }

    pub fn switch(&self, mode: Mode) {
        self.mode.store(mode as u8, RELAXED);
    }

    /// Whether nothing limits the rule's force, as is usual.
    pub fn is_whole(&self) -> bool {
        self.share == SHARE_WHOLE && self.mode.load(RELAXED) == Mode::On as u8
    }

    /// What the rule does to the counters of an identity: the same for all its limits, and the
    /// same at every call, because fingerprints are uniform and stay.
    pub fn stance(&self, identity: Identity) -> Stance {
        let sampled = || identity.to_u128() % u128::from(SHARE_WHOLE) < u128::from(self.share);
        match self.mode() {
            Mode::Off => Stance::Absent,
            Mode::On if self.share == SHARE_WHOLE || sampled() => Stance::Enforced,
            Mode::On | Mode::Shadow => Stance::Shadow,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::key::HashKey;

    use super::*;

    #[test]
    fn a_share_takes_its_part_of_all_counters() {
        let force = Force::of(2500);
        let key = HashKey::from_bytes([7; 16]);
        let stance = |number: u32| force.stance(key.prefix(&[&number.to_string()]).identity());
        let enforced = (0..10_000).filter(|&number| stance(number) == Stance::Enforced).count();
        assert!((2300..2700).contains(&enforced), "{enforced} of 10,000 at a quarter");
        force.switch(Mode::Shadow);
        assert!((0..100).all(|number| stance(number) == Stance::Shadow));
        force.switch(Mode::Off);
        assert!((0..100).all(|number| stance(number) == Stance::Absent));
    }
}
