//! Hosts that cannot be reached or cannot be ours: each fails with a cause and a next step, and nothing half-written.

use std::net::TcpListener;
use std::process::Command;

use anyhow::{Result, ensure};
use foundry_testbed::{Init, Runtime, Wanted, run};
use foundry_tests::site::Site;

use crate::expect::{WHOAMI, answers, bare, ended, install};

/// Enrolment does not need a runtime.
fn site_with_host() -> Result<(Site, foundry_testbed::Host)> {
    let (site, host) = Site::with_host(Wanted::new("node1").runtime(Runtime::None))?;
    site.write_stack(&[&host], "")?;
    Ok((site, host))
}

#[test]
fn a_host_that_is_down_fails_alone() -> Result<()> {
    let site = Site::new()?;
    let hosts = site
        .testbed()
        .up(&[Wanted::new("node1"), Wanted::new("node2")])?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&hosts[0], &hosts[1]], WHOAMI)?;
    hosts[1].kill()?;
    ended(
        &site.foundry(&["stack", "install", "--yes"])?,
        3,
        &["node2"],
    )?;
    answers(&hosts[0], 8080).map(drop)
}

#[test]
fn a_refused_key_is_named() -> Result<()> {
    let (site, host) = site_with_host()?;
    host.exec("rm /root/.ssh/authorized_keys")?;
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", "ermission denied", "hint"],
    )?;
    bare(&host)
}

#[test]
fn a_changed_host_key_is_named_and_never_accepted() -> Result<()> {
    let (site, host) = site_with_host()?;
    host.exec("rm /etc/ssh/ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key")?;
    for arguments in [
        &["host", "bootstrap"][..],
        &["host", "bootstrap", "--accept-new-host-keys"],
    ] {
        ended(
            &site.foundry(arguments)?,
            1,
            &["node1", "host key", "changed"],
        )?;
    }
    bare(&host)
}

#[test]
fn an_unknown_host_key_is_accepted_only_when_asked() -> Result<()> {
    let (site, host) = site_with_host()?;
    fs_err::write(site.testbed().ssh().known_hosts(), "")?;
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", "--accept-new-host-keys"],
    )?;
    bare(&host)?;
    // The testbed's own configuration is strict; the option has to be stronger, as it is with a user's.
    ended(
        &site.foundry(&["host", "bootstrap", "--accept-new-host-keys"])?,
        0,
        &[],
    )
}

#[test]
fn a_host_without_systemd_is_refused() -> Result<()> {
    let (site, host) =
        Site::with_host(Wanted::new("node1").runtime(Runtime::None).init(Init::Sshd))?;
    site.write_stack(&[&host], "")?;
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", "systemd"],
    )?;
    bare(&host)
}

#[test]
fn a_banner_on_stdout_does_no_harm() -> Result<()> {
    let (site, host) = site_with_host()?;
    host.exec("sed -i '1i echo \"*** WELCOME ***\"; echo \"@@foundry is not a word of ours\"' /root/.bashrc")?;
    ensure!(
        host.ssh("true")?.stdout.contains("WELCOME"),
        "the banner is printed"
    );
    ended(&site.foundry(&["host", "bootstrap"])?, 0, &[])
}

#[test]
fn a_connection_that_closes_half_way_leaves_nothing() -> Result<()> {
    let (mut site, host) = site_with_host()?;
    // Passes on 300 kB and then pulls the plug.
    let cut = site.script(
        "cut-ssh",
        &format!(
            "#!/bin/sh\nmkfifo \"$0.$$\"\n{} \"$@\" < \"$0.$$\" &\npid=$!\n\
             sent=$(head -c 300000 | tee \"$0.$$\" | wc -c)\n\
             [ \"$sent\" -lt 300000 ] || kill -9 $pid\nwait $pid\n",
            site.testbed().ssh().program()
        ),
    )?;
    site.use_ssh(cut.as_str());
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", "connection"],
    )?;
    bare(&host)?;
    site.use_ssh(site.testbed().ssh().program());
    ended(&site.foundry(&["host", "bootstrap"])?, 0, &[])
}

#[test]
fn a_host_that_cannot_dial_back_is_told_which_address() -> Result<()> {
    let (site, host) = site_with_host()?;
    host.refuse_outgoing(site.port())?;
    site.edit_stack("hostname: node1", "hostname: node1\n    reach: dial")?;
    let address = format!("198.18.0.1:{}", site.port());
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", &address, "reach"],
    )?;
    let units = host.exec("ls /etc/systemd/system")?;
    ensure!(
        !units.contains("foundry"),
        "the unit is written last: {units}"
    );
    Ok(())
}

#[test]
fn a_clock_that_is_half_a_day_behind_is_named() -> Result<()> {
    let (site, host) = site_with_host()?;
    host.put(
        "/usr/local/bin/date",
        "755",
        b"#!/bin/sh\nexec /bin/date -d '14 hours ago' \"$@\"\n",
    )?;
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", "clock is 14 h behind"],
    )?;
    bare(&host)
}

#[test]
fn an_architecture_that_was_not_built_is_named() -> Result<()> {
    let (site, host) = site_with_host()?;
    host.put(
        "/usr/local/bin/uname",
        "755",
        b"#!/bin/sh\ncase $* in -m) echo riscv64 ;; *) exec /bin/uname \"$@\" ;; esac\n",
    )?;
    ended(
        &site.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", "riscv64"],
    )?;
    bare(&host)
}

#[test]
fn a_listen_port_that_is_taken_is_named() -> Result<()> {
    let (site, host) = site_with_host()?;
    let _taken = TcpListener::bind(("0.0.0.0", site.port()))?;
    let port = site.port().to_string();
    let finished = site.foundry(&["host", "bootstrap"])?;
    ensure!(
        finished.code == Some(1) || finished.code == Some(2),
        "{finished:#?}"
    );
    ended(&finished, finished.code.unwrap_or(1), &[&port, "taken by"])?;
    bare(&host)
}

#[test]
fn bootstrap_again_is_a_no_op_and_another_fleet_is_refused() -> Result<()> {
    let (site, host) = site_with_host()?;
    ended(&site.foundry(&["host", "bootstrap"])?, 0, &[])?;
    let started =
        "systemctl show --property ActiveEnterTimestampMonotonic,MainPID foundry-agent.service";
    let before = host.exec(started)?;
    ended(&site.foundry(&["host", "bootstrap"])?, 0, &[])?;
    ensure!(host.exec(started)? == before, "the agent was left alone");

    let other = Site::new()?;
    other.testbed().ssh().know(
        host.address(),
        &host.exec("cat /etc/ssh/ssh_host_ed25519_key.pub")?,
    )?;
    let key = fs_err::read_to_string(other.testbed().ssh().path().join("key.pub"))?;
    host.exec(&format!(
        "echo '{}' >> /root/.ssh/authorized_keys",
        key.trim()
    ))?;
    other.write_stack(&[&host], "")?;
    let fleet = site.fleet().unwrap_or_default();
    ended(
        &other.foundry(&["host", "bootstrap"])?,
        1,
        &["node1", &fleet, "--take-over"],
    )?;
    ensure!(host.exec(started)? == before, "the agent was left alone");
    ended(
        &other.foundry(&["host", "bootstrap", "--take-over"])?,
        0,
        &[],
    )
}

#[test]
fn an_agent_of_another_digest_is_replaced_and_its_service_goes_on() -> Result<()> {
    let (site, host) = Site::with_host(Wanted::new("node1"))?;
    site.write_image("whoami", &[])?;
    site.write_stack(&[&host], WHOAMI)?;
    install(&site)?;
    let container = host.exec("docker inspect --format '{{.State.StartedAt}}' foundry-whoami")?;
    // The same program with a byte after its end: another digest.
    let agents = site.path().join("agents");
    fs_err::create_dir_all(&agents)?;
    let from = host.exec("readlink -f /opt/foundry/agents/current")?;
    let built = std::env::var("FOUNDRY_AGENT_DIR").unwrap_or_else(|_| "../target/agents".into());
    let mut agent = fs_err::read(format!("{built}/foundry-agent-x86_64"))?;
    agent.push(0);
    fs_err::write(agents.join("foundry-agent-x86_64"), agent)?;
    run(Command::new("chmod").args(["755", agents.join("foundry-agent-x86_64").as_str()]))?
        .success()?;
    let mut bootstrap = site.command();
    bootstrap
        .args(["host", "bootstrap"])
        .env("FOUNDRY_AGENT_DIR", &agents);
    ended(&run(&mut bootstrap)?, 0, &[])?;
    ensure!(
        host.exec("readlink -f /opt/foundry/agents/current")? != from,
        "the agent was replaced"
    );
    ensure!(
        host.exec("docker inspect --format '{{.State.StartedAt}}' foundry-whoami")? == container
    );
    answers(&host, 8080).map(drop)
}
