//! What must survive: a killed command, a rebooted host, a dead host, a killed agent or controller.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use foundry_testbed::{Wanted, until};
use foundry_tests::site::Site;

use crate::expect::{WHOAMI, answers, comes_to_be, ended, install, status_of};

#[test]
fn killing_the_command_in_the_middle_changes_nothing_about_the_outcome() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    let mut install = site.command().args(["stack", "install", "--yes"]).spawn()?;
    until("the run to start", Duration::from_secs(30), || {
        let runs = site.json(0, &["runs", "list"])?;
        runs["runs"][0]["run"]
            .as_str()
            .map(drop)
            .context("no run yet")
    })?;
    install.kill()?;
    install.wait()?;
    answers(&host, 8080)?;
    until("the run to be ok", Duration::from_secs(60), || {
        let runs = site.json(0, &["runs", "list"])?;
        ensure!(runs["runs"][0]["outcome"] == "ok", "{runs:#}");
        Ok(())
    })?;
    ended(
        &site.foundry(&["stack", "install", "--yes"])?,
        0,
        &["othing to change"],
    )
}

#[test]
fn a_rebooted_host_brings_its_service_back() -> Result<()> {
    let (site, mut host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    install(&site)?;
    host.restart()?;
    answers(&host, 8080)?;
    let status = comes_to_be(&site, "node1", "healthy")?;
    ensure!(
        status["assignments"][0]["achieved_age_ms"].is_u64(),
        "{status:#}"
    );
    ended(
        &site.foundry(&["stack", "install", "--yes"])?,
        0,
        &["othing to change"],
    )
}

#[test]
fn a_dead_host_stops_nobody_else() -> Result<()> {
    let site = Site::new()?;
    let mut hosts = site
        .testbed()
        .up(&[Wanted::new("node1"), Wanted::new("node2")])?;
    site.write_image("whoami", &[])?;
    let both = WHOAMI.replace("[node1]", "[node1, node2]");
    site.write_stack(&[&hosts[0], &hosts[1]], &both)?;
    install(&site)?;

    hosts[1].kill()?;
    comes_to_be(&site, "node2", "unreachable")?;
    ended(&site.foundry(&["status"])?, 3, &["unreachable since"])?;
    ensure!(status_of(&site, "node1")?["state"] == "healthy");

    site.edit_stack("ports:", "env: { A: b }\n    ports:")?;
    let run = site.json(3, &["stack", "install", "--yes"])?;
    ensure!(run["outcome"] == "partial", "{run:#}");
    let changed = foundry_testbed::http::get(&format!("{}:8080", hosts[0].address()), "/env/A")?;
    ensure!(
        changed.body.trim() == "b",
        "the living host has the change: {changed:?}"
    );

    hosts[1].start()?;
    comes_to_be(&site, "node2", "healthy")?;
    let address = format!("{}:8080", hosts[1].address());
    until(
        "the change on the host that was away",
        Duration::from_secs(60),
        || {
            let changed = foundry_testbed::http::get(&address, "/env/A")?;
            ensure!(changed.body.trim() == "b", "{changed:?}");
            Ok(())
        },
    )
}

#[test]
fn killed_agents_and_controllers_come_back_and_workloads_do_not_notice() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    install(&site)?;
    let identity = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' foundry-whoami";
    let before = host.exec(identity)?;

    host.exec("kill -9 $(systemctl show --property MainPID --value foundry-agent.service)")?;
    ended(&site.foundry(&["controller", "stop"])?, 0, &[])?;
    comes_to_be(&site, "node1", "healthy")?;
    ended(
        &site.foundry(&["stack", "install", "--yes"])?,
        0,
        &["othing to change"],
    )?;
    ensure!(
        host.exec(identity)? == before,
        "the container was left alone"
    );
    Ok(())
}

#[test]
fn a_network_that_is_cut_and_healed() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    install(&site)?;
    host.cut_network()?;
    let state = until("the silence to show", Duration::from_secs(60), || {
        let status = status_of(&site, "node1")?;
        ensure!(status["state"] != "healthy", "{status:#}");
        Ok(status["state"].clone())
    })?;
    ensure!(state == "stale" || state == "unreachable", "{state}");
    host.heal_network()?;
    comes_to_be(&site, "node1", "healthy").map(drop)
}
