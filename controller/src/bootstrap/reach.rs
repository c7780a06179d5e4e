//! Whether hosts can be reached and could be enrolled: a look that changes nothing.

use futures_util::StreamExt as _;
use futures_util::stream;

use super::cause::Cause;
use super::channel::Channel;
use super::enrol::greet;
use super::order::Target;
use super::settings::Settings;
use super::ssh::{Mode, UnknownKeys};
use super::verdict::{clock_offset, refuse_unsupported};

/// How many at a time.
const PARALLEL: usize = 16;

/// A line about each host, in their order.
pub async fn reach(
    settings: &Settings,
    targets: Vec<Target>,
) -> Vec<(String, Result<String, Cause>)> {
    stream::iter(targets)
        .map(|target| async move {
            let found = look(settings, &target).await;
            (target.hostname, found)
        })
        .buffered(PARALLEL)
        .collect()
        .await
}

async fn look(settings: &Settings, target: &Target) -> Result<String, Cause> {
    refuse_unsupported(target)?;
    let mut channel = Channel::open(settings, target, Mode::Batch, UnknownKeys::Strict)?;
    let hello = greet(&mut channel, None).await?;
    let quit = channel.dialogue().quit();
    channel.send(quit);
    channel.end().await;
    let Some(systemd) = hello.systemd else {
        return Err(Cause::NoSystemd { init: hello.init });
    };
    let mut found = format!(
        "{}, kernel {}, systemd {systemd}",
        hello.architecture, hello.kernel
    );
    let offset = clock_offset(&hello);
    if offset.abs() > 5 {
        found = format!("{found}, {}", Cause::Clock { offset });
    }
    if let Some(enrolled) = &hello.enrolled {
        found = format!("{found}, enrolled in {}", enrolled.fleet);
    }
    Ok(found)
}
