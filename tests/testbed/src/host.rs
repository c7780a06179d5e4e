//! One host: a container that behaves as a machine does.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::engine::Engine;
use crate::ssh::SshFolder;
use crate::{Finished, network, owner, rootfs, run, run_with_input, until};

/// How long a host may take to boot on a busy machine.
const BOOT: Duration = Duration::from_secs(90);

/// The container runtime that a host has from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runtime {
    /// None; its packages are in apt's cache.
    None,
    /// Debian's docker.io.
    #[default]
    Docker,
    /// Debian's Podman 4.3 with the `vfs` storage driver.
    Podman,
}

/// What is PID 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Init {
    /// systemd, with D-Bus, sshd and the rest under it.
    #[default]
    Systemd,
    /// sshd alone: a host that cannot be ours.
    Sshd,
}

/// A host as wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub(crate) name: String,
    pub(crate) runtime: Runtime,
    pub(crate) init: Init,
    pub(crate) tmpfs: Vec<String>,
}

/// A running host. Dropping it leaves the container: its [`crate::Testbed`] removes it.
#[derive(Debug, Clone)]
pub struct Host {
    engine: Engine,
    ssh: SshFolder,
    container: String,
    name: String,
    address: String,
    init: Init,
}

// === impl Runtime ===

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Docker, Self::Podman];

    /// Its name, as in image tags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

// === impl Wanted ===

impl Wanted {
    /// A host with systemd and Docker; its name is its host name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            runtime: Runtime::default(),
            init: Init::default(),
            tmpfs: Vec::new(),
        }
    }

    /// With this runtime.
    #[must_use]
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// With this as PID 1.
    #[must_use]
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// With a small file system of its own at `path`, so that it can be full.
    #[must_use]
    pub fn small(mut self, path: &str, mebibytes: u32) -> Self {
        self.tmpfs
            .push(format!("{path}:exec,mode=755,size={mebibytes}m"));
        self
    }
}

// === impl Host ===

impl Host {
    /// Starts a host and waits until it has booted.
    pub(crate) fn up(
        engine: &Engine,
        ssh: &SshFolder,
        label: &str,
        prefix: &str,
        wanted: &Wanted,
    ) -> Result<Self> {
        let image = rootfs::image(engine, wanted.runtime)?;
        let container = format!("{prefix}-{}", wanted.name);
        let init = match wanted.init {
            Init::Systemd => "TESTBED_INIT=systemd",
            Init::Sshd => "TESTBED_INIT=sshd",
        };
        let key = format!("TESTBED_KEY={}", ssh.public_key()?);
        let label = format!("{}={label}", owner::LABEL);
        let mut command = engine.command();
        command.args([
            "run",
            "--detach",
            "--name",
            &container,
            "--hostname",
            &wanted.name,
            "--label",
            &label,
        ]);
        command.args([
            "--network",
            network::NAME,
            "--env",
            init,
            "--env",
            &key,
            "--stop-signal",
            "SIGRTMIN+3",
        ]);
        command.args(MACHINE);
        for tmpfs in &wanted.tmpfs {
            command.args(["--tmpfs", tmpfs]);
        }
        run(command.arg(&image))?.success()?;
        let mut host = Self {
            engine: engine.clone(),
            ssh: ssh.clone(),
            container,
            name: wanted.name.clone(),
            address: String::new(),
            init: wanted.init,
        };
        host.address = host.current_address()?;
        host.wait_for_boot()?;
        Ok(host)
    }

    /// The host's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the testbed's network.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The container that it is.
    #[must_use]
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Runs a shell script on the host as root, past ssh. How it ended is for the caller to judge.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn try_exec(&self, script: &str) -> Result<Finished> {
        run(self
            .engine
            .command()
            .args(["exec", &self.container, "sh", "-c", script]))
    }

    /// Runs a shell script on the host as root, past ssh, and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn exec(&self, script: &str) -> Result<String> {
        self.try_exec(script)?.success()
    }

    /// Runs a command line over ssh.
    ///
    /// # Errors
    /// When ssh cannot be started.
    pub fn ssh(&self, line: &str) -> Result<Finished> {
        run(Command::new("ssh").args(["-F", self.ssh.config().as_str(), &self.address, line]))
    }

    /// Writes a file on the host, with its folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, path: &str, mode: &str, content: &[u8]) -> Result<()> {
        let script =
            format!("mkdir -p \"$(dirname {path})\" && cat > {path} && chmod {mode} {path}");
        let mut command = self.engine.command();
        command.args([
            "exec",
            "--interactive",
            &self.container,
            "sh",
            "-c",
            &script,
        ]);
        run_with_input(&mut command, content)?.success().map(drop)
    }

    /// Makes a user who may log in with the testbed's key.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn add_user(&self, name: &str, password: &str) -> Result<()> {
        let key = self.ssh.public_key()?;
        self.exec(&format!(
            "useradd -m -s /bin/bash {name} && echo '{name}:{password}' | chpasswd && \
             install -d -m 700 -o {name} -g {name} /home/{name}/.ssh && \
             echo '{key}' > /home/{name}/.ssh/authorized_keys && \
             chown {name}:{name} /home/{name}/.ssh/authorized_keys"
        ))
        .map(drop)
    }

    /// Reboots: the same files, a new boot id. Waits until it has booted. Its address may have changed.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn restart(&mut self) -> Result<()> {
        self.engine
            .docker(["restart", "--time", "20", &self.container])?;
        self.address = self.current_address()?;
        self.wait_for_boot()
    }

    /// Ends the host as a power cut would. [`Self::start`] brings it back.
    ///
    /// # Errors
    /// When it did not run.
    pub fn kill(&self) -> Result<()> {
        self.engine.docker(["kill", &self.container]).map(drop)
    }

    /// Starts a killed host and waits until it has booted.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn start(&mut self) -> Result<()> {
        self.engine.docker(["start", &self.container])?;
        self.address = self.current_address()?;
        self.wait_for_boot()
    }

    /// Cuts the network in both directions without a word to anybody, mid-stream.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn cut_network(&self) -> Result<()> {
        self.exec("iptables -I INPUT -i eth0 -j DROP && iptables -I OUTPUT -o eth0 -j DROP")
            .map(drop)
    }

    /// Undoes [`Self::cut_network`].
    ///
    /// # Errors
    /// When the host refuses.
    pub fn heal_network(&self) -> Result<()> {
        self.exec("iptables -D INPUT -i eth0 -j DROP && iptables -D OUTPUT -o eth0 -j DROP")
            .map(drop)
    }

    /// Lets nothing out to the testbed's machine on `port`, answering with a refusal.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn refuse_outgoing(&self, port: u16) -> Result<()> {
        self.exec(&format!(
            "iptables -I OUTPUT -p tcp --dport {port} -j REJECT"
        ))
        .map(drop)
    }

    fn current_address(&self) -> Result<String> {
        let format = format!(
            "{{{{(index .NetworkSettings.Networks \"{}\").IPAddress}}}}",
            network::NAME
        );
        let address = self
            .engine
            .docker(["inspect", "--format", &format, &self.container])?;
        if address.is_empty() {
            let last = self
                .engine
                .docker(["logs", "--tail", "5", &self.container])
                .unwrap_or_default();
            bail!("{} ended while it started: {last}", self.name);
        }
        Ok(address)
    }

    fn wait_for_boot(&self) -> Result<()> {
        if self.init == Init::Systemd {
            until(&format!("{} to boot", self.name), BOOT, || {
                let finished = self.try_exec("systemctl is-system-running --wait")?;
                match finished.stdout.trim() {
                    // Degraded: some unit failed, perhaps one that a test made to fail.
                    "running" | "degraded" => Ok(()),
                    _ => bail!("{}{}", finished.stdout.trim(), finished.stderr.trim()),
                }
            })?;
        }
        until(&format!("ssh on {}", self.name), BOOT, || {
            let key = self.exec("cat /etc/ssh/ssh_host_ed25519_key.pub")?;
            self.ssh.know(&self.address, &key)?;
            self.ssh("true")?.success()
        })
        .map(drop)
    }
}

/// What makes a container a machine. `--privileged` is not to be had everywhere; this is less, and enough.
const MACHINE: [&str; 24] = [
    "--cap-add",
    "ALL",
    "--cap-drop",
    "SYS_RESOURCE",
    "--security-opt",
    "seccomp=unconfined",
    "--security-opt",
    "apparmor=unconfined",
    "--security-opt",
    "systempaths=unconfined",
    "--device-cgroup-rule",
    "a *:* rwm",
    "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--volume=/var/lib/docker",
    "--volume=/var/lib/containers",
    "--volume=/var/lib/rancher",
    "--tmpfs",
    "/run:exec,mode=755",
    "--tmpfs",
    "/run/lock",
    "--tmpfs",
    "/tmp:exec,mode=1777",
    "--log-opt=max-size=1m",
];
