//! What callers are told: which headers, what of them, and what a refused caller gets.

use crate::config::decode::{At, Pairs, nearest, parse_whole_number};
use crate::config::document::{self, Document};
use crate::config::per::{self, PER_REMEDY};
use crate::config::problem::Problem;
use crate::config::words::{self, STYLES};
use crate::rules::{
    Answers, Body, Domain, Form, Headers, Names, OnRefusal, ResetForm, RetryAfter, Style,
};

use super::Compiler;

/// What a file says is told: of a domain, or of a rule.
pub struct Told<'d> {
    pub headers: Option<&'d At<document::Headers>>,
    pub metadata: Option<bool>,
    pub on_refusal: Option<&'d At<document::OnRefusal>>,
}

/// Headers that say how a message is carried, or whose it is: a limit has no say in them.
const NOT_OURS: [&str; 15] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Timers that count milliseconds in 31 bits end here, and many clients have such.
const TIMER_S_MAX: u64 = (i32::MAX as u64) / 1000;

/// A refusal is sent as often as a client likes to be refused, so it is kept short.
const BODY_BYTES_MAX: usize = 16 << 10;
const HEADER_BYTES_MAX: usize = 1 << 10;

impl Compiler<'_> {
    pub fn answers(&mut self, told: Told<'_>) -> Answers {
        Answers {
            headers: told.headers.map(|headers| self.headers(&headers.value)),
            metadata: told.metadata,
            on_refusal: told.on_refusal.map(|on_refusal| self.on_refusal(on_refusal)),
        }
    }

    /// What a rule says for itself, if it says anything.
    pub fn own_answers(&mut self, rule: &document::Rule) -> Option<Box<Answers>> {
        let (headers, metadata) = (rule.headers.as_ref(), rule.metadata);
        let on_refusal = rule.on_refusal.as_ref();
        let says = headers.is_some() || metadata.is_some() || on_refusal.is_some();
        says.then(|| Box::new(self.answers(Told { headers, metadata, on_refusal })))
    }

    fn headers(&mut self, headers: &document::Headers) -> Headers {
        let style = headers.style.as_ref().map_or(STYLES[0], |style| style.value.as_str());
        if let Some(At { span, value }) = &headers.style
            && !STYLES.contains(&value.as_str())
        {
            self.unknown_word(*span, value, "style", &STYLES);
        }
        let names = self.names(headers.names.as_ref());
        let reset = self.reset(headers.reset.as_ref());
        if style != STYLES[0] {
            self.of_other_style(headers, style);
        }
        let style = match style {
            "none" => Style::Silent,
            "ietf-draft-11" => Style::IetfDraft11,
            _ => Style::XRateLimit { names, reset },
        };
        let retry_after = match &headers.retry_after {
            Some(retry_after) => self.retry_after(&retry_after.value),
            None => (!matches!(style, Style::Silent)).then(RetryAfter::default),
        };
        let show = headers.show.as_ref().map(|show| show.value.as_str().into());
        Headers { style, show, retry_after }
    }

    /// Keys that only the style `x-ratelimit` has a use for.
    fn of_other_style(&mut self, headers: &document::Headers, style: &str) {
        let spans = [
            ("names", headers.names.as_ref().map(|names| names.span)),
            ("reset", headers.reset.as_ref().map(|reset| reset.span)),
            ("show", headers.show.as_ref().map(|show| show.span)),
        ];
        for (key, span) in spans {
            let Some(span) = span else { continue };
            let what = format!("`{key}` means nothing in the style `{style}`");
            self.error(span, what, format!("take `{key}` out, or write `style: {}`", STYLES[0]));
        }
    }

    fn reset(&mut self, word: Option<&At<String>>) -> ResetForm {
        match word.map(|word| word.value.as_str()) {
            Some("delta") => ResetForm::Delta,
            None | Some("unix") => ResetForm::Unix,
            Some(_) => {
                if let Some(At { span, value }) = word {
                    self.unknown_word(*span, value, "reset", &words::RESETS);
                }
                ResetForm::Unix
            }
        }
    }

    fn names(&mut self, names: Option<&At<document::Names>>) -> Names {
        let mut compiled = Names::default();
        let Some(At { value: names, .. }) = names else { return compiled };
        for (name, place) in [
            (&names.limit, &mut compiled.limit),
            (&names.remaining, &mut compiled.remaining),
            (&names.reset, &mut compiled.reset),
            (&names.overage, &mut compiled.overage),
        ] {
            let Some(name) = name else { continue };
            self.header_name(name);
            *place = name.value.as_str().into();
        }
        let all = [&compiled.limit, &compiled.remaining, &compiled.reset, &compiled.overage];
        let written = [&names.limit, &names.remaining, &names.reset, &names.overage];
        for At { span, value } in written.into_iter().flatten() {
            if all.iter().filter(|name| name.eq_ignore_ascii_case(value)).count() > 1 {
                let what = format!("two headers here are called `{value}`");
                self.error(*span, what, "give each a name of its own");
                break;
            }
        }
        compiled
    }

    fn header_name(&mut self, name: &At<String>) {
        let At { span, value } = name;
        let lower = value.to_ascii_lowercase();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if value.starts_with(':') {
            let what = format!("`{value}` is no header, but a part of the response's head");
            self.error(*span, what, "use a name such as `x-ratelimit-limit`");
        } else if value.is_empty() || HEADER_BYTES_MAX < value.len() || !value.bytes().all(token) {
            let remedy = "use letters, digits and `-`, such as `x-ratelimit-limit`";
            self.error(*span, format!("`{value}` is not a name for a header"), remedy);
        } else if lower == "content-type" {
            let remedy = "write it as `type` of the `body`";
            self.error(*span, "`content-type` belongs to the body", remedy);
        } else if NOT_OURS.contains(&&*lower) {
            let what = format!("`{value}` says how a message is carried, which is for the proxy");
            self.error(*span, what, "choose another name");
        } else if lower == "retry-after" {
            let remedy = "use `retry_after` under `headers`";
            self.error(*span, "`retry-after` has a key of its own", remedy);
        }
    }

    fn retry_after(&mut self, retry_after: &document::RetryAfter) -> Option<RetryAfter> {
        let (jitter, at_most, unknown) = match retry_after {
            document::RetryAfter::Sent(sent) => return sent.then(RetryAfter::default),
            document::RetryAfter::With { jitter, at_most, unknown } => (jitter, at_most, unknown),
        };
        for At { span, value } in unknown {
            let remedy = match nearest(value, &["jitter", "at_most"]) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "known here: jitter, at_most".into(),
            };
            self.error(*span, format!("`{value}` is not known here"), remedy);
        }
        let mut compiled = RetryAfter::default();
        if let Some(jitter) = jitter {
            compiled.jitter_percent = self.percent(jitter);
        }
        if let Some(at_most) = at_most {
            compiled.at_most_s = self.at_most_s(at_most).unwrap_or(compiled.at_most_s);
        }
        Some(compiled)
    }

    fn percent(&mut self, At { span, value }: &At<String>) -> u8 {
        let number = value.strip_suffix('%').and_then(|digits| parse_whole_number(digits.trim()));
        let percent = number.and_then(|number| u8::try_from(number).ok());
        percent.filter(|percent| *percent <= 100).unwrap_or_else(|| {
            let remedy = "write 0% to 100%, such as 10%";
            self.error(*span, format!("`{value}` is not a share of the wait"), remedy);
            0
        })
    }

    fn at_most_s(&mut self, At { span, value }: &At<String>) -> Option<u64> {
        let per = match per::parse(value) {
            Ok(per) => per,
            Err(what) => {
                self.error(*span, what, PER_REMEDY);
                return None;
            }
        };
        let seconds = per.window_s();
        if TIMER_S_MAX < seconds {
            let what = "many clients' timers overflow after 24 days, and then end at once";
            self.warning(*span, what, "write 24 days at most; a client may well ask again earlier");
        }
        Some(seconds)
    }

    fn on_refusal(&mut self, on_refusal: &At<document::OnRefusal>) -> OnRefusal {
        let At { span, value: on_refusal } = on_refusal;
        if let Some(status) = &on_refusal.status {
            let remedy = "set `rate_limited_status` in Envoy's rate limit filter";
            self.error(status.span, "the status is Envoy's to choose", remedy);
        }
        if on_refusal.body.is_none() && on_refusal.headers.is_none() {
            let remedy = "write `body: { type: application/json, text: … }` or `headers:`";
            self.error(*span, "this refusal says nothing", remedy);
        }
        let pairs = on_refusal.headers.as_ref().map_or(&[][..], |Pairs(pairs)| pairs);
        let mut headers = Vec::new();
        for (name, value) in pairs {
            self.header_name(name);
            let fit = |char: char| char == ' ' || char.is_ascii_graphic();
            if HEADER_BYTES_MAX < value.value.len() || !value.value.chars().all(fit) {
                let remedy =
                    format!("write one line of at most {HEADER_BYTES_MAX} ASCII characters");
                self.error(value.span, "this cannot stand in a header", remedy);
            }
            headers.push((name.value.as_str().into(), self.template(value, Form::Header)));
        }
        let body = on_refusal.body.as_ref().map(|body| self.body(body));
        OnRefusal { body, headers: headers.into() }
    }

    fn body(&mut self, body: &document::Body) -> Body {
        let form = self.content_form(&body.content_type);
        if BODY_BYTES_MAX < body.text.value.len() {
            let what = format!("a body of more than {BODY_BYTES_MAX} bytes");
            self.error(body.text.span, what, "say it shorter, and link to a page that says more");
        }
        let text = self.template(&body.text, form);
        Body { content_type: body.content_type.value.as_str().into(), form, text }
    }

    fn content_form(&mut self, At { span, value }: &At<String>) -> Form {
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let token = |part: &str| {
            let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
            !part.is_empty() && part.bytes().all(fit)
        };
        let plain = |char: char| char == ' ' || char.is_ascii_graphic();
        let is_type = matches!(essence.split_once('/'), Some((a, b)) if token(a) && token(b));
        if !is_type || !value.chars().all(plain) {
            let remedy = "write a type such as `application/json` or `text/plain; charset=utf-8`";
            self.error(*span, format!("`{value}` is not a type of content"), remedy);
        }
        let (_, subtype) = essence.split_once('/').unwrap_or_default();
        match subtype {
            "json" => Form::Json,
            "html" | "xml" => Form::Markup,
            subtype if subtype.ends_with("+json") => Form::Json,
            subtype if subtype.ends_with("+xml") => Form::Markup,
            _ => Form::Plain,
        }
    }

    /// Whether there are the limits that headers are to show. Where other errors have kept limits
    /// from being read, one that is missing may be among them.
    pub fn shown(&mut self, document: &Document, domain: &Domain) {
        let rules = document.rules.as_deref().unwrap_or_default();
        let own = rules.iter().filter_map(|rule| rule.value.headers.as_ref());
        let shows = document.headers.iter().chain(own).filter_map(|it| it.value.show.as_ref());
        let limits = domain.rules().iter().flat_map(|rule| rule.all_limits());
        let mut labels: Vec<&str> = limits.map(|limit| &*limit.label).collect();
        labels.sort_unstable();
        labels.dedup();
        let whole = !self.findings.iter().any(Problem::is_error) && self.left_out.is_empty();
        for At { span, value } in shows {
            if labels.contains(&value.as_str()) || !whole {
                continue;
            }
            let what = format!("there is no limit `{value}` to show");
            self.error(*span, what, show_remedy(value, &labels));
        }
    }
}

fn show_remedy(show: &str, labels: &[&str]) -> String {
    match nearest(show, labels) {
        Some(label) => format!("did you mean `{label}`?"),
        None => "name a rule and one of its limits, such as `per-key.minute`".into(),
    }
}
