//! One controller at a time: the `flock` on a fleet's folder.

use std::io::{Read as _, Seek as _, Write as _};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::StateError;
use super::paths::Paths;

/// The right to be the controller of a fleet, until it is dropped or the process ends.
#[derive(Debug)]
pub struct FleetLock {
    _file: fs_err::File,
}

// === impl FleetLock ===

impl FleetLock {
    /// Takes the lock, at once or not at all.
    pub fn acquire(paths: &Paths) -> Result<Self, StateError> {
        let mut file = open(paths)?;
        match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text).is_ok();
                let holder = match text.trim() {
                    pid if read && !pid.is_empty() => format!("process {pid}"),
                    _ => "another process".to_owned(),
                };
                return Err(StateError::Held {
                    fleet: paths.fleet().clone(),
                    holder,
                });
            }
            Err(errno) => return Err(StateError::io("lock the fleet")(errno.into())),
        }
        let text = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(StateError::io("write the lock"))?;
        Ok(Self { _file: file })
    }
}

fn open(paths: &Paths) -> Result<fs_err::File, StateError> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(paths.lock())
        .map_err(StateError::io("open the lock"))
}
