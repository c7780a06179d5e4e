//! Which artifacts the ledger's assignments need.

use std::collections::BTreeSet;

use foundry_proto::Digest;
use foundry_proto::agent::v1::{ArtifactRef, Task, file, image, task::Kind};

use crate::ledger::Ledger;

/// The digests that the ledger's assignments name.
pub fn named(ledger: &Ledger) -> BTreeSet<Digest> {
    ledger
        .records()
        .flat_map(|record| {
            let wanted = record.assignment().map(|assignment| assignment.tasks);
            let there = [
                record.achieved_tasks.clone(),
                record.attempted_tasks.clone(),
            ]
            .concat();
            wanted.unwrap_or_default().into_iter().chain(there)
        })
        .flat_map(|task| artifacts_of(&task))
        .filter_map(|artifact| Digest::try_from(&artifact.digest).ok())
        .collect()
}

fn artifacts_of(task: &Task) -> Vec<ArtifactRef> {
    match &task.kind {
        Some(Kind::File(file)) => match &file.content {
            Some(file::Content::Artifact(artifact)) => vec![artifact.clone()],
            Some(file::Content::Inline(_)) | None => Vec::new(),
        },
        Some(Kind::Image(image)) => match &image.source {
            Some(image::Source::Archive(artifact)) => vec![artifact.clone()],
            Some(image::Source::Pull(_)) | None => Vec::new(),
        },
        Some(Kind::K3sNode(node)) => {
            let parts = [&node.binary, &node.install_script, &node.airgap_images];
            parts.into_iter().flatten().cloned().collect()
        }
        Some(
            Kind::Directory(_)
            | Kind::Unit(_)
            | Kind::ContainerService(_)
            | Kind::Package(_)
            | Kind::Command(_),
        )
        | None => Vec::new(),
    }
}
