//! What a refused caller gets to read: a body and headers, made of templates.

use crate::limit::Budget;
use crate::limiter::{OwnedEntries, Verdict};
use crate::query::{Entries, Query};
use crate::rules::{Domain, Field, Form, OnRefusal, Piece, Template};

use super::Headers;
use super::choice::Choice;
use super::headers::{Header, Value, reset};
use super::text::{self, Filling};

/// The body of a refusal; its type is among the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub text: String,
}

/// What the places of templates are filled with.
struct Values<'a, 'q> {
    domain: &'a Domain,
    choice: &'a Choice<'a>,
    entries: Option<&'a Entries<'q>>,
    /// These with what the directory has added, if it has.
    directed: Option<&'a OwnedEntries>,
    retry_after_s: Option<u64>,
    reset: Option<u64>,
}

/// Adds the headers of a refusal, and returns its body.
pub fn add<'v>(
    to: &mut Headers<'v>,
    on_refusal: &'v OnRefusal,
    choice: &Choice<'v>,
    verdict: &Verdict<'_>,
    query: &Query<'_>,
    retry_after_s: Option<u64>,
) -> Option<Body> {
    let refused_at = match (choice.banned, choice.refusing) {
        (Some(banned), _) => Some(banned.descriptor),
        (None, Some(refusing)) => Some(refusing.descriptor),
        (None, None) => verdict.statuses.iter().position(|status| status.refused),
    };
    let descriptor = refused_at.and_then(|position| query.descriptors.get(position));
    let wait_us = match choice.banned {
        Some(banned) => Some(banned.wait_us),
        None => choice.refusing.map(|it| it.wait_us()),
    };
    let values = Values {
        domain: verdict.speaker?,
        choice,
        entries: descriptor.map(|descriptor| &descriptor.entries),
        directed: refused_at.and_then(|position| verdict.directed.get(position)),
        retry_after_s,
        reset: wait_us.map(|wait_us| reset(choice.reset, verdict.at, wait_us)),
    };
    for (name, template) in &on_refusal.headers {
        let value = Value::Text(values.fill(template, Form::Header));
        to.push(Header { name, value });
    }
    let body = on_refusal.body.as_ref()?;
    to.push(Header { name: CONTENT_TYPE, value: Value::Text(body.content_type.to_string()) });
    Some(Body { text: values.fill(&body.text, body.form) })
}

/// Envoy replaces its own by this one.
const CONTENT_TYPE: &str = "content-type";

impl Values<'_, '_> {
    fn fill(&self, template: &Template, form: Form) -> String {
        let mut text = String::new();
        for piece in &template.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Value { field, bare } => {
                    text::write(&mut text, form, *bare, self.of(field));
                }
            }
        }
        text
    }

    fn entry(&self, name: &str) -> Option<&str> {
        match self.directed {
            Some(entries) => {
                entries.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
            }
            None => self.entries.and_then(|entries| entries.get(name)),
        }
    }

    fn of(&self, field: &Field) -> Filling<'_> {
        let refusing = self.choice.refusing;
        let number = |number: Option<u64>| number.map_or(Filling::Absent, Filling::Number);
        match field {
            Field::Limit => match refusing.map(|it| it.budget) {
                Some(Budget::Requests(requests)) => Filling::Number(requests),
                Some(Budget::Unlimited) => Filling::Unlimited,
                None => Filling::Absent,
            },
            Field::Remaining => number(refusing.map(|it| it.remaining)),
            Field::RetryAfter => number(self.retry_after_s),
            Field::Reset => number(self.reset),
            Field::Rule => match self.choice.banned {
                Some(banned) => filling(Some(banned.rule)),
                None => filling(refusing.and_then(|it| it.rule).map(|rule| &*rule.name)),
            },
            Field::Plan => filling(refusing.and_then(|it| it.plan)),
            Field::Entry(name) => match self.entry(name) {
                // Bodies end up in logs, where no secret may be.
                Some(value) if self.domain.shown().is_secret(name) => {
                    Filling::Text(self.domain.shown().value(name, value).into())
                }
                value => filling(value),
            },
        }
    }
}

fn filling(text: Option<&str>) -> Filling<'_> {
    text.map_or(Filling::Absent, |text| Filling::Text(text.into()))
}
