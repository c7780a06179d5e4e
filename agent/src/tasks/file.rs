//! A file.

use camino::{Utf8Path, Utf8PathBuf};
use foundry_host::files::{Attributes, Content, FileKind, Stat};
use foundry_proto::Digest;
use foundry_proto::agent::v1::file::Content as Wanted;
use foundry_proto::agent::v1::{ArtifactRef, File};

use super::attributes::{self, describe};
use super::difference::{self, Difference};
use super::{Context, Removed, TaskError};

const DEFAULT_MODE: u32 = 0o644;

/// The longest file that is read to show what differs, in bytes.
const SHOWN: u64 = 128 * 1024;

/// What is there.
struct Found {
    stat: Stat,
    digest: Digest,
    /// Where it is short enough to be shown.
    content: Option<Vec<u8>>,
}

pub(super) async fn observe(cx: &Context, task: &File) -> Result<Difference, TaskError> {
    let path = Utf8Path::new(&task.path);
    let wanted = wanted(cx, task).await?;
    let digest = digest(task)?;
    let Some(stat) = cx.host.files.stat(path).await? else {
        return Ok(diff(task, wanted, digest, None));
    };
    if stat.kind != FileKind::File {
        return Ok(Difference::Blocked(format!(
            "{path} is {}, not a file",
            stat.kind
        )));
    }
    let content = match stat.size {
        0..=SHOWN => cx.host.files.read(path, SHOWN).await?,
        _ => None,
    };
    let found = match &content {
        Some(content) => Some(Digest::of(content)),
        None => cx.host.files.digest(path).await?,
    };
    let found = found.map(|digest| Found {
        stat,
        digest,
        content,
    });
    Ok(diff(task, wanted, digest, found.as_ref()))
}

pub(super) async fn apply(cx: &Context, task: &File) -> Result<(), TaskError> {
    let path = Utf8Path::new(&task.path);
    if task.absent {
        cx.host.files.remove_file(path).await?;
        return Ok(());
    }
    let wanted = wanted(cx, task).await?;
    if cx.host.files.digest(path).await? == Some(digest(task)?) {
        return Ok(cx.host.files.set_attributes(path, wanted).await?);
    }
    let content = match &task.content {
        Some(Wanted::Artifact(artifact)) => Content::CopyOf(fetch(cx, artifact).await?),
        Some(Wanted::Inline(bytes)) => Content::Bytes(bytes.to_vec()),
        None => Content::Bytes(Vec::new()),
    };
    Ok(cx.host.files.write(path, content, wanted).await?)
}

pub(super) async fn remove(cx: &Context, task: &File) -> Result<Removed, TaskError> {
    cx.host.files.remove_file(Utf8Path::new(&task.path)).await?;
    Ok(Removed::default())
}

async fn fetch(cx: &Context, artifact: &ArtifactRef) -> Result<Utf8PathBuf, TaskError> {
    tokio::select! {
        path = cx.artifacts.fetch(artifact) => Ok(path?),
        () = cx.cancel.cancelled() => Err(TaskError::Cancelled),
    }
}

async fn wanted(cx: &Context, task: &File) -> Result<Attributes, TaskError> {
    attributes::wanted(cx, task.mode, DEFAULT_MODE, &task.owner, &task.group).await
}

/// The digest of the content that should be there.
fn digest(task: &File) -> Result<Digest, TaskError> {
    match &task.content {
        Some(Wanted::Inline(bytes)) => Ok(Digest::of(bytes)),
        Some(Wanted::Artifact(artifact)) => Digest::try_from(&artifact.digest)
            .map_err(|error| TaskError::Invalid(format!("artifact of {}: {error}", task.path))),
        None => Ok(Digest::of(&[])),
    }
}

fn diff(task: &File, wanted: Attributes, digest: Digest, found: Option<&Found>) -> Difference {
    let path = &task.path;
    let Some(found) = found else {
        if task.absent {
            return Difference::None;
        }
        return Difference::create(format!("file {path} {}", describe(wanted)));
    };
    if task.absent {
        return Difference::remove(format!("file {path}"));
    }
    let mut parts = Vec::new();
    if found.digest != digest {
        parts.push(content_diff(task, digest, found));
    }
    parts.extend(attributes::diff(path, found.stat.attributes, wanted));
    Difference::of(false, parts)
}

fn content_diff(task: &File, digest: Digest, found: &Found) -> String {
    let path = &task.path;
    if task.sensitive {
        return format!("{path}: content differs (sensitive, not shown)");
    }
    match (&task.content, &found.content) {
        (Some(Wanted::Inline(new)), Some(old)) => difference::of_contents(path, old, new),
        _ => format!(
            "{path}: sha256 {} → {}",
            found.digest.short(),
            digest.short()
        ),
    }
}

#[cfg(test)]
mod tests {
    use foundry_host::files::{Attributes, FileKind, Stat};
    use foundry_proto::Digest;
    use foundry_proto::agent::v1::File;
    use foundry_proto::agent::v1::file::Content;

    use super::{Found, diff};
    use crate::tasks::difference::Difference;

    fn file(content: &str) -> File {
        let content = Some(Content::Inline(content.as_bytes().to_vec().into()));
        File {
            path: "/etc/a".to_owned(),
            content,
            ..File::default()
        }
    }

    fn found(content: &str) -> Found {
        Found {
            stat: Stat {
                kind: FileKind::File,
                attributes: Attributes::root(0o644),
                size: 0,
            },
            digest: Digest::of(content.as_bytes()),
            content: Some(content.as_bytes().to_vec()),
        }
    }

    #[test]
    fn content_and_mode_are_compared() {
        let wanted = Attributes::root(0o600);
        let diff = diff(
            &file("new\n"),
            wanted,
            Digest::of(b"new\n"),
            Some(&found("old\n")),
        );
        let text = "/etc/a\n-old\n+new\n/etc/a: mode 0644 → 0600";
        assert_eq!(diff, Difference::update(text));
    }

    #[test]
    fn sensitive_content_is_never_shown() {
        let task = File {
            sensitive: true,
            ..file("canary-new")
        };
        let wanted = Attributes::root(0o644);
        let diff = diff(
            &task,
            wanted,
            Digest::of(b"canary-new"),
            Some(&found("canary-old")),
        );
        assert!(!diff.text().contains("canary"), "{diff:?}");
        assert!(diff.text().contains("not shown"), "{diff:?}");
    }

    #[test]
    fn the_same_is_no_difference_and_absence_is_a_removal() {
        let wanted = Attributes::root(0o644);
        let same = diff(&file("x"), wanted, Digest::of(b"x"), Some(&found("x")));
        assert_eq!(same, Difference::None);
        let absent = File {
            absent: true,
            ..file("")
        };
        let gone = diff(&absent, wanted, Digest::of(b""), Some(&found("x")));
        assert_eq!(gone, Difference::remove("file /etc/a"));
        assert_eq!(
            diff(&absent, wanted, Digest::of(b""), None),
            Difference::None
        );
    }
}
