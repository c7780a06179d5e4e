//! stack.yaml: finding it, reading it, and changing it without losing a byte of what the user wrote.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_spec::edit::EditError;
use foundry_spec::{SpecError, Stack};

use crate::cli::{CliError, Context, Kind, Place};

/// A file that was read and is valid.
#[derive(Debug, Clone)]
pub(super) struct StackFile {
    /// As it was named.
    pub path: Utf8PathBuf,
    /// Its text.
    pub source: String,
    /// What it declares.
    pub stack: Stack,
    /// What should be looked at, with places.
    pub warnings: Vec<String>,
}

/// Where the file may be without being named.
const NAME: &str = "stack.yaml";

// === impl StackFile ===

impl StackFile {
    /// Reads the file that is meant, and says what should be looked at.
    pub(super) fn load(context: &Context) -> Result<Self, CliError> {
        let file = Self::read(locate(context)?)?;
        for warning in &file.warnings {
            context.printer.warning(warning);
        }
        Ok(file)
    }

    /// Reads this file.
    pub(super) fn read(path: Utf8PathBuf) -> Result<Self, CliError> {
        let source = fs_err::read_to_string(&path).map_err(|cause| {
            CliError::because(format!("cannot read {path}"), cause).of_kind(Kind::Config)
        })?;
        let parsed = foundry_spec::parse(&source, path.as_str())
            .map_err(|errors| invalid(&path, &source, errors))?;
        let warnings = parsed.warnings.iter().map(|warning| match &warning.hint {
            Some(hint) => format!("{warning}: {hint}"),
            None => warning.to_string(),
        });
        Ok(Self {
            warnings: warnings.collect(),
            stack: parsed.stack,
            source,
            path,
        })
    }

    /// Changes the file: the edit is made on what stands there now, checked, and put in place whole.
    pub(super) fn edit(
        &mut self,
        edit: impl FnOnce(&str) -> Result<String, EditError>,
    ) -> Result<(), CliError> {
        let current = Self::read(self.path.clone())?;
        let changed = edit(&current.source).map_err(|error| refused(&self.path, error))?;
        write(&self.path, &changed)?;
        *self = Self::read(self.path.clone())?;
        Ok(())
    }

    /// A path as the file writes it: relative ones are relative to the file.
    pub(super) fn resolve(&self, path: &str) -> Utf8PathBuf {
        let folder = self.path.parent().unwrap_or(Utf8Path::new("."));
        folder.join(path)
    }
}

/// The file that is meant.
pub(super) fn locate(context: &Context) -> Result<Utf8PathBuf, CliError> {
    if let Some(path) = context
        .config
        .as_ref()
        .or(context.environment.config.as_ref())
    {
        return Ok(path.clone());
    }
    let places = [context.environment.home.join(NAME), Utf8PathBuf::from(NAME)];
    let found: Vec<_> = places.iter().filter(|path| path.exists()).collect();
    match found.as_slice() {
        [] => Err(
            CliError::config(format!("there is no {} and no ./{NAME}", places[0]))
                .hint("write one: `foundry config init`")
                .hint("or name one: `--config FILE`"),
        ),
        [one] => Ok((*one).clone()),
        [first, second, ..] if is_same(first, second) => Ok((*first).clone()),
        [first, ..] => Err(CliError::config(format!(
            "there are two stack files: {first} and ./{NAME}"
        ))
        .hint("say which is meant: `--config FILE`, or FOUNDRY_CONFIG")),
    }
}

/// Where a new file goes.
pub(super) fn place_for_new(context: &Context) -> Utf8PathBuf {
    let named = context
        .config
        .as_ref()
        .or(context.environment.config.as_ref());
    named
        .cloned()
        .unwrap_or_else(|| context.environment.home.join(NAME))
}

/// Puts this text in the file's place, whole or not at all. A link stays one, and so does its target's mode.
pub(super) fn write(path: &Utf8Path, text: &str) -> Result<(), CliError> {
    put(path, text).map_err(|cause| CliError::because(format!("cannot write {path}"), cause))
}

fn put(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    let target = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_str().is_empty());
    let folder = folder.unwrap_or(Utf8Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut draft = tempfile::Builder::new()
        .prefix(".stack-")
        .tempfile_in(folder)?;
    draft.write_all(text.as_bytes())?;
    let permissions = match fs_err::metadata(&target) {
        Ok(metadata) => metadata.permissions(),
        Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
    };
    draft.as_file().set_permissions(permissions)?;
    draft.as_file().sync_all()?;
    draft.persist(&target).map_err(|error| error.error)?;
    fs_err::File::open(folder)?.sync_all()
}

/// A file with errors, each with its place.
pub(super) fn invalid(path: &Utf8Path, source: &str, errors: Vec<SpecError>) -> CliError {
    let number = errors.len();
    let lines: Vec<_> = source.lines().collect();
    let places = errors.into_iter().map(|error| {
        let line = lines
            .get(error.line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        Place {
            line: line.to_owned(),
            error,
        }
    });
    let places = places.collect();
    let plural = if number == 1 { "" } else { "s" };
    CliError::config(format!("{path} has {number} error{plural}")).places(places)
}

fn refused(path: &Utf8Path, error: EditError) -> CliError {
    let nearest = match &error {
        EditError::NoSuchHost {
            nearest: Some(nearest),
            ..
        } => {
            vec![format!("did you mean `{nearest}`?")]
        }
        EditError::Before(errors) | EditError::After(errors) => {
            errors.iter().map(ToString::to_string).collect()
        }
        EditError::NoSuchHost { nearest: None, .. } | EditError::Untouchable { .. } => Vec::new(),
    };
    CliError::because(format!("cannot change {path}"), error)
        .of_kind(Kind::Config)
        .hints(nearest)
}

fn is_same(a: &Utf8Path, b: &Utf8Path) -> bool {
    match (a.canonicalize_utf8(), b.canonicalize_utf8()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use camino::Utf8Path;

    use super::write;

    #[test]
    fn a_link_stays_a_link_and_a_mode_a_mode() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let target = folder.join("real.yaml");
        let link = folder.join("stack.yaml");
        fs_err::write(&target, "old").unwrap();
        fs_err::set_permissions(&target, std::fs::Permissions::from_mode(0o600)).unwrap();
        fs_err::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(fs_err::read_to_string(&target).unwrap(), "new");
        assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs_err::metadata(&target).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs_err::read_dir(folder).unwrap().count(), 2);
    }
}
