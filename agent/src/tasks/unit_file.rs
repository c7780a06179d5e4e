//! Unit files: where they lie, what they may be called, and how words are written in them.

use camino::Utf8PathBuf;
use foundry_proto::layout::{RUN_DIR, UNIT_DIR};

use super::TaskError;

const TYPES: [&str; 7] = [
    "service",
    "timer",
    "mount",
    "automount",
    "socket",
    "path",
    "target",
];

/// Where the unit's file is written.
pub(super) fn path(unit: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(UNIT_DIR).join(unit)
}

/// Where the unit's drop-ins are written.
pub(super) fn drop_in_folder(unit: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(UNIT_DIR).join(format!("{unit}.d"))
}

/// There while the unit's files have changed and it was not restarted yet. It does not outlive a boot, and need not.
pub(super) fn restart_mark(unit: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(RUN_DIR).join("restart").join(unit)
}

/// Refuses what is no name of a unit that foundry handles.
pub(super) fn check_name(unit: &str) -> Result<(), TaskError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":-_.@\\".contains(c);
    let (stem, kind) = unit.rsplit_once('.').unwrap_or((unit, ""));
    let is_good = !stem.is_empty()
        && !stem.starts_with(['.', '-'])
        && unit.len() <= 255
        && unit.chars().all(is_plain)
        && TYPES.contains(&kind);
    if is_good {
        Ok(())
    } else {
        Err(TaskError::Invalid(format!("`{unit}` is not a unit's name")))
    }
}

/// Refuses what is no name of a drop-in.
pub(super) fn check_drop_in(name: &str) -> Result<(), TaskError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let stem = name.strip_suffix(".conf").unwrap_or_default();
    let is_good = !stem.is_empty() && !stem.starts_with('.') && name.chars().all(is_plain);
    if is_good {
        Ok(())
    } else {
        Err(TaskError::Invalid(format!(
            "`{name}` is not a drop-in's name"
        )))
    }
}

/// A word of a command line in a unit file, so that systemd passes on exactly this text.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&escaped(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A control character byte by byte.
fn escaped(c: char) -> String {
    let mut buffer = [0; 4];
    c.encode_utf8(&mut buffer)
        .bytes()
        .map(|byte| format!("\\x{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{check_drop_in, check_name, word};

    #[test]
    fn words_reach_the_program_as_they_are() {
        assert_eq!(word("--name=foundry-a"), "--name=foundry-a");
        assert_eq!(word(""), "\"\"");
        assert_eq!(word("100% $HOME"), "\"100%% $$HOME\"");
        assert_eq!(word("say \"a\\b\""), "\"say \\\"a\\\\b\\\"\"");
        assert_eq!(word("two\nlines"), "\"two\\x0alines\"");
        assert_eq!(word(";"), "\";\"");
        assert_eq!(word("é"), "\"é\"");
    }

    #[test]
    fn names_lead_nowhere_else() {
        for good in [
            "foundry-a.service",
            "var-lib-zot.mount",
            "a@b.timer",
            "a\\x2db.mount",
        ] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "a",
            "../a.service",
            "a/b.service",
            ".service",
            "a.conf",
            "-a.service",
            "a b.service",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_drop_in("10-foundry.conf").is_ok());
        for bad in ["10", ".conf", "../a.conf", ".a.conf"] {
            assert!(check_drop_in(bad).is_err(), "{bad}");
        }
    }
}
