//! What a command must have said, and a service on a host.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use foundry_testbed::{Finished, Host, http, until};
use foundry_tests::site::Site;
use serde_json::Value;

/// The service that most tests run, on `node1`.
pub(crate) const WHOAMI: &str = "\
services:
  - name: whoami
    image: localhost/whoami:1
    image_archive: ./whoami.tar
    hosts: [node1]
    ports: [\"8080:80\"]
    health: { http: \"http://127.0.0.1:8080/health\" }
";

/// A command ended with this exit code, and each text is somewhere in what it said.
pub(crate) fn ended(finished: &Finished, code: i32, says: &[&str]) -> Result<()> {
    ensure!(
        finished.code == Some(code),
        "expected exit code {code}: {finished:#?}"
    );
    let said = format!("{}\n{}", finished.stdout, finished.stderr);
    for text in says {
        ensure!(
            said.contains(text),
            "expected it to say {text:?}: {finished:#?}"
        );
    }
    Ok(())
}

/// The site's stack is installed without a question.
pub(crate) fn install(site: &Site) -> Result<()> {
    ended(&site.foundry(&["stack", "install", "--yes"])?, 0, &[])
}

/// The service on this host and port answers.
pub(crate) fn answers(host: &Host, port: u16) -> Result<String> {
    let address = format!("{}:{port}", host.address());
    let what = format!("{address} on {}", host.name());
    let answer = until(&what, Duration::from_secs(30), || http::get(&address, "/"))?;
    ensure!(answer.status == 200, "{address} answered {answer:?}");
    Ok(answer.body)
}

/// `foundry status` knows a host of this name; this is what it says about it.
pub(crate) fn status_of(site: &Site, host: &str) -> Result<Value> {
    let finished = site.foundry(&["status", "-o", "json"])?;
    let status: Value =
        serde_json::from_str(&finished.stdout).with_context(|| format!("{finished:#?}"))?;
    let hosts = status["hosts"].as_array().context("hosts")?;
    let found = hosts.iter().find(|entry| entry["name"] == host);
    found
        .cloned()
        .with_context(|| format!("{host} in {status:#}"))
}

/// `foundry status` comes to say that a host is in this state.
pub(crate) fn comes_to_be(site: &Site, host: &str, state: &str) -> Result<Value> {
    until(
        &format!("{host} to be {state}"),
        Duration::from_secs(60),
        || {
            let status = status_of(site, host)?;
            ensure!(status["state"] == state, "{status:#}");
            Ok(status)
        },
    )
}

/// Nothing of foundry is on the host: no unit, no agent, no settings.
pub(crate) fn bare(host: &Host) -> Result<()> {
    let found = host.exec(
        "find /etc/systemd/system /etc/foundry /opt/foundry /run/foundry -name '*foundry*' -type f 2>/dev/null; \
         ls -A /etc/foundry 2>/dev/null; true",
    )?;
    ensure!(found.is_empty(), "left on {}:\n{found}", host.name());
    Ok(())
}
