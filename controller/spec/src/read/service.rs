//! `services:`

use std::ops::Range;

use super::host::Hosts;
use super::ports;
use super::strings::{ContainerUser, RelativePath, VariableName};
use crate::field::{Field, Key, Table, key};
use crate::model::{
    Env, Health, ImageError, ImageReference, Instance, Limits, Port, Probe, Service, ServiceName,
    Text, Volume, is_secret_name,
};
use crate::report::Report;

const KEYS: &[Key] = &[
    key("name", "the service's name, such as whoami"),
    key(
        "image",
        "a fully qualified image, such as docker.io/traefik/whoami:v1.11",
    ),
    key(
        "image_archive",
        "a `docker save` or OCI archive, relative to this file",
    ),
    key("hosts", "a list of hostnames; left out: all hosts"),
    key(
        "ports",
        "a list of [address:]host:container[/udp], such as \"8080:80\"",
    ),
    key("env", "a mapping of names to values"),
    key(
        "volumes",
        "a list of source:target[:ro], such as /srv/data:/data",
    ),
    key("command", "a list of arguments in place of the image's own"),
    key("user", "user, uid, user:group or uid:gid in the container"),
    key("limits", "a mapping with memory and cpus"),
    key("health", "a mapping with one of http, tcp and command"),
    key("instance", "whose secrets it uses; left out: its name"),
];

const LIMITS: &[Key] = &[
    key("memory", "an amount of memory, such as 64Mi"),
    key("cpus", "a number of CPUs, such as 0.5"),
];

const HEALTH: &[Key] = &[
    key(
        "http",
        "a URL on the host, such as http://127.0.0.1:8080/health",
    ),
    key(
        "tcp",
        "an address and port on the host, such as 127.0.0.1:5432",
    ),
    key(
        "command",
        "a list: an absolute program and its arguments, run on the host",
    ),
    key("interval", "how often it is asked, such as 10s"),
    key("timeout", "how long an answer may take, such as 5s"),
];

/// The stack's own secrets.
const CORE_INSTANCE: &str = "foundry-core";

/// A service with the places that are checked against other services.
struct Read {
    service: Service,
    ports: Vec<(Port, Range<usize>)>,
}

pub(super) fn services(field: &Field<'_>, hosts: &Hosts, report: &mut Report<'_>) -> Vec<Service> {
    let mut names: Vec<(ServiceName, Range<usize>)> = Vec::new();
    let mut read = Vec::new();
    for item in field.items(report) {
        let Some(table) = item.called("a service").table(KEYS, report) else {
            continue;
        };
        let name = name(&table, &mut names, report);
        read.extend(service(&table, name, hosts, report));
    }
    ports::check(
        read.iter()
            .map(|read| (&read.service, read.ports.as_slice())),
        report,
    );
    read.into_iter().map(|read| read.service).collect()
}

fn name(
    table: &Table<'_>,
    names: &mut Vec<(ServiceName, Range<usize>)>,
    report: &mut Report<'_>,
) -> Option<ServiceName> {
    let field = table.need("name", report)?;
    let name = field.parse::<ServiceName>(report)?;
    if let Some((_, first)) = names.iter().find(|(other, _)| *other == name) {
        let line = report.line(first);
        report
            .error(field.at(), format!("two services are named `{name}`"))
            .hint(format!("the first stands on line {line}"));
    } else {
        names.push((name.clone(), field.at().clone()));
    }
    Some(name)
}

/// Reads on where the name is missing, for the errors.
fn service(
    table: &Table<'_>,
    name: Option<ServiceName>,
    hosts: &Hosts,
    report: &mut Report<'_>,
) -> Option<Read> {
    let image = table
        .need("image", report)
        .and_then(|field| image(&field, report));
    let image_archive = table.get("image_archive").and_then(|field| {
        let path = field.parse::<RelativePath>(report)?;
        Some(path.into_text())
    });
    let on = table
        .get("hosts")
        .map(|field| hosts.resolve(&field, report));
    let ports = table
        .get("ports")
        .map(|field| port_list(&field, report))
        .unwrap_or_default();
    let env = table
        .get("env")
        .map(|field| env(&field, report))
        .unwrap_or_default();
    let volumes = table
        .get("volumes")
        .map(|field| volume_list(&field, report));
    let command = table.get("command").map(|field| {
        field
            .items(report)
            .iter()
            .filter_map(|item| item.parse_scalar::<Text>(report))
            .collect()
    });
    let user = table
        .get("user")
        .and_then(|field| field.parse_scalar::<ContainerUser>(report));
    let limits = table
        .get("limits")
        .map(|field| limits(&field, report))
        .unwrap_or_default();
    let health = table.get("health").and_then(|field| health(&field, report));
    let instance = table
        .get("instance")
        .and_then(|field| instance(&field, report));
    let name = name?;
    let service = Service {
        image: image?,
        image_archive,
        hosts: on.unwrap_or_else(|| hosts.all()),
        ports: ports.iter().map(|(port, _)| *port).collect(),
        env,
        volumes: volumes.unwrap_or_default(),
        command: command.unwrap_or_default(),
        user: user.map(ContainerUser::into_text),
        limits,
        health,
        // A service's name has the form of an instance's.
        instance: instance.or_else(|| name.as_str().parse().ok())?,
        name,
    };
    Some(Read { service, ports })
}

fn image(field: &Field<'_>, report: &mut Report<'_>) -> Option<ImageReference> {
    let text = field.string(report)?;
    let error = match text.parse::<ImageReference>() {
        Ok(image) => return Some(image),
        Err(error) => error,
    };
    let hint = match &error {
        ImageError::NoRegistry { meant, .. } => Some(format!("write `{meant}`")),
        ImageError::NoVersion { given } => Some(format!("write its tag too: `{given}:…`")),
        ImageError::Form { .. } => None,
    };
    let reported = report.error(field.at(), error).expected(KEYS[1].doc);
    if let Some(hint) = hint {
        reported.hint(hint);
    }
    None
}

fn port_list(field: &Field<'_>, report: &mut Report<'_>) -> Vec<(Port, Range<usize>)> {
    let items = field.items(report).into_iter();
    items
        .filter_map(|item| Some((item.parse_scalar::<Port>(report)?, item.at().clone())))
        .collect()
}

fn env(field: &Field<'_>, report: &mut Report<'_>) -> Env {
    let mut variables = Vec::new();
    for (name, value) in field.entries(report) {
        let variable = name.parse_scalar::<VariableName>(report);
        // A variable with nothing behind it is empty, not left out.
        let text = if value.node.is_null() {
            "".parse().ok()
        } else {
            value.parse_scalar::<Text>(report)
        };
        let Some((variable, text)) = variable.zip(text) else {
            continue;
        };
        let variable = variable.into_text();
        if text.as_source().contains(['\n', '\r', '\0']) {
            report
                .error(value.at(), format!("`{variable}` has more than one line"))
                .expected("one line: containers read their environment from a file of lines")
                .hint("mount a file instead");
        }
        if is_secret_name(&variable) && text.as_literal().is_some_and(|text| !text.is_empty()) {
            let hint = "write ${secret:path:key} and keep the value in ~/.foundryvars";
            report.warn(
                value.at(),
                format!("`{variable}` looks like a secret"),
                hint,
            );
        }
        variables.push((variable, text));
    }
    variables.into_iter().collect()
}

fn volume_list(field: &Field<'_>, report: &mut Report<'_>) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = Vec::new();
    for item in field.items(report) {
        let Some(volume) = item.parse::<Volume>(report) else {
            continue;
        };
        if volumes.iter().any(|other| other.target == volume.target) {
            report.error(
                item.at(),
                format!("two volumes are mounted at `{}`", volume.target),
            );
        }
        volumes.push(volume);
    }
    volumes
}

fn limits(field: &Field<'_>, report: &mut Report<'_>) -> Limits {
    let Some(table) = field.table(LIMITS, report) else {
        return Limits::default();
    };
    let memory = table
        .get("memory")
        .and_then(|field| field.parse_scalar(report));
    let cpus = table
        .get("cpus")
        .and_then(|field| field.parse_scalar(report));
    Limits { memory, cpus }
}

fn health(field: &Field<'_>, report: &mut Report<'_>) -> Option<Health> {
    let table = field.table(HEALTH, report)?;
    let interval = table
        .get("interval")
        .and_then(|field| field.parse_scalar(report));
    let timeout = table
        .get("timeout")
        .and_then(|field| field.parse_scalar(report));
    let probes = ["http", "tcp", "command"];
    let given: Vec<Field<'_>> = probes
        .into_iter()
        .filter_map(|name| table.get(name))
        .collect();
    let [probe] = given.as_slice() else {
        let message = match given.len() {
            0 => "`health` names no probe",
            _ => "`health` names more than one probe",
        };
        report
            .error(field.at(), message)
            .expected("one of `http`, `tcp` and `command`");
        return None;
    };
    Some(Health {
        probe: probe_of(probe, report)?,
        interval,
        timeout,
    })
}

fn probe_of(field: &Field<'_>, report: &mut Report<'_>) -> Option<Probe> {
    let probe = match field.name() {
        "http" => Probe::http(field.string(report)?),
        "tcp" => Probe::tcp(field.string(report)?),
        _ => {
            let items = field.items(report);
            let argv = items
                .iter()
                .map(|item| no_secret(item, report))
                .collect::<Option<_>>()?;
            Probe::command(argv)
        }
    };
    field.take(probe, report)
}

/// An argument of a probe: it would be seen by everybody on the host.
fn no_secret(item: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = item.parse_scalar::<Text>(report)?;
    if text.as_literal().is_none() {
        report
            .error(item.at(), "a probe's arguments hold no secrets")
            .hint("let the program read it from a file that only root can read");
    }
    Some(text.as_source().to_owned())
}

fn instance(field: &Field<'_>, report: &mut Report<'_>) -> Option<Instance> {
    let instance = field.parse::<Instance>(report)?;
    if instance.as_str() == CORE_INSTANCE {
        report
            .error(
                field.at(),
                format!("`{CORE_INSTANCE}` holds the stack's own secrets"),
            )
            .hint("choose another name");
    }
    Some(instance)
}
