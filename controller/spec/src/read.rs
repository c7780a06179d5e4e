//! From the tree to a [`Stack`]: each part of the file has its reader, what concerns several parts is checked after them.

mod cluster;
mod component;
mod host;
mod ports;
mod service;
mod storage;
mod strings;

use crate::field::{Field, Key, Table, key};
use crate::model::{FleetName, Stack};
use crate::report::Report;
use crate::tree::Node;

use host::Hosts;

const KEYS: &[Key] = &[
    key("version", "the version of this file's form, \"1\""),
    key(
        "fleet",
        "written by foundry: a name with a random suffix, such as production-7f3a9c",
    ),
    key("cluster", "a mapping with name, domain and vip"),
    key("controller", "a mapping with listen, advertise and at"),
    key("hosts", "a list of hosts, each with hostname and address"),
    key("components", "a mapping of components, such as `k3s: {}`"),
    key("services", "a list of services, each with name and image"),
    key("storage", "a mapping with truenas"),
];

/// Reads the whole file. None where something is wrong that was reported.
pub(crate) fn stack(root: &Node, report: &mut Report<'_>) -> Option<Stack> {
    let table = Field::new(
        root,
        "stack.yaml",
        "a mapping with version, cluster and hosts",
    )
    .table(KEYS, report)?;
    version(&table, report);
    let fleet = table
        .get("fleet")
        .and_then(|field| field.parse::<FleetName>(report));
    let cluster = table.need("cluster", report);
    let cluster = cluster.and_then(|field| cluster::cluster(&field, report));
    let nodes = cluster.as_ref().and_then(|cluster| cluster.nodes.clone());
    let hosts = hosts(&table, nodes, report);
    let components = table.get("components");
    let components = components.map(|field| component::components(&field, &hosts, report));
    let components = components.unwrap_or_default();
    if let Some(cluster) = &cluster {
        cluster::check_vip(cluster, &hosts, &components, report);
    }
    let services = table.get("services");
    let services = services.map(|field| service::services(&field, &hosts, report));
    let controller = table.get("controller");
    let controller = controller.map(|field| cluster::controller(&field, report));
    let storage = table
        .get("storage")
        .map(|field| storage::storage(&field, report));
    Some(Stack {
        version: "1",
        fleet,
        cluster: cluster?.cluster?,
        controller: controller.unwrap_or_default(),
        hosts: hosts.into_hosts(),
        components,
        services: services.unwrap_or_default(),
        storage: storage.unwrap_or_default(),
    })
}

fn version(table: &Table<'_>, report: &mut Report<'_>) {
    let Some(field) = table.need("version", report) else {
        return;
    };
    match field.scalar(report) {
        None | Some("1") => {}
        Some(other) => {
            report
                .error(
                    field.at(),
                    format!("version `{other}` of this file's form is not known"),
                )
                .expected("version: \"1\"")
                .hint("a newer foundry may have written it");
        }
    }
}

/// The hosts, from the one place or the other.
fn hosts(table: &Table<'_>, nodes: Option<Field<'_>>, report: &mut Report<'_>) -> Hosts {
    match (table.get("hosts"), nodes) {
        (Some(hosts), Some(nodes)) => {
            let line = report.line(hosts.at());
            report
                .error(nodes.at(), "hosts stand in `cluster.nodes` and in `hosts`")
                .hint(format!(
                    "keep those in `hosts` (line {line}) and take `nodes` out"
                ));
            Hosts::read(&hosts, report)
        }
        (None, Some(nodes)) => {
            let hint = "move them to `hosts:`, each with its `address:`";
            report.warn(
                nodes.at(),
                "`cluster.nodes` is the older form of `hosts`",
                hint,
            );
            Hosts::read_nodes(&nodes, report)
        }
        (Some(hosts), None) => Hosts::read(&hosts, report),
        (None, None) => {
            table.need("hosts", report);
            Hosts::unread()
        }
    }
}
