//! A systemd unit: its file, its drop-ins, and the state that it should be in.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_host::files::{Attributes, Content};
use foundry_host::systemd::{JobResult, LoadState, UnitState, UnitVerb};
use foundry_proto::agent::v1::{Switch, Unit};

use super::difference::{self, Difference};
use super::settle::{self, START_LIMIT, Start};
use super::{Context, Removed, TaskError, unit_file};
use crate::health::Check;

/// The longest unit file that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

const MODE: u32 = 0o644;

/// What is there.
#[derive(Default)]
struct Found {
    /// Content of our files by their paths: the unit's own, where the task has one, and its drop-ins.
    files: BTreeMap<Utf8PathBuf, Vec<u8>>,
    state: UnitState,
    /// A change was written, and the unit not restarted.
    restart_pending: bool,
}

pub(super) async fn observe(
    cx: &Context,
    task: &Unit,
    changed_before: &[String],
) -> Result<Difference, TaskError> {
    check(task)?;
    let found = find(cx, task).await?;
    Ok(diff(task, &found, changed_before))
}

pub(super) async fn apply(
    cx: &Context,
    id: &str,
    task: &Unit,
    previous: Option<&Unit>,
    changed_before: &[String],
) -> Result<(), TaskError> {
    if task.absent {
        return remove(cx, task).await.map(drop);
    }
    let systemd = &cx.host.systemd;
    let found = find(cx, task).await?;
    let mark = unit_file::restart_mark(&task.name);
    let stale = previous
        .map(|previous| stale_files(task, previous))
        .unwrap_or_default();
    let changed: Vec<_> = wanted_files(task)
        .into_iter()
        .filter(|(path, text)| found.files.get(path).map(Vec::as_slice) != Some(text.as_bytes()))
        .collect();
    let files_change = !changed.is_empty() || !stale.is_empty();
    let runs = found.state.is_active();
    if files_change && runs && task.restart_on_change && wants(task.running, Switch::On) {
        // Before the files: if the agent is cut off between them and the restart, the mark says what is left to do.
        let nothing = Content::Bytes(Vec::new());
        cx.host
            .files
            .write(&mark, nothing, Attributes::root(MODE))
            .await?;
    }
    for (path, text) in changed {
        let content = Content::Bytes(text.as_bytes().to_vec());
        cx.host
            .files
            .write(&path, content, Attributes::root(MODE))
            .await?;
    }
    for path in stale {
        cx.host.files.remove_file(&path).await?;
    }
    // Enabling and disabling read unit files anew too.
    match (switch(task.enabled), found.state.is_enabled()) {
        (Some(true), false) => systemd.enable(&task.name).await?,
        (Some(false), true) => systemd.disable(&task.name).await?,
        _ if files_change || found.state.needs_reload => systemd.reload().await?,
        _ => {}
    }
    let restart = cx.host.files.stat(&mark).await?.is_some()
        || (runs && !restarting_tasks(task, changed_before).is_empty());
    match switch(task.running) {
        Some(true) if restart || !runs => {
            let check = health(task)?;
            let start = Start {
                task: id,
                unit: &task.name,
                check: check.as_ref(),
                limit: start_limit(task),
                before_probe: None,
            };
            settle::start(cx, start).await?;
        }
        Some(false) if runs => stop(cx, &task.name).await?,
        Some(_) | None => {}
    }
    cx.host.files.remove_file(&mark).await?;
    Ok(())
}

/// Waits until the unit, where it is to run, is sure to.
pub(super) async fn confirm(cx: &Context, task: &Unit) -> Result<(), TaskError> {
    if task.absent || switch(task.running) != Some(true) {
        return Ok(());
    }
    settle::confirm(cx, &task.name, health(task)?.as_ref()).await
}

/// Stops the unit and takes its files away. A unit that comes from a package is left as it is.
pub(super) async fn remove(cx: &Context, task: &Unit) -> Result<Removed, TaskError> {
    check(task)?;
    let systemd = &cx.host.systemd;
    let is_ours = !task.text.is_empty() || task.absent;
    if is_ours {
        stop(cx, &task.name).await?;
        if systemd.state(&task.name).await?.load != LoadState::NotFound {
            systemd.disable(&task.name).await?;
        }
        cx.host
            .files
            .remove_file(&unit_file::path(&task.name))
            .await?;
    }
    let folder = unit_file::drop_in_folder(&task.name);
    for drop_in in &task.drop_ins {
        cx.host
            .files
            .remove_file(&folder.join(&drop_in.name))
            .await?;
    }
    cx.host.files.remove_directory(&folder).await?;
    cx.host
        .files
        .remove_file(&unit_file::restart_mark(&task.name))
        .await?;
    systemd.reload().await?;
    systemd.reset_failed(&task.name).await?;
    Ok(Removed::default())
}

/// Stops a unit.
pub(super) async fn stop(cx: &Context, unit: &str) -> Result<(), TaskError> {
    match cx
        .host
        .systemd
        .run(UnitVerb::Stop, unit, START_LIMIT * 2)
        .await?
    {
        JobResult::Done => Ok(()),
        JobResult::Other(result) => {
            let state = format!("does not stop ({result})");
            Err(TaskError::Unit {
                unit: unit.to_owned(),
                state,
                lines: Vec::new(),
            })
        }
    }
}

fn check(task: &Unit) -> Result<(), TaskError> {
    unit_file::check_name(&task.name)?;
    for drop_in in &task.drop_ins {
        unit_file::check_drop_in(&drop_in.name)?;
    }
    health(task).map(drop)
}

fn health(task: &Unit) -> Result<Option<Check>, TaskError> {
    Check::read(task.health.as_ref()).map_err(TaskError::Invalid)
}

async fn find(cx: &Context, task: &Unit) -> Result<Found, TaskError> {
    let mut found = Found {
        state: cx.host.systemd.state(&task.name).await?,
        ..Found::default()
    };
    let own = (!task.text.is_empty() || task.absent).then(|| unit_file::path(&task.name));
    let folder = unit_file::drop_in_folder(&task.name);
    let paths = own
        .into_iter()
        .chain(task.drop_ins.iter().map(|one| folder.join(&one.name)));
    for path in paths {
        if let Some(content) = cx.host.files.read(&path, LONGEST).await? {
            found.files.insert(path, content);
        }
    }
    let mark = unit_file::restart_mark(&task.name);
    found.restart_pending = cx.host.files.stat(&mark).await?.is_some();
    Ok(found)
}

/// The files that the task wants, by their paths.
fn wanted_files(task: &Unit) -> Vec<(Utf8PathBuf, &str)> {
    let own = (!task.text.is_empty()).then(|| (unit_file::path(&task.name), task.text.as_str()));
    let folder = unit_file::drop_in_folder(&task.name);
    let drop_ins = task
        .drop_ins
        .iter()
        .map(|one| (folder.join(&one.name), one.text.as_str()));
    own.into_iter().chain(drop_ins).collect()
}

/// Files that the previous revision had and this one has not.
fn stale_files(task: &Unit, previous: &Unit) -> Vec<Utf8PathBuf> {
    if previous.name != task.name {
        return Vec::new();
    }
    let wanted = wanted_files(task);
    let is_wanted = |path: &Utf8Path| wanted.iter().any(|(other, _)| other == path);
    let had = wanted_files(previous).into_iter().map(|(path, _)| path);
    had.filter(|path| !is_wanted(path)).collect()
}

fn diff(task: &Unit, found: &Found, changed_before: &[String]) -> Difference {
    let name = &task.name;
    let is_there = found.state.load != LoadState::NotFound;
    if task.absent {
        let is_left = !found.files.is_empty() || found.state.is_active();
        return if is_left {
            Difference::remove(format!("unit {name}"))
        } else {
            Difference::None
        };
    }
    if task.text.is_empty() && !is_there {
        return Difference::Waiting(format!("unit {name} does not exist"));
    }
    let mut parts = Vec::new();
    for (path, text) in wanted_files(task) {
        match found.files.get(&path) {
            Some(old) if old == text.as_bytes() => {}
            Some(old) => parts.push(difference::of_contents(path.as_str(), old, text.as_bytes())),
            None => parts.push(format!("file {path}")),
        }
    }
    if parts.is_empty() && found.state.needs_reload {
        parts.push(format!("{name}: systemd has not read its files"));
    }
    match (switch(task.enabled), found.state.is_enabled()) {
        (Some(true), false) => parts.push(format!("enable {name} at boot")),
        (Some(false), true) if found.state.file_state != "static" => {
            parts.push(format!("disable {name} at boot"));
        }
        _ => {}
    }
    match (switch(task.running), found.state.is_active()) {
        (Some(true), false) => parts.push(format!("start {name} ({})", found.state.describe())),
        (Some(true), true) if found.restart_pending => parts.push(format!("restart {name}")),
        (Some(true), true) => {
            let tasks = restarting_tasks(task, changed_before);
            if !tasks.is_empty() {
                parts.push(format!("restart {name} ({} changed)", tasks.join(", ")));
            }
        }
        (Some(false), true) => parts.push(format!("stop {name}")),
        (Some(false) | None, _) => {}
    }
    Difference::of(!is_there, parts)
}

/// Those of the changed tasks that the unit is to be restarted for.
fn restarting_tasks<'a>(task: &Unit, changed_before: &'a [String]) -> Vec<&'a str> {
    let is_meant = |id: &&String| task.restart_on_tasks.contains(*id);
    changed_before
        .iter()
        .filter(is_meant)
        .map(String::as_str)
        .collect()
}

fn wants(switch: i32, wanted: Switch) -> bool {
    Switch::try_from(switch) == Ok(wanted)
}

fn switch(value: i32) -> Option<bool> {
    match Switch::try_from(value) {
        Ok(Switch::On) => Some(true),
        Ok(Switch::Off) => Some(false),
        Ok(Switch::Unspecified) | Err(_) => None,
    }
}

fn start_limit(task: &Unit) -> Duration {
    match task.start_timeout_ms {
        0 => START_LIMIT,
        limit => Duration::from_millis(limit),
    }
}

#[cfg(test)]
mod tests {
    use foundry_host::systemd::{ActiveState, LoadState, UnitState};
    use foundry_proto::agent::v1::{DropIn, Switch, Unit};

    use super::{Found, diff, stale_files};
    use crate::tasks::difference::Difference;
    use crate::tasks::unit_file;

    fn unit() -> Unit {
        Unit {
            name: "foundry-a.service".to_owned(),
            text: "[Service]\nExecStart=/bin/a\n".to_owned(),
            enabled: Switch::On.into(),
            running: Switch::On.into(),
            restart_on_tasks: vec!["config".to_owned()],
            ..Unit::default()
        }
    }

    fn as_wanted(unit: &Unit) -> Found {
        let path = unit_file::path(&unit.name);
        Found {
            files: [(path, unit.text.clone().into_bytes())].into(),
            state: UnitState {
                load: LoadState::Loaded,
                active: ActiveState::Active,
                file_state: "enabled".to_owned(),
                ..UnitState::default()
            },
            restart_pending: false,
        }
    }

    #[test]
    fn a_new_unit_is_made_enabled_and_started() {
        let diff = diff(&unit(), &Found::default(), &[]);
        let text = "file /etc/systemd/system/foundry-a.service\n\
                    enable foundry-a.service at boot\nstart foundry-a.service (not found)";
        assert_eq!(diff, Difference::create(text));
    }

    #[test]
    fn what_is_as_wanted_stays_unless_something_it_reads_changed() {
        let unit = unit();
        let mut found = as_wanted(&unit);
        assert_eq!(diff(&unit, &found, &["other".to_owned()]), Difference::None);
        let restart = diff(&unit, &found, &["config".to_owned()]);
        assert_eq!(
            restart,
            Difference::update("restart foundry-a.service (config changed)")
        );
        found.restart_pending = true;
        assert_eq!(
            diff(&unit, &found, &[]),
            Difference::update("restart foundry-a.service")
        );
    }

    #[test]
    fn a_unit_of_a_package_that_is_missing_is_waited_for() {
        let unit = Unit {
            text: String::new(),
            ..unit()
        };
        let diff = diff(&unit, &Found::default(), &[]);
        assert_eq!(
            diff,
            Difference::Waiting("unit foundry-a.service does not exist".to_owned())
        );
    }

    #[test]
    fn drop_ins_that_left_are_stale() {
        let drop_in = |name: &str| DropIn {
            name: name.to_owned(),
            text: String::new(),
        };
        let before = Unit {
            drop_ins: vec![drop_in("a.conf"), drop_in("b.conf")],
            ..unit()
        };
        let now = Unit {
            drop_ins: vec![drop_in("b.conf")],
            ..unit()
        };
        let stale = stale_files(&now, &before);
        assert_eq!(stale, ["/etc/systemd/system/foundry-a.service.d/a.conf"]);
    }
}
