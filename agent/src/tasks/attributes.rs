//! Mode and owner of files and folders.

use foundry_host::files::Attributes;

use super::{Context, TaskError};

/// What a task asks for; mode 0 is the default of its kind.
pub(super) async fn wanted(
    cx: &Context,
    mode: u32,
    default: u32,
    owner: &str,
    group: &str,
) -> Result<Attributes, TaskError> {
    if mode > 0o7777 {
        return Err(TaskError::Invalid(format!(
            "mode {mode:o} has more than permission bits"
        )));
    }
    let ids = cx.host.files.ids(owner, group).await?;
    Ok(Attributes {
        mode: if mode == 0 { default } else { mode },
        ids,
    })
}

/// What differs, if anything.
pub(super) fn diff(path: &str, found: Attributes, wanted: Attributes) -> Option<String> {
    let mut parts = Vec::new();
    if found.mode != wanted.mode {
        parts.push(format!("mode {:04o} → {:04o}", found.mode, wanted.mode));
    }
    if found.ids != wanted.ids {
        let (old, new) = (found.ids, wanted.ids);
        parts.push(format!(
            "owner {}:{} → {}:{}",
            old.uid, old.gid, new.uid, new.gid
        ));
    }
    (!parts.is_empty()).then(|| format!("{path}: {}", parts.join(", ")))
}

/// `0755 0:0`
pub(super) fn describe(attributes: Attributes) -> String {
    let Attributes { mode, ids } = attributes;
    format!("{mode:04o} {}:{}", ids.uid, ids.gid)
}
