//! A row as bytes, to be kept on disk and shared: fields in a fixed order, texts with their length.
//!
//! The first byte is the version of the form. A row that a newer release wrote is not read.

use jiff::tz::TimeZone;

use crate::limit::Budget;
use crate::time::Timestamp;

use super::{Allowance, Row, Stage};

const VERSION: u8 = 1;

/// Ahead of a field that may be absent.
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// A budget without an end.
const UNLIMITED: u8 = 2;

impl Row {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put_count(&mut bytes, self.stages().len());
        for stage in self.stages() {
            put_stage(&mut bytes, stage);
        }
        bytes
    }

    /// The row that these bytes mean; none if they make no sense.
    pub fn from_bytes(bytes: &[u8]) -> Option<Row> {
        let mut fields = Fields(bytes);
        if fields.byte()? != VERSION {
            return None;
        }
        let stages = (0..fields.count()?).map(|_| fields.stage()).collect::<Option<_>>()?;
        fields.0.is_empty().then(|| Row::new(stages))
    }
}

fn put_stage(bytes: &mut Vec<u8>, stage: &Stage) {
    let moment = |moment: Timestamp| moment.as_micros();
    put_number(bytes, stage.from.map(moment));
    put_number(bytes, stage.until.map(moment));
    put_count(bytes, stage.entries.len());
    for (name, value) in &stage.entries {
        put_text(bytes, name);
        put_text(bytes, value);
    }
    put_count(bytes, stage.budgets.len());
    for Allowance { limit, budget, burst } in &stage.budgets {
        put_text(bytes, limit);
        match budget {
            Some(Budget::Unlimited) => bytes.push(UNLIMITED),
            Some(Budget::Requests(requests)) => put_number(bytes, Some(*requests)),
            None => put_number(bytes, None),
        }
        put_number(bytes, *burst);
    }
    put_number(bytes, stage.anchor_day.map(u64::from));
    put_optional(bytes, stage.time_zone.as_ref().and_then(TimeZone::iana_name));
    put_optional(bytes, stage.alert_to.as_deref());
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    // A row is far shorter than 32 bits can count.
    bytes.extend_from_slice(&(count as u32).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_count(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_optional(bytes: &mut Vec<u8>, text: Option<&str>) {
    bytes.push(if text.is_some() { PRESENT } else { ABSENT });
    if let Some(text) = text {
        put_text(bytes, text);
    }
}

fn put_number(bytes: &mut Vec<u8>, number: Option<u64>) {
    bytes.push(if number.is_some() { PRESENT } else { ABSENT });
    if let Some(number) = number {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

/// Bytes being read, field by field; nothing if they end too soon or make no sense.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    /// A number of parts, each of which is a byte at least: a larger one makes no sense.
    fn count(&mut self) -> Option<usize> {
        let count = self.take().map(u32::from_le_bytes)? as usize;
        (count <= self.0.len()).then_some(count)
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = self.count()?;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn optional(&mut self) -> Option<Option<&'b str>> {
        match self.byte()? {
            ABSENT => Some(None),
            PRESENT => self.text().map(Some),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Option<u64>> {
        match self.byte()? {
            ABSENT => Some(None),
            PRESENT => self.take().map(|bytes| Some(u64::from_le_bytes(bytes))),
            _ => None,
        }
    }

    fn budget(&mut self) -> Option<Option<Budget>> {
        if let [UNLIMITED, rest @ ..] = self.0 {
            self.0 = rest;
            return Some(Some(Budget::Unlimited));
        }
        self.number().map(|number| number.map(Budget::Requests))
    }

    fn allowance(&mut self) -> Option<Allowance> {
        Some(Allowance {
            limit: self.text()?.into(),
            budget: self.budget()?,
            burst: self.number()?,
        })
    }

    fn stage(&mut self) -> Option<Stage> {
        let from = self.number()?.map(Timestamp::from_micros);
        let until = self.number()?.map(Timestamp::from_micros);
        let entry = |fields: &mut Self| Some((fields.text()?.into(), fields.text()?.into()));
        let entries = (0..self.count()?).map(|_| entry(self)).collect::<Option<_>>()?;
        let budgets = (0..self.count()?).map(|_| self.allowance()).collect::<Option<_>>()?;
        let anchor_day = self.number()?.map(u8::try_from).transpose().ok()?;
        let time_zone = self.optional()?.map(TimeZone::get).transpose().ok()?;
        let alert_to = self.optional()?.map(Into::into);
        Some(Stage { from, until, entries, budgets, anchor_day, time_zone, alert_to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let allowance =
            |limit: &str, budget, burst| Allowance { limit: limit.into(), budget, burst };
        let stage = Stage {
            from: Some(Timestamp::from_secs(5)),
            until: None,
            entries: [("plan".into(), "pro".into()), ("team".into(), "ü".into())].into(),
            budgets: [
                allowance("r.month", Some(Budget::Unlimited), None),
                allowance("r.rate", Some(Budget::Requests(u64::MAX)), Some(7)),
                allowance("r.rate", None, Some(8)),
            ]
            .into(),
            anchor_day: Some(31),
            time_zone: TimeZone::get("Europe/Berlin").ok(),
            alert_to: Some("ops".into()),
        };
        Row::new(vec![Stage::default(), stage])
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Row::from_bytes(&row().to_bytes()), Some(row()));
        assert_eq!(Row::from_bytes(&Row::default().to_bytes()), Some(Row::default()));
    }

    #[test]
    fn bytes_cut_anywhere_and_those_of_a_newer_release_are_not_read() {
        let mut bytes = row().to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(Row::from_bytes(&bytes[..length]), None, "{length} bytes");
        }
        bytes.push(0);
        assert_eq!(Row::from_bytes(&bytes), None);
        bytes[0] += 1;
        assert_eq!(Row::from_bytes(&bytes), None);
    }
}
