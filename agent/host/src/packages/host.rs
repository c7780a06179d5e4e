//! Real package managers, each through its own programs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;

use super::manager::{KNOWN, Manager};
use super::{Packages, PackagesError, locks};
use crate::containers::ProgressFn;
use crate::exec::{Command, Exec, Output};

/// How long a question to the package database may take.
const QUESTION: Duration = Duration::from_secs(60);

/// How long an installation may take.
const WORK: Duration = Duration::from_secs(30 * 60);

/// The package manager of the host: the first of those known whose programs are there.
pub struct HostPackages {
    exec: Arc<dyn Exec>,
}

// === impl HostPackages ===

impl HostPackages {
    /// Looks for it at each use: it may be installed meanwhile.
    pub fn new(exec: Arc<dyn Exec>) -> Self {
        Self { exec }
    }

    async fn detect(&self) -> Result<(&'static Manager, Utf8PathBuf), PackagesError> {
        for manager in KNOWN {
            if let Some(path) = self.exec.find(manager.program).await {
                return Ok((manager, path));
            }
        }
        Err(PackagesError::None)
    }

    /// Runs one of the manager's programs with the package as its last argument.
    async fn run(
        &self,
        manager: &'static Manager,
        action: &'static str,
        line: &[&str],
        package: &str,
        limit: Duration,
    ) -> Result<Output, PackagesError> {
        let error = |source| PackagesError::Run {
            manager: manager.name,
            action,
            package: package.to_owned(),
            source,
        };
        let (program, arguments) = line.split_first().unwrap_or((&"", &[]));
        let path = self
            .exec
            .find(program)
            .await
            .unwrap_or_else(|| (*program).into());
        let mut command = Command::new(path, arguments).within(limit);
        command.env = manager.environment();
        if !package.is_empty() {
            command.argv.push(package.to_owned());
        }
        self.exec.run(command).await.map_err(error)
    }

    /// Runs something that changes the host, and says who is in the way where it is locked.
    async fn change(
        &self,
        action: &'static str,
        line: fn(&Manager) -> &'static [&'static str],
        package: &str,
        progress: ProgressFn<'_>,
    ) -> Result<(), PackagesError> {
        let (manager, _) = self.detect().await?;
        progress(format!("{} {}", manager.name, action));
        let output = self
            .run(manager, action, line(manager), package, WORK)
            .await?;
        if output.success() {
            return Ok(());
        }
        let said = format!("{}\n{}", output.stdout.text(), output.stderr.text());
        if manager.says_locked(&said) {
            let holder = locks::holder(manager.locks).await;
            return Err(PackagesError::Locked {
                manager: manager.name,
                holder,
            });
        }
        let failed = output.or_failed(manager.program);
        failed.map(drop).map_err(|source| PackagesError::Run {
            manager: manager.name,
            action,
            package: package.to_owned(),
            source,
        })
    }
}

#[async_trait]
impl Packages for HostPackages {
    async fn manager(&self) -> Option<&'static str> {
        self.detect().await.ok().map(|(manager, _)| manager.name)
    }

    async fn installed(&self, name: &str) -> Result<Option<String>, PackagesError> {
        let (manager, _) = self.detect().await?;
        let output = self
            .run(manager, "ask for", manager.query, name, QUESTION)
            .await?;
        let text = output.stdout.text();
        Ok(output
            .success()
            .then(|| (manager.read_version)(&text))
            .flatten())
    }

    async fn available(&self, name: &str) -> Result<bool, PackagesError> {
        let (manager, _) = self.detect().await?;
        let output = self
            .run(manager, "look for", manager.search, name, QUESTION)
            .await?;
        Ok(output.success() && (manager.read_available)(&output.stdout.text()))
    }

    async fn refresh(&self, progress: ProgressFn<'_>) -> Result<(), PackagesError> {
        self.change(
            "refresh the lists of",
            |manager| manager.refresh,
            "",
            progress,
        )
        .await
    }

    async fn install(&self, name: &str, progress: ProgressFn<'_>) -> Result<(), PackagesError> {
        self.change("install", |manager| manager.install, name, progress)
            .await
    }

    async fn remove(&self, name: &str, progress: ProgressFn<'_>) -> Result<(), PackagesError> {
        self.change("remove", |manager| manager.remove, name, progress)
            .await
    }
}
