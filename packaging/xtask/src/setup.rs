//! `cargo xtask setup`: Debian packages, Rust targets, cargo tools and the testbed's engine. Again is a no-op.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use camino::Utf8Path;
use foundry_testbed::Engine;

use crate::places::{MUSL, Places};
use crate::program::{self, cargo};
use crate::report::say;
use crate::tools;

/// A Debian package and how to see that it is not needed.
const PACKAGES: [(&str, Present); 8] = [
    ("build-essential", Present::File("/usr/bin/cc")),
    (
        "ca-certificates",
        Present::File("/etc/ssl/certs/ca-certificates.crt"),
    ),
    ("debootstrap", Present::File("/usr/sbin/debootstrap")),
    ("docker.io", Present::File("/usr/sbin/dockerd")),
    ("iptables", Present::File("/usr/sbin/iptables")),
    ("musl-tools", Present::File("/usr/bin/musl-gcc")),
    ("openssh-client", Present::File("/usr/bin/ssh")),
    (
        "python3-venv",
        Present::Works(&["python3", "-c", "import venv, ensurepip"]),
    ),
];

enum Present {
    File(&'static str),
    Works(&'static [&'static str]),
}

/// Installs what is missing and starts the engine.
pub(crate) fn run(places: &Places) -> Result<()> {
    packages()?;
    rust_target()?;
    tools::install(places)?;
    // Fetched first: builds that run side by side would wait for each other. In CI the lock file has to be right.
    let locked: &[&str] = if std::env::var_os("CI").is_some() {
        &["--locked"]
    } else {
        &[]
    };
    program::run(cargo(places).args(["fetch", "--quiet"]).args(locked))
        .context("fetch the crates")?;
    Engine::start().map(drop)
}

fn packages() -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, present)| !present.holds())
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(format!("installing Debian packages: {}", missing.join(" ")));
    let apt = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .arg("-qq")
            .stdin(Stdio::null());
        command
    };
    program::run(apt().arg("update"))?;
    program::run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&missing),
    )
    .context("install Debian packages")
}

/// rust-toolchain.toml names the targets; rustup installs them with the toolchain, but not into one that was there.
fn rust_target() -> Result<()> {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    let installed = installed.context("rustup is needed (https://rustup.rs)")?;
    if String::from_utf8_lossy(&installed.stdout)
        .lines()
        .any(|line| line == MUSL)
    {
        return Ok(());
    }
    say(format!("installing the Rust target {MUSL}"));
    program::run(Command::new("rustup").args(["target", "add", MUSL]))
}

// === impl Present ===

impl Present {
    fn holds(&self) -> bool {
        match self {
            Self::File(path) => Utf8Path::new(path).exists(),
            Self::Works(line) => {
                let mut command = Command::new(line[0]);
                command
                    .args(&line[1..])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            }
        }
    }
}
