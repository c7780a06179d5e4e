//! Folders and volumes that a container sees.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// `source:target[:ro]`
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Volume {
    /// An absolute path on the host, or the name of a volume of the runtime.
    pub source: String,
    /// An absolute path in the container.
    pub target: String,
    /// `:ro`
    pub read_only: bool,
}

/// Text that is no volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Not two or three parts.
    #[error("`{0}` is not a volume: it is written source:target[:ro], such as `/srv/data:/data`")]
    Form(String),
    /// The source is neither path nor name.
    #[error("`{0}` is neither an absolute path on the host nor the name of a volume")]
    Source(String),
    /// The target is no path.
    #[error("`{0}` is not an absolute path in the container")]
    Target(String),
}

/// An absolute path without `.`, `..`, doubled slashes and characters that unit files and runtimes read otherwise.
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() > 1
        && !path.chars().any(|c| c.is_control() || c == ',')
        && path
            .trim_start_matches('/')
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
}

fn is_volume_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

impl FromStr for Volume {
    type Err = VolumeError;

    fn from_str(given: &str) -> Result<Self, VolumeError> {
        let parts: Vec<&str> = given.split(':').collect();
        let (source, target, read_only) = match parts[..] {
            [source, target] | [source, target, "rw"] => (source, target, false),
            [source, target, "ro"] => (source, target, true),
            _ => return Err(VolumeError::Form(given.to_owned())),
        };
        let folder = |path: &str| match path.trim_end_matches('/') {
            "" => path.to_owned(),
            trimmed => trimmed.to_owned(),
        };
        let (source, target) = (folder(source), folder(target));
        if !is_path(&source) && !is_volume_name(&source) {
            return Err(VolumeError::Source(source));
        }
        if !is_path(&target) {
            return Err(VolumeError::Target(target));
        }
        Ok(Self {
            source,
            target,
            read_only,
        })
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.read_only { ":ro" } else { "" };
        write!(f, "{}:{}{suffix}", self.source, self.target)
    }
}

impl Serialize for Volume {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Volume, VolumeError};

    #[test]
    fn volumes_read_back() {
        for (given, shown) in [
            ("/srv/data:/data", "/srv/data:/data"),
            ("/srv/data/:/data:ro", "/srv/data:/data:ro"),
            ("cache:/var/cache:rw", "cache:/var/cache"),
        ] {
            assert_eq!(given.parse::<Volume>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_volume() {
        for bad in ["", "/data", "/a:/b:rx", "/a:/b:ro:z"] {
            assert!(
                matches!(bad.parse::<Volume>(), Err(VolumeError::Form(_))),
                "{bad}"
            );
        }
        for bad in [
            ":/data",
            "./data:/data",
            "/a/../b:/data",
            "/:/data",
            "a b:/data",
        ] {
            assert!(
                matches!(bad.parse::<Volume>(), Err(VolumeError::Source(_))),
                "{bad}"
            );
        }
        for bad in ["/a:data", "/a:/", "/a:/x/../y"] {
            assert!(
                matches!(bad.parse::<Volume>(), Err(VolumeError::Target(_))),
                "{bad}"
            );
        }
    }
}
