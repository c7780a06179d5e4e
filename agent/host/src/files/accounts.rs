//! Users and groups, from `/etc/passwd` and `/etc/group` as they stand. NSS would load libraries that a static binary
//! cannot load.

use camino::Utf8Path;

use super::{FilesError, Ids};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The ids of a user and a group given as names or numbers; empty: root.
pub(super) fn ids(root: &Utf8Path, owner: &str, group: &str) -> Result<Ids, FilesError> {
    Ok(Ids {
        uid: id(root, "user", PASSWD, owner)?,
        gid: id(root, "group", GROUP, group)?,
    })
}

fn id(
    root: &Utf8Path,
    what: &'static str,
    file: &'static str,
    name: &str,
) -> Result<u32, FilesError> {
    if name.is_empty() || name == "root" {
        return Ok(0);
    }
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let path = root.join(file.trim_start_matches('/'));
    let text = fs_err::read_to_string(&path)
        .map_err(|source| FilesError::io("read", file.into(), source))?;
    id_of(&text, name).ok_or_else(|| FilesError::NoSuchName {
        what,
        name: name.to_owned(),
        file,
    })
}

/// The id in the third field of the line that begins with this name.
fn id_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn names_are_found_whole() {
        let text = "root:x:0:0:root:/root:/bin/sh\nopenbao:x:100:1000::/:/sbin/nologin\nbad:x:y\n";
        assert_eq!(id_of(text, "openbao"), Some(100));
        assert_eq!(id_of(text, "open"), None);
        assert_eq!(id_of(text, "bad"), None);
    }
}
