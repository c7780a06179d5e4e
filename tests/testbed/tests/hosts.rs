//! The testbed's hosts are what they claim to be: real enough to hold the product to.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use foundry_testbed::{
    Host, ImageArchive, Init, Owner, Runtime, Testbed, Wanted, http, run, until,
};

const TARGET: &str = "x86_64-unknown-linux-musl";

#[test]
fn docker_host_runs_a_container_and_reboots() -> Result<()> {
    let (folder, testbed) = testbed()?;
    let mut host = only(testbed.up(&[Wanted::new("docker1")])?)?;
    ensure!(host.exec("hostname")? == "docker1");

    load(&folder, &host, "docker")?;
    host.exec("docker run -d --restart=always -p 8080:80 localhost/whoami:1 --name inner")?;
    let answers = |host: &Host| {
        until("whoami", Duration::from_secs(20), || {
            http::get(&format!("{}:8080", host.address()), "/")
        })
    };
    ensure!(answers(&host)?.body.contains("name: inner"));

    let identity = "cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id";
    let before = host.exec(identity)?;
    host.restart()?;
    let after = host.exec(identity)?;
    ensure!(
        before.lines().next() != after.lines().next(),
        "the boot id changes"
    );
    ensure!(
        before.lines().nth(1) == after.lines().nth(1),
        "the machine id stays"
    );
    ensure!(
        answers(&host)?.status == 200,
        "Docker brings its container back"
    );

    host.kill()?;
    ensure!(http::get(&format!("{}:8080", host.address()), "/").is_err());
    host.start()?;
    answers(&host).map(drop)
}

#[test]
fn podman_host_runs_a_container() -> Result<()> {
    let (folder, testbed) = testbed()?;
    let host = only(testbed.up(&[Wanted::new("podman1").runtime(Runtime::Podman)])?)?;
    load(&folder, &host, "podman")?;
    host.exec("podman run -d -p 8080:80 localhost/whoami:1 --name inner")?;
    let address = format!("{}:8080", host.address());
    let answer = until("whoami", Duration::from_secs(20), || {
        http::get(&address, "/")
    })?;
    ensure!(answer.body.contains("name: inner"));
    ensure!(host.exec("podman info --format '{{.Store.GraphDriverName}}'")? == "vfs");
    Ok(())
}

#[test]
fn hosts_that_are_cut_off_full_or_without_systemd() -> Result<()> {
    let (_folder, testbed) = testbed()?;
    let hosts = testbed.up(&[
        Wanted::new("plain")
            .runtime(Runtime::None)
            .small("/var/lib/foundry", 1),
        Wanted::new("odd").runtime(Runtime::None).init(Init::Sshd),
    ])?;
    let [plain, odd] = hosts.as_slice() else {
        anyhow::bail!("two hosts")
    };
    ensure!(odd.ssh("test -d /run/systemd/system")?.code == Some(1));

    ensure!(
        plain
            .try_exec("head -c 2000000 /dev/zero > /var/lib/foundry/f")?
            .code
            != Some(0)
    );
    plain.add_user("ops", "swordfish")?;
    ensure!(
        run(Command::new("ssh")
            .args(["-F", testbed.ssh().config().as_str()])
            .arg(format!("ops@{}", plain.address()))
            .arg("id -un"))?
        .success()?
            == "ops"
    );

    plain.cut_network()?;
    let quick = format!(
        "ssh -o ConnectTimeout=1 -F {} {} true",
        testbed.ssh().config(),
        plain.address()
    );
    ensure!(
        run(Command::new("sh").args(["-c", &quick]))?.code == Some(255),
        "nothing gets in"
    );
    plain.heal_network()?;
    plain.ssh("true")?.success().map(drop)
}

fn testbed() -> Result<(tempfile::TempDir, Testbed)> {
    let folder = tempfile::tempdir()?;
    let path = Utf8Path::from_path(folder.path()).context("folder's name")?;
    let testbed = Testbed::open(Owner::Process, &path.join("ssh"))?;
    Ok((folder, testbed))
}

fn only(hosts: Vec<Host>) -> Result<Host> {
    hosts.into_iter().next().context("one host")
}

/// Makes the whoami image and loads it into the host's runtime.
fn load(folder: &tempfile::TempDir, host: &Host, runtime: &str) -> Result<()> {
    let root = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize_utf8()?;
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(&root).args([
        "build",
        "--quiet",
        "--package",
        "foundry-whoami",
        "--profile",
        "dist-agent",
        "--target",
        TARGET,
    ]);
    run(build
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS"))?
    .success()?;
    let archive = Utf8Path::from_path(folder.path())
        .context("folder's name")?
        .join("whoami.tar");
    ImageArchive::new("localhost/whoami:1").write(
        &root.join("target").join(TARGET).join("dist-agent/whoami"),
        &archive,
    )?;
    host.put("/tmp/whoami.tar", "600", &fs_err::read(&archive)?)?;
    host.exec(&format!("{runtime} load -i /tmp/whoami.tar"))
        .map(drop)
}
