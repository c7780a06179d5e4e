//! Folders of the host that are mounted into a service.
//!
//! Those that are missing are made, and the making is noted in a list beside the service's env file: on a host with
//! SELinux only folders of ours are given the label that containers may use, and only folders of ours are purged.

use camino::{Utf8Path, Utf8PathBuf};
use foundry_host::exec::{Command, Ids};
use foundry_host::files::{Attributes, Content};
use foundry_proto::agent::v1::Volume;

use super::settings::Settings;
use crate::tasks::{Context, Removed, TaskError, purge};

/// There where SELinux is on.
const SELINUX: &str = "/sys/fs/selinux/enforce";

/// The SELinux type of what containers may read and write.
const CONTAINER_TYPE: &str = "container_file_t";

const MODE: u32 = 0o755;

/// The longest list that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Host folders that the service wants and that are not there.
pub(super) async fn missing(
    cx: &Context,
    settings: &Settings<'_>,
) -> Result<Vec<String>, TaskError> {
    let mut missing = Vec::new();
    for volume in on_host(settings) {
        if cx
            .host
            .files
            .stat(Utf8Path::new(&volume.source))
            .await?
            .is_none()
        {
            missing.push(volume.source.clone());
        }
    }
    Ok(missing)
}

/// Makes those that are missing.
pub(super) async fn make(cx: &Context, settings: &Settings<'_>) -> Result<(), TaskError> {
    for volume in on_host(settings) {
        let path = Utf8Path::new(&volume.source);
        if cx.host.files.stat(path).await?.is_some() {
            continue;
        }
        let attributes = Attributes {
            mode: MODE,
            ids: owner(cx, volume).await?,
        };
        // Before the folder: one that is noted and not there does no harm.
        note(cx, settings, path).await?;
        cx.host.files.make_directory(path, attributes).await?;
        label(cx, path).await?;
    }
    Ok(())
}

/// What becomes of them when the service goes: ours are removed where asked, all others stay and are listed.
pub(super) async fn remove(
    cx: &Context,
    settings: &Settings<'_>,
    purge: bool,
) -> Result<Removed, TaskError> {
    let ours = noted(cx, settings).await?;
    let mut removed = Removed::default();
    for volume in on_host(settings).filter(|volume| !volume.read_only) {
        let path = Utf8Path::new(&volume.source);
        if cx.host.files.stat(path).await?.is_none() {
            continue;
        }
        if purge && ours.contains(&volume.source) {
            removed.kept.extend(purge::folder(cx, path).await?.kept);
        } else {
            removed.kept.push(volume.source.clone());
        }
    }
    let volumes = settings
        .task
        .volumes
        .iter()
        .filter(|volume| !volume.source.starts_with('/'));
    removed
        .kept
        .extend(volumes.map(|volume| format!("volume {}", volume.source)));
    if purge {
        cx.host.files.remove_file(&settings.folders_file()).await?;
    }
    Ok(removed)
}

fn on_host<'a>(settings: &Settings<'a>) -> impl Iterator<Item = &'a Volume> + use<'a> {
    settings
        .task
        .volumes
        .iter()
        .filter(|volume| volume.source.starts_with('/'))
}

async fn owner(cx: &Context, volume: &Volume) -> Result<Ids, TaskError> {
    let (user, group) = volume.owner.split_once(':').unwrap_or((&volume.owner, ""));
    Ok(cx.host.files.ids(user, group).await?)
}

async fn noted(cx: &Context, settings: &Settings<'_>) -> Result<Vec<String>, TaskError> {
    let list = cx
        .host
        .files
        .read(&settings.folders_file(), LONGEST)
        .await?
        .unwrap_or_default();
    Ok(String::from_utf8_lossy(&list)
        .lines()
        .map(str::to_owned)
        .collect())
}

async fn note(cx: &Context, settings: &Settings<'_>, path: &Utf8Path) -> Result<(), TaskError> {
    let mut list = noted(cx, settings).await?;
    if !list.iter().any(|noted| noted == path) {
        list.push(path.to_string());
        let content = Content::Bytes((list.join("\n") + "\n").into_bytes());
        let file: Utf8PathBuf = settings.folders_file();
        cx.host
            .files
            .write(&file, content, Attributes::root(0o600))
            .await?;
    }
    Ok(())
}

/// Lets containers use the folder, where SELinux would not.
async fn label(cx: &Context, path: &Utf8Path) -> Result<(), TaskError> {
    if cx.host.files.stat(Utf8Path::new(SELINUX)).await?.is_none() {
        return Ok(());
    }
    let Some(program) = cx.host.exec.find("chcon").await else {
        return Ok(());
    };
    let command = Command::new(&program, &["--type", CONTAINER_TYPE, path.as_str()]);
    cx.host
        .exec
        .run(command)
        .await?
        .or_failed(program.as_str())?;
    Ok(())
}
