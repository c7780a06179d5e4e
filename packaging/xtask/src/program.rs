//! Programs run in the foreground: their output goes where ours goes.

use std::process::Command;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;

use crate::places::Places;

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command
        .status()
        .with_context(|| format!("start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// cargo with the prebuilt tools on its path, in the workspace.
///
/// The toolchain's own variables are left out: this process was started by cargo, and what it was told about xtask is
/// not true of what it builds.
pub(crate) fn cargo(places: &Places) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(&places.root)
        .env("PATH", path_with(&places.tools().join("bin")));
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(name);
        }
    }
    command
}

/// PATH with a folder in front.
pub(crate) fn path_with(folder: &Utf8Path) -> String {
    format!("{folder}:{}", std::env::var("PATH").unwrap_or_default())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
