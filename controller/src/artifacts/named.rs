//! Which files an assignment names: a host may fetch those of its own, and no others.

use foundry_proto::Digest;
use foundry_proto::agent::v1::{ArtifactRef, Assignment, file, image, task};

/// The digests of the files that this assignment names.
pub(crate) fn artifacts_of(assignment: &Assignment) -> Vec<Digest> {
    let mut named: Vec<&ArtifactRef> = Vec::new();
    for kind in assignment
        .tasks
        .iter()
        .filter_map(|task| task.kind.as_ref())
    {
        match kind {
            task::Kind::File(file) => {
                if let Some(file::Content::Artifact(artifact)) = &file.content {
                    named.push(artifact);
                }
            }
            task::Kind::Image(image) => {
                if let Some(image::Source::Archive(artifact)) = &image.source {
                    named.push(artifact);
                }
            }
            task::Kind::K3sNode(node) => {
                named.extend(
                    node.binary
                        .iter()
                        .chain(&node.install_script)
                        .chain(&node.airgap_images),
                );
            }
            task::Kind::Directory(_)
            | task::Kind::Unit(_)
            | task::Kind::ContainerService(_)
            | task::Kind::Package(_)
            | task::Kind::Command(_) => {}
        }
    }
    named
        .into_iter()
        .filter_map(|artifact| Digest::try_from(&artifact.digest).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use foundry_proto::Digest;
    use foundry_proto::agent::v1::{ArtifactRef, Assignment, Image, Task, image, task};

    use super::artifacts_of;

    #[test]
    fn an_archive_is_named_by_its_image() {
        let digest = Digest::of(b"archive");
        let archive = ArtifactRef {
            digest: digest.to_bytes(),
            size: 7,
        };
        let image = Image {
            source: Some(image::Source::Archive(archive)),
            ..Image::default()
        };
        let task = Task {
            kind: Some(task::Kind::Image(image)),
            ..Task::default()
        };
        let assignment = Assignment {
            tasks: vec![task, Task::default()],
            ..Assignment::default()
        };
        assert_eq!(artifacts_of(&assignment), [digest]);
    }
}
