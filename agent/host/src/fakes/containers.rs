use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use foundry_proto::layout::{LABEL_FLEET, LABEL_SERVICE};

use super::lock;
use crate::containers::{
    ContainerState, Containers, ContainersError, ImageState, ProgressFn, PublishedPort,
    RuntimeInfo, RuntimeKind, Runtimes,
};
use crate::ports::Protocol;

/// Docker, in memory, as long as it is said to answer.
pub struct FakeRuntimes {
    containers: Arc<FakeContainers>,
    silent: Mutex<bool>,
}

/// Images and containers in memory.
pub struct FakeContainers {
    info: RuntimeInfo,
    /// By reference.
    images: Mutex<BTreeMap<String, ImageState>>,
    /// What the registry has, by reference; and what archives hold, by path.
    sources: Mutex<BTreeMap<String, ImageState>>,
    containers: Mutex<Vec<ContainerState>>,
    removed: Mutex<Vec<String>>,
}

// === impl FakeRuntimes ===

impl FakeRuntimes {
    pub(super) fn new() -> Self {
        Self {
            containers: Arc::new(FakeContainers::new()),
            silent: Mutex::new(false),
        }
    }

    /// The runtime itself.
    pub fn containers(&self) -> &Arc<FakeContainers> {
        &self.containers
    }

    /// From now on it does not answer, or does again.
    pub fn set_silent(&self, silent: bool) {
        *lock(&self.silent) = silent;
    }
}

#[async_trait]
impl Runtimes for FakeRuntimes {
    async fn chosen(&self) -> Result<Arc<dyn Containers>, ContainersError> {
        if *lock(&self.silent) {
            return Err(ContainersError::None { found: Vec::new() });
        }
        Ok(Arc::clone(&self.containers) as _)
    }

    async fn prepare(&self) -> Result<Arc<dyn Containers>, ContainersError> {
        self.chosen().await
    }

    async fn installed(&self) -> Vec<RuntimeInfo> {
        if *lock(&self.silent) {
            Vec::new()
        } else {
            vec![self.containers.info.clone()]
        }
    }
}

// === impl FakeContainers ===

impl FakeContainers {
    fn new() -> Self {
        Self {
            info: RuntimeInfo {
                kind: RuntimeKind::Docker,
                version: "20.10.24".to_owned(),
                api_version: "1.41".to_owned(),
                cli: Some("/usr/bin/docker".into()),
                trouble: None,
            },
            images: Mutex::default(),
            sources: Mutex::default(),
            containers: Mutex::default(),
            removed: Mutex::default(),
        }
    }

    /// The registry has this image; or, where `name` is a path, an archive holds it, named as its tags say.
    pub fn offer(&self, name: &str, id: &str, tags: &[&str]) {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let image = ImageState {
            id: id.to_owned(),
            digests: Vec::new(),
            tags,
        };
        lock(&self.sources).insert(name.to_owned(), image);
    }

    /// A container that is there.
    pub fn add(&self, container: ContainerState) {
        lock(&self.containers).push(container);
    }

    /// Changes the containers of this name from outside.
    pub fn change(&self, name: &str, change: impl Fn(&mut ContainerState)) {
        let mut containers = lock(&self.containers);
        containers
            .iter_mut()
            .filter(|container| container.name == name)
            .for_each(change);
    }

    /// Names of the containers and images that were removed through the trait.
    pub fn removed(&self) -> Vec<String> {
        lock(&self.removed).clone()
    }

    /// The containers that are there.
    pub fn list(&self) -> Vec<ContainerState> {
        lock(&self.containers).clone()
    }

    /// What `docker run` with these arguments leads to. Err: what it would say.
    pub(super) fn run(&self, arguments: &[String]) -> Result<String, String> {
        let mut container = ContainerState {
            running: true,
            ..ContainerState::default()
        };
        for argument in arguments {
            match argument
                .strip_prefix("--")
                .and_then(|rest| rest.split_once('='))
            {
                Some(("name", name)) => container.name = name.to_owned(),
                Some(("label", label)) => {
                    let (name, value) = label.split_once('=').unwrap_or((label, ""));
                    container.labels.insert(name.to_owned(), value.to_owned());
                }
                Some(("publish", port)) => container.ports.extend(published(port)),
                Some(_) => {}
                None if argument.starts_with("--") => {}
                // The first argument that is no option; what follows is the container's command.
                None => {
                    container.image = argument.clone();
                    break;
                }
            }
        }
        let image = lock(&self.images).get(&container.image).cloned();
        let image = image.ok_or(format!("No such image: {}", container.image))?;
        let mut containers = lock(&self.containers);
        // The unit clears what is left of its own before it starts.
        let ours = |other: &ContainerState| {
            [LABEL_FLEET, LABEL_SERVICE].iter().all(|label| {
                other.labels.contains_key(*label)
                    && other.labels.get(*label) == container.labels.get(*label)
            })
        };
        containers.retain(|other| !ours(other));
        if containers.iter().any(|other| other.name == container.name) {
            return Err(format!(
                "The container name \"/{}\" is already in use",
                container.name
            ));
        }
        container.image_id = image.id;
        container.id = format!("id-of-{}-{}", container.name, containers.len());
        let name = container.name.clone();
        containers.push(container);
        Ok(name)
    }

    /// What the end of `docker run --rm` leads to.
    pub(super) fn ended(&self, name: &str) {
        lock(&self.containers).retain(|container| container.name != name);
    }
}

/// `[address:]host:container/protocol`
fn published(text: &str) -> Option<PublishedPort> {
    let (ports, protocol) = text.split_once('/')?;
    let (front, _) = ports.rsplit_once(':')?;
    let (address, port) = front.rsplit_once(':').unwrap_or(("", front));
    let protocol = Protocol::parse(protocol)?;
    Some(PublishedPort {
        address: address.to_owned(),
        port: port.parse().ok()?,
        protocol,
    })
}

#[async_trait]
impl Containers for FakeContainers {
    fn info(&self) -> &RuntimeInfo {
        &self.info
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageState>, ContainersError> {
        let images = lock(&self.images);
        let by_id = || images.values().find(|image| image.id == reference);
        Ok(images.get(reference).or_else(by_id).cloned())
    }

    async fn pull(&self, reference: &str, progress: ProgressFn<'_>) -> Result<(), ContainersError> {
        progress(format!("pulling {reference}"));
        let image = lock(&self.sources).get(reference).cloned();
        let image = image.ok_or_else(|| ContainersError::Said {
            runtime: RuntimeKind::Docker,
            action: "pull",
            object: reference.to_owned(),
            message: "manifest unknown".to_owned(),
        })?;
        lock(&self.images).insert(reference.to_owned(), image);
        Ok(())
    }

    async fn load(&self, archive: &Utf8Path) -> Result<Vec<String>, ContainersError> {
        let image = lock(&self.sources).get(archive.as_str()).cloned();
        let image = image.ok_or_else(|| ContainersError::Archive {
            path: archive.to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        let names: BTreeSet<String> = match image.tags.as_slice() {
            [] => [image.id.clone()].into(),
            tags => tags.iter().cloned().collect(),
        };
        for name in &names {
            lock(&self.images).insert(name.clone(), image.clone());
        }
        Ok(names.into_iter().collect())
    }

    async fn tag(&self, image: &str, reference: &str) -> Result<(), ContainersError> {
        if let Some(image) = self.image(image).await? {
            lock(&self.images).insert(reference.to_owned(), image);
        }
        Ok(())
    }

    async fn remove_image(&self, reference: &str) -> Result<(), ContainersError> {
        lock(&self.images).remove(reference);
        lock(&self.removed).push(reference.to_owned());
        Ok(())
    }

    async fn containers(&self) -> Result<Vec<ContainerState>, ContainersError> {
        Ok(self.list())
    }

    async fn stop(&self, id: &str, _: Duration) -> Result<(), ContainersError> {
        if let Some(container) = lock(&self.containers).iter_mut().find(|one| one.id == id) {
            container.running = false;
        }
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), ContainersError> {
        let mut containers = lock(&self.containers);
        if let Some(index) = containers.iter().position(|container| container.id == id) {
            lock(&self.removed).push(containers.remove(index).name);
        }
        Ok(())
    }
}
