//! A service: on each of its hosts one assignment, the image and the container that runs it.

use foundry_plan::Desired;
use foundry_proto::agent::v1 as wire;
use foundry_proto::{AssignmentName, Hostname};
use foundry_spec::{Health, Probe, Service, Text};

use super::archive::Archive;
use super::problem::StackError;

/// Task ids; they stay as they are from revision to revision.
const IMAGE: &str = "image";
const SERVICE: &str = "service";

/// The feature level that both tasks need.
const LEVEL: u32 = 1;

/// The service's assignments, host by host.
pub(super) fn assignments(
    service: &Service,
    archives: &[Archive],
) -> Result<Vec<Desired>, Vec<StackError>> {
    let mut errors = secrets(service);
    let archive = archive(service, archives).unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let hosts = hosts(service).map_err(|error| vec![error]);
    match hosts {
        Ok((name, hosts)) if errors.is_empty() => {
            let assignment = assignment(service, &name, archive);
            let to = |host| Desired::new(host, name.clone(), assignment.clone());
            Ok(hosts.into_iter().map(to).collect())
        }
        Ok(_) => Err(errors),
        Err(more) => Err([errors, more].concat()),
    }
}

/// The names as the wire has them.
fn hosts(service: &Service) -> Result<(AssignmentName, Vec<Hostname>), StackError> {
    let wrong = |error: foundry_proto::names::NameError| StackError::Name {
        service: service.name.to_string(),
        message: error.to_string(),
    };
    let name = AssignmentName::service(service.name.as_str()).map_err(wrong)?;
    let hosts = service
        .hosts
        .iter()
        .map(|host| host.as_str().parse())
        .collect::<Result<_, _>>();
    Ok((name, hosts.map_err(wrong)?))
}

/// The archive that the image comes from, where the file names one.
fn archive<'a>(
    service: &Service,
    archives: &'a [Archive],
) -> Result<Option<&'a Archive>, StackError> {
    let Some(path) = &service.image_archive else {
        return Ok(None);
    };
    let name = || service.name.to_string();
    let archive = archives
        .iter()
        .find(|archive| archive.path == *path)
        .ok_or_else(|| StackError::MissingArchive {
            service: name(),
            path: path.clone(),
        })?;
    if archive.carries(service.image.as_str()) {
        return Ok(Some(archive));
    }
    Err(StackError::WrongArchive {
        service: name(),
        path: path.clone(),
        image: service.image.to_string(),
        holds: archive.references.clone(),
    })
}

/// An error for each secret that the service refers to.
fn secrets(service: &Service) -> Vec<StackError> {
    let env = service
        .env
        .iter()
        .map(|(name, value)| (format!("env {name}"), value));
    let command = service
        .command
        .iter()
        .map(|argument| ("command".to_owned(), argument));
    env.chain(command)
        .flat_map(|(place, text)| {
            text.secrets().iter().map(move |secret| StackError::Secret {
                service: service.name.to_string(),
                place: place.clone(),
                reference: secret.to_string(),
            })
        })
        .collect()
}

fn assignment(
    service: &Service,
    name: &AssignmentName,
    archive: Option<&Archive>,
) -> wire::Assignment {
    let mut identities = archive.map_or_else(Vec::new, |archive| archive.identities.clone());
    identities.sort_unstable();
    identities.dedup();
    let source = match archive {
        Some(archive) => wire::image::Source::Archive(archive.artifact()),
        None => wire::image::Source::Pull(wire::Pull::default()),
    };
    let image = wire::Image {
        reference: service.image.to_string(),
        source: Some(source),
        identities: identities.clone(),
    };
    wire::Assignment {
        name: name.as_str().to_owned(),
        tasks: vec![
            task(IMAGE, wire::task::Kind::Image(image)),
            task(
                SERVICE,
                wire::task::Kind::ContainerService(container(service, identities)),
            ),
        ],
        ..wire::Assignment::default()
    }
}

fn task(id: &str, kind: wire::task::Kind) -> wire::Task {
    wire::Task {
        id: id.to_owned(),
        feature_level: LEVEL,
        slots: Vec::new(),
        kind: Some(kind),
    }
}

fn container(service: &Service, image_identities: Vec<String>) -> wire::ContainerService {
    let mut ports = service.ports.clone();
    ports.sort_unstable();
    let mut volumes = service.volumes.clone();
    volumes.sort_unstable();
    wire::ContainerService {
        name: service.name.to_string(),
        image: service.image.to_string(),
        ports: ports.iter().map(port).collect(),
        env: service.env.iter().map(variable).collect(),
        volumes: volumes.iter().map(volume).collect(),
        command: service
            .command
            .iter()
            .map(|argument| argument.as_source().to_owned())
            .collect(),
        user: service.user.clone().unwrap_or_default(),
        limits: limits(service),
        health: service.health.as_ref().map(health),
        image_identities,
        ..wire::ContainerService::default()
    }
}

fn port(port: &foundry_spec::Port) -> wire::PortMapping {
    wire::PortMapping {
        host_address: port
            .address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        host_port: port.host.into(),
        container_port: port.container.into(),
        protocol: port.protocol.as_str().to_owned(),
    }
}

fn variable((name, value): (&str, &Text)) -> wire::EnvVar {
    wire::EnvVar {
        name: name.to_owned(),
        value: value.as_source().to_owned(),
    }
}

fn volume(volume: &foundry_spec::Volume) -> wire::Volume {
    wire::Volume {
        source: volume.source.clone(),
        target: volume.target.clone(),
        read_only: volume.read_only,
        owner: String::new(),
    }
}

/// Absent where nothing is limited, so that the bytes of such a service do not depend on how that was said.
fn limits(service: &Service) -> Option<wire::Limits> {
    let limits = wire::Limits {
        memory: service.limits.memory.map_or(0, foundry_spec::Bytes::get),
        cpu_millis: service.limits.cpus.map_or(0, foundry_spec::MilliCpus::get),
    };
    (limits != wire::Limits::default()).then_some(limits)
}

fn health(health: &Health) -> wire::HealthCheck {
    let probe = match &health.probe {
        Probe::Http(url) => wire::health_check::Probe::Http(url.clone()),
        Probe::Tcp(address) => wire::health_check::Probe::Tcp(address.clone()),
        Probe::Command(argv) => {
            wire::health_check::Probe::Command(wire::CommandProbe { argv: argv.clone() })
        }
    };
    wire::HealthCheck {
        probe: Some(probe),
        interval_ms: health.interval.map_or(0, foundry_spec::Span::as_millis),
        timeout_ms: health.timeout.map_or(0, foundry_spec::Span::as_millis),
        start_period_ms: 0,
    }
}
