//! The agent as it is shipped: one small static file for each architecture.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use camino::Utf8PathBuf;
use foundry_testbed as testbed;
use fs_err as fs;

use crate::elf::Needs;
use crate::places::{AGENT_PROFILE, MUSL, Places};
use crate::program::cargo;
use crate::report::say;

/// 8 MB, as promised.
const LIMIT: usize = 8_000_000;

/// Builds the agent (and the tests' own whoami with it), checks it, and puts it where bootstrap looks.
pub(crate) fn build(places: &Places) -> Result<Utf8PathBuf> {
    let mut build = cargo(places);
    build.args(["build", "--profile", AGENT_PROFILE, "--target", MUSL]);
    build.args(["--package", "foundry-agent", "--package", "foundry-whoami"]);
    testbed::run(&mut build)?
        .success()
        .context("build the agent")?;

    let built = places.musl_binary("foundry-agent");
    let bytes = fs::read(&built)?;
    let needs = Needs::of(&bytes).with_context(|| built.to_string())?;
    ensure!(
        !needs.interpreter,
        "{built} names a program interpreter: it is not static"
    );
    ensure!(
        needs.libraries == 0,
        "{built} needs {} shared libraries",
        needs.libraries
    );
    ensure!(
        bytes.len() <= LIMIT,
        "{built} has {} bytes, {LIMIT} are the limit",
        bytes.len()
    );
    let version = testbed::run(Command::new(&built).arg("--version"))?.success()?;
    ensure!(
        version.contains(env!("CARGO_PKG_VERSION")),
        "{built} --version says {version:?}"
    );

    let agents = places.agents();
    fs::create_dir_all(&agents)?;
    let agent = agents.join("foundry-agent-x86_64");
    // By rename: a controller may be reading the one before.
    let partial = agents.join("foundry-agent-x86_64.partial");
    fs::copy(&built, &partial)?;
    fs::rename(&partial, &agent)?;
    say(format!(
        "agent: {version}, static, {:.2} MB",
        bytes.len() as f64 / 1e6
    ));
    Ok(agent)
}
