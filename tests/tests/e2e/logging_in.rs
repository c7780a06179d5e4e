//! Hosts where the login is not root: sudo with a password, without one, with a wrong one, and not at all.

use anyhow::Result;
use foundry_testbed::{Host, Runtime, Wanted};
use foundry_tests::site::Site;

use crate::expect::{bare, ended};

const PASSWORD: &str = "correct horse";

/// A host with the user `ops`, who may do this by sudo.
fn site_with_sudo(rule: &str) -> Result<(Site, Host)> {
    let (site, host) = Site::with_host(Wanted::new("node1").runtime(Runtime::None))?;
    host.add_user("ops", PASSWORD)?;
    host.put("/etc/sudoers.d/ops", "440", format!("{rule}\n").as_bytes())?;
    site.write_stack(&[&host], "")?;
    site.edit_stack(
        "hostname: node1",
        "hostname: node1\n    user: ops\n    become: sudo",
    )?;
    Ok((site, host))
}

/// Bootstraps with this password.
fn bootstrap_with(site: &Site, password: &str) -> Result<foundry_testbed::Finished> {
    let file = site.path().join("password");
    fs_err::write(&file, format!("{password}\n"))?;
    site.foundry(&["host", "bootstrap", "--become-password-file", file.as_str()])
}

#[test]
fn sudo_without_a_password() -> Result<()> {
    let (site, _host) = site_with_sudo("ops ALL=(ALL) NOPASSWD: ALL")?;
    ended(&site.foundry(&["host", "bootstrap"])?, 0, &[])
}

#[test]
fn a_password_that_is_not_needed_after_all() -> Result<()> {
    let (site, _host) = site_with_sudo("ops ALL=(ALL) NOPASSWD: ALL")?;
    ended(&bootstrap_with(&site, PASSWORD)?, 0, &[])
}

#[test]
fn sudo_with_the_right_password_and_a_lecture_and_a_pty() -> Result<()> {
    let (site, host) =
        site_with_sudo("Defaults use_pty\nDefaults lecture=always\nops ALL=(ALL) ALL")?;
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", "sudo needs a password"],
    )?;
    bare(&host)?;
    ended(&bootstrap_with(&site, PASSWORD)?, 0, &[])
}

#[test]
fn sudo_with_a_wrong_password() -> Result<()> {
    let (site, host) = site_with_sudo("ops ALL=(ALL) ALL")?;
    let finished = bootstrap_with(&site, "wrong horse")?;
    ended(&finished, 1, &["node1", "password", "wrong"])?;
    anyhow::ensure!(
        !format!("{finished:?}").contains("wrong horse"),
        "a password is never printed"
    );
    bare(&host)
}

#[test]
fn sudo_that_wants_a_terminal() -> Result<()> {
    let (site, host) = site_with_sudo("Defaults requiretty\nops ALL=(ALL) NOPASSWD: ALL")?;
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", "requiretty"],
    )?;
    bare(&host)
}

#[test]
fn somebody_who_may_not_use_sudo() -> Result<()> {
    let (site, host) = site_with_sudo("# nobody")?;
    ended(&bootstrap_with(&site, PASSWORD)?, 1, &["node1", "sudo"])?;
    bare(&host)
}
