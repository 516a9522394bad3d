//! The directory of one server's data: its lock, and the secret that its keys were made with.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::key::HashKey;

use super::disk::Directory;

const LOCK: &str = "lock";
const SECRET: &str = "hash-key";
const JOURNAL: &str = "journal";

/// A data directory.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
}

/// Held by the one server that may use the directory, until dropped or the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for as long as the file is open")] File);

impl Home {
    /// The data directory at this path, made if it is not there.
    pub fn at(path: &Path) -> io::Result<Home> {
        Directory::at(path.to_owned())?;
        Ok(Home { path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's files.
    pub fn disk(&self) -> io::Result<Directory> {
        Directory::at(self.path.join(JOURNAL))
    }

    /// The lock, unless another process holds it.
    pub fn try_lock(&self) -> io::Result<Option<Lock>> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(self.path.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The secret under which this directory's counters are named; drawn on the first call ever.
    pub fn hash_key(&self) -> io::Result<HashKey> {
        let path = self.path.join(SECRET);
        if !path.exists() {
            self.refuse_orphans(&path)?;
            self.draw_hash_key(&path, HashKey::random())?;
        }
        let bytes = fs::read(&path)?;
        let bytes = bytes.try_into().map_err(|bytes: Vec<u8>| {
            let why = format!("{} holds {} bytes instead of 16", path.display(), bytes.len());
            io::Error::new(io::ErrorKind::InvalidData, why)
        })?;
        Ok(HashKey::from_bytes(bytes))
    }

    /// Makes `key` the secret of this directory, which must have none or the same.
    pub fn adopt_hash_key(&self, key: HashKey) -> io::Result<()> {
        let path = self.path.join(SECRET);
        if !path.exists() {
            self.refuse_orphans(&path)?;
            self.draw_hash_key(&path, key)?;
        }
        if self.hash_key()?.to_bytes() == key.to_bytes() {
            return Ok(());
        }
        let why =
            format!("{} is another secret than the counters were named under", path.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }

    /// A new secret beside old counters would hide them all, and hand out every budget anew.
    fn refuse_orphans(&self, path: &Path) -> io::Result<()> {
        let journal = self.path.join(JOURNAL);
        let orphans = journal.exists() && fs::read_dir(&journal)?.next().is_some();
        if !orphans {
            return Ok(());
        }
        let why = format!(
            "{} is gone, and without it the counters in {} cannot be found; put it back, or take \
             the counters away to begin anew",
            path.display(),
            journal.display()
        );
        Err(io::Error::new(io::ErrorKind::NotFound, why))
    }

    /// Written aside and then linked, so that of two servers that start at once both read the
    /// same whole secret.
    fn draw_hash_key(&self, path: &Path, key: HashKey) -> io::Result<()> {
        let part = self.path.join(format!("{SECRET}.{}", std::process::id()));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&key.to_bytes())?;
        file.sync_all()?;
        let linked = fs::hard_link(&part, path);
        fs::remove_file(&part)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => File::open(&self.path)?.sync_all(),
        }
    }
}
