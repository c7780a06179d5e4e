//! An image in the host's container runtime.

use foundry_host::Containers;
use foundry_host::containers::{ContainersError, ImageState};
use foundry_proto::agent::v1::Image;
use foundry_proto::agent::v1::image::Source;

use super::difference::Difference;
use super::{Context, Removed, TaskError, runtime};

pub(super) async fn observe(cx: &Context, task: &Image) -> Result<Difference, TaskError> {
    if task.reference.is_empty() {
        return Err(TaskError::Invalid("an image without a name".to_owned()));
    }
    let runtime = match runtime::chosen(cx, &task.reference).await? {
        Ok(runtime) => runtime,
        Err(missing) => return Ok(missing),
    };
    let found = runtime.image(&task.reference).await?;
    Ok(diff(task, found.as_ref()))
}

pub(super) async fn apply(cx: &Context, id: &str, task: &Image) -> Result<(), TaskError> {
    let runtime = cx.host.runtimes.prepare().await?;
    let brought = async {
        match &task.source {
            Some(Source::Archive(archive)) => {
                cx.progress.say(id, "waiting for the archive");
                let path = cx.artifacts.fetch(archive).await?;
                cx.progress
                    .say(id, format!("loading {} bytes", archive.size));
                let loaded = runtime.load(&path).await?;
                name_loaded(runtime.as_ref(), task, &loaded).await
            }
            Some(Source::Pull(_)) => {
                let progress = |line| cx.progress.say(id, line);
                Ok(runtime.pull(&task.reference, &progress).await?)
            }
            None => Ok(()),
        }
    };
    tokio::select! {
        brought = brought => brought?,
        () = cx.cancel.cancelled() => return Err(TaskError::Cancelled),
    }
    let found = runtime.image(&task.reference).await?;
    match found {
        Some(image) if image.is_any_of(&task.identities) => Ok(()),
        other => Err(TaskError::OtherImage {
            reference: task.reference.clone(),
            found: other.map_or("missing".to_owned(), |image| image.id),
            wanted: task.identities.join(", "),
        }),
    }
}

/// An image that was loaded goes, unless a container uses it; one that was pulled stays, for it may have been there before.
pub(super) async fn remove(cx: &Context, task: &Image) -> Result<Removed, TaskError> {
    let runtime = match cx.host.runtimes.chosen().await {
        Ok(runtime) => runtime,
        Err(ContainersError::None { .. }) => return Ok(Removed::default()),
        Err(error) => return Err(error.into()),
    };
    let Some(image) = runtime.image(&task.reference).await? else {
        return Ok(Removed::default());
    };
    let kept = |why: String| Removed {
        kept: vec![format!("image {} ({why})", task.reference)],
    };
    if !matches!(task.source, Some(Source::Archive(_))) {
        return Ok(kept("pulled".to_owned()));
    }
    let containers = runtime.containers().await?;
    if let Some(user) = containers
        .iter()
        .find(|container| container.image_id == image.id)
    {
        return Ok(kept(format!("used by container {}", user.name)));
    }
    runtime.remove_image(&task.reference).await?;
    Ok(Removed::default())
}

/// Gives the image that was loaded the name that it is wanted under, where the archive has another or none.
async fn name_loaded(
    runtime: &dyn Containers,
    task: &Image,
    loaded: &[String],
) -> Result<(), TaskError> {
    if let Some(image) = runtime.image(&task.reference).await?
        && image.is_any_of(&task.identities)
    {
        return Ok(());
    }
    for name in loaded {
        let image = runtime.image(name).await?;
        let is_certain = !task.identities.is_empty() || loaded.len() == 1;
        if is_certain && image.is_some_and(|image| image.is_any_of(&task.identities)) {
            return Ok(runtime.tag(name, &task.reference).await?);
        }
    }
    Ok(())
}

fn diff(task: &Image, found: Option<&ImageState>) -> Difference {
    let reference = &task.reference;
    match found {
        Some(image) if image.is_any_of(&task.identities) => Difference::None,
        Some(image) => {
            let wanted = task.identities.first().map_or("", String::as_str);
            Difference::update(format!(
                "image {reference}: {} → {}",
                short(&image.id),
                short(wanted)
            ))
        }
        None if task.source.is_none() => Difference::Waiting(format!(
            "image {reference} is not there, and nothing says where from"
        )),
        None => Difference::create(format!("image {reference}")),
    }
}

/// The first digits of a digest, for people.
pub(super) fn short(digest: &str) -> &str {
    let digits = digest.rsplit_once(':').map_or(digest, |(_, digits)| digits);
    digits.get(..12).unwrap_or(digits)
}

#[cfg(test)]
mod tests {
    use foundry_host::containers::ImageState;
    use foundry_proto::agent::v1::image::Source;
    use foundry_proto::agent::v1::{Image, Pull};

    use super::diff;
    use crate::tasks::difference::Difference;

    fn wanted(identities: &[&str]) -> Image {
        Image {
            reference: "docker.io/a/b:1".to_owned(),
            source: Some(Source::Pull(Pull::default())),
            identities: identities.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    #[test]
    fn any_of_its_identities_will_do() {
        let image = ImageState {
            id: "sha256:config".to_owned(),
            digests: vec!["sha256:index".to_owned()],
            ..ImageState::default()
        };
        for identities in [
            &[] as &[&str],
            &["sha256:x", "sha256:index"],
            &["sha256:config"],
        ] {
            assert_eq!(diff(&wanted(identities), Some(&image)), Difference::None);
        }
        let update = Difference::update("image docker.io/a/b:1: config → other");
        assert_eq!(diff(&wanted(&["sha256:other"]), Some(&image)), update);
        assert_eq!(
            diff(&wanted(&[]), None),
            Difference::create("image docker.io/a/b:1")
        );
    }
}
