//! A runtime that answers, through the API that Docker defined and Podman speaks too.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    ContainerSummary, ContainerSummaryStateEnum, ImageInspect, PortSummary, PortSummaryTypeEnum,
};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, StopContainerOptionsBuilder,
    TagImageOptionsBuilder,
};
use camino::Utf8Path;
use futures_util::StreamExt;
use tokio_util::io::ReaderStream;

use super::pulling::Pulling;
use super::{
    ContainerState, Containers, ContainersError, ImageState, ProgressFn, PublishedPort, Reference,
    RuntimeInfo,
};
use crate::ports::Protocol;

/// How long a simple question may take.
const ANSWER: Duration = Duration::from_secs(30);

/// How long a pull or a load may go without a word.
const SILENCE: Duration = Duration::from_secs(300);

/// A container runtime behind its socket.
pub(super) struct Engine {
    docker: Docker,
    info: RuntimeInfo,
}

// === impl Engine ===

impl Engine {
    pub(super) fn new(docker: Docker, info: RuntimeInfo) -> Self {
        Self { docker, info }
    }

    pub(super) async fn answers(&self, limit: Duration) -> bool {
        matches!(
            tokio::time::timeout(limit, self.docker.ping()).await,
            Ok(Ok(_))
        )
    }

    async fn call<T>(
        &self,
        action: &'static str,
        object: &str,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ContainersError> {
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(self.failed(action, object, source)),
            Err(_) => Err(ContainersError::Deadline {
                runtime: self.info.kind,
                action,
                object: object.to_owned(),
                limit,
            }),
        }
    }

    fn failed(&self, action: &'static str, object: &str, source: Error) -> ContainersError {
        let (runtime, object) = (self.info.kind, object.to_owned());
        // What the runtime said goes without the client's wrapping.
        if let Error::DockerResponseServerError { message, .. }
        | Error::DockerStreamError { error: message } = source
        {
            return ContainersError::Said {
                runtime,
                action,
                object,
                message,
            };
        }
        ContainersError::Call {
            runtime,
            action,
            object,
            source,
        }
    }
}

#[async_trait]
impl Containers for Engine {
    fn info(&self) -> &RuntimeInfo {
        &self.info
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageState>, ContainersError> {
        let inspect = async { missing_is_none(self.docker.inspect_image(reference).await) };
        let image = self
            .call("inspect image", reference, ANSWER, inspect)
            .await?;
        Ok(image.map(ImageState::from))
    }

    async fn pull(&self, reference: &str, progress: ProgressFn<'_>) -> Result<(), ContainersError> {
        let parsed = Reference::parse(reference);
        let options = CreateImageOptionsBuilder::default()
            .from_image(parsed.repository)
            .tag(parsed.digest.or(parsed.tag).unwrap_or("latest"))
            .build();
        let mut messages = std::pin::pin!(self.docker.create_image(Some(options), None, None));
        let mut pulling = Pulling::default();
        while let Some(message) = self
            .call("pull", reference, SILENCE, async {
                messages.next().await.transpose()
            })
            .await?
        {
            if let Some(line) = pulling.take(&message) {
                progress(line);
            }
        }
        Ok(())
    }

    async fn load(&self, archive: &Utf8Path) -> Result<Vec<String>, ContainersError> {
        let file = fs_err::tokio::File::open(archive).await.map_err(|source| {
            ContainersError::Archive {
                path: archive.to_owned(),
                source,
            }
        })?;
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        // The answer begins when the archive is through.
        let patient = self.docker.clone().with_timeout(SILENCE);
        let bytes = ReaderStream::with_capacity(file, 128 * 1024);
        let mut messages = std::pin::pin!(patient.import_image_stream(options, bytes, None));
        let mut loaded = Vec::new();
        while let Some(message) = self
            .call("load", archive.as_str(), SILENCE, async {
                messages.next().await.transpose()
            })
            .await?
        {
            loaded.extend(
                message
                    .stream
                    .as_deref()
                    .map(loaded_images)
                    .unwrap_or_default(),
            );
        }
        Ok(loaded)
    }

    async fn tag(&self, image: &str, reference: &str) -> Result<(), ContainersError> {
        let parsed = Reference::parse(reference);
        let options = TagImageOptionsBuilder::default()
            .repo(parsed.repository)
            .tag(parsed.tag.unwrap_or("latest"))
            .build();
        self.call(
            "tag",
            reference,
            ANSWER,
            self.docker.tag_image(image, Some(options)),
        )
        .await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), ContainersError> {
        let options = RemoveImageOptionsBuilder::default().build();
        let remove = async {
            missing_is_none(
                self.docker
                    .remove_image(reference, Some(options), None)
                    .await,
            )
        };
        self.call("remove image", reference, SILENCE, remove)
            .await
            .map(drop)
    }

    async fn containers(&self) -> Result<Vec<ContainerState>, ContainersError> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let list = self.docker.list_containers(Some(options));
        let list = self.call("list", "containers", ANSWER, list).await?;
        Ok(list.into_iter().map(ContainerState::from).collect())
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), ContainersError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        let patient = self.docker.clone().with_timeout(grace + ANSWER);
        let stop = async { missing_is_none(patient.stop_container(id, Some(options)).await) };
        self.call("stop", id, grace + ANSWER, stop).await.map(drop)
    }

    async fn remove(&self, id: &str) -> Result<(), ContainersError> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(false)
            .build();
        let remove =
            async { missing_is_none(self.docker.remove_container(id, Some(options)).await) };
        self.call("remove", id, ANSWER, remove).await.map(drop)
    }
}

// === impl ImageState ===

impl From<ImageInspect> for ImageState {
    fn from(image: ImageInspect) -> Self {
        let digests = image.repo_digests.unwrap_or_default();
        let mut digests: Vec<String> = digests
            .iter()
            .filter_map(|name| Some(name.split_once('@')?.1.to_owned()))
            .chain(image.descriptor.and_then(|descriptor| descriptor.digest))
            .collect();
        digests.sort();
        digests.dedup();
        let id = with_algorithm(image.id.unwrap_or_default());
        Self {
            id,
            digests,
            tags: image.repo_tags.unwrap_or_default(),
        }
    }
}

// === impl ContainerState ===

impl From<ContainerSummary> for ContainerState {
    fn from(container: ContainerSummary) -> Self {
        let name = container
            .names
            .unwrap_or_default()
            .into_iter()
            .next()
            .unwrap_or_default();
        let ports = container.ports.unwrap_or_default();
        Self {
            id: container.id.unwrap_or_default(),
            name: name.trim_start_matches('/').to_owned(),
            labels: container
                .labels
                .unwrap_or_default()
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            image: container.image.unwrap_or_default(),
            image_id: with_algorithm(container.image_id.unwrap_or_default()),
            running: container.state == Some(ContainerSummaryStateEnum::RUNNING),
            ports: ports.iter().filter_map(published).collect(),
        }
    }
}

fn published(port: &PortSummary) -> Option<PublishedPort> {
    let protocol = match port.typ {
        Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
        Some(PortSummaryTypeEnum::SCTP) => return None,
        Some(PortSummaryTypeEnum::TCP | PortSummaryTypeEnum::EMPTY) | None => Protocol::Tcp,
    };
    let address = port.ip.clone().unwrap_or_default();
    Some(PublishedPort {
        address,
        port: port.public_port.filter(|port| *port != 0)?,
        protocol,
    })
}

/// Podman leaves the algorithm out at places.
fn with_algorithm(id: String) -> String {
    if id.is_empty() || id.contains(':') {
        id
    } else {
        format!("sha256:{id}")
    }
}

/// The images that a line of the answer to a load names.
fn loaded_images(line: &str) -> Vec<String> {
    let named = line.trim().strip_prefix("Loaded image");
    let named = named.and_then(|rest| rest.strip_prefix(" ID: ").or(rest.strip_prefix(": ")));
    let names = named.unwrap_or_default().split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn missing_is_none<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{loaded_images, with_algorithm};

    #[test]
    fn loaded_images_are_names_or_ids() {
        assert_eq!(
            loaded_images("Loaded image: docker.io/a/b:1\n"),
            ["docker.io/a/b:1"]
        );
        assert_eq!(loaded_images("Loaded image ID: sha256:ab\n"), ["sha256:ab"]);
        assert_eq!(loaded_images("Loaded image: a:1,b:2\n"), ["a:1", "b:2"]);
        assert!(loaded_images("something else").is_empty());
    }

    #[test]
    fn ids_have_their_algorithm() {
        assert_eq!(with_algorithm("ab".to_owned()), "sha256:ab");
        assert_eq!(with_algorithm("sha512:ab".to_owned()), "sha512:ab");
        assert_eq!(with_algorithm(String::new()), "");
    }
}
