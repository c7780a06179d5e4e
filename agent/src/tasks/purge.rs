//! Data folders, when they are to go.

use camino::Utf8Path;

use super::{Context, Removed, TaskError};

/// Folders that hold more than one thing's data: never removed with all that is in them.
const SHARED: [&str; 14] = [
    "/etc/foundry",
    "/etc/rancher",
    "/etc/ssh",
    "/etc/systemd",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/share",
    "/var/cache",
    "/var/lib",
    "/var/lib/foundry",
    "/var/log",
    "/var/run",
    "/var/spool",
];

/// Removes the folder with all that is in it, unless it is one that others use too.
pub(super) async fn folder(cx: &Context, path: &Utf8Path) -> Result<Removed, TaskError> {
    if is_shared(path) {
        return Ok(Removed {
            kept: vec![format!("{path} (too general to be removed)")],
        });
    }
    cx.host.files.remove_tree(path).await?;
    Ok(Removed::default())
}

fn is_shared(path: &Utf8Path) -> bool {
    path.components().count() < 3 || SHARED.iter().any(|shared| path == Utf8Path::new(shared))
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::is_shared;

    #[test]
    fn what_others_use_too_is_kept() {
        for path in [
            "/",
            "/var",
            "/home",
            "/var/lib",
            "/var/lib/",
            "/etc//systemd",
        ] {
            assert!(is_shared(Utf8Path::new(path)), "{path}");
        }
        for path in ["/var/lib/zot", "/srv/data"] {
            assert!(!is_shared(Utf8Path::new(path)), "{path}");
        }
    }
}
