//! Hosts that belong together: started in parallel, removed together.

use anyhow::{Context, Result};
use camino::Utf8Path;

use crate::{Engine, Host, Owner, SshFolder, Wanted, network, owner};

/// Hosts of one owner and the ssh folder that reaches them.
#[derive(Debug)]
pub struct Testbed {
    engine: Engine,
    owner: Owner,
    label: String,
    prefix: String,
    ssh: SshFolder,
}

// === impl Testbed ===

impl Testbed {
    /// A testbed without hosts, its ssh files in `folder`. Starts the engine if need be, and removes what processes that
    /// are gone have left.
    ///
    /// # Errors
    /// When the engine, its network or the ssh files cannot be had.
    pub fn open(owner: Owner, folder: &Utf8Path) -> Result<Self> {
        let engine = Engine::start()?;
        network::ensure(&engine)?;
        owner::sweep(&engine).context("remove what an earlier run left")?;
        let (label, prefix) = owner.marks()?;
        Ok(Self {
            engine,
            owner,
            label,
            prefix,
            ssh: SshFolder::make(folder)?,
        })
    }

    /// The engine that the hosts run on.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The files that reach the hosts.
    #[must_use]
    pub fn ssh(&self) -> &SshFolder {
        &self.ssh
    }

    /// Starts hosts, all at once, and waits until each has booted.
    ///
    /// # Errors
    /// When one does not; the others run on until the testbed is taken down.
    pub fn up(&self, wanted: &[Wanted]) -> Result<Vec<Host>> {
        std::thread::scope(|scope| {
            let starting: Vec<_> = wanted
                .iter()
                .map(|wanted| {
                    scope.spawn(|| {
                        Host::up(&self.engine, &self.ssh, &self.label, &self.prefix, wanted)
                    })
                })
                .collect();
            let joined = starting.into_iter().zip(wanted).map(|(thread, wanted)| {
                let host = thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("its thread panicked"));
                host.flatten()
                    .with_context(|| format!("start host {}", wanted.name))
            });
            joined.collect()
        })
    }

    /// The last lines that units of this pattern logged on each host; for a test that failed.
    #[must_use]
    pub fn journals(&self, pattern: &str) -> String {
        let containers = owner::containers(&self.engine, &self.label).unwrap_or_default();
        let journal = |container: &String| {
            let unit = format!("--unit={pattern}");
            let line = [
                "exec",
                container,
                "journalctl",
                "--no-pager",
                "--quiet",
                "--lines=80",
                &unit,
            ];
            self.engine.docker(line).unwrap_or_default() + "\n"
        };
        containers.iter().map(journal).collect()
    }

    /// Removes the owner's hosts with their volumes; says how many there were.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn down(&self) -> Result<usize> {
        owner::remove_all(&self.engine, &self.label)
    }
}

impl Drop for Testbed {
    /// A process's hosts go with it; what fails here is swept by the next run.
    fn drop(&mut self) {
        if self.owner == Owner::Process {
            let _ = self.down();
        }
    }
}
