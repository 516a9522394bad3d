//! The bearer token: read from a file, read again when that changes, compared in constant time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::key::{HashKey, Identity};
use crate::time::Stopwatch;

/// A shorter token could be guessed.
pub const CHARS_MIN: usize = 16;

/// The file is read again at most this often, and only when somebody comes with a token.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(
        "its token has {0} characters; at least {CHARS_MIN} are needed, such as from \
             `openssl rand -hex 16`"
    )]
    TooShort(usize),
}

/// The token of this server. What is kept is not the token but its fingerprint under a key that
/// nobody knows: two fingerprints of a fixed size are compared, and how far they agree tells a
/// guesser nothing of how far the tokens do.
#[derive(Debug)]
pub struct Token {
    path: PathBuf,
    key: HashKey,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    fingerprint: Identity,
    read: Stopwatch,
    /// Whether the file was unfit when it was read last: said once.
    unfit: bool,
}

impl Token {
    pub fn from_file(path: &Path) -> Result<Token, Unfit> {
        let key = HashKey::random();
        let fingerprint = fingerprint(key, &read(path)?);
        let current = Current { fingerprint, read: Stopwatch::start(), unfit: false };
        Ok(Token { path: path.to_owned(), key, current: Mutex::new(current) })
    }

    pub fn is(&self, offered: &str) -> bool {
        self.current() == fingerprint(self.key, offered)
    }

    /// The token in force. A file that became unfit leaves the one before it in force.
    fn current(&self) -> Identity {
        // A poisoned lock means that a reader died between two whole steps.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if READ_EVERY <= current.read.elapsed() {
            current.read = Stopwatch::start();
            match read(&self.path) {
                Ok(token) => {
                    current.fingerprint = fingerprint(self.key, &token);
                    current.unfit = false;
                }
                Err(error) if !std::mem::replace(&mut current.unfit, true) => {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "unfit; the token from before stays in force");
                }
                Err(_) => {}
            }
        }
        current.fingerprint
    }
}

fn read(path: &Path) -> Result<String, Unfit> {
    let text = fs::read_to_string(path)?;
    let token = text.trim();
    match token.chars().count() {
        chars if chars < CHARS_MIN => Err(Unfit::TooShort(chars)),
        _ => Ok(token.to_owned()),
    }
}

fn fingerprint(key: HashKey, token: &str) -> Identity {
    key.prefix(&[token]).identity()
}
