//! From bare hosts to healthy services, and what a second look says.

use anyhow::{Result, ensure};
use foundry_testbed::{Runtime, Wanted};
use foundry_tests::site::Site;

use crate::expect::{WHOAMI, answers, comes_to_be, ended, install, status_of};

#[test]
fn a_bare_host_comes_to_run_a_service_and_then_nothing_changes() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &["--name", "first"])?;
    site.write_stack(&[&host], WHOAMI)?;

    let plan = site.json(0, &["stack", "plan"])?;
    ensure!(plan["summary"]["create"] != 0, "{plan:#}");
    ensure!(site.fleet().is_none(), "a plan makes no fleet");

    install(&site)?;
    ensure!(site.fleet().is_some(), "an install does");
    ensure!(answers(&host, 8080)?.contains("name: first"));

    let status = status_of(&site, "node1")?;
    ensure!(status["state"] == "healthy", "{status:#}");
    let service = &status["assignments"][0];
    ensure!(
        service["name"] == "service/whoami" && service["state"] == "achieved",
        "{status:#}"
    );
    ensure!(
        service["healthy"] == true && service["healthy_age_ms"].is_u64(),
        "{status:#}"
    );
    ensure!(service["accepted"] == service["revision"], "{status:#}");

    let identity = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' foundry-whoami";
    let before = host.exec(identity)?;
    ended(
        &site.foundry(&["stack", "install", "--yes"])?,
        0,
        &["othing to change"],
    )?;
    let plan = site.json(0, &["stack", "plan", "--exit-code"])?;
    ensure!(
        plan["changes"].as_array().is_some_and(Vec::is_empty),
        "{plan:#}"
    );
    ensure!(
        host.exec(identity)? == before,
        "the container was left alone"
    );
    Ok(())
}

#[test]
fn docker_and_podman_hosts_run_two_services_and_an_edit_changes_one() -> Result<()> {
    let site = Site::new()?;
    let hosts = site.testbed().up(&[
        Wanted::new("node1"),
        Wanted::new("node2").runtime(Runtime::Podman),
    ])?;
    let [docker, podman] = hosts.as_slice() else {
        anyhow::bail!("two hosts")
    };
    for name in ["whoami", "hello"] {
        site.write_image(name, &["--name", name])?;
    }
    let both = WHOAMI.replace("[node1]", "[node1, node2]");
    let hello = "  - name: hello\n    image: localhost/hello:1\n    image_archive: ./hello.tar\n    ports: [\"8081:80\"]\n    \
                 env: { GREETING: good morning }\n    health: { tcp: \"127.0.0.1:8081\" }\n";
    site.write_stack(&[docker, podman], &format!("{both}{hello}"))?;
    install(&site)?;
    for host in [docker, podman] {
        ensure!(answers(host, 8080)?.contains("name: whoami"));
        ensure!(answers(host, 8081)?.contains("name: hello"));
        comes_to_be(&site, host.name(), "healthy")?;
    }
    let variable =
        foundry_testbed::http::get(&format!("{}:8081", podman.address()), "/env/GREETING")?;
    ensure!(variable.body.trim() == "good morning", "{variable:?}");

    site.edit_stack("good morning", "good evening")?;
    let plan = site.json(0, &["stack", "plan"])?;
    let changes = plan["changes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    ensure!(
        !changes.is_empty()
            && changes
                .iter()
                .all(|change| change["assignment"] == "service/hello"),
        "{plan:#}"
    );
    let untouched = docker.exec("docker inspect --format '{{.Id}}' foundry-whoami")?;
    install(&site)?;
    let variable =
        foundry_testbed::http::get(&format!("{}:8081", podman.address()), "/env/GREETING")?;
    ensure!(variable.body.trim() == "good evening", "{variable:?}");
    ensure!(
        docker.exec("docker inspect --format '{{.Id}}' foundry-whoami")? == untouched,
        "whoami was left alone"
    );
    Ok(())
}

#[test]
fn a_host_without_a_runtime_is_told_so() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1").runtime(Runtime::None))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    ended(&site.foundry(&["host", "bootstrap"])?, 0, &[])?;
    let finished = site.foundry(&["stack", "install", "--yes"])?;
    ended(&finished, 1, &["node1", "no container runtime answers"])?;
    // It is looked for again: nobody has to restart the agent.
    host.exec("apt-get install -y -q --no-download docker.io")?;
    install(&site)?;
    answers(&host, 8080).map(drop)
}
