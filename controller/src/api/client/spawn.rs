//! Starting a controller in the background, as ssh and gpg do with their agents.
//!
//! The child leaves the terminal's session itself (`controller run --background`), writes its log to the fleet's folder,
//! and says `ready` on its standard output once its socket takes connections. So nobody polls, and a child that dies is
//! noticed at once.

use std::process::Stdio;
use std::time::Duration;

use camino::Utf8Path;
use rustix::fs::{FlockOperation, flock};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::error::ConnectError;
use crate::cli::Environment;
use crate::state::Paths;

/// The word on standard output by which a controller says that it serves.
pub const READY: &str = "ready";

/// A controller in the background ends after this long with nothing to do.
const IDLE_EXIT: &str = "10m";

/// How long it may take to serve; its store may have migrations before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log longer than this is set aside before the next start, in bytes.
const LONGEST_LOG: u64 = 8 << 20;

/// How much of a log is shown when its writer died, in lines.
const TAIL_LINES: usize = 10;

/// The turn to start a controller, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _file: fs_err::File,
}

/// Waits until no other command is about to start a controller of this fleet.
pub(super) async fn take_turn(paths: &Paths) -> Result<Turn, ConnectError> {
    let path = paths.dir().join("start.lock");
    let taken = tokio::task::spawn_blocking(move || {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        flock(file.file(), FlockOperation::LockExclusive)?;
        Ok(Turn { _file: file })
    });
    match taken.await {
        Ok(turn) => turn.map_err(ConnectError::Spawn),
        Err(panic) => Err(ConnectError::Spawn(std::io::Error::other(panic))),
    }
}

/// Starts a controller and waits until it serves.
pub(super) async fn start(
    environment: &Environment,
    paths: &Paths,
    listen: &str,
) -> Result<(), ConnectError> {
    let log = paths.log();
    let (file, written_before) = open_log(&log).map_err(ConnectError::Spawn)?;
    let program = std::env::current_exe().map_err(ConnectError::Spawn)?;
    let mut command = Command::new(program);
    command
        .args([
            "controller",
            "run",
            "--background",
            "--fleet",
            paths.fleet().as_str(),
        ])
        .args(["--idle-exit", IDLE_EXIT, "--listen", listen, "--no-color"])
        .env("FOUNDRY_HOME", &environment.home)
        .current_dir(paths.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file.into_parts().0);
    for name in &environment.secret_variables {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(ConnectError::Spawn)?;
    let Some(stdout) = child.stdout.take() else {
        return Ok(());
    };
    let mut line = String::new();
    let mut stdout = BufReader::new(stdout);
    let said = timeout(PATIENCE, stdout.read_line(&mut line)).await;
    match said {
        Ok(Ok(_)) if line.trim_end() == READY => Ok(()),
        Ok(_) => Err(ConnectError::Died {
            tail: tail(&log, written_before),
            log,
        }),
        Err(_) => Err(ConnectError::NotReady {
            log,
            waited: PATIENCE,
        }),
    }
}

/// The log, and how long it is already.
fn open_log(path: &Utf8Path) -> std::io::Result<(fs_err::File, u64)> {
    let length = fs_err::metadata(path)
        .map(|metadata| metadata.len())
        .unwrap_or(0);
    let length = if length > LONGEST_LOG {
        fs_err::rename(path, path.with_extension("log.1"))?;
        0
    } else {
        length
    };
    let mut options = fs_err::OpenOptions::new();
    options.create(true).append(true);
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok((options.open(path)?, length))
}

/// The last lines that were written since.
fn tail(path: &Utf8Path, since: u64) -> String {
    let text = fs_err::read(path).unwrap_or_default();
    let since = usize::try_from(since).unwrap_or(usize::MAX).min(text.len());
    let text = String::from_utf8_lossy(&text[since..]);
    let lines: Vec<_> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    if tail.is_empty() {
        "(it wrote nothing)".to_owned()
    } else {
        tail.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::{open_log, tail};

    #[test]
    fn only_what_this_start_wrote_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path())
            .unwrap()
            .join("controller.log");
        fs_err::write(&path, "yesterday\n").unwrap();
        let (_, before) = open_log(&path).unwrap();
        fs_err::write(&path, "yesterday\ntoday\n").unwrap();
        assert_eq!(tail(&path, before), "today");
        assert_eq!(tail(&path, before + 6), "(it wrote nothing)");
    }
}
