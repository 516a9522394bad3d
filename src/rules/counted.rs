//! What a rule counts by: an entry's value, or the network that the value lies in.

use std::fmt;
use std::ops::Deref;

use crate::key::Prefix;

use super::address::{Masks, Network, NetworkText};

/// One entry that a rule counts by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub entry: Box<str>,
    /// If the value is an address, count by its network of so many bits.
    pub masks: Option<Masks>,
}

/// What stands in a counter for the value of one entry.
#[derive(Clone, Copy, Debug)]
pub enum CountedValue<'v> {
    Whole(&'v str),
    Network(NetworkText),
}

impl Counted {
    /// Adds an entry to an identity: its name, and what its value is counted as. The name of the
    /// first is in a rule's prefix already.
    #[inline]
    pub fn push(&self, position: usize, value: &str, prefix: &mut Prefix) {
        if position > 0 {
            prefix.push(&self.entry);
        }
        match self.masks {
            None => prefix.push(value),
            Some(_) => prefix.push(&self.value(value)),
        }
    }

    /// What a value is counted as. A value that is no address is counted as it is, and can never
    /// be taken for a network, because a network's text is one.
    pub fn value<'v>(&self, value: &'v str) -> CountedValue<'v> {
        let network = self.masks.and_then(|masks| Some(Network::parse(value)?.masked(masks)));
        match network {
            Some(network) => CountedValue::Network(network.text()),
            None => CountedValue::Whole(value),
        }
    }
}

impl Deref for CountedValue<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            CountedValue::Whole(value) => value,
            CountedValue::Network(text) => text.as_str(),
        }
    }
}

/// `key`, or with the bits that count: `remote_address/24,64`.
impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entry)?;
        match self.masks {
            Some(Masks { v4, v6 }) => write!(f, "/{v4},{v6}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(masks: Option<Masks>, value: &str) -> String {
        let counted = Counted { entry: "remote_address".into(), masks };
        str::to_owned(&counted.value(value))
    }

    #[test]
    fn addresses_of_one_network_are_counted_as_one() {
        let masks = Some(Masks { v4: 24, v6: 64 });
        for (value, as_one) in [
            ("10.1.2.3", "10.1.2.0/24"),
            ("::ffff:10.1.2.200", "10.1.2.0/24"),
            ("10.1.2.128/25", "10.1.2.0/24"),
            ("10.1.0.0/16", "10.1.0.0/16"),
            ("2a00:1:2:3::9", "2a00:1:2:3::/64"),
            ("[2a00:1:2:3:4:5:6:7]", "2a00:1:2:3::/64"),
            ("unix", "unix"),
            ("", ""),
        ] {
            assert_eq!(counted(masks, value), as_one);
        }
    }

    #[test]
    fn a_plain_entry_is_counted_as_it_is_spelled() {
        assert_eq!(counted(None, "0:0:0:0:0:0:0:1"), "0:0:0:0:0:0:0:1");
    }
}
