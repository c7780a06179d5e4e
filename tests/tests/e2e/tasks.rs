//! The agent's own tests of its tasks, run on a host as root: one suite against Docker and against Podman.

use anyhow::{Result, ensure};
use foundry_testbed::{ImageArchive, Runtime, Wanted};
use foundry_tests::site::{Site, test_program, whoami};

#[test]
fn the_tasks_hold_on_a_docker_host() -> Result<()> {
    hold_on(Runtime::Docker)
}

#[test]
fn the_tasks_hold_on_a_podman_host() -> Result<()> {
    hold_on(Runtime::Podman)
}

fn hold_on(runtime: Runtime) -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1").runtime(runtime))?;
    let archive = site.path().join("whoami.tar");
    ImageArchive::new("docker.io/foundry/whoami:tasks").write(&whoami(), &archive)?;
    host.put("/var/tmp/whoami.tar", "600", &fs_err::read(archive)?)?;
    host.put(
        "/var/tmp/real_host",
        "755",
        &fs_err::read(test_program("real_host")?)?,
    )?;
    let finished = host.try_exec(
        "LLVM_PROFILE_FILE=/dev/null FOUNDRY_TEST_REAL_HOST=1 FOUNDRY_TEST_IMAGE=/var/tmp/whoami.tar \
         /var/tmp/real_host --test-threads 1",
    )?;
    ensure!(
        finished.code == Some(0),
        "{}\n{}",
        finished.stdout,
        finished.stderr
    );
    ensure!(
        !finished.stdout.contains("running 0 tests"),
        "{}",
        finished.stdout
    );
    Ok(())
}
