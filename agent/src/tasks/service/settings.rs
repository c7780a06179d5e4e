//! The task, checked, and what follows from it.

use std::net::IpAddr;

use camino::Utf8PathBuf;
use foundry_host::ports::Protocol;
use foundry_proto::agent::v1::{ContainerService, EnvVar, PortMapping, Volume};
use foundry_proto::layout::{
    CONFIG_DIR, LABEL_FLEET, LABEL_SERVICE, LABEL_SETTINGS, service_unit_stem,
};
use foundry_proto::{AssignmentName, Digest, FleetId};
use prost::Message;

use crate::health::Check;
use crate::tasks::TaskError;

const DEFAULT_STOP_TIMEOUT: u32 = 30;

/// Of the env file: what stands in it is for root alone.
pub(super) const ENV_MODE: u32 = 0o600;

/// What a service is to be, every value good for its place.
pub(super) struct Settings<'a> {
    pub(super) task: &'a ContainerService,
    pub(super) fleet: &'a FleetId,
    /// `foundry-<name>`: the container, and the unit without its suffix.
    pub(super) stem: String,
    pub(super) ports: Vec<Port>,
    pub(super) check: Option<Check>,
    /// Seconds from SIGTERM to SIGKILL.
    pub(super) stop_timeout: u32,
    /// Of all that the container is made from.
    pub(super) digest: Digest,
}

/// A port of the host that is to lead into the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    /// None: all addresses.
    pub(super) address: Option<IpAddr>,
    pub(super) host: u16,
    pub(super) container: u16,
    pub(super) protocol: Protocol,
}

// === impl Settings ===

impl<'a> Settings<'a> {
    /// Checks the task.
    pub(super) fn read(fleet: &'a FleetId, task: &'a ContainerService) -> Result<Self, TaskError> {
        let invalid = |text: String| TaskError::Invalid(format!("service {}: {text}", task.name));
        AssignmentName::service(&task.name).map_err(|error| invalid(error.to_string()))?;
        if task.image.is_empty() || task.image.starts_with('-') {
            return Err(invalid("it has no image".to_owned()));
        }
        let ports = task
            .ports
            .iter()
            .map(Port::read)
            .collect::<Result<_, _>>()
            .map_err(invalid)?;
        task.env
            .iter()
            .try_for_each(check_variable)
            .map_err(invalid)?;
        task.volumes
            .iter()
            .try_for_each(check_volume)
            .map_err(invalid)?;
        let mounts_are_good = task.requires_mounts_for.iter().all(|path| {
            path.starts_with('/') && !path.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        if !mounts_are_good {
            return Err(invalid(
                "a mount that it requires is not an absolute path".to_owned(),
            ));
        }
        Ok(Self {
            task,
            fleet,
            stem: service_unit_stem(&task.name),
            ports,
            check: Check::read(task.health.as_ref()).map_err(invalid)?,
            stop_timeout: match task.stop_timeout_s {
                0 => DEFAULT_STOP_TIMEOUT,
                seconds => seconds,
            },
            digest: digest(task),
        })
    }

    pub(super) fn unit(&self) -> String {
        format!("{}.service", self.stem)
    }

    /// Labels of the container: only ours has the first two.
    pub(super) fn labels(&self) -> [(&'static str, String); 3] {
        [
            (LABEL_FLEET, self.fleet.to_string()),
            (LABEL_SERVICE, self.task.name.clone()),
            (LABEL_SETTINGS, self.digest.to_string()),
        ]
    }

    /// Where the environment is written; none where there is none.
    pub(super) fn env_file(&self) -> Utf8PathBuf {
        folder().join(format!("{}.env", self.task.name))
    }

    /// The environment as the runtime reads it.
    pub(super) fn env_text(&self) -> String {
        self.task
            .env
            .iter()
            .map(|var| format!("{}={}\n", var.name, var.value))
            .collect()
    }

    /// Where the folders are listed that were made for it.
    pub(super) fn folders_file(&self) -> Utf8PathBuf {
        folder().join(format!("{}.folders", self.task.name))
    }
}

// === impl Port ===

impl Port {
    fn read(mapping: &PortMapping) -> Result<Self, String> {
        let address = match mapping.host_address.as_str() {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| format!("`{text}` is not an IP address"))?,
            ),
        };
        let number = |port: u32| {
            u16::try_from(port)
                .ok()
                .filter(|port| *port != 0)
                .ok_or(format!("{port} is no port"))
        };
        Ok(Self {
            address,
            host: number(mapping.host_port)?,
            container: number(mapping.container_port)?,
            protocol: Protocol::parse(&mapping.protocol)
                .ok_or_else(|| format!("`{}` is neither tcp nor udp", mapping.protocol))?,
        })
    }

    /// As `--publish` takes it.
    pub(super) fn publish(&self) -> String {
        let address = match self.address {
            None => String::new(),
            Some(IpAddr::V4(address)) => format!("{address}:"),
            Some(IpAddr::V6(address)) => format!("[{address}]:"),
        };
        format!(
            "{address}{}:{}/{}",
            self.host, self.container, self.protocol
        )
    }
}

/// Where what belongs to services is kept.
pub(super) fn folder() -> Utf8PathBuf {
    Utf8PathBuf::from(CONFIG_DIR).join("services")
}

/// Of what the container is made from: a health check may change while it runs.
fn digest(task: &ContainerService) -> Digest {
    let settings = ContainerService {
        health: None,
        ..task.clone()
    };
    Digest::of(&settings.encode_to_vec())
}

/// An env file has a variable a line, with no way to write a newline.
fn check_variable(variable: &EnvVar) -> Result<(), String> {
    let EnvVar { name, value } = variable;
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name = name.starts_with(is_start)
        && name
            .chars()
            .all(|c| is_start(c) || c.is_ascii_digit() || "-.".contains(c));
    if !is_name {
        return Err(format!("`{name}` is not the name of a variable"));
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err(format!(
            "the value of {name} has a line break, which an env file cannot hold"
        ));
    }
    Ok(())
}

fn check_volume(volume: &Volume) -> Result<(), String> {
    let Volume { source, target, .. } = volume;
    let is_path = source.starts_with('/');
    let is_name = source.starts_with(|c: char| c.is_ascii_alphanumeric())
        && source
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if !is_path && !is_name {
        return Err(format!(
            "`{source}` is neither an absolute path nor the name of a volume"
        ));
    }
    if !target.starts_with('/') {
        return Err(format!("`{target}` is not an absolute path"));
    }
    if source.contains([':', '\0', '\n']) || target.contains([':', '\0', '\n']) {
        return Err(format!(
            "`{source}` or `{target}` has a character that a volume cannot have"
        ));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use foundry_proto::FleetId;
    use foundry_proto::agent::v1::{
        ContainerService, EnvVar, HealthCheck, Limits, PortMapping, Volume,
    };

    use super::Settings;

    /// A service with one of each.
    pub(crate) fn whoami() -> ContainerService {
        ContainerService {
            name: "whoami".to_owned(),
            image: "docker.io/traefik/whoami:v1.11".to_owned(),
            ports: vec![PortMapping {
                host_port: 8080,
                container_port: 80,
                protocol: "tcp".to_owned(),
                ..PortMapping::default()
            }],
            env: vec![EnvVar {
                name: "A".to_owned(),
                value: "a b".to_owned(),
            }],
            volumes: vec![Volume {
                source: "/var/lib/whoami".to_owned(),
                target: "/data".to_owned(),
                read_only: true,
                ..Volume::default()
            }],
            command: vec!["--name".to_owned(), "100% $me".to_owned()],
            user: "100:1000".to_owned(),
            limits: Some(Limits {
                memory: 64 << 20,
                cpu_millis: 1500,
            }),
            ..ContainerService::default()
        }
    }

    pub(crate) fn fleet() -> FleetId {
        "test-1a2b3c".parse().unwrap()
    }

    #[test]
    fn a_health_check_is_no_setting_of_the_container_and_an_image_is() {
        let fleet = fleet();
        let task = whoami();
        let plain = Settings::read(&fleet, &task).unwrap().digest;
        let checked = ContainerService {
            health: Some(HealthCheck::default()),
            ..whoami()
        };
        assert_eq!(Settings::read(&fleet, &checked).unwrap().digest, plain);
        let other = ContainerService {
            image_identities: vec!["sha256:a".to_owned()],
            ..whoami()
        };
        assert_ne!(Settings::read(&fleet, &other).unwrap().digest, plain);
    }

    #[test]
    fn values_that_would_end_elsewhere_are_refused() {
        let fleet = fleet();
        let refused = |change: fn(&mut ContainerService)| {
            let mut task = whoami();
            change(&mut task);
            Settings::read(&fleet, &task)
                .err()
                .expect("it is refused")
                .to_string()
        };
        assert!(refused(|task| task.name = "../a".to_owned()).contains("../a"));
        assert!(refused(|task| task.image = "--privileged".to_owned()).contains("image"));
        let newline = refused(|task| task.env[0].value = "canary\nB=b".to_owned());
        assert!(
            newline.contains("line break") && !newline.contains("canary"),
            "{newline}"
        );
        assert!(refused(|task| task.env[0].name = "A B".to_owned()).contains("A B"));
        assert!(refused(|task| task.volumes[0].source = "../a".to_owned()).contains("../a"));
        assert!(refused(|task| task.volumes[0].target = "/a:rw".to_owned()).contains("/a:rw"));
        assert!(refused(|task| task.ports[0].host_port = 70000).contains("70000"));
        assert!(refused(|task| task.ports[0].protocol = "sctp".to_owned()).contains("sctp"));
    }
}
