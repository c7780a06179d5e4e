//! Image archives: what they are by digest, and bringing them to the controller.
//!
//! Reading a large archive takes seconds, so what was found is kept in the fleet's folder under the file's path, size,
//! time of change and inode, and read anew only when one of those differs.

mod cache;
mod contents;
mod upload;

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use foundry_proto::Digest;
use foundry_proto::operator::v1 as wire;

use super::stackfile::StackFile;
use crate::cli::{CliError, Context, Kind};
use crate::state::Paths;
use cache::Cache;
pub(super) use upload::upload;

/// An archive that the file names, and where it lies.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    /// As the controller hears of it.
    pub described: wire::Archive,
    /// Its digest.
    pub digest: Digest,
    /// Where it lies here.
    pub path: Utf8PathBuf,
}

/// Every archive that services of these names use (all of them, where none is named).
///
/// # Errors
///
/// One cannot be read, or holds no image.
pub(super) fn describe(
    context: &Context,
    file: &StackFile,
    fleet: Option<&Paths>,
) -> Result<Vec<Archive>, CliError> {
    let mut cache = fleet.map(Cache::open).unwrap_or_default();
    let named = file.stack.services.iter();
    let named: BTreeSet<&String> = named
        .filter_map(|service| service.image_archive.as_ref())
        .collect();
    let archives = named.into_iter().map(|name| {
        let path = file.resolve(name);
        context.printer.detail(&format!("reading {path}"));
        let contents = cache
            .contents(&path)
            .map_err(|cause| unreadable(file, name, cause))?;
        Ok(Archive {
            digest: contents.digest,
            described: wire::Archive {
                path: name.clone(),
                digest: contents.digest.to_bytes(),
                size: contents.size,
                identities: contents.identities,
                references: contents.references,
            },
            path,
        })
    });
    let archives = archives.collect::<Result<Vec<_>, CliError>>()?;
    if let Some(error) = cache.save() {
        context
            .printer
            .detail(&format!("cannot keep the digests of archives: {error}"));
    }
    Ok(archives)
}

/// Every archive that the file names, unread: for plans that put nothing on hosts and only want each to be named.
pub(super) fn named(file: &StackFile) -> Vec<wire::Archive> {
    let named = file
        .stack
        .services
        .iter()
        .filter_map(|service| service.image_archive.clone());
    let archive = |path| wire::Archive {
        path,
        digest: Digest::of(b"").to_bytes(),
        ..Default::default()
    };
    named.map(archive).collect()
}

/// Names the line of the file that names the archive.
fn unreadable(file: &StackFile, name: &str, cause: contents::ContentsError) -> CliError {
    let lines = file.source.lines().enumerate();
    let mut lines = lines.filter(|(_, line)| {
        line.trim_start()
            .trim_start_matches("- ")
            .starts_with("image_archive:")
            && line.contains(name)
            || line.contains("image_archive") && line.contains(name)
    });
    let place = match lines.next() {
        Some((index, line)) => {
            let column = line.find(name).unwrap_or_default() + 1;
            format!("{}:{}:{column}: ", file.path, index + 1)
        }
        None => String::new(),
    };
    CliError::because(
        format!("{place}the image archive {name} cannot be used"),
        cause,
    )
    .of_kind(Kind::Config)
    .hint("paths are relative to the file; make it with `docker save IMAGE -o FILE`")
}
