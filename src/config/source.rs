//! The files that rules are read from.
//!
//! Reads them as text and knows nothing of what they say.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Rules for every customer of a large provider fit in far less; a file beyond this is a mistake
/// in the path, and reading it whole would only exhaust the memory.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// One file as read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path as given, for messages.
    pub name: String,
    pub text: String,
}

/// A path that could not be read: which, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read rules from {path}: {why}\n  = help: name a *.yaml file or a directory of them",
    path = path.display()
)]
pub struct Unreadable {
    path: PathBuf,
    why: String,
}

impl Unreadable {
    /// The same as a part of a sentence about whatever named the path.
    pub fn what(&self) -> String {
        format!("cannot read {}: {}", self.path.display(), self.why)
    }
}

/// Reads files, and of directories every `*.yaml` in name order. Returns every file that could be
/// read and every reason why one could not.
pub fn read_all(paths: &[PathBuf]) -> (Vec<Source>, Vec<Unreadable>) {
    let (mut sources, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths {
        match files(path) {
            Ok(files) => {
                for read in files.iter().map(|file| read(file)) {
                    match read {
                        Ok(source) => sources.push(source),
                        Err(error) => unreadable.push(error),
                    }
                }
            }
            Err(error) => unreadable.push(error),
        }
    }
    (sources, unreadable)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let failed = |error: io::Error| unreadable(path, error.to_string());
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        // Names that begin with a dot are an editor's or a ConfigMap's own business.
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        if !hidden && file.extension().is_some_and(|extension| extension == "yaml") {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(unreadable(path, "the directory holds no *.yaml file (*.yml is not read)"));
    }
    files.sort();
    Ok(files)
}

/// Reads one file.
pub fn read(path: &Path) -> Result<Source, Unreadable> {
    let failed = |error: io::Error| unreadable(path, error.to_string());
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if FILE_BYTES_MAX < text.len() as u64 {
        return Err(unreadable(path, format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(text)
        .map_err(|error| unreadable(path, format!("{error}; save it as UTF-8")))?;
    Ok(Source { name: path.display().to_string(), text })
}

fn unreadable(path: &Path, why: impl Into<String>) -> Unreadable {
    Unreadable { path: path.to_owned(), why: why.into() }
}
