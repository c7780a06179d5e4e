//! The unit that runs a service.
//!
//! With Docker the program stays in the foreground as the unit's main process; the container itself lives under the
//! daemon. Podman has none: it leaves `conmon`, which it names to systemd as the main process, and puts the container
//! into the unit's own control group, so that its output is the unit's in the journal.
//!
//! Before a start, and at a stop, containers are found by our labels, never by name: a foreign container of that name
//! makes the start fail and is left alone.

use camino::Utf8Path;
use foundry_host::containers::RuntimeKind;
use foundry_proto::agent::v1::{Limits, Volume};
use foundry_proto::layout::{LABEL_FLEET, LABEL_SERVICE};

use super::settings::Settings;
use crate::tasks::unit_file::word;

/// Seconds until a service that ended is started again.
const RESTART_SECONDS: u32 = 2;

/// Seconds that a stop may take beyond the container's own.
const STOP_MARGIN: u32 = 15;

/// The unit's text, the same for the same settings.
pub(super) fn render(settings: &Settings<'_>, runtime: RuntimeKind, program: &Utf8Path) -> String {
    let mut text =
        String::from("# Written by foundry, and written again when it differs.\n[Unit]\n");
    let mut line = |content: String| {
        text.push_str(&content);
        text.push('\n');
    };
    line(format!(
        "Description=foundry service {}",
        settings.task.name
    ));
    line("Wants=network-online.target".to_owned());
    match runtime {
        RuntimeKind::Docker => {
            line("Wants=docker.service".to_owned());
            line("After=docker.service network-online.target".to_owned());
        }
        RuntimeKind::Podman => line("After=network-online.target".to_owned()),
    }
    if !settings.task.requires_mounts_for.is_empty() {
        let mounts: Vec<String> = settings
            .task
            .requires_mounts_for
            .iter()
            .map(|path| path.replace('%', "%%"))
            .collect();
        line(format!("RequiresMountsFor={}", mounts.join(" ")));
    }
    // It goes on trying, as a machine's service should: the delay keeps that cheap.
    line("StartLimitIntervalSec=0".to_owned());
    line("\n[Service]".to_owned());
    match runtime {
        RuntimeKind::Docker => line("Type=exec".to_owned()),
        RuntimeKind::Podman => {
            line("Type=notify".to_owned());
            line("NotifyAccess=all".to_owned());
            line("Delegate=yes".to_owned());
            line("KillMode=mixed".to_owned());
        }
    }
    line(format!(
        "ExecStartPre=-{}",
        each_of_ours(settings, program, true, "rm --force")
    ));
    line(format!(
        "ExecStart={}",
        command_line(settings, runtime, program)
    ));
    let stop = format!("stop --time {}", settings.stop_timeout);
    line(format!(
        "ExecStop=-{}",
        each_of_ours(settings, program, false, &stop)
    ));
    line(format!(
        "ExecStopPost=-{}",
        each_of_ours(settings, program, true, "rm --force")
    ));
    line(format!(
        "TimeoutStopSec={}",
        settings.stop_timeout + STOP_MARGIN
    ));
    line("Restart=always".to_owned());
    line(format!("RestartSec={RESTART_SECONDS}"));
    // Ended by the SIGTERM of a stop.
    line("SuccessExitStatus=143".to_owned());
    line("\n[Install]".to_owned());
    line("WantedBy=multi-user.target".to_owned());
    text
}

/// A command on each container of ours; `all`: also those that do not run.
fn each_of_ours(settings: &Settings<'_>, program: &Utf8Path, all: bool, command: &str) -> String {
    let all = if all { " --all" } else { "" };
    let fleet = format!("--filter label={LABEL_FLEET}={}", settings.fleet);
    let service = format!("--filter label={LABEL_SERVICE}={}", settings.task.name);
    let list = format!("{program} ps --quiet{all} {fleet} {service}");
    // Fleet, service and program have no character that means anything to systemd or to the shell.
    format!("/bin/sh -c 'for id in $$({list}); do {program} {command} $$id; done >/dev/null'")
}

/// The runtime's command line, an argument a line.
fn command_line(settings: &Settings<'_>, runtime: RuntimeKind, program: &Utf8Path) -> String {
    let task = settings.task;
    let mut arguments = vec!["--rm".to_owned(), format!("--name={}", settings.stem)];
    let mut add = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
    // The image was brought and verified before: nothing else may come in its place.
    add("pull", "never");
    match runtime {
        // The unit's journal has the output: a second copy would grow without end.
        RuntimeKind::Docker => add("log-driver", "none"),
        RuntimeKind::Podman => {
            add("detach", "true");
            add("sdnotify", "conmon");
            add("cgroups", "split");
            add("log-driver", "passthrough");
        }
    }
    for (name, value) in settings.labels() {
        add("label", &format!("{name}={value}"));
    }
    if !task.env.is_empty() {
        add("env-file", settings.env_file().as_str());
    }
    if task.host_network {
        add("network", "host");
    } else {
        settings
            .ports
            .iter()
            .for_each(|port| add("publish", &port.publish()));
    }
    task.volumes
        .iter()
        .for_each(|volume| add("volume", &mount(volume)));
    if !task.user.is_empty() {
        add("user", &task.user);
    }
    if let Some(Limits { memory, cpu_millis }) = task.limits {
        if memory > 0 {
            add("memory", &memory.to_string());
        }
        if cpu_millis > 0 {
            add(
                "cpus",
                &format!("{}.{:03}", cpu_millis / 1000, cpu_millis % 1000),
            );
        }
    }
    arguments.push(task.image.clone());
    arguments.extend(task.command.iter().cloned());
    let arguments: Vec<String> = arguments.iter().map(|argument| word(argument)).collect();
    // Podman would write its events between the container's lines.
    let events = match runtime {
        RuntimeKind::Docker => "",
        RuntimeKind::Podman => " --events-backend=file",
    };
    format!(
        "{program}{events} run \\\n    {}",
        arguments.join(" \\\n    ")
    )
}

fn mount(volume: &Volume) -> String {
    let suffix = if volume.read_only { ":ro" } else { "" };
    format!("{}:{}{suffix}", volume.source, volume.target)
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use foundry_host::containers::RuntimeKind;

    use super::super::settings::Settings;
    use super::super::settings::tests::{fleet, whoami};
    use super::render;

    #[test]
    fn docker_runs_in_the_foreground() {
        let (fleet, task) = (fleet(), whoami());
        let settings = Settings::read(&fleet, &task).unwrap();
        let text = render(
            &settings,
            RuntimeKind::Docker,
            Utf8Path::new("/usr/bin/docker"),
        );
        let start = format!(
            "ExecStart=/usr/bin/docker run \\
    --rm \\
    --name=foundry-whoami \\
    --pull=never \\
    --log-driver=none \\
    --label=foundry.fleet=test-1a2b3c \\
    --label=foundry.service=whoami \\
    --label=foundry.settings={} \\
    --env-file=/etc/foundry/services/whoami.env \\
    --publish=8080:80/tcp \\
    --volume=/var/lib/whoami:/data:ro \\
    --user=100:1000 \\
    --memory=67108864 \\
    --cpus=1.500 \\
    docker.io/traefik/whoami:v1.11 \\
    --name \\
    \"100%% $$me\"
",
            settings.digest
        );
        assert!(text.contains(&start), "{text}");
        assert!(
            text.contains("\nType=exec\n") && text.contains("\nRestart=always\n"),
            "{text}"
        );
        assert!(
            text.contains("\nAfter=docker.service network-online.target\n"),
            "{text}"
        );
        assert!(text.contains("\nTimeoutStopSec=45\n"), "{text}");
    }

    #[test]
    fn podman_names_conmon_to_systemd() {
        let (fleet, task) = (fleet(), whoami());
        let settings = Settings::read(&fleet, &task).unwrap();
        let text = render(
            &settings,
            RuntimeKind::Podman,
            Utf8Path::new("/usr/bin/podman"),
        );
        assert!(text.contains("\nType=notify\nNotifyAccess=all\n"), "{text}");
        assert!(
            text.contains("    --sdnotify=conmon \\\n    --cgroups=split \\\n"),
            "{text}"
        );
        assert!(
            text.contains("\nExecStart=/usr/bin/podman --events-backend=file run "),
            "{text}"
        );
        assert!(!text.contains("docker.service"), "{text}");
    }

    #[test]
    fn what_is_cleared_is_found_by_label() {
        let (fleet, task) = (fleet(), whoami());
        let settings = Settings::read(&fleet, &task).unwrap();
        let text = render(
            &settings,
            RuntimeKind::Docker,
            Utf8Path::new("/usr/bin/docker"),
        );
        let clear = "ExecStartPre=-/bin/sh -c 'for id in $$(/usr/bin/docker ps --quiet --all \
                     --filter label=foundry.fleet=test-1a2b3c --filter label=foundry.service=whoami); \
                     do /usr/bin/docker rm --force $$id; done >/dev/null'\n";
        assert!(text.contains(clear), "{text}");
        assert!(
            !text.contains("rm --force foundry-") && !text.contains("--replace"),
            "{text}"
        );
    }
}
