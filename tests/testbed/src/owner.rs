//! Whose a container is, so that what a crashed run left can be told from what is in use.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::engine::Engine;

/// The label that every container of the testbed carries; its value is the owner.
pub(crate) const LABEL: &str = "foundry.testbed.owner";

/// Whose the hosts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This process: hosts go with it, at the latest when the next run starts.
    Process,
    /// Somebody who comes back for them under this name, such as the demo.
    Named(String),
}

// === impl Owner ===

impl Owner {
    /// The value of the label, and the start of the containers' names. Each call for a process makes another, so that
    /// testbeds of one process do not remove each other's hosts.
    pub(crate) fn marks(&self) -> Result<(String, String)> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        match self {
            Self::Process => {
                let id = std::process::id();
                let start = start_time(id).context("start time of this process")?;
                let count = COUNT.fetch_add(1, Ordering::Relaxed);
                Ok((
                    format!("process:{id}:{start}:{count}"),
                    format!("ft-{id}-{count}"),
                ))
            }
            Self::Named(name) => Ok((format!("named:{name}"), format!("ft-{name}"))),
        }
    }
}

/// Removes the containers of processes that are gone.
pub(crate) fn sweep(engine: &Engine) -> Result<()> {
    let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
    let filter = format!("label={LABEL}");
    let listed = engine.docker(["ps", "-a", "--filter", &filter, "--format", &format])?;
    for (id, owner) in listed.lines().filter_map(|line| line.split_once(' ')) {
        if !lives(owner) {
            remove(engine, id)?;
        }
    }
    Ok(())
}

/// The containers with this value of the label.
pub(crate) fn containers(engine: &Engine, label: &str) -> Result<Vec<String>> {
    let filter = format!("label={LABEL}={label}");
    let listed = engine.docker(["ps", "-aq", "--filter", &filter])?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Removes every container with this value of the label; says how many there were.
pub(crate) fn remove_all(engine: &Engine, label: &str) -> Result<usize> {
    let containers = containers(engine, label)?;
    for id in &containers {
        remove(engine, id)?;
    }
    Ok(containers.len())
}

/// Removes a container and its volumes; another run may have been quicker.
pub(crate) fn remove(engine: &Engine, id: &str) -> Result<()> {
    let mut command: Command = engine.command();
    let finished = crate::run(command.args(["rm", "--force", "--volumes", id]))?;
    let gone = ["No such container", "already in progress"];
    if gone.iter().any(|text| finished.stderr.contains(text)) {
        return Ok(());
    }
    finished.success().map(drop)
}

/// Whether the owner may still need its containers. What cannot be read is left alone.
fn lives(label: &str) -> bool {
    let Some(process) = label.strip_prefix("process:") else {
        return true;
    };
    let mut parts = process.split(':');
    let (id, start) = (parts.next().and_then(|id| id.parse().ok()), parts.next());
    id.and_then(start_time).as_deref() == start
}

/// When a process started, in the kernel's ticks: with its id, the name of a process that is not used twice.
fn start_time(id: u32) -> Option<String> {
    let stat = fs_err::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The command's name stands in parentheses and may hold anything; the 22nd field is the 20th after it.
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Owner, lives};

    #[test]
    fn this_process_lives_and_another_with_its_id_does_not() {
        let (label, _) = Owner::Process.marks().expect("a label");
        assert!(lives(&label));
        let id = std::process::id();
        assert!(
            !lives(&format!("process:{id}:1:0")),
            "another start time is another process"
        );
    }

    #[test]
    fn named_owners_are_never_swept() {
        assert!(lives("named:demo"));
        assert!(lives("made by somebody else"));
    }
}
