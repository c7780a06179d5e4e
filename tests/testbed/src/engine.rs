//! A Docker engine of our own: started by us, with its own socket, process file and data folder.
//!
//! It outlives the process that started it, so that test processes share it; `stop` ends it. Nothing here touches an
//! engine that the machine already has.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use fs_err as fs;

use crate::{run, until};

/// Where the engine's socket, process id, log and lock are.
const RUN: &str = "/run/foundry-test";
/// Where images and containers are kept.
const DATA: &str = "/var/lib/foundry-test";
/// systemd and K3s take many inotify instances, and all containers share the kernel's limit of 128.
const INOTIFY: (&str, u32) = ("/proc/sys/fs/inotify/max_user_instances", 4096);

/// A running engine.
#[derive(Debug, Clone)]
pub struct Engine(());

// === impl Engine ===

impl Engine {
    /// The engine, started if it does not run.
    ///
    /// # Errors
    /// When this is not root, a program is missing, or the engine does not come up; the message holds its last words.
    pub fn start() -> Result<Self> {
        let engine = Self(());
        if engine.answers() {
            return Ok(engine);
        }
        fs::create_dir_all(RUN).context("make the engine's folder (root is needed)")?;
        let _one_at_a_time = lock(&format!("{RUN}/start.lock"))?;
        if engine.answers() {
            return Ok(engine);
        }
        raise_inotify_limit()?;
        clear_remains("docker.pid")?;
        clear_remains("exec/containerd/containerd.pid")?;
        engine.spawn()?;
        until("the Docker engine", Duration::from_secs(60), || {
            engine.version().with_context(|| engine.last_words())
        })?;
        Ok(engine)
    }

    /// Ends the engine and all its containers, if it runs. Its images stay.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop() -> Result<()> {
        let Ok(id) = fs::read_to_string(format!("{RUN}/docker.pid")) else {
            return Ok(());
        };
        let engine = Self(());
        if engine.answers() {
            let hosts = engine.docker(["ps", "-q"])?;
            for host in hosts.lines() {
                engine.docker(["kill", host])?;
            }
        }
        run(Command::new("kill").arg(id.trim()))?;
        until("the Docker engine to end", Duration::from_secs(30), || {
            if Utf8Path::new("/proc").join(id.trim()).exists() {
                bail!("it still runs")
            }
            Ok(())
        })
    }

    /// A docker command that speaks to this engine.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .env("DOCKER_HOST", socket())
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_CONFIG");
        command
    }

    /// Runs `docker` with `arguments` and returns what it printed.
    ///
    /// # Errors
    /// When it fails; the message holds what it said.
    pub fn docker<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let mut command = self.command();
        for argument in arguments {
            command.arg(argument.as_ref());
        }
        run(&mut command)?.success()
    }

    /// Whether an image of this name is there.
    pub(crate) fn has_image(&self, name: &str) -> Result<bool> {
        Ok(run(self
            .command()
            .args(["image", "inspect", "--format", "{{.Id}}", name]))?
        .code
            == Some(0))
    }

    fn answers(&self) -> bool {
        self.version().is_ok()
    }

    /// One question with a limit: an engine that hangs takes connections and says nothing.
    fn version(&self) -> Result<()> {
        let mut command = Command::new("timeout");
        command
            .args(["5", "docker", "version"])
            .env("DOCKER_HOST", socket());
        run(&mut command)?.success().map(drop)
    }

    /// Starts dockerd in its own process group, so that it outlives a test that is killed.
    fn spawn(&self) -> Result<()> {
        let log = fs::File::create(format!("{RUN}/docker.log"))?
            .into_parts()
            .0;
        Command::new("/usr/sbin/dockerd")
            .args(["--data-root", &format!("{DATA}/docker")])
            .args(["--exec-root", &format!("{RUN}/exec")])
            .args(["--pidfile", &format!("{RUN}/docker.pid")])
            .args(["--host", &socket()])
            .args(["--bridge", "none"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("start /usr/sbin/dockerd (run `cargo xtask setup`)")?;
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(format!("{RUN}/docker.log")).unwrap_or_default();
        log.lines()
            .rev()
            .find(|line| line.contains("level=error") || line.contains("fail"))
            .unwrap_or("")
            .to_owned()
    }
}

/// The engine's address.
fn socket() -> String {
    format!("unix://{RUN}/docker.sock")
}

/// Removes what an engine that was killed left: a process id that another process may have by now, which keeps the next
/// engine from starting, and a process of ours that still has it.
fn clear_remains(pid_file: &str) -> Result<()> {
    let file = Utf8Path::new(RUN).join(pid_file);
    let Ok(id) = fs::read_to_string(&file) else {
        return Ok(());
    };
    let command_line = Utf8Path::new("/proc").join(id.trim()).join("cmdline");
    // One that has ended and was not waited for has an empty command line.
    let is_ours = || fs::read_to_string(&command_line).is_ok_and(|line| line.contains(RUN));
    if is_ours() {
        run(Command::new("kill").args(["-9", id.trim()]))?;
        until(
            "an engine that hangs to end",
            Duration::from_secs(10),
            || {
                if is_ours() {
                    bail!("it still runs")
                }
                Ok(())
            },
        )?;
    }
    Ok(fs::remove_file(file)?)
}

fn raise_inotify_limit() -> Result<()> {
    let (path, wanted) = INOTIFY;
    let now: u32 = fs::read_to_string(path)?.trim().parse().context(path)?;
    if now < wanted {
        fs::write(path, wanted.to_string())?;
    }
    Ok(())
}

/// Holds a file's lock until the file is dropped; waits for whoever has it.
pub(crate) fn lock(path: &str) -> Result<std::fs::File> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let file = file.into_parts().0;
    file.lock().with_context(|| format!("lock {path}"))?;
    Ok(file)
}
