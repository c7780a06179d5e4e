//! Binaries of agents that are no longer needed.

use std::collections::BTreeSet;
use std::io;

use fs_err as fs;

use crate::config::Places;

/// The link to the agent that runs.
pub(super) const CURRENT: &str = "current";

/// The link to the one before it, to be gone back to.
pub(super) const PREVIOUS: &str = "previous";

/// Removes every agent that neither link names.
pub(super) fn prune(places: &Places) -> io::Result<()> {
    let agents = places.agents();
    let kept: BTreeSet<String> = [CURRENT, PREVIOUS]
        .iter()
        .filter_map(|link| agents.join(link).read_link_utf8().ok())
        .map(|target| target.file_name().unwrap_or_default().to_owned())
        .collect();
    for entry in agents.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !kept.contains(entry.file_name()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use fs_err as fs;

    use super::prune;
    use crate::config::Places;

    #[test]
    fn the_present_agent_and_the_one_before_stay() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(Utf8Path::from_path(root.path()).unwrap());
        let agents = places.agents();
        for name in ["one", "two", "three"] {
            fs::create_dir_all(agents.join(name).join("bin")).unwrap();
        }
        fs::os::unix::fs::symlink("three", agents.join("current")).unwrap();
        fs::os::unix::fs::symlink("two", agents.join("previous")).unwrap();
        prune(&places).unwrap();
        assert!(!agents.join("one").exists());
        assert!(agents.join("two/bin").exists() && agents.join("current/bin").exists());
    }
}
