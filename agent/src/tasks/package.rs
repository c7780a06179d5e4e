//! A package of the distribution.

use foundry_proto::agent::v1::Package;

use super::difference::Difference;
use super::{Context, Removed, TaskError};

/// Packages that bring a container runtime. Where one answers already, it does what they are wanted for: installing
/// another would replace or restart it.
const RUNTIMES: [&str; 8] = [
    "docker.io",
    "docker-ce",
    "docker-ee",
    "docker",
    "moby-engine",
    "podman",
    "podman-docker",
    "containerd.io",
];

pub(super) async fn observe(cx: &Context, task: &Package) -> Result<Difference, TaskError> {
    check(task)?;
    let installed = first_installed(cx, task).await?;
    match (installed, task.absent) {
        (Some(name), true) => Ok(Difference::remove(format!("package {name}"))),
        (None, true) | (Some(_), false) => Ok(Difference::None),
        (None, false) if is_served(cx, task).await => Ok(Difference::None),
        (None, false) => {
            let name = first_available(cx, task).await?;
            let name = name.or(task.names.first()).map_or("", String::as_str);
            Ok(Difference::create(format!("package {name}")))
        }
    }
}

pub(super) async fn apply(cx: &Context, id: &str, task: &Package) -> Result<(), TaskError> {
    let progress = |line: String| cx.progress.say(id, line);
    if task.absent {
        while let Some(name) = first_installed(cx, task).await? {
            cx.host.packages.remove(name, &progress).await?;
        }
        return Ok(());
    }
    let mut name = first_available(cx, task).await?;
    if name.is_none() {
        cx.host.packages.refresh(&progress).await?;
        name = first_available(cx, task).await?;
    }
    let Some(name) = name else {
        let names = task.names.join(", ");
        return Err(TaskError::NoPackage { names });
    };
    Ok(cx.host.packages.install(name, &progress).await?)
}

/// A package stays: other things may have come to need it.
pub(super) async fn remove(cx: &Context, task: &Package) -> Result<Removed, TaskError> {
    let installed = first_installed(cx, task).await?;
    let kept = installed
        .filter(|_| !task.absent)
        .map(|name| format!("package {name}"));
    Ok(Removed {
        kept: kept.into_iter().collect(),
    })
}

async fn first_installed<'a>(
    cx: &Context,
    task: &'a Package,
) -> Result<Option<&'a String>, TaskError> {
    for name in &task.names {
        if cx.host.packages.installed(name).await?.is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

async fn first_available<'a>(
    cx: &Context,
    task: &'a Package,
) -> Result<Option<&'a String>, TaskError> {
    for name in &task.names {
        if cx.host.packages.available(name).await? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether a runtime is wanted, and one answers.
async fn is_served(cx: &Context, task: &Package) -> bool {
    let is_runtime = task
        .names
        .iter()
        .any(|name| RUNTIMES.contains(&name.as_str()));
    is_runtime && cx.host.runtimes.chosen().await.is_ok()
}

/// Names become arguments of the package manager: none may read as an option.
fn check(task: &Package) -> Result<(), TaskError> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-._:".contains(c))
    };
    if task.names.is_empty() {
        return Err(TaskError::Invalid("a package without a name".to_owned()));
    }
    match task.names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(TaskError::Invalid(format!(
            "`{name}` is not the name of a package"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use foundry_proto::agent::v1::Package;

    use super::check;

    #[test]
    fn options_are_no_names() {
        let package = |name: &str| Package {
            names: vec![name.to_owned()],
            absent: false,
        };
        for good in ["docker.io", "libstdc++6", "nfs-common", "gcc:arm64"] {
            assert!(check(&package(good)).is_ok(), "{good}");
        }
        for bad in ["--yes", "", "a b", "a;b", "/a"] {
            assert!(check(&package(bad)).is_err(), "{bad}");
        }
        assert!(check(&Package::default()).is_err());
    }
}
