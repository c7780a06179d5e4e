//! `cluster:` and `controller:`

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::host::Hosts;
use super::strings::{Destination, DomainName, HostPort};
use crate::field::{Field, Key, key};
use crate::model::{Cluster, Component, ComponentKind, Controller, Instance, Vip, VipHolder};
use crate::report::Report;
use crate::tree::Content;

const CLUSTER: &[Key] = &[
    key(
        "name",
        "lower-case letters, digits and dashes, such as production",
    ),
    key("domain", "a DNS domain, such as example.com"),
    key(
        "vip",
        "an IP address that no host has, or {address: …, by: external}",
    ),
    key("nodes", "the older form of `hosts`"),
];

const VIP: &[Key] = &[
    key(
        "address",
        "an IP address that no host has, such as 192.168.1.100",
    ),
    key(
        "by",
        "`external` for a load balancer of your own; left out: kube-vip",
    ),
];

const CONTROLLER: &[Key] = &[
    key(
        "listen",
        "an address and port to listen on for agents, such as \"[::]:7443\"",
    ),
    key(
        "advertise",
        "a list of host:port under which the hosts find the controller",
    ),
    key("at", "ssh://user@host, where the controller runs"),
];

/// `cluster:` and where its parts stand.
pub(super) struct ClusterRead<'t> {
    /// None where something was wrong.
    pub(super) cluster: Option<Cluster>,
    /// The older form of hosts.
    pub(super) nodes: Option<Field<'t>>,
    at: Range<usize>,
    vip_at: Option<Range<usize>>,
}

pub(super) fn cluster<'t>(field: &Field<'t>, report: &mut Report<'_>) -> Option<ClusterRead<'t>> {
    let table = field.table(CLUSTER, report)?;
    let name = table.need("name", report).and_then(|field| {
        let text = field.string(report)?;
        // A cluster's name has the form of an instance's.
        field.take(
            text.parse::<Instance>()
                .map_err(|_| format!("`{text}` is not a cluster's name")),
            report,
        )
    });
    let domain = table
        .get("domain")
        .and_then(|field| field.parse::<DomainName>(report));
    let vip_field = table.get("vip");
    let vip = vip_field.as_ref().map(|field| vip(field, report));
    let cluster = match (name, vip) {
        (Some(name), None | Some(Some(_))) => Some(Cluster {
            name: name.to_string(),
            domain: domain.map(DomainName::into_text),
            vip: vip.flatten(),
        }),
        _ => None,
    };
    Some(ClusterRead {
        cluster,
        nodes: table.get("nodes"),
        at: field.at().clone(),
        vip_at: vip_field.map(|field| field.at().clone()),
    })
}

fn vip(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vip> {
    let Content::Mapping(..) = field.node.content() else {
        return Some(Vip {
            address: vip_address(field, report)?,
            holder: VipHolder::default(),
        });
    };
    let table = field.table(VIP, report)?;
    let words = [
        ("external", VipHolder::External),
        ("kube-vip", VipHolder::KubeVip),
    ];
    let holder = table.get("by").map(|field| field.choice(&words, report));
    let address = table
        .need("address", report)
        .and_then(|field| vip_address(&field, report));
    Some(Vip {
        address: address?,
        holder: holder.unwrap_or_default().unwrap_or_default(),
    })
}

fn vip_address(field: &Field<'_>, report: &mut Report<'_>) -> Option<IpAddr> {
    let text = field.scalar(report)?;
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() => {
            field.refuse(
                format!("`{text}` is not an address that a host can hold"),
                report,
            );
            None
        }
        Ok(ip) => Some(ip),
        Err(_) => {
            field.refuse(format!("`{text}` is not an IP address"), report);
            None
        }
    }
}

/// What the VIP has to do with hosts and components.
pub(super) fn check_vip(
    read: &ClusterRead<'_>,
    hosts: &Hosts,
    components: &[Component],
    report: &mut Report<'_>,
) {
    let k3s = components
        .iter()
        .any(|component| component.kind == ComponentKind::K3s);
    let Some(at) = &read.vip_at else {
        if k3s {
            report
                .error(
                    &(read.at.start..read.at.start),
                    "`vip` is missing in `cluster`",
                )
                .expected("vip: an IP address that no host has")
                .hint("k3s is a component: its API is reached through this address");
        }
        return;
    };
    let vip = read.cluster.as_ref().and_then(|cluster| cluster.vip);
    let Some(vip) = vip else {
        return;
    };
    let holder = hosts
        .hosts()
        .iter()
        .find(|host| host.address.ip() == Some(vip.address) || host.internal == Some(vip.address));
    if let Some(host) = holder {
        report
            .error(
                at,
                format!(
                    "the VIP {} is the address of host {}",
                    vip.address, host.hostname
                ),
            )
            .expected("an IP address that no host has")
            .hint("choose a free address of the same network");
    }
}

pub(super) fn controller(field: &Field<'_>, report: &mut Report<'_>) -> Controller {
    let Some(table) = field.table(CONTROLLER, report) else {
        return Controller::default();
    };
    let default = Controller::default();
    let listen = table.get("listen").and_then(|field| {
        let text = field.scalar(report)?;
        let address = text
            .parse::<SocketAddr>()
            .ok()
            .filter(|address| address.port() > 0);
        let wrong = || format!("`{text}` is not an address and port to listen on");
        field.take(address.ok_or_else(wrong), report)
    });
    let advertise = table.get("advertise").map_or_else(Vec::new, |field| {
        field
            .items(report)
            .iter()
            .filter_map(|item| item.parse::<HostPort>(report))
            .collect()
    });
    let at = table
        .get("at")
        .and_then(|field| field.parse::<Destination>(report));
    Controller {
        listen: listen.unwrap_or(default.listen),
        advertise: advertise.into_iter().map(HostPort::into_text).collect(),
        at: at.map(Destination::into_text),
    }
}
