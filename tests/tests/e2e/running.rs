//! Services that cannot run: each failure names its cause, and what belongs to others is left alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use foundry_testbed::{Finished, Host, Wanted, until};
use foundry_tests::site::Site;

use crate::expect::{WHOAMI, answers, ended, install};

/// Debian's docker-registry, open to everybody who reaches it.
const REGISTRY: &str = "\
version: 0.1
storage: { filesystem: { rootdirectory: /var/lib/docker-registry } }
http: { addr: \"127.0.0.1:5000\" }
";

/// An enrolled host with Docker, and a stack with whoami for it.
fn site_with_whoami() -> Result<(Site, Host)> {
    let (site, host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    ended(&site.foundry(&["host", "bootstrap"])?, 0, &[])?;
    Ok((site, host))
}

/// Somebody else's container, by this name and with these options.
fn theirs(site: &Site, host: &Host, name: &str, options: &str) -> Result<()> {
    host.put(
        "/tmp/whoami.tar",
        "600",
        &fs_err::read(site.path().join("whoami.tar"))?,
    )?;
    host.exec(&format!(
        "docker load -i /tmp/whoami.tar && docker run -d --name {name} {options} localhost/whoami:1 --name {name}"
    ))
    .map(drop)
}

fn install_fails(site: &Site, says: &[&str]) -> Result<Finished> {
    let finished = site.foundry(&["stack", "install", "--yes"])?;
    ended(&finished, 1, &[&["node1", "whoami"], says].concat())?;
    Ok(finished)
}

#[test]
fn a_published_port_that_is_taken() -> Result<()> {
    let (site, host) = site_with_whoami()?;
    theirs(&site, &host, "theirs", "-p 8080:80")?;
    install_fails(&site, &["8080", "theirs"])?;
    ensure!(
        answers(&host, 8080)?.contains("name: theirs"),
        "theirs still runs"
    );
    Ok(())
}

#[test]
fn a_foreign_container_of_our_name() -> Result<()> {
    let (site, host) = site_with_whoami()?;
    theirs(&site, &host, "foundry-whoami", "-p 9090:80")?;
    install_fails(&site, &["foundry-whoami"])?;
    ensure!(
        answers(&host, 9090)?.contains("name: foundry-whoami"),
        "theirs still runs"
    );
    Ok(())
}

#[test]
fn a_unit_that_fails_at_once() -> Result<()> {
    let (site, _host) = site_with_whoami()?;
    // No such user in the image: the runtime's own command fails, no container runs.
    site.edit_stack("    ports:", "    user: nosuchuser\n    ports:")?;
    install_fails(&site, &["nosuchuser"]).map(drop)
}

#[test]
fn a_container_that_exits_at_once() -> Result<()> {
    let (site, _host) = site_with_whoami()?;
    site.edit_stack(
        "    ports:",
        "    command: [\"--exit-after\", \"0\", \"--code\", \"3\"]\n    ports:",
    )?;
    install_fails(&site, &["told to end at once"]).map(drop)
}

#[test]
fn a_container_that_exits_after_five_seconds_without_a_health_check() -> Result<()> {
    let (site, _host) = site_with_whoami()?;
    site.edit_stack(
        "    health: { http: \"http://127.0.0.1:8080/health\" }\n",
        "    command: [\"--exit-after\", \"5\"]\n",
    )?;
    install_fails(&site, &["told to end"]).map(drop)
}

#[test]
fn a_service_that_never_becomes_healthy() -> Result<()> {
    let (site, _host) = site_with_whoami()?;
    site.edit_stack("    ports:", "    command: [\"--unhealthy\"]\n    ports:")?;
    site.edit_stack("/health\" }", "/health\", interval: 1s, timeout: 2s }")?;
    install_fails(&site, &["503"]).map(drop)
}

#[test]
fn an_image_from_a_registry_and_one_that_is_not_there() -> Result<()> {
    let (site, host) = site_with_whoami()?;
    theirs(&site, &host, "seed", "")?;
    host.put(
        "/etc/docker/registry/config.yml",
        "644",
        REGISTRY.as_bytes(),
    )?;
    host.exec(
        "apt-get install -y -q --no-download -o Dpkg::Options::=--force-confold docker-registry && \
         systemctl restart docker-registry",
    )?;
    until("the registry", Duration::from_secs(20), || {
        host.exec("curl -fs localhost:5000/v2/")
    })?;
    host.exec(
        "docker tag localhost/whoami:1 localhost:5000/team/whoami:1 && \
         docker push localhost:5000/team/whoami:1 && docker rm -f seed && \
         docker rmi localhost:5000/team/whoami:1 localhost/whoami:1",
    )?;
    site.edit_stack("    image_archive: ./whoami.tar\n", "")?;
    site.edit_stack(
        "image: localhost/whoami:1",
        "image: localhost:5000/team/nosuch:1",
    )?;
    install_fails(&site, &["localhost:5000/team/nosuch:1"])?;
    site.edit_stack("team/nosuch:1", "team/whoami:1")?;
    install(&site)?;
    answers(&host, 8080).map(drop)
}

#[test]
fn a_disk_that_is_full() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1").small("/opt/foundry", 2))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    let finished = site.foundry(&["stack", "install", "--yes"])?;
    ended(&finished, 1, &["node1", "o space left"])?;
    let left =
        host.exec("find /opt/foundry /etc/systemd/system -name '*foundry-agent*' -type f; true")?;
    ensure!(left.is_empty(), "half-written: {left}");
    Ok(())
}
