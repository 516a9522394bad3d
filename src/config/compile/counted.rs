//! What a rule counts by: entries, whole or by the network that an address in them lies in.

use crate::config::decode::{At, nearest};
use crate::config::document::{self, Masked};
use crate::rules::{Counted, Masks, V4_BITS, V6_BITS};

use super::Compiler;

impl Compiler<'_> {
    pub fn count_by(&mut self, list: &[At<document::Counted>]) -> Box<[Counted]> {
        let mut all: Vec<Counted> = Vec::new();
        for At { span, value } in list {
            let counted = match value {
                document::Counted::Whole(entry) => {
                    Counted { entry: entry.as_str().into(), masks: None }
                }
                document::Counted::Masked(masked) => self.masked(masked),
            };
            if all.iter().any(|known| known.entry == counted.entry) {
                let what = format!("`{}` is counted by already", counted.entry);
                self.error(*span, what, "name each entry once");
                continue;
            }
            all.push(counted);
        }
        all.into()
    }

    fn masked(&mut self, masked: &Masked) -> Counted {
        const KNOWN: [&str; 3] = ["entry", "v4", "v6"];
        for key in &masked.unknown {
            let remedy = match nearest(&key.value, &KNOWN) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", KNOWN.join(", ")),
            };
            self.error(key.span, format!("`{}` is not known here", key.value), remedy);
        }
        let v4 = self.bits(masked.v4.as_ref(), V4_BITS, "IPv4");
        let v6 = self.bits(masked.v6.as_ref(), V6_BITS, "IPv6");
        Counted { entry: masked.entry.value.as_str().into(), masks: Some(Masks { v4, v6 }) }
    }

    /// All bits if none are said.
    fn bits(&mut self, bits: Option<&At<u64>>, bits_max: u8, family: &str) -> u8 {
        let Some(At { span, value }) = bits else { return bits_max };
        match u8::try_from(*value) {
            Ok(bits) if bits <= bits_max => bits,
            _ => {
                let what = format!("an {family} address has no {value} bits");
                self.error(*span, what, format!("write a number from 0 to {bits_max}"));
                bits_max
            }
        }
    }
}
