//! `hosts:`, and the older `cluster.nodes:`

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Range;

use super::strings::UserName;
use crate::field::{Field, Key, Table, key};
use crate::model::{Address, Become, Host, Hostname, Label, Reach, Role};
use crate::report::Report;

const KEYS: &[Key] = &[
    key("hostname", "the host's stable name, such as node1"),
    key(
        "address",
        "an IP address, a name or an alias of ssh_config, or `local`",
    ),
    key("user", "the user that ssh logs in as"),
    key("port", "the port that ssh connects to"),
    key("become", "`sudo`, `none` or `auto`: how root is become"),
    key(
        "role",
        "`control-plane`, `worker` or `control-plane+worker`",
    ),
    key(
        "reach",
        "`auto`, `dial` or `ssh`: how agent and controller come together",
    ),
    key("labels", "a mapping of words to words, for selectors"),
    key("internal", "an IP address for the stack's own traffic"),
];

/// What was read of the hosts: others may name one although something else is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: Vec<Host>,
    names: Vec<Hostname>,
    named_at: HashMap<Hostname, Range<usize>>,
    /// By address, in lower case, and port: whose it is.
    addresses: HashMap<(String, u16), (Hostname, Range<usize>)>,
    /// A name could not be read, so that it cannot be told which ones there are.
    names_missing: bool,
}

// === impl Hosts ===

impl Hosts {
    /// `hosts:`
    pub(super) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Self {
        Self::read_with(field, false, report)
    }

    /// `cluster.nodes:`, where the address may be left out: the name is the address then.
    pub(super) fn read_nodes(field: &Field<'_>, report: &mut Report<'_>) -> Self {
        Self::read_with(field, true, report)
    }

    /// Hosts that cannot be told.
    pub(super) fn unread() -> Self {
        Self {
            names_missing: true,
            ..Self::default()
        }
    }

    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    pub(super) fn into_hosts(self) -> Vec<Host> {
        self.hosts
    }

    /// The names of all.
    pub(super) fn all(&self) -> Vec<Hostname> {
        self.names.clone()
    }

    /// A list of names of hosts, each once.
    pub(super) fn resolve(&self, field: &Field<'_>, report: &mut Report<'_>) -> Vec<Hostname> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let items = field.items(report);
        if items.is_empty() && field.node.kind() == "a list" {
            report
                .error(field.at(), "this list names no host")
                .hint("leave `hosts` out, or name one");
        }
        for item in items {
            let Some(given) = item.scalar(report) else {
                continue;
            };
            match given
                .parse::<Hostname>()
                .ok()
                .filter(|name| self.named_at.contains_key(name))
            {
                Some(name) if seen.insert(name.clone()) => found.push(name),
                Some(name) => {
                    report.error(item.at(), format!("host `{name}` stands here twice"));
                }
                None if self.names_missing => {}
                None => {
                    report
                        .error(item.at(), format!("there is no host `{given}`"))
                        .expected("the hostname of one of `hosts`")
                        .nearest(given, self.names.iter().map(Hostname::as_str));
                }
            }
        }
        found
    }

    fn read_with(field: &Field<'_>, nodes: bool, report: &mut Report<'_>) -> Self {
        let mut hosts = Self {
            names_missing: field.node.kind() != "a list",
            ..Self::default()
        };
        for item in field.items(report) {
            let host = hosts.host(&item.called("a host"), nodes, report);
            hosts.hosts.extend(host);
        }
        hosts
    }

    fn host(&mut self, item: &Field<'_>, node: bool, report: &mut Report<'_>) -> Option<Host> {
        let Some(table) = item.table(KEYS, report) else {
            self.names_missing = true;
            return None;
        };
        let hostname = self.hostname(&table, report);
        let port = table.get("port").and_then(|field| field.port(report));
        let address = self.address(&table, hostname.as_ref(), port, node, report);
        let user = table
            .get("user")
            .and_then(|field| field.parse::<UserName>(report));
        let word = |name| table.get(name);
        let become_root = word("become").and_then(|field| field.choice(Become::ALL, report));
        let role = word("role").and_then(|field| field.choice(Role::ALL, report));
        let reach = word("reach").and_then(|field| field.choice(Reach::ALL, report));
        let labels = table.get("labels").map(|field| labels(&field, report));
        let internal = table.get("internal").and_then(|field| {
            let text = field.scalar(report)?;
            let wrong = |_| format!("`{text}` is not an IP address");
            field.take(text.parse::<IpAddr>().map_err(wrong), report)
        });
        Some(Host {
            hostname: hostname?,
            address: address?,
            user: user.map(UserName::into_text),
            port,
            become_root: become_root.unwrap_or_default(),
            role,
            reach: reach.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            internal,
        })
    }

    fn hostname(&mut self, table: &Table<'_>, report: &mut Report<'_>) -> Option<Hostname> {
        let field = table.need("hostname", report);
        let Some((field, name)) = field.and_then(|field| {
            let name = field.parse::<Hostname>(report)?;
            Some((field, name))
        }) else {
            self.names_missing = true;
            return None;
        };
        if let Some(first) = self.named_at.get(&name) {
            let line = report.line(first);
            report
                .error(field.at(), format!("two hosts are named `{name}`"))
                .hint(format!("the first stands on line {line}"));
        } else {
            self.names.push(name.clone());
            self.named_at.insert(name.clone(), field.at().clone());
        }
        Some(name)
    }

    fn address(
        &mut self,
        table: &Table<'_>,
        hostname: Option<&Hostname>,
        port: Option<u16>,
        node: bool,
        report: &mut Report<'_>,
    ) -> Option<Address> {
        if node && table.get("address").is_none() {
            return hostname.map(|name| Address::Ssh(name.to_string()));
        }
        let field = table.need("address", report)?;
        let address = field.parse_scalar::<Address>(report)?;
        let hostname = hostname?;
        // Behind one address with several ports there may well be several hosts.
        let place = (address.as_str().to_lowercase(), port.unwrap_or(22));
        if let Some((name, first)) = self.addresses.get(&place) {
            let line = report.line(first);
            report
                .error(
                    field.at(),
                    format!("`{address}` is the address of host {name} already"),
                )
                .hint(format!("that one stands on line {line}"));
        } else {
            self.addresses
                .insert(place, (hostname.clone(), field.at().clone()));
        }
        Some(address)
    }
}

fn labels(field: &Field<'_>, report: &mut Report<'_>) -> BTreeMap<Label, Label> {
    let mut labels = BTreeMap::new();
    for (key, value) in field.entries(report) {
        let key = key.parse_scalar::<Label>(report);
        let value = value.parse_scalar::<Label>(report);
        labels.extend(key.zip(value));
    }
    labels
}
