//! Alerts: where they may go, at which shares of which limits they are raised.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use crate::alert::{
    AlertAt, Form, PERCENT_MAX, Recipient, Secret, THRESHOLDS_MAX, Target, Unusable, Webhook,
};
use crate::config::decode::{At, nearest, parse_whole_number};
use crate::config::document::{self, Document, OneOrMore};
use crate::config::problem::Span;
use crate::config::words;
use crate::limit::Budget;

use super::Compiler;

/// A shorter secret could be guessed from what it signs.
const SECRET_CHARS_MIN: usize = 16;

/// A larger file holds something else, and a device would never end.
const SECRET_BYTES_MAX: u64 = 4096;

/// The targets of a file, and which of them some limit names.
#[derive(Default)]
pub struct Alerts {
    pub targets: HashMap<Box<str>, Arc<Target>>,
    /// Their names, with those of targets that cannot be used.
    declared: Vec<String>,
    used: HashSet<String>,
    /// Whether a directory may name a target for a key.
    directory: bool,
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("its secret has {0} characters; at least {SECRET_CHARS_MIN} are needed")]
    TooShort(usize),
    #[error("it is larger than {SECRET_BYTES_MAX} bytes")]
    TooLarge,
}

impl Compiler<'_> {
    pub fn targets(&mut self, document: &Document) {
        self.alerts.directory = document.directory.is_some();
        for (name, At { value: target, .. }) in document.alerts.iter().flat_map(|alerts| &alerts.0)
        {
            self.name(name);
            self.alerts.declared.push(name.value.clone());
            let webhook = self.webhook(target);
            let form = self.form(target.form.as_ref());
            let secret = target.secret_file.as_ref().and_then(|path| self.secret(path));
            let Some(webhook) = webhook else { continue };
            let target = Target {
                name: name.value.as_str().into(),
                webhook,
                form,
                secret,
                allow_private: target.allow_private,
            };
            self.alerts.targets.insert(target.name.clone(), Arc::new(target));
        }
    }

    fn webhook(&mut self, target: &document::Target) -> Option<Webhook> {
        let At { span, value } = &target.url;
        match Webhook::parse(value) {
            Ok(webhook) => {
                let private = webhook.private_address().filter(|_| !target.allow_private);
                if let Some(address) = private {
                    let what = format!("{address} is not an address of the public Internet");
                    let remedy = "add `allow_private: true` if alerts are to go there";
                    self.error(*span, what, remedy);
                }
                Some(webhook)
            }
            Err(why) => {
                let remedy = match why {
                    Unusable::Credentials => "take them out; `secret_file` is for signing alerts",
                    _ => "write the address that alerts are posted to, such as https://host/path",
                };
                self.error(*span, format!("this is no webhook: {why}"), remedy);
                None
            }
        }
    }

    fn form(&mut self, word: Option<&At<String>>) -> Form {
        let Some(At { span, value }) = word else { return Form::Plain };
        match value.as_str() {
            "plain" => return Form::Plain,
            "slack" => return Form::Slack,
            other => self.unknown_word(*span, other, "form", &words::FORMS),
        }
        Form::Plain
    }

    fn secret(&mut self, path: &At<String>) -> Option<Secret> {
        match read_secret(&self.folder.join(&path.value)) {
            Ok(secret) => Some(secret),
            Err(why) => {
                let what = format!("the file `{}` gives no secret: {why}", path.value);
                let remedy = "name a file with the secret alone, relative to this one, such as \
                              from `openssl rand -hex 32`";
                self.error(path.span, what, remedy);
                None
            }
        }
    }

    /// What a limit says of alerts.
    pub fn alert_at(
        &mut self,
        limit: &document::Limit,
        budget: Option<Budget>,
    ) -> Option<Box<AlertAt>> {
        let to = limit.alert_to.as_ref();
        let recipient = to.map(|to| self.recipient(to));
        let Some(At { span, value }) = &limit.alert_at else {
            if let Some(to) = to {
                let remedy = "add the percentages, such as `alert_at: [90, 100]`";
                self.error(to.span, "`alert_to` without `alert_at` is never told anything", remedy);
            }
            return None;
        };
        let thresholds = self.thresholds(*span, value);
        if matches!(budget, Some(Budget::Unlimited | Budget::Requests(0))) {
            let what = "there is no share of this budget to be told of";
            self.error(*span, what, "take `alert_at` out, or give the limit a number of requests");
        }
        if to.is_none() && !self.alerts.directory {
            let remedy = "add `alert_to:` and the name of a target under `alerts:`";
            self.warning(*span, "nobody is told what this limit is watched for", remedy);
        }
        let to = recipient.unwrap_or(Some(Recipient::KeysOwn))?;
        Some(Box::new(AlertAt { thresholds, to }))
    }

    fn recipient(&mut self, to: &At<String>) -> Option<Recipient> {
        self.alerts.used.insert(to.value.clone());
        if let Some(target) = self.alerts.targets.get(&*to.value) {
            return Some(Recipient::Target(target.clone()));
        }
        let names: Vec<_> = self.alerts.declared.iter().map(String::as_str).collect();
        let unread = self.left_out.contains(&to.value) || self.left_out.contains("alerts");
        if !unread && !names.contains(&to.value.as_str()) {
            let remedy = match nearest(&to.value, &names) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "define it under `alerts:`".into(),
            };
            self.error(to.span, format!("there is no alert target `{}`", to.value), remedy);
        }
        None
    }

    fn thresholds(&mut self, span: Span, percents: &OneOrMore) -> Box<[u32]> {
        let mut thresholds = Vec::new();
        for text in &percents.0 {
            let percent = parse_whole_number(text).and_then(|percent| percent.try_into().ok());
            match percent {
                Some(percent) if thresholds.contains(&percent) => {
                    let what = format!("{percent} percent stand here twice");
                    self.error(span, what, "name each once");
                }
                Some(percent @ 1..=PERCENT_MAX) => thresholds.push(percent),
                _ => {
                    let what = format!("`{text}` is no percentage of a budget");
                    let remedy =
                        format!("write whole numbers from 1 to {PERCENT_MAX}, without `%`");
                    self.error(span, what, remedy);
                }
            }
        }
        if percents.0.is_empty() || THRESHOLDS_MAX < percents.0.len() {
            let what = format!("{} thresholds", percents.0.len());
            self.error(span, what, format!("write from 1 to {THRESHOLDS_MAX} of them"));
        }
        thresholds.sort_unstable();
        thresholds.into()
    }

    /// With a directory any target may be some key's own.
    pub fn unused_targets(&mut self, document: &Document) {
        if self.alerts.directory {
            return;
        }
        for (name, _) in document.alerts.iter().flat_map(|alerts| &alerts.0) {
            if !self.alerts.used.contains(&name.value) {
                let what = format!("no limit tells `{}` anything", name.value);
                let remedy = "add `alert_at` and `alert_to` to a limit, or take the target out";
                self.warning(name.span, what, remedy);
            }
        }
    }
}

fn read_secret(path: &Path) -> Result<Secret, Unfit> {
    let mut text = String::new();
    File::open(path)?.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text)?;
    if SECRET_BYTES_MAX < text.len() as u64 {
        return Err(Unfit::TooLarge);
    }
    let secret = text.trim();
    match secret.chars().count() {
        chars if chars < SECRET_CHARS_MIN => Err(Unfit::TooShort(chars)),
        _ => Ok(Secret::new(secret.as_bytes())),
    }
}
