//! Real processes.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use camino::Utf8PathBuf;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::{Captured, Chunk, Command, Exec, ExecError, Output};
use crate::systemd::Exit;

/// Where systems keep programs, in the order in which they are looked for.
const FOLDERS: [&str; 6] = [
    "/usr/bin",
    "/usr/local/bin",
    "/bin",
    "/usr/sbin",
    "/usr/local/sbin",
    "/sbin",
];

/// What programs find in PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of the beginning and of the end of an output is kept, each.
const KEPT: usize = 32 * 1024;

/// How long output is awaited after a program ended.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// Runs programs as processes of the host, each in its own process group.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processes;

/// Kills a process group when dropped, unless its leader was awaited.
struct Group(Option<Pid>);

// === impl Processes ===

#[async_trait]
impl Exec for Processes {
    async fn run(&self, command: Command) -> Result<Output, ExecError> {
        let program = command.program().to_owned();
        if !program.starts_with('/') {
            return Err(ExecError::NotAbsolute(program));
        }
        let mut child = prepare(&command)
            .spawn()
            .map_err(|source| ExecError::Start {
                program: program.clone(),
                source,
            })?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let mut group = Group(pid);
        let mut stdout = Captured::default();
        let mut stderr = Captured::default();
        let work = async {
            let live = command.live.as_ref();
            let out = keep(child.stdout.take(), &mut stdout, false, live);
            let err = keep(child.stderr.take(), &mut stderr, true, live);
            let mut output = std::pin::pin!(async { tokio::join!(out, err) });
            tokio::select! {
                _ = &mut output => child.wait().await,
                status = child.wait() => {
                    // What the program started may hold its pipes for long: that is not awaited.
                    let _ = tokio::time::timeout(LAST_OUTPUT, output).await;
                    status
                }
            }
        };
        let ended = tokio::time::timeout(command.deadline, work).await;
        match ended {
            Ok(Ok(status)) => {
                group.0 = None;
                Ok(Output {
                    exit: exit_of(status),
                    stdout,
                    stderr,
                })
            }
            Ok(Err(source)) => Err(ExecError::Start { program, source }),
            Err(_) => Err(ExecError::Deadline {
                program,
                limit: command.deadline,
                stderr: stderr.last_line(),
            }),
        }
    }

    async fn find(&self, program: &str) -> Option<Utf8PathBuf> {
        FOLDERS
            .iter()
            .map(|folder| Utf8PathBuf::from(folder).join(program))
            .find(|path| rustix::fs::access(path.as_str(), rustix::fs::Access::EXEC_OK).is_ok())
    }
}

// === impl Group ===

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may be gone already.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

fn prepare(command: &Command) -> tokio::process::Command {
    let mut process = tokio::process::Command::new(command.program());
    process
        .args(command.argv.iter().skip(1))
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .current_dir(command.working_directory.as_deref().unwrap_or("/".into()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(user) = command.user {
        process.uid(user.uid).gid(user.gid);
    }
    process
}

/// Reads to the end, keeps head and tail, and passes on what there is room for.
async fn keep(
    pipe: Option<impl AsyncRead + Unpin>,
    kept: &mut Captured,
    stderr: bool,
    live: Option<&mpsc::Sender<Chunk>>,
) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    let mut dropped = 0;
    while let Ok(1..) = pipe.read_buf(&mut buffer).await {
        let piece = buffer.split().freeze();
        kept.push(&piece, KEPT);
        if let Some(live) = live {
            dropped = pass_on(live, piece, stderr, dropped);
        }
        buffer.reserve(8 * 1024);
    }
}

/// Passes a piece on, and returns how many bytes found no room since the last that did.
fn pass_on(live: &mpsc::Sender<Chunk>, data: Bytes, stderr: bool, dropped: u64) -> u64 {
    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
    match live.try_send(Chunk {
        stderr,
        data,
        dropped,
    }) {
        Ok(()) => 0,
        Err(_) => dropped.saturating_add(length),
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{KEPT, Processes};
    use crate::exec::{Command, Exec, ExecError};
    use crate::systemd::Exit;

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh", &["-c", script])
    }

    #[tokio::test]
    async fn output_exit_and_environment_come_back() {
        let command = shell("echo $A $HOME; echo bad >&2; exit 3").with_env("A", "a");
        let output = Processes.run(command).await.unwrap();
        assert_eq!(output.exit, Exit::Code(3));
        assert_eq!(output.stdout.text(), "a /root\n");
        assert_eq!(output.stderr.last_line(), "bad");
        let error = output.or_failed("/bin/sh").unwrap_err();
        assert_eq!(error.to_string(), "/bin/sh exited with 3: bad");
    }

    #[tokio::test]
    async fn a_flood_keeps_its_head_and_its_tail() {
        let script = "echo first; yes filler | head -c 1000000; echo last";
        let output = Processes.run(shell(script)).await.unwrap();
        let text = output.stdout.text();
        assert!(text.starts_with("first\n") && text.ends_with("last\n"));
        assert_eq!(
            output.stdout.head.len() + output.stdout.tail.len(),
            2 * KEPT
        );
        assert_eq!(output.stdout.omitted, 1_000_011 - 2 * KEPT as u64);
    }

    #[tokio::test]
    async fn at_its_deadline_the_whole_group_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!(
            "sleep 1000 & echo $! > {}; echo so far >&2; wait",
            pid.display()
        );
        let command = shell(&script).within(Duration::from_millis(300));
        let error = Processes.run(command).await.unwrap_err();
        let ExecError::Deadline { stderr, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(stderr, "so far");
        let pid = fs_err::read_to_string(pid).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let is_gone = || fs_err::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        while !is_gone() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_child_that_holds_the_pipes_is_not_awaited() {
        let output = Processes.run(shell("sleep 5 & echo done")).await.unwrap();
        assert_eq!(output.stdout.text(), "done\n");
    }

    #[tokio::test]
    async fn what_cannot_start_is_named() {
        let error = Processes
            .run(Command::new("/no/such", &[]))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "cannot start /no/such");
        assert!(
            Processes.run(Command::new("sh", &[])).await.is_err(),
            "only by absolute path"
        );
        assert!(Processes.find("sh").await.is_some());
        assert!(Processes.find("no-such-program").await.is_none());
    }
}
