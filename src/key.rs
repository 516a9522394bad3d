//! Who is being counted: identities and the keys of their counters.
//!
//! An identity is the keyed 128-bit fingerprint of a domain, a counter name and the values it
//! counts by. Each part goes in with its length ahead of it, so that no two different lists of
//! parts can spell the same bytes.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// The secret under which fingerprints are made. Clients choose the values that are hashed, so
/// without one they could aim for collisions.
#[derive(Clone, Copy)]
pub struct HashKey([u8; 16]);

/// Bits of a counter's key that its limit may not change, so that all windows of one identity
/// lie in one shard and are decided under one lock: the store takes shards from the topmost of
/// them.
pub const SHARD_BITS_MASK: u128 = (!(u64::MAX >> 19)) as u128;

/// What the hash takes in one step.
const WORD_BYTES: usize = 8;

/// How many counters the identities share for which there is no room, for each limit: enough that
/// one who floods one of them leaves most of the others alone, and few enough to be let in always.
pub const CROWDS: u128 = 16;

/// An identity whose first parts are already hashed: compiled once per rule.
#[derive(Clone)]
pub struct Prefix(SipHasher13);

/// One domain, one counter name, one list of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u128);

/// The fingerprint of a limit's name and window, folded into an identity to name one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitTag(u128);

/// The key of one counter: an identity and one of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey(u128);

impl HashKey {
    pub const fn from_bytes(bytes: [u8; 16]) -> HashKey {
        HashKey(bytes)
    }

    /// The secret itself, to be kept with the data whose keys it makes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A key that nobody can guess, drawn from the seeds that the standard library takes from
    /// the operating system.
    pub fn random() -> HashKey {
        use std::hash::{BuildHasher, RandomState};
        let half = || RandomState::new().hash_one(0u8).to_le_bytes();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&half());
        bytes[8..].copy_from_slice(&half());
        HashKey(bytes)
    }

    /// The start of every identity made of these parts and whatever values follow. How many parts
    /// they are goes in ahead of them, and zeros behind them up to a whole word: what is hashed
    /// for a call then begins with a word, which is the cheap place to begin.
    pub fn prefix(&self, parts: &[&str]) -> Prefix {
        let mut prefix = Prefix(SipHasher13::new_with_key(&self.0));
        prefix.0.write_u64(parts.len() as u64);
        for part in parts {
            prefix.push(part);
        }
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        prefix.0.write(&[0; WORD_BYTES][..bytes.next_multiple_of(WORD_BYTES) - bytes]);
        prefix
    }

    /// The tag of a limit that these parts set apart within a counter.
    pub fn tag(&self, parts: &[&str]) -> LimitTag {
        LimitTag(self.prefix(parts).0.finish128().as_u128() & !SHARD_BITS_MASK)
    }
}

impl Prefix {
    #[inline]
    pub fn push(&mut self, part: &str) {
        self.0.write_u64(part.len() as u64);
        self.0.write(part.as_bytes());
    }

    #[inline]
    pub fn identity(&self) -> Identity {
        Identity(self.0.finish128().as_u128())
    }
}

impl Identity {
    pub const fn to_u128(self) -> u128 {
        self.0
    }

    #[inline]
    pub fn counter(self, tag: LimitTag) -> CounterKey {
        CounterKey(self.0 ^ tag.0)
    }
}

impl CounterKey {
    pub const fn from_u128(number: u128) -> CounterKey {
        CounterKey(number)
    }

    pub const fn to_u128(self) -> u128 {
        self.0
    }

    /// The key of the counter that this one's hits go to if there is no room for it: one of the
    /// [`CROWDS`] of its limit, whose first key this is. All limits of an identity go to the same
    /// of their own.
    pub fn in_crowd(self, first: CounterKey) -> CounterKey {
        let bits = self.0 >> (SHARD_BITS_MASK.trailing_zeros()) & (CROWDS - 1);
        CounterKey(first.0 ^ bits << (u64::BITS - CROWDS.ilog2()))
    }
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The hasher holds the secret.
        f.write_str("Prefix")
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HashKey = HashKey::from_bytes([7; 16]);

    fn identity(parts: &[&str]) -> Identity {
        KEY.prefix(parts).identity()
    }

    #[test]
    fn parts_cannot_run_into_one_another() {
        // Joined with a separator these two would be one counter, as they are in servers that
        // glue keys and values together with an underscore.
        assert_ne!(identity(&["a", "b_c"]), identity(&["a_b", "c"]));
        assert_ne!(identity(&["ab", ""]), identity(&["a", "b"]));
        assert_ne!(identity(&["a"]), identity(&["a", ""]));
    }

    #[test]
    fn identities_depend_on_the_secret() {
        let other = HashKey::from_bytes([8; 16]);
        assert_ne!(identity(&["a"]), other.prefix(&["a"]).identity());
    }

    #[test]
    fn all_limits_of_an_identity_share_their_shard_bits() {
        let id = identity(&["shop", "per-key", "k1"]);
        let (minute, month) = (id.counter(KEY.tag(&["minute"])), id.counter(KEY.tag(&["month"])));
        assert_ne!(minute, month);
        assert_eq!(minute.0 & SHARD_BITS_MASK, month.0 & SHARD_BITS_MASK);
    }

    #[test]
    fn crowds_are_sixteen_and_all_limits_of_an_identity_go_to_the_same() {
        let [minute, month] = ["minute", "month"].map(|limit| KEY.tag(&[limit]));
        let first = |tag| identity(&["crowd", "shop", "per-key"]).counter(tag);
        let crowd = |id: Identity, tag| id.counter(tag).in_crowd(first(tag)).0;
        let mut crowds = std::collections::HashSet::new();
        for number in 0..1000 {
            let id = identity(&[&number.to_string()]);
            crowds.insert(crowd(id, minute));
            let (of_minute, of_month) = (crowd(id, minute), crowd(id, month));
            assert_eq!(of_minute ^ first(minute).0, of_month ^ first(month).0);
        }
        assert_eq!(crowds.len() as u128, CROWDS);
    }

    #[test]
    fn the_secret_is_not_printed() {
        // A rule set that was printed for a failed test once showed the secret in each prefix.
        let secret = HashKey::from_bytes([255; 16]);
        assert_eq!(format!("{secret:?}"), "HashKey(secret)");
        assert_eq!(format!("{:?}", secret.prefix(&["a"])), "Prefix");
    }
}
