//! One admin machine's view of some real hosts: its own state, its own stack.yaml, its own controller.
//!
//! A [`Site`] runs the real `foundry` command against hosts of its own testbed. Nothing of the developer's own
//! configuration is seen: environment, ssh configuration and state are the site's.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use foundry_testbed::{Finished, Host, ImageArchive, Owner, Testbed, Wanted, run};
use fs_err as fs;
use serde_json::Value;

/// State, configuration and hosts of one test.
#[derive(Debug)]
pub struct Site {
    folder: tempfile::TempDir,
    testbed: Testbed,
    port: u16,
    ssh: Option<String>,
}

// === impl Site ===

impl Site {
    /// A site without hosts.
    ///
    /// # Errors
    /// When the testbed cannot be had.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("fdy").tempdir()?;
        let path = Utf8Path::from_path(folder.path()).context("the folder's name")?;
        let testbed = Testbed::open(Owner::Process, &path.join("ssh"))?;
        Ok(Self {
            testbed,
            port: free_port()?,
            ssh: None,
            folder,
        })
    }

    /// A site with one booted host.
    ///
    /// # Errors
    /// When the testbed or the host cannot be had.
    pub fn with_host(wanted: Wanted) -> Result<(Self, Host)> {
        let site = Self::new()?;
        let host = site.testbed.up(&[wanted])?.pop().context("one host")?;
        Ok((site, host))
    }

    /// The hosts' testbed.
    #[must_use]
    pub fn testbed(&self) -> &Testbed {
        &self.testbed
    }

    /// The site's folder: stack.yaml and image archives are there.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap_or(Utf8Path::new("/nonexistent"))
    }

    /// `FOUNDRY_HOME`.
    #[must_use]
    pub fn home(&self) -> Utf8PathBuf {
        self.path().join("home")
    }

    /// The port that the controller listens on for agents.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Uses another ssh program (`FOUNDRY_SSH`) from now on.
    pub fn use_ssh(&mut self, program: impl Into<String>) {
        self.ssh = Some(program.into());
    }

    /// Writes a program into the site's folder and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn script(&self, name: &str, text: &str) -> Result<Utf8PathBuf> {
        let path = self.path().join(name);
        fs::write(&path, text)?;
        run(Command::new("chmod").args(["755", path.as_str()]))?.success()?;
        Ok(path)
    }

    /// Writes stack.yaml: the hosts, then `rest` as it is (services, …).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_stack(&self, hosts: &[&Host], rest: &str) -> Result<()> {
        let mut text = format!(
            "version: \"1\"\ncluster: {{ name: testbed }}\ncontroller:\n  listen: \"0.0.0.0:{}\"\nhosts:\n",
            self.port
        );
        for host in hosts {
            text += &format!(
                "  - hostname: {}\n    address: {}\n",
                host.name(),
                host.address()
            );
        }
        // A fleet that foundry has written stays.
        if let Some(fleet) = self.fleet() {
            text = text.replacen("controller:", &format!("fleet: {fleet}\ncontroller:"), 1);
        }
        Ok(fs::write(self.stack_file(), text + rest)?)
    }

    /// The path of stack.yaml.
    #[must_use]
    pub fn stack_file(&self) -> Utf8PathBuf {
        self.path().join("stack.yaml")
    }

    /// Replaces a piece of stack.yaml that must be there.
    ///
    /// # Errors
    /// When it is not there.
    pub fn edit_stack(&self, from: &str, to: &str) -> Result<()> {
        let text = fs::read_to_string(self.stack_file())?;
        ensure!(text.contains(from), "stack.yaml has no {from:?}:\n{text}");
        Ok(fs::write(self.stack_file(), text.replace(from, to))?)
    }

    /// The fleet that foundry wrote into stack.yaml.
    #[must_use]
    pub fn fleet(&self) -> Option<String> {
        let text = fs::read_to_string(self.stack_file()).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("fleet:"))?;
        Some(line.split('#').next()?.trim().trim_matches('"').to_owned())
    }

    /// Writes the archive `<name>.tar` of the image `localhost/<name>:1` that holds whoami.
    ///
    /// # Errors
    /// When whoami was not built or the archive cannot be written.
    pub fn write_image(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let image = ImageArchive::new(format!("localhost/{name}:1")).arguments(arguments);
        image.write(&whoami(), &self.path().join(format!("{name}.tar")))
    }

    /// Runs `foundry` to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn foundry(&self, arguments: &[&str]) -> Result<Finished> {
        run(self.command().args(arguments))
    }

    /// Runs `foundry … -o json` and reads what it printed; it must exit with `code`.
    ///
    /// # Errors
    /// When it exits otherwise or prints something else.
    pub fn json(&self, code: i32, arguments: &[&str]) -> Result<Value> {
        let finished = self.foundry(&[arguments, &["-o", "json"]].concat())?;
        ensure!(
            finished.code == Some(code),
            "expected exit code {code}: {finished:#?}"
        );
        serde_json::from_str(&finished.stdout).with_context(|| format!("JSON: {finished:#?}"))
    }

    /// The `foundry` command in this site's environment, not yet started. It reads nothing.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(programs().join("foundry"));
        command
            .env_clear()
            .stdin(Stdio::null())
            .current_dir(self.path());
        for name in ["PATH", "LLVM_PROFILE_FILE", "RUST_LOG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.path())
            .env("FOUNDRY_HOME", self.home())
            .env("FOUNDRY_CONFIG", self.stack_file())
            .env("FOUNDRY_AGENT_DIR", agents())
            .env(
                "FOUNDRY_SSH",
                self.ssh
                    .clone()
                    .unwrap_or_else(|| self.testbed.ssh().program()),
            );
        command
    }

    /// The controller's log, for a test that fails.
    #[must_use]
    pub fn controller_log(&self) -> String {
        let fleets = self.home().join("fleets");
        let logs = fleets.read_dir_utf8().into_iter().flatten().flatten();
        logs.filter_map(|fleet| fs::read_to_string(fleet.path().join("controller.log")).ok())
            .collect()
    }
}

impl Drop for Site {
    /// Stops the controller, and says what it and the agents logged: the runner shows that of a test that failed.
    fn drop(&mut self) {
        let _ = self.foundry(&["controller", "stop"]);
        let agents = self.testbed.journals("foundry-*");
        let logs = format!(
            "--- controller\n{}--- hosts\n{agents}",
            self.controller_log()
        );
        let _ = std::io::stderr().write_all(logs.as_bytes());
    }
}

/// Where the programs under test are: `FOUNDRY_TEST_BIN`, else beside this test's own.
fn programs() -> Utf8PathBuf {
    if let Ok(folder) = std::env::var("FOUNDRY_TEST_BIN") {
        return folder.into();
    }
    let this = std::env::current_exe()
        .ok()
        .and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    // target/debug/deps/e2e-…
    this.and_then(|path| Some(path.parent()?.parent()?.to_owned()))
        .unwrap_or_else(|| "target/debug".into())
}

/// Where the agents are: `FOUNDRY_AGENT_DIR`, else where xtask puts them.
fn agents() -> Utf8PathBuf {
    std::env::var("FOUNDRY_AGENT_DIR")
        .map_or_else(|_| workspace().join("target/agents"), Into::into)
}

/// The static whoami: `FOUNDRY_TEST_WHOAMI`, else where xtask builds it.
#[must_use]
pub fn whoami() -> Utf8PathBuf {
    let built = || workspace().join("target/x86_64-unknown-linux-musl/dist-agent/whoami");
    std::env::var("FOUNDRY_TEST_WHOAMI").map_or_else(|_| built(), Into::into)
}

/// The newest test program of this name that was built beside this test's own.
///
/// # Errors
/// When there is none.
pub fn test_program(name: &str) -> Result<Utf8PathBuf> {
    let this = Utf8PathBuf::from_path_buf(std::env::current_exe()?)
        .ok()
        .context("this program's name")?;
    let folder = this.parent().context("this program's folder")?;
    let mut newest = None;
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        let is_it = entry
            .file_name()
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('-'));
        if is_it && entry.path().extension().is_none() {
            newest = newest.max(Some((entry.metadata()?.modified()?, entry.into_path())));
        }
    }
    Ok(newest
        .with_context(|| format!("no test program {name} in {folder}"))?
        .1)
}

fn workspace() -> Utf8PathBuf {
    Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A port that nobody listens on, below those that the kernel hands out. Each process starts at one of its own, and goes
/// on from there with each site.
fn free_port() -> Result<u16> {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + u16::try_from(std::process::id() % 1_000)? * 20;
    let free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    let mut ports = (0..20).map(|_| start + COUNT.fetch_add(1, Ordering::Relaxed) % 20);
    ports
        .find(free)
        .with_context(|| format!("no free port from {start}"))
}
