//! A Unix socket to listen on, and the file that stands for it.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Owner and group may connect. Whoever else is to, an operator says by the group or by the folder.
const MODE: u32 = 0o660;

/// What is put behind the socket's path to name the file that is locked.
const LOCK: &str = ".lock";

/// A bound Unix socket. Its file is removed with it.
#[derive(Debug)]
pub struct Unix {
    listener: UnixListener,
    path: PathBuf,
    /// Held for as long as the socket is. A socket's file says nothing of whether somebody listens,
    /// and asking by a connection would leave a moment in which two could find that nobody does.
    _lock: File,
}

impl Unix {
    /// Binds to a path. A socket that a server left there when it was killed is replaced.
    ///
    /// # Errors
    ///
    /// If another server listens there, if the path is some other file, or if the system refuses.
    pub fn bind(path: &Path) -> io::Result<Unix> {
        let lock = lock(path)?;
        remove_socket(path)?;
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        Ok(Unix { listener, path: path.to_owned(), _lock: lock })
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        // If somebody has removed it already, that is as well.
        let _ = fs::remove_file(&self.path);
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes what was left at a path, if that is a socket and nothing of somebody's.
fn remove_socket(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_comes_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let first = Unix::bind(&path).expect("a free path");
        let mode = fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let taken = Unix::bind(&path).expect_err("somebody listens there");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).await.expect("the first still listens");
        drop(first);
        assert!(!path.exists());
        Unix::bind(&path).expect("the path is free again");
    }

    #[tokio::test]
    async fn what_a_killed_server_left_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        drop(UnixListener::bind(&path).expect("a free path"));
        assert!(path.exists(), "a listener alone leaves its file");
        drop(Unix::bind(&path).expect("nobody listens there"));
        fs::write(&path, "notes").expect("a file");
        let refused = Unix::bind(&path).expect_err("it is somebody's file");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("it is still there"), "notes");
    }
}
