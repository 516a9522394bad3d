//! Marks by which a receiver knows an alert: who sent it, and whether it has seen it before.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256};
use ring::hmac;

use crate::alert::{Alert, Secret};
use crate::time::{SECOND_US, Timestamp};

/// What of a digest makes an id: as good as unique, and short enough for a log.
const ID_BYTES: usize = 16;

/// The same for every try, and for the same crossing raised again, as after a restart: a receiver
/// may drop what it has seen.
pub fn id(alert: &Alert) -> String {
    let mut digest = Context::new(&SHA256);
    let mut add = |part: &[u8]| {
        // With its length ahead of it, no part can run into the next.
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    };
    for part in [&alert.domain, &alert.rule, &alert.limit] {
        add(part.as_bytes());
    }
    for (entry, value) in &alert.values {
        add(entry.as_bytes());
        add(value.as_bytes());
    }
    // Without a window, each crossing is one of its own.
    let occasion = alert.window_end.unwrap_or(alert.at);
    add(&alert.percent.to_be_bytes());
    add(&occasion.as_micros().to_be_bytes());
    hex(&digest.finish().as_ref()[..ID_BYTES])
}

/// The value of the header: the time, and a code over time and body that only who has the secret
/// can make. The time is signed too, so that an old alert cannot be sent again as a new one.
pub fn signature(secret: &Secret, now: Timestamp, body: &str) -> String {
    let seconds = now.as_micros() / SECOND_US;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
    let code = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex(code.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_other_tools_compute() {
        // printf '1773144000.{"a":1}' | openssl dgst -sha256 -hmac 'sixteen or more chars'
        let secret = Secret::new(b"sixteen or more chars");
        let signature = signature(&secret, Timestamp::from_secs(1_773_144_000), r#"{"a":1}"#);
        assert_eq!(
            signature,
            "t=1773144000,v1=1bebb170e84ce50dfecf10ec3347b76c5d8e3953c143360dead8ecba4e69166d"
        );
    }
}
