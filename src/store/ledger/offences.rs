//! What counts towards a ban, as it is kept and written.
//!
//! In memory it is what the guard works with. Written, a sketch is text: hashes in hexadecimal, or
//! one letter for each register.

use serde::{Deserialize, Serialize};

use crate::guard::{REGISTERS, Seen, Sketch, Slice, Stamps, Tally};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Offences(pub Tally);

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    /// Moments and how many came then, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stamps: Vec<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<WrittenSlice>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WrittenSlice {
    since_us: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    few: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    many: String,
}

/// Digits of one hash.
const HASH_DIGITS: usize = 16;

/// The letter of rank 0. Those of the 55 others follow it, and none of them is one that JSON has to
/// escape.
const LETTER_ZERO: u8 = b'#';

impl From<Offences> for Written {
    fn from(Offences(tally): Offences) -> Written {
        Written { stamps: tally.stamps.0, seen: tally.seen.0.into_iter().map(written).collect() }
    }
}

impl From<Written> for Offences {
    fn from(written: Written) -> Offences {
        let slices = written.seen.into_iter().map(read).collect();
        Offences(Tally { stamps: Stamps(written.stamps), seen: Seen(slices) })
    }
}

fn written(Slice { since_us, sketch }: Slice) -> WrittenSlice {
    let (mut few, mut many) = (String::new(), String::new());
    match sketch {
        Sketch::Few(hashes) => few.extend(hashes.iter().map(|hash| format!("{hash:016x}"))),
        Sketch::Many(registers) => {
            many.extend(registers.iter().map(|rank| char::from(LETTER_ZERO + rank)));
        }
    }
    WrittenSlice { since_us, few, many }
}

/// What cannot be read counts for nothing: no ban falls for what is not sure.
fn read(WrittenSlice { since_us, few, many }: WrittenSlice) -> Slice {
    let mut registers = Box::new([0; REGISTERS]);
    if many.len() == REGISTERS {
        let ranks = many.bytes().map(|letter| letter.saturating_sub(LETTER_ZERO));
        registers.iter_mut().zip(ranks).for_each(|(register, rank)| *register = rank);
        return Slice { since_us, sketch: Sketch::Many(registers) };
    }
    let mut sketch = Sketch::default();
    for digits in few.as_bytes().chunks(HASH_DIGITS) {
        let hash = str::from_utf8(digits).ok().and_then(|it| u64::from_str_radix(it, 16).ok());
        hash.into_iter().for_each(|hash| sketch.add(hash));
    }
    Slice { since_us, sketch }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offences_come_back_as_they_were_written() {
        let mut few = Sketch::default();
        [0, 1, u64::MAX].into_iter().for_each(|hash| few.add(hash));
        let mut many = Sketch::default();
        // Hashes of every rank, the highest included.
        (0..64).for_each(|bit| many.add(1 << bit));
        (0..500).for_each(|number| many.add(number << 50));
        many.add(0);
        assert!(matches!(many, Sketch::Many(_)));
        let slices = vec![Slice { since_us: 5, sketch: few }, Slice { since_us: 9, sketch: many }];
        let tally = Tally { stamps: Stamps(vec![(1, 2), (3, 4)]), seen: Seen(slices) };
        let text = serde_json::to_string(&Offences(tally.clone())).expect("plain data");
        assert!(!text.contains('\\'), "{text}");
        assert_eq!(serde_json::from_str::<Offences>(&text).expect("what was written").0, tally);
    }
}
