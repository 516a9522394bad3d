//! A disk in memory that can lose power, run full and go bad.
//!
//! It keeps of each file what was written and what was synced, and of the directory the names as
//! they are and as they were last synced. Losing power leaves what was synced, and of the rest as
//! much as the test says: a disk may have written any part of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use tollgate::store::journal::disk::{Append, Disk, ReadAt};

#[derive(Clone, Debug, Default)]
pub struct TestDisk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    names_synced: BTreeMap<String, usize>,
    /// Bytes that may still be written; none if there is no end to them.
    room: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

impl TestDisk {
    /// Cuts the power. Of what was not synced, this share of each file's bytes survives.
    pub fn lose_power(&self, survives: f64) {
        let mut inner = self.inner();
        for file in &mut inner.files {
            let unsynced = (file.bytes.len() - file.synced) as f64;
            file.bytes.truncate(file.synced + (unsynced * survives) as usize);
        }
        inner.names = inner.names_synced.clone();
    }

    /// From now on only so many bytes more fit.
    pub fn set_room(&self, bytes: Option<usize>) {
        self.inner().room = bytes;
    }

    pub fn names(&self) -> Vec<String> {
        self.inner().names.keys().cloned().collect()
    }

    /// Changes a file behind everybody's back.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner();
        let file = inner.names[name];
        change(&mut inner.files[file].bytes);
        inner.files[file].synced = inner.files[file].bytes.len();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics in here")
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, name.to_owned())
}

impl Disk for TestDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Append>> {
        let mut inner = self.inner();
        let number = inner.files.len();
        inner.files.push(Content::default());
        inner.names.insert(name.into(), number);
        Ok(Box::new(Open { disk: self.clone(), number }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        let inner = self.inner();
        let number = *inner.names.get(name).ok_or_else(|| missing(name))?;
        Ok(Box::new(Open { disk: self.clone(), number }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        let number = inner.names.remove(from).ok_or_else(|| missing(from))?;
        inner.names.insert(to.into(), number);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner().names.remove(name).map(drop).ok_or_else(|| missing(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.names_synced = inner.names.clone();
        Ok(())
    }
}

struct Open {
    disk: TestDisk,
    number: usize,
}

impl Append for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let fits = inner.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        inner.room = inner.room.map(|room| room - fits);
        inner.files[self.number].bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let file = &mut inner.files[self.number];
        file.synced = file.bytes.len();
        Ok(())
    }
}

impl ReadAt for Open {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.inner().files[self.number].bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let inner = self.disk.inner();
        let start = offset as usize;
        let found = inner.files[self.number].bytes.get(start..start + bytes.len());
        bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
