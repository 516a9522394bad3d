//! What a call asks, as its message has it: bounds are checked here, and nothing else is decided.
//!
//! Both readers of messages, prost's and our own, end here, so that a bound and its sentence stand
//! once. Every refusal is `INVALID_ARGUMENT` with a sentence. It is made before any counter is
//! touched, so a call that is refused here charges nothing.

use tonic::Status;

use crate::limit::{Per, Unit, WINDOW_S_MAX};
use crate::query::{Descriptor, Entries, Hits, Override};
use crate::time::SECOND_US;

use super::proto::envoy::r#type::v3::RateLimitUnit;

/// Descriptors in one call. A proxy makes one for each rate limit of a route; hundreds would be a
/// strange configuration, and each costs a few counters.
pub const DESCRIPTORS_MAX: usize = 1000;

/// Entries in one descriptor: an action makes one, and no configuration has this many.
pub const ENTRIES_MAX: usize = 256;

/// Bytes in a key or a value. Above the 60 KiB of headers that Envoy forwards, so that no header,
/// however long, becomes a way round a limit.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// Hits of one descriptor: what 63 bits hold, the bound of the server that most callers know.
pub const HITS_MAX: u64 = i64::MAX as u64;

/// What a call says beside its descriptors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    pub domain: &'a str,
    pub hits_addend: u32,
    /// How many descriptors follow.
    pub descriptors: usize,
}

/// What a descriptor says.
#[derive(Clone, Debug, Default)]
pub struct Asked<'a> {
    /// Beyond [`ENTRIES_MAX`] entries are counted and not kept.
    entries: Entries<'a>,
    entry_count: usize,
    pub hits_addend: Option<u64>,
    pub is_negative_hits: bool,
    pub limit: Option<Brought>,
}

/// A budget that a descriptor brings along.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brought {
    pub requests_per_unit: u32,
    pub unit: i32,
    pub unit_multiplier: Option<u32>,
}

impl Call<'_> {
    pub fn check(&self) -> Result<(), Status> {
        if self.domain.is_empty() {
            return Err(invalid("the domain must not be empty"));
        }
        if self.descriptors == 0 {
            return Err(invalid("at least one descriptor is needed"));
        }
        within("descriptors", self.descriptors, DESCRIPTORS_MAX)?;
        within("bytes of domain", self.domain.len(), TEXT_BYTES_MAX)
    }

    /// The hits of each descriptor that names none. An unset number reads as 0 and means one hit.
    pub fn hits(&self) -> u64 {
        u64::from(self.hits_addend.max(1))
    }
}

impl<'a> Asked<'a> {
    #[inline]
    pub fn push(&mut self, key: &'a str, value: &'a str) {
        if self.entry_count < ENTRIES_MAX {
            self.entries.push(key, value);
        }
        self.entry_count += 1;
    }

    /// The descriptor, or the first thing that is wrong with it.
    #[inline]
    pub fn descriptor(self, common_hits: u64) -> Result<Descriptor<'a>, Status> {
        within("entries in a descriptor", self.entry_count, ENTRIES_MAX)?;
        for entry in self.entries.iter() {
            within("bytes of an entry's key", entry.key.len(), TEXT_BYTES_MAX)?;
            within("bytes of an entry's value", entry.value.len(), TEXT_BYTES_MAX)?;
        }
        let hits = match hits(self.hits_addend, common_hits)? {
            Hits::Take(hits) if self.is_negative_hits => Hits::GiveBack(hits),
            hits => hits,
        };
        let limit = self.limit.map(Brought::budget).transpose()?;
        Ok(Descriptor { entries: self.entries, hits, limit })
    }
}

/// A present 0 asks without charging; an absent number takes the call's.
fn hits(own: Option<u64>, common: u64) -> Result<Hits, Status> {
    match own {
        None => Ok(Hits::Take(common)),
        Some(0) => Ok(Hits::Peek),
        Some(hits) if HITS_MAX < hits => {
            Err(invalid(&format!("hits_addend is {hits}, more than {HITS_MAX}")))
        }
        Some(hits) => Ok(Hits::Take(hits)),
    }
}

impl Brought {
    fn budget(self) -> Result<Override, Status> {
        let unit = match RateLimitUnit::try_from(self.unit) {
            Ok(RateLimitUnit::Second) => Unit::Second,
            Ok(RateLimitUnit::Minute) => Unit::Minute,
            Ok(RateLimitUnit::Hour) => Unit::Hour,
            Ok(RateLimitUnit::Day) => Unit::Day,
            Ok(RateLimitUnit::Month) => Unit::Month,
            Ok(RateLimitUnit::Year) => Unit::Year,
            Ok(RateLimitUnit::Unknown) | Err(_) => {
                return Err(invalid(&format!("limit.unit {} is no unit of time", self.unit)));
            }
        };
        let count = self.unit_multiplier.unwrap_or(1);
        if count == 0 {
            return Err(invalid("limit.unit_multiplier must be above 0"));
        }
        let per = Per { count, unit };
        if WINDOW_S_MAX < per.window_s() {
            return Err(invalid("the window of limit is longer than ten years"));
        }
        let window_us = per.window_s() * SECOND_US;
        Ok(Override { requests: u64::from(self.requests_per_unit), per, window_us })
    }
}

#[inline]
fn within(what: &str, count: usize, most: usize) -> Result<(), Status> {
    if count <= most { Ok(()) } else { Err(beyond(what, count, most)) }
}

#[cold]
fn beyond(what: &str, count: usize, most: usize) -> Status {
    invalid(&format!("{count} {what} are more than {most}"))
}

#[cold]
fn invalid(sentence: &str) -> Status {
    Status::invalid_argument(sentence)
}
