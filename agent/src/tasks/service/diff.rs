//! What would have to change for a service to be as it should.

use std::collections::BTreeMap;

use foundry_host::containers::ContainerState;
use foundry_host::systemd::LoadState;
use foundry_proto::layout::{LABEL_FLEET, LABEL_SERVICE, LABEL_SETTINGS};

use super::found::Found;
use super::settings::{ENV_MODE, Settings};
use crate::tasks::difference::{self, Difference};
use crate::tasks::{image, unit_file};

/// Whether the container is this fleet's, of this service.
pub(super) fn is_ours(settings: &Settings<'_>, container: &ContainerState) -> bool {
    let is = |label: &str, value: &str| container.labels.get(label).is_some_and(|is| is == value);
    is(LABEL_FLEET, settings.fleet.as_str()) && is(LABEL_SERVICE, &settings.task.name)
}

/// Compares what should be with what is there.
pub(super) fn diff(settings: &Settings<'_>, unit_text: &str, found: &Found) -> Difference {
    if let Some(blocked) = blocked(settings, found) {
        return Difference::Blocked(blocked);
    }
    let unit = settings.unit();
    let mut parts = Vec::new();
    match &found.unit_text {
        Some(old) if old == unit_text.as_bytes() => {
            if found.unit.needs_reload {
                parts.push(format!("{unit}: systemd has not read its file"));
            }
        }
        Some(old) => parts.push(unit_diff(&unit, old, unit_text)),
        None => parts.push(format!("unit {unit}, image {}", settings.task.image)),
    }
    parts.extend(env_diff(settings, found.env_text.as_deref()));
    if let Some(mode) = found.env_mode.filter(|mode| mode & 0o7777 != ENV_MODE) {
        let file = settings.env_file();
        parts.push(format!(
            "{file}: mode {:03o} -> {ENV_MODE:03o}",
            mode & 0o7777
        ));
    }
    parts.extend(
        found
            .missing_folders
            .iter()
            .map(|folder| format!("folder {folder}")),
    );
    if !found.unit.is_enabled() {
        parts.push(format!("enable {unit} at boot"));
    }
    if found.unit.is_active() {
        parts.extend(container_diff(settings, found));
    } else {
        parts.push(format!("start {unit} ({})", found.unit.describe()));
    }
    let is_new = found.unit_text.is_none() && found.unit.load == LoadState::NotFound;
    Difference::of(is_new, parts)
}

/// Whether the container has to be started, anew where it runs.
pub(super) fn needs_start(settings: &Settings<'_>, unit_text: &str, found: &Found) -> bool {
    found.unit_text.as_deref() != Some(unit_text.as_bytes())
        || env_diff(settings, found.env_text.as_deref()).is_some()
        || !found.unit.is_active()
        || container_diff(settings, found).is_some()
}

/// What is in the way and not ours.
fn blocked(settings: &Settings<'_>, found: &Found) -> Option<String> {
    if let Some(container) = found
        .container
        .as_ref()
        .filter(|one| !is_ours(settings, one))
    {
        let name = &settings.stem;
        let owner = match (
            container.labels.get(LABEL_FLEET),
            container.labels.get(LABEL_SERVICE),
        ) {
            (Some(fleet), Some(service)) => format!("of service {service} of fleet {fleet}"),
            _ => "not foundry's".to_owned(),
        };
        return Some(format!(
            "a container {name} is there, {owner} (image {})",
            container.image
        ));
    }
    let taken = found
        .taken
        .iter()
        .map(|(port, owner)| format!("port {}/{} is taken by {owner}", port.host, port.protocol));
    let taken: Vec<String> = taken.collect();
    (!taken.is_empty()).then(|| taken.join("\n"))
}

/// How the running container differs from what it should be made from.
fn container_diff(settings: &Settings<'_>, found: &Found) -> Option<String> {
    let Some(container) = &found.container else {
        return Some(format!("restart: container {} is missing", settings.stem));
    };
    let made_from = container
        .labels
        .get(LABEL_SETTINGS)
        .map_or("", String::as_str);
    if made_from != settings.digest.to_string() {
        return Some("restart: the container has other settings".to_owned());
    }
    let image = found.image.as_ref()?;
    let is_same = image.id == container.image_id || image.digests.contains(&container.image_id);
    (!is_same && !container.image_id.is_empty()).then(|| {
        let (old, new) = (image::short(&container.image_id), image::short(&image.id));
        format!("restart: image {old} → {new}")
    })
}

/// The lines of the unit that differ, without the digest that only says that others do.
fn unit_diff(unit: &str, old: &[u8], new: &str) -> String {
    let path = unit_file::path(unit);
    let without = |text: &str| -> String {
        let lines = text.split_inclusive('\n');
        lines
            .filter(|line| !line.contains(LABEL_SETTINGS))
            .collect()
    };
    let Ok(old) = std::str::from_utf8(old) else {
        return format!("{path}: no text");
    };
    difference::of_contents(
        path.as_str(),
        without(old).as_bytes(),
        without(new).as_bytes(),
    )
}

/// Which variables differ, by name: values may be what nobody should see.
fn env_diff(settings: &Settings<'_>, found: Option<&[u8]>) -> Option<String> {
    let wanted = settings.env_text();
    let found = found.map(String::from_utf8_lossy);
    if found.as_deref().unwrap_or_default() == wanted && (found.is_some() || wanted.is_empty()) {
        return None;
    }
    let old = variables(found.as_deref().unwrap_or_default());
    let new = variables(&wanted);
    let mut changes: Vec<String> = new
        .iter()
        .filter_map(|(name, value)| match old.get(name) {
            None => Some(format!("+{name}")),
            Some(before) if before != value => Some(format!("~{name}")),
            Some(_) => None,
        })
        .collect();
    changes.extend(
        old.keys()
            .filter(|name| !new.contains_key(*name))
            .map(|name| format!("-{name}")),
    );
    Some(format!(
        "environment: {}",
        if changes.is_empty() {
            "order".to_owned()
        } else {
            changes.join(" ")
        }
    ))
}

fn variables(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .collect()
}

#[cfg(test)]
mod tests {
    use foundry_host::containers::{ContainerState, ImageState};
    use foundry_host::ports::Protocol;
    use foundry_host::systemd::{ActiveState, LoadState, UnitState};
    use foundry_proto::agent::v1::{ContainerService, EnvVar};
    use foundry_proto::layout::{LABEL_FLEET, LABEL_SETTINGS};

    use super::super::found::Found;
    use super::super::settings::tests::{fleet, whoami};
    use super::super::settings::{ENV_MODE, Port, Settings};
    use super::{diff, needs_start};
    use crate::tasks::difference::Difference;

    const TEXT: &str = "unit\n";

    fn as_wanted(settings: &Settings<'_>) -> Found {
        let labels = settings
            .labels()
            .map(|(name, value)| (name.to_owned(), value));
        Found {
            unit_text: Some(TEXT.as_bytes().to_vec()),
            env_text: Some(settings.env_text().into_bytes()),
            env_mode: Some(ENV_MODE),
            unit: UnitState {
                load: LoadState::Loaded,
                active: ActiveState::Active,
                file_state: "enabled".to_owned(),
                ..UnitState::default()
            },
            container: Some(ContainerState {
                name: settings.stem.clone(),
                labels: labels.into(),
                image_id: "sha256:one".to_owned(),
                running: true,
                ..ContainerState::default()
            }),
            image: Some(ImageState {
                id: "sha256:one".to_owned(),
                ..ImageState::default()
            }),
            ..Found::default()
        }
    }

    /// The difference after a change to what is as it should be.
    fn diff_after(change: impl FnOnce(&mut Found)) -> Difference {
        let (fleet, task) = (fleet(), whoami());
        let settings = Settings::read(&fleet, &task).unwrap();
        let mut found = as_wanted(&settings);
        change(&mut found);
        diff(&settings, TEXT, &found)
    }

    #[test]
    fn what_is_as_wanted_has_no_difference() {
        assert_eq!(diff_after(|_| {}), Difference::None);
    }

    #[test]
    fn a_bare_host_gets_all_of_it() {
        let diff = diff_after(|found| *found = Found::default());
        let text = "unit foundry-whoami.service, image docker.io/traefik/whoami:v1.11\n\
                    environment: +A\nenable foundry-whoami.service at boot\n\
                    start foundry-whoami.service (not found)";
        assert_eq!(diff, Difference::create(text));
    }

    #[test]
    fn a_changed_image_or_setting_is_a_restart() {
        let image = diff_after(|found| found.image.as_mut().unwrap().id = "sha256:two".to_owned());
        assert_eq!(image, Difference::update("restart: image one → two"));
        let settings = diff_after(|found| {
            let labels = &mut found.container.as_mut().unwrap().labels;
            labels.insert(LABEL_SETTINGS.to_owned(), "other".to_owned());
        });
        assert_eq!(
            settings,
            Difference::update("restart: the container has other settings")
        );
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let (fleet, mut task) = (fleet(), whoami());
        task.env.push(EnvVar {
            name: "TOKEN".to_owned(),
            value: "canary".to_owned(),
        });
        let settings = Settings::read(&fleet, &task).unwrap();
        let mut found = as_wanted(&settings);
        found.env_text = Some(b"A=canary\nOLD=canary\n".to_vec());
        let diff = diff(&settings, TEXT, &found);
        assert_eq!(diff, Difference::update("environment: ~A +TOKEN -OLD"));
    }

    #[test]
    fn variables_that_others_can_read_are_a_change_without_a_restart() {
        let (fleet, task) = (fleet(), whoami());
        let settings = Settings::read(&fleet, &task).unwrap();
        let mut found = as_wanted(&settings);
        found.env_mode = Some(0o100_644);
        let text = "/etc/foundry/services/whoami.env: mode 644 -> 600";
        assert_eq!(diff(&settings, TEXT, &found), Difference::update(text));
        assert!(!needs_start(&settings, TEXT, &found));
    }

    #[test]
    fn what_is_not_ours_blocks_by_name() {
        let foreign = diff_after(|found| {
            let container = found.container.as_mut().unwrap();
            container.labels.clear();
            container.image = "nginx".to_owned();
        });
        let text = "a container foundry-whoami is there, not foundry's (image nginx)";
        assert_eq!(foreign, Difference::Blocked(text.to_owned()));
        let other = diff_after(|found| {
            let labels = &mut found.container.as_mut().unwrap().labels;
            labels.insert(LABEL_FLEET.to_owned(), "other-000000".to_owned());
        });
        assert!(matches!(&other, Difference::Blocked(text) if text.contains("other-000000")));
        let port = Port {
            address: None,
            host: 8080,
            container: 80,
            protocol: Protocol::Tcp,
        };
        let taken = diff_after(|found| found.taken = vec![(port, "nginx (pid 8)".to_owned())]);
        let text = "port 8080/tcp is taken by nginx (pid 8)";
        assert_eq!(taken, Difference::Blocked(text.to_owned()));
    }

    #[test]
    fn without_variables_there_is_no_file() {
        let (fleet, task) = (
            fleet(),
            ContainerService {
                env: Vec::new(),
                ..whoami()
            },
        );
        let settings = Settings::read(&fleet, &task).unwrap();
        let mut found = Found {
            env_text: None,
            env_mode: None,
            ..as_wanted(&settings)
        };
        assert_eq!(diff(&settings, TEXT, &found), Difference::None);
        found.env_text = Some(b"OLD=x\n".to_vec());
        assert_eq!(
            diff(&settings, TEXT, &found),
            Difference::update("environment: -OLD")
        );
    }
}
