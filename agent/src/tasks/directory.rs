//! A folder.

use camino::Utf8Path;
use foundry_host::files::{Attributes, FileKind, Stat};
use foundry_proto::agent::v1::Directory;

use super::attributes::{self, describe};
use super::difference::Difference;
use super::{Context, Removed, TaskError, purge};

const DEFAULT_MODE: u32 = 0o755;

pub(super) async fn observe(cx: &Context, task: &Directory) -> Result<Difference, TaskError> {
    let wanted = wanted(cx, task).await?;
    let found = cx.host.files.stat(Utf8Path::new(&task.path)).await?;
    Ok(diff(task, wanted, found.as_ref()))
}

pub(super) async fn apply(cx: &Context, task: &Directory) -> Result<(), TaskError> {
    let path = Utf8Path::new(&task.path);
    if task.absent {
        return match cx.host.files.remove_directory(path).await? {
            true => Ok(()),
            false => Err(TaskError::NotEmpty(path.to_owned())),
        };
    }
    let wanted = wanted(cx, task).await?;
    let made = cx.host.files.make_directory(path, wanted).await?;
    if !made && !task.data {
        cx.host.files.set_attributes(path, wanted).await?;
    }
    Ok(())
}

pub(super) async fn remove(
    cx: &Context,
    task: &Directory,
    purge: bool,
) -> Result<Removed, TaskError> {
    let path = Utf8Path::new(&task.path);
    if task.data && purge {
        return purge::folder(cx, path).await;
    }
    // What the folder was made for is gone; what is still in it is someone else's.
    let is_gone = !task.data && cx.host.files.remove_directory(path).await?;
    let is_there = !is_gone && cx.host.files.stat(path).await?.is_some();
    Ok(Removed {
        kept: is_there.then(|| task.path.clone()).into_iter().collect(),
    })
}

async fn wanted(cx: &Context, task: &Directory) -> Result<Attributes, TaskError> {
    attributes::wanted(cx, task.mode, DEFAULT_MODE, &task.owner, &task.group).await
}

fn diff(task: &Directory, wanted: Attributes, found: Option<&Stat>) -> Difference {
    let path = &task.path;
    match found {
        Some(found) if found.kind != FileKind::Directory => {
            Difference::Blocked(format!("{path} is {}, not a folder", found.kind))
        }
        None if task.absent => Difference::None,
        None => Difference::create(format!("folder {path} {}", describe(wanted))),
        Some(_) if task.absent => Difference::remove(format!("folder {path}")),
        Some(_) if task.data => Difference::None,
        Some(found) => Difference::of(
            false,
            attributes::diff(path, found.attributes, wanted)
                .into_iter()
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use foundry_host::exec::Ids;
    use foundry_host::files::{Attributes, FileKind, Stat};
    use foundry_proto::agent::v1::Directory;

    use super::diff;
    use crate::tasks::difference::Difference;

    const DATA: Ids = Ids {
        uid: 100,
        gid: 1000,
    };

    fn found(kind: FileKind, mode: u32) -> Stat {
        Stat {
            kind,
            attributes: Attributes::root(mode),
            size: 0,
        }
    }

    #[test]
    fn mode_and_owner_are_compared_unless_it_holds_data() {
        let mut task = Directory {
            path: "/srv/a".to_owned(),
            ..Directory::default()
        };
        let wanted = Attributes {
            mode: 0o750,
            ids: DATA,
        };
        let there = found(FileKind::Directory, 0o755);
        let expected = "/srv/a: mode 0755 → 0750, owner 0:0 → 100:1000";
        assert_eq!(
            diff(&task, wanted, Some(&there)),
            Difference::update(expected)
        );
        assert_eq!(
            diff(&task, Attributes::root(0o755), Some(&there)),
            Difference::None
        );
        task.data = true;
        assert_eq!(diff(&task, wanted, Some(&there)), Difference::None);
        let made = Difference::create("folder /srv/a 0750 100:1000");
        assert_eq!(diff(&task, wanted, None), made);
    }

    #[test]
    fn what_is_no_folder_blocks() {
        let task = Directory {
            path: "/srv/a".to_owned(),
            ..Directory::default()
        };
        let there = found(FileKind::File, 0o644);
        let blocked = Difference::Blocked("/srv/a is a file, not a folder".to_owned());
        assert_eq!(diff(&task, Attributes::root(0o755), Some(&there)), blocked);
    }
}
