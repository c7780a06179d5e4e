//! A host that leaves the fleet keeps what is not ours.

use std::time::Duration;

use anyhow::{Result, ensure};
use foundry_testbed::{Wanted, until};
use foundry_tests::site::Site;

use crate::expect::{WHOAMI, answers, bare, ended, install};

#[test]
fn a_removed_host_keeps_its_data_and_what_belongs_to_others() -> Result<()> {
    let site = Site::new()?;
    let hosts = site
        .testbed()
        .up(&[Wanted::new("node1"), Wanted::new("node2")])?;
    let [host, other] = hosts.as_slice() else {
        anyhow::bail!("two hosts")
    };
    site.write_image("whoami", &[])?;
    let stack = WHOAMI.replace("[node1]", "[node1, node2]").replace(
        "    ports:",
        "    volumes: [\"/srv/whoami:/data\"]\n    ports:",
    );
    site.write_stack(&[host, other], &stack)?;
    install(&site)?;
    host.exec("echo precious > /srv/whoami/file")?;
    host.exec("docker run -d --name theirs -p 9090:80 localhost/whoami:1 --name theirs")?;

    let finished = site.foundry(&["host", "remove", "node1", "--yes"])?;
    ended(&finished, 0, &["/srv/whoami"])?;
    // The agent goes last, after it has answered.
    until("the agent to go", Duration::from_secs(20), || bare(host))?;
    let units = "systemctl cat foundry-agent.service foundry-whoami.service";
    ensure!(host.try_exec(units)?.code != Some(0));
    ensure!(
        host.exec("ls -A /var/lib/foundry 2>/dev/null; true")?
            .is_empty(),
        "the ledger is gone"
    );
    ensure!(
        host.exec("docker ps -a --format '{{.Names}}'")? == "theirs",
        "only theirs is left"
    );
    ensure!(answers(host, 9090)?.contains("name: theirs"));
    ensure!(host.exec("cat /srv/whoami/file")? == "precious");
    let listed = site.json(0, &["host", "list"])?;
    let names = listed["hosts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|host| &host["name"]);
    ensure!(names.collect::<Vec<_>>() == ["node2"], "{listed:#}");
    answers(other, 8080).map(drop)
}

#[test]
fn an_uninstalled_stack_leaves_the_agents_and_the_data() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    install(&site)?;
    ended(&site.foundry(&["stack", "uninstall", "--yes"])?, 0, &[])?;
    ensure!(host.exec("docker ps -aq")?.is_empty());
    ensure!(host.exec("systemctl is-active foundry-agent.service")? == "active");
    install(&site)?;
    answers(&host, 8080).map(drop)
}

#[test]
fn what_left_the_file_is_orphaned_and_goes_only_with_prune() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    install(&site)?;
    site.write_stack(&[&host], "")?;
    let plan = site.json(0, &["stack", "plan"])?;
    ensure!(plan["summary"]["orphaned"] == 1, "{plan:#}");
    ended(
        &site.foundry(&["stack", "install", "--yes"])?,
        0,
        &["service/whoami"],
    )?;
    answers(&host, 8080)?;
    ended(
        &site.foundry(&["stack", "install", "--yes", "--prune"])?,
        0,
        &[],
    )?;
    ensure!(host.exec("docker ps -aq")?.is_empty());
    Ok(())
}
