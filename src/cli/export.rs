//! `tollgate export` and `tollgate import`: state in a plain form, out of a data directory and
//! into one.
//!
//! Export reads what is on disk and may run beside a server; import needs the directory to itself.

use std::fmt;
use std::fs;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::settings::{Export, Import};
use crate::store::journal::format::Record;
use crate::store::journal::{self, Home, lines};
use crate::time::Clock;

/// Why nothing was exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("error: cannot use {path}: {why}", path = path.display())]
    Unusable { path: PathBuf, why: io::Error },
    #[error("error: {0}")]
    Journal(#[from] journal::Error),
    #[error("error: {file}, {bad}; nothing was imported", file = file.display())]
    BadLine { file: PathBuf, bad: lines::BadLine },
    #[error(
        "error: a server uses {path}; stop it first, for it would not see what is imported",
        path = path.display()
    )]
    InUse { path: PathBuf },
}

/// What was done, for people.
#[derive(Debug)]
pub struct Done {
    pub summary: String,
    /// What was found damaged on the way.
    pub damage: Vec<String>,
}

/// How many records of each kind there are.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    counters: usize,
    notes: usize,
}

impl Count {
    fn add(&mut self, record: &Record) {
        match record {
            Record::Counter { .. } => self.counters += 1,
            Record::Note { .. } => self.notes += 1,
            Record::Gone { .. } | Record::NoteGone { .. } | Record::End { .. } => {}
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.notes {
            0 => write!(f, "{} counters", self.counters),
            notes => write!(f, "{} counters and {notes} notes", self.counters),
        }
    }
}

/// Writes everything in the data directory to `out`.
pub fn export(settings: &Export, out: impl Write) -> Result<Done, Error> {
    let path = &settings.data;
    let unusable = |why| Error::Unusable { path: path.clone(), why };
    // Asked for what is not there, making it would be a strange answer.
    fs::metadata(path).map_err(unusable)?;
    let home = Home::at(path).map_err(unusable)?;
    let key = home.hash_key().map_err(unusable)?;
    let disk = home.disk().map_err(unusable)?;
    let (mut out, mut records) = (BufWriter::new(out), Count::default());
    out.write_all(lines::head(key).as_bytes()).map_err(unusable)?;
    let damage = journal::each_record(&disk, Clock::system().now(), |record| {
        let Some(line) = lines::line(&record) else { return Ok(()) };
        records.add(&record);
        out.write_all(line.as_bytes())
    })?;
    out.write_all(lines::tail(records.counters + records.notes).as_bytes()).map_err(unusable)?;
    out.flush().map_err(unusable)?;
    Ok(Done { summary: format!("exported {records}"), damage })
}

/// Puts an export into the data directory, beside what is there already. Of a counter that is in
/// both, the export's is kept. A bad line changes nothing.
pub fn import(settings: &Import) -> Result<Done, Error> {
    let path = &settings.data;
    let file = settings.file.clone();
    let text = read(&file).map_err(|why| Error::Unusable { path: file.clone(), why })?;
    let export = lines::read(&text).map_err(|bad| Error::BadLine { file, bad })?;
    let unusable = |why| Error::Unusable { path: path.clone(), why };
    let home = Home::at(path).map_err(unusable)?;
    let lock = home.try_lock().map_err(unusable)?;
    let Some(_lock) = lock else { return Err(Error::InUse { path: path.clone() }) };
    home.adopt_hash_key(export.key).map_err(unusable)?;
    let disk = Arc::new(home.disk().map_err(unusable)?);
    let mut records = Count::default();
    export.records.iter().for_each(|record| records.add(record));
    let added = journal::add(disk, export.records, Clock::system())?;
    let (live, expired) = (added.live, added.expired);
    let summary =
        format!("read {records}, of which {expired} had expired; the directory holds {live} now");
    Ok(Done { summary, damage: added.damage })
}

/// The text of a file, or of standard input if it is called `-`.
fn read(file: &Path) -> io::Result<String> {
    if file != Path::new("-") {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}
