//! The hosts' images: debootstrap once, cached as an archive; one image without a runtime and one for each.

use std::process::Command;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use crate::engine::{Engine, lock};
use crate::{Runtime, recipe, run};

/// The image of hosts with this runtime, made where it is missing.
pub(crate) fn image(engine: &Engine, runtime: Runtime) -> Result<String> {
    let name = |runtime: Runtime| format!("foundry-testbed:{}-{}", recipe::hash(), runtime.name());
    let wanted = name(runtime);
    if engine.has_image(&wanted)? {
        return Ok(wanted);
    }
    let _one_at_a_time = lock("/run/foundry-test/images.lock")?;
    let bare = name(Runtime::None);
    if !engine.has_image(&bare)? {
        import(engine, &archive()?, &bare)?;
    }
    if !engine.has_image(&wanted)? {
        add_runtime(engine, &bare, runtime, &wanted)?;
    }
    Ok(wanted)
}

/// Where archives are kept from one engine to the next.
fn cache() -> Result<Utf8PathBuf> {
    let home = std::env::var("HOME").context("HOME is not set")?;
    let cache = Utf8PathBuf::from(home).join(".cache/foundry/testbed");
    fs::create_dir_all(&cache)?;
    Ok(cache)
}

/// The archive of a bare host's files, made by debootstrap where it is missing.
fn archive() -> Result<Utf8PathBuf> {
    let cache = cache()?;
    let archive = cache.join(format!("rootfs-{}.tar", recipe::hash()));
    if archive.exists() {
        return Ok(archive);
    }
    let folder = tempfile::Builder::new()
        .prefix("foundry-rootfs-")
        .tempdir_in("/var/tmp")?;
    let root = Utf8Path::from_path(folder.path()).context("folder's name")?;
    let include = format!("--include={}", recipe::PACKAGES.join(","));
    let made = run(Command::new("debootstrap").args([
        "--variant=minbase",
        &include,
        recipe::SUITE,
        root.as_str(),
        recipe::MIRROR,
    ]));
    made.context("debootstrap (run `cargo xtask setup`)")?
        .success()?;
    configure(root)?;
    let partial = cache.join(format!("rootfs-{}.tar.partial", recipe::hash()));
    run(Command::new("tar").args(["-C", root.as_str(), "-cf", partial.as_str(), "."]))?
        .success()?;
    fs::rename(&partial, &archive)?;
    remove_older(&cache, &archive)?;
    Ok(archive)
}

/// Writes what makes a root file system a host, and fetches the runtimes' packages.
fn configure(root: &Utf8Path) -> Result<()> {
    let write = |path: &str, text: &str| fs::write(root.join(path.trim_start_matches('/')), text);
    write(recipe::ENTRY_PATH, recipe::ENTRY)?;
    run(Command::new("chmod").args(["755", root.join(&recipe::ENTRY_PATH[1..]).as_str()]))?
        .success()?;
    write("/etc/ssh/sshd_config.d/testbed.conf", recipe::SSHD)?;
    write("/etc/apt/apt.conf.d/99testbed", recipe::APT)?;
    fs::create_dir_all(root.join("etc/containers"))?;
    write("/etc/containers/storage.conf", recipe::PODMAN_STORAGE)?;
    let chroot =
        |arguments: &[&str]| run(Command::new("chroot").arg(root).args(arguments))?.success();
    chroot(&["apt-get", "clean"])?;
    let mut download = vec!["apt-get", "install", "-y", "-q", "--download-only"];
    download.extend(
        Runtime::ALL
            .iter()
            .flat_map(|runtime| recipe::runtime_packages(*runtime)),
    );
    download.extend(recipe::AT_HAND);
    chroot(&download).context("fetch the runtimes' packages")?;
    write("/etc/machine-id", "")?;
    chroot(&[
        "sh",
        "-c",
        "rm -f /etc/ssh/ssh_host_* /etc/resolv.conf /etc/hostname",
    ])
    .map(drop)
}

/// Makes an image of the archive.
fn import(engine: &Engine, archive: &Utf8Path, name: &str) -> Result<()> {
    let entry = format!("CMD [\"{}\"]", recipe::ENTRY_PATH);
    let mut command = engine.command();
    command.args([
        "import",
        "--change",
        "ENV container=docker",
        "--change",
        &entry,
        archive.as_str(),
        name,
    ]);
    run(&mut command)?
        .success()
        .with_context(|| format!("import {archive}"))
        .map(drop)
}

/// Installs a runtime from the packages that the bare image holds.
fn add_runtime(engine: &Engine, bare: &str, runtime: Runtime, name: &str) -> Result<()> {
    let packages = recipe::runtime_packages(runtime).join(" ");
    if packages.is_empty() {
        bail!("{name}: no image without a runtime was made");
    }
    // policy-rc.d keeps the package from starting its service while the image is made.
    let script = format!(
        "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d \
         && apt-get install -y -q --no-download {packages} && rm /usr/sbin/policy-rc.d"
    );
    let container = format!("foundry-testbed-making-{}", runtime.name());
    crate::owner::remove(engine, &container)?;
    engine.docker([
        "run",
        "--name",
        &container,
        "--network",
        "none",
        bare,
        "sh",
        "-c",
        &script,
    ])?;
    let entry = format!("CMD [\"{}\"]", recipe::ENTRY_PATH);
    engine.docker(["commit", "--change", &entry, &container, name])?;
    crate::owner::remove(engine, &container)
}

/// Removes the archives of older recipes: each is half a gigabyte.
fn remove_older(cache: &Utf8Path, keep: &Utf8Path) -> Result<()> {
    for entry in cache.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_name().starts_with("rootfs-") && entry.path() != keep {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
