//! Ports of the host that a service wants and someone else has.

use std::net::IpAddr;

use foundry_host::containers::{ContainerState, PublishedPort};
use foundry_host::ports::Listener;

use super::diff::is_ours;
use super::settings::{Port, Settings};
use crate::tasks::{Context, TaskError};

/// Docker's forwarder. It listens before Docker says that the container runs, and which ports it publishes.
const DOCKER_PROXY: &str = "docker-proxy";

/// The wanted ports that are taken, each with its owner: a container by name, else a process.
pub(super) async fn taken(
    cx: &Context,
    settings: &Settings<'_>,
    containers: &[ContainerState],
) -> Result<Vec<(Port, String)>, TaskError> {
    if settings.task.host_network || settings.ports.is_empty() {
        return Ok(Vec::new());
    }
    let (ours, others): (Vec<_>, Vec<_>) = containers
        .iter()
        .partition(|container| is_ours(settings, container));
    let is_starting = ours.iter().any(|container| !container.running);
    let mut taken = Vec::new();
    let mut listeners = None;
    for port in &settings.ports {
        if let Some(owner) = others.iter().find(|container| publishes(container, port)) {
            taken.push((*port, format!("container {}", owner.name)));
            continue;
        }
        if ours.iter().any(|container| publishes(container, port)) {
            continue;
        }
        let listeners = match &listeners {
            Some(listeners) => listeners,
            None => listeners.insert(cx.host.ports.listeners().await?),
        };
        let Some(listener) = listener_on(listeners, port) else {
            continue;
        };
        let owner = match cx.host.ports.owner(listener).await {
            Some(process) if process.name == DOCKER_PROXY && is_starting => continue,
            Some(process) => format!("{} (pid {})", process.name, process.pid),
            None => format!("a process that listens on {}", listener.address),
        };
        taken.push((*port, owner));
    }
    Ok(taken)
}

fn listener_on<'a>(listeners: &'a [Listener], port: &Port) -> Option<&'a Listener> {
    listeners
        .iter()
        .find(|listener| listener.clashes(port.protocol, port.address, port.host))
}

fn publishes(container: &ContainerState, port: &Port) -> bool {
    container.ports.iter().any(|published| {
        published.port == port.host
            && published.protocol == port.protocol
            && addresses_meet(published, port.address)
    })
}

fn addresses_meet(published: &PublishedPort, wanted: Option<IpAddr>) -> bool {
    let published: Option<IpAddr> = published.address.parse().ok();
    match (
        published.filter(|address| !address.is_unspecified()),
        wanted,
    ) {
        (Some(published), Some(wanted)) => wanted.is_unspecified() || published == wanted,
        _ => true,
    }
}
