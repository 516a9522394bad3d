//! Values of entries as people may see them.
//!
//! A domain that says which entries are secret has the values of those shown by a fingerprint and
//! their end, and all others whole. One that does not say so has none of its values shown whole,
//! because any of them may be the key of a customer.

use crate::key::HashKey;

/// Of values longer than this the end is shown, of others nothing: the end of a short one would be
/// half of it.
const SHORT_CHARS_MAX: usize = 8;

/// What is shown of a longer value: enough to tell one's own key from another.
const SHOWN_CHARS: usize = 4;

/// How values are shown.
#[derive(Clone, Debug)]
pub struct Shown {
    key: HashKey,
    domain: Box<str>,
    /// Entries that are secret; nothing is known of any if there are none.
    secret: Box<[Box<str>]>,
}

impl Shown {
    pub fn new(key: HashKey, domain: &str, secret: Box<[Box<str>]>) -> Shown {
        Shown { key, domain: domain.into(), secret }
    }

    /// One value of this entry.
    pub fn value(&self, entry: &str, value: &str) -> String {
        if self.secret.is_empty() {
            return end_of(value);
        }
        if self.is_secret(entry) {
            return format!("{}{}", self.fingerprint(entry, value), end_of(value));
        }
        value.to_owned()
    }

    /// Whether the domain says of this entry that its values are secret.
    pub fn is_secret(&self, entry: &str) -> bool {
        self.secret.iter().any(|secret| **secret == *entry)
    }

    /// Some entries with their values.
    pub fn values(&self, values: &[(String, String)]) -> Vec<(String, String)> {
        let shown = |(entry, value): &(String, String)| (entry.clone(), self.value(entry, value));
        values.iter().map(shown).collect()
    }

    /// The value in lists that must name it: whole, unless its entry is secret.
    pub fn named(&self, entry: &str, value: &str) -> String {
        if self.secret.is_empty() { value.to_owned() } else { self.value(entry, value) }
    }

    /// Sixteen digits by which a value is known again, and from which nobody finds it: they are
    /// made under this server's secret. With so many, no two of a million customers share theirs.
    pub fn fingerprint(&self, entry: &str, value: &str) -> String {
        let identity = self.key.prefix(&["shown", &self.domain, entry, value]).identity();
        format!("{:016x}", identity.to_u128() as u64)
    }
}

/// The end of a value, if it is long enough to have one.
pub fn end_of(value: &str) -> String {
    let chars = value.chars().count();
    if chars <= SHORT_CHARS_MAX {
        return "…".to_owned();
    }
    let end: String = value.chars().skip(chars - SHOWN_CHARS).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(secret: &[&str]) -> Shown {
        let secret = secret.iter().map(|&entry| entry.into()).collect();
        Shown::new(HashKey::from_bytes([7; 16]), "d", secret)
    }

    #[test]
    fn secret_values_are_told_apart_and_not_told() {
        let shown = shown(&["key"]);
        let one = shown.value("key", "sk_live_8842_4f9a");
        assert!(one.ends_with("…4f9a") && one.len() == 16 + "…4f9a".len(), "{one}");
        assert_ne!(one, shown.value("key", "sk_live_8843_4f9a"));
        assert_eq!(shown.value("plan", "free"), "free");
    }

    #[test]
    fn without_a_word_on_what_is_secret_nothing_is_shown_whole() {
        let shown = shown(&[]);
        assert_eq!(shown.value("plan", "free"), "…");
        assert_eq!(shown.value("key", "12345678"), "…");
        assert_eq!(shown.value("key", "schlüsselwört"), "…wört");
    }
}
