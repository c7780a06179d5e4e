//! What is on the host under a service's name.

use foundry_host::Containers;
use foundry_host::containers::{ContainerState, ImageState};
use foundry_host::systemd::UnitState;

use super::settings::{Port, Settings};
use super::{folders, ports};
use crate::tasks::{Context, TaskError, unit_file};

/// The longest unit or env file that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// What is there.
#[derive(Default)]
pub(super) struct Found {
    pub(super) unit_text: Option<Vec<u8>>,
    pub(super) env_text: Option<Vec<u8>>,
    pub(super) env_mode: Option<u32>,
    pub(super) unit: UnitState,
    /// The container of this name, whosever it is.
    pub(super) container: Option<ContainerState>,
    /// What the image's name leads to.
    pub(super) image: Option<ImageState>,
    /// Wanted ports that someone else has, with who that is.
    pub(super) taken: Vec<(Port, String)>,
    /// Folders that have to be made.
    pub(super) missing_folders: Vec<String>,
}

pub(super) async fn find(
    cx: &Context,
    runtime: &dyn Containers,
    settings: &Settings<'_>,
) -> Result<Found, TaskError> {
    let (unit, unit_path, env_path) = (
        settings.unit(),
        unit_file::path(&settings.unit()),
        settings.env_file(),
    );
    let files = &cx.host.files;
    let runtime_side = async {
        let (containers, image) =
            tokio::try_join!(runtime.containers(), runtime.image(&settings.task.image))?;
        Ok::<_, TaskError>((containers, image))
    };
    let host_side = async {
        let unit_text = files.read(&unit_path, LONGEST).await?;
        let env_text = files.read(&env_path, LONGEST).await?;
        let env_mode = files
            .stat(&env_path)
            .await?
            .map(|stat| stat.attributes.mode);
        let missing_folders = folders::missing(cx, settings).await?;
        Ok::<_, TaskError>((unit_text, env_text, env_mode, missing_folders))
    };
    let systemd_side = async { Ok::<_, TaskError>(cx.host.systemd.state(&unit).await?) };
    let ((containers, image), (unit_text, env_text, env_mode, missing_folders), unit) =
        tokio::try_join!(runtime_side, host_side, systemd_side)?;
    let taken = ports::taken(cx, settings, &containers).await?;
    let container = containers
        .into_iter()
        .find(|container| container.name == settings.stem);
    Ok(Found {
        unit_text,
        env_text,
        env_mode,
        unit,
        container,
        image,
        taken,
        missing_folders,
    })
}
