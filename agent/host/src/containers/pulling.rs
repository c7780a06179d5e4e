//! The progress of a pull, as lines that are worth reading.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;

/// What a pull has said so far.
#[derive(Default)]
pub(super) struct Pulling {
    /// Done and whole, of each layer that is being downloaded.
    layers: BTreeMap<String, (u64, u64)>,
    said: String,
}

// === impl Pulling ===

impl Pulling {
    /// Takes a message; a line where there is something new to say: at each tenth of what is known to come.
    pub(super) fn take(&mut self, message: &CreateImageInfo) -> Option<String> {
        let status = message.status.as_deref()?;
        let line = match (&message.id, &message.progress_detail) {
            (Some(layer), Some(detail)) if status == "Downloading" => {
                let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
                let (done, whole) = (bytes(detail.current)?, bytes(detail.total)?);
                self.layers.insert(layer.clone(), (done, whole));
                self.downloaded()
            }
            (Some(layer), _) if matches!(status, "Download complete" | "Pull complete") => {
                let (done, whole) = self.layers.get_mut(layer)?;
                *done = *whole;
                self.downloaded()
            }
            (None, _) => status.to_owned(),
            (Some(_), _) => return None,
        };
        if line == self.said {
            return None;
        }
        self.said.clone_from(&line);
        Some(line)
    }

    fn downloaded(&self) -> String {
        let sum = |pick: fn(&(u64, u64)) -> u64| self.layers.values().map(pick).sum::<u64>();
        let (done, whole) = (sum(|layer| layer.0), sum(|layer| layer.1));
        let tenths = (done * 10).checked_div(whole).unwrap_or(0);
        format!("downloaded {} % of {}", tenths * 10, megabytes(whole))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "one digit behind the point is shown"
)]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use bollard::models::{CreateImageInfo, ProgressDetail};

    use super::Pulling;

    fn message(id: &str, status: &str, progress: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: (!id.is_empty()).then(|| id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: progress.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn a_pull_speaks_at_each_tenth() {
        let mut pulling = Pulling::default();
        let mut take = |id, status, progress| pulling.take(&message(id, status, progress));
        let start = take("", "Pulling from a/b", None);
        assert_eq!(start.as_deref(), Some("Pulling from a/b"));
        assert_eq!(take("l", "Pulling fs layer", None), None);
        let first = take("l", "Downloading", Some((100_000, 8_000_000)));
        assert_eq!(first.as_deref(), Some("downloaded 0 % of 8.0 MB"));
        assert_eq!(take("l", "Downloading", Some((200_000, 8_000_000))), None);
        let half = take("l", "Downloading", Some((4_000_000, 8_000_000)));
        assert_eq!(half.as_deref(), Some("downloaded 50 % of 8.0 MB"));
        let whole = take("l", "Download complete", None);
        assert_eq!(whole.as_deref(), Some("downloaded 100 % of 8.0 MB"));
        assert_eq!(take("l", "Pull complete", None), None);
    }
}
