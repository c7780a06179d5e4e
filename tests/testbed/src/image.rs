//! A container image made without an engine: one static binary in a `docker save` archive.

use anyhow::{Context, Result};
use camino::Utf8Path;
use fs_err as fs;
use serde_json::json;
use sha2::{Digest, Sha256};

/// An image archive as `docker save` writes it, holding one file.
///
/// The same inputs make the same bytes, so its digest changes only when the image does.
#[derive(Debug, Clone)]
pub struct ImageArchive {
    name: String,
    architecture: String,
    labels: Vec<(String, String)>,
    arguments: Vec<String>,
}

// === impl ImageArchive ===

impl ImageArchive {
    /// An image of this full name (`localhost/whoami:1`) for this machine's architecture.
    pub fn new(name: impl Into<String>) -> Self {
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        Self {
            name: name.into(),
            architecture: architecture.into(),
            labels: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// For another architecture, in the words of OCI (`arm64`).
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// With default arguments for the binary.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        self
    }

    /// With a label: the cheapest way to make another image of the same content.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Writes the archive with `binary` as the image's only program.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn write(&self, binary: &Utf8Path, to: &Utf8Path) -> Result<()> {
        let program = fs::read(binary).with_context(|| format!("the image's binary {binary}"))?;
        let layer = tar_of(&[("app", 0o755, &program)])?;
        let layer_digest = hex(&layer);
        let config = self.config(&layer_digest);
        let config_name = format!("{}.json", hex(&config));
        let layer_name = format!("{layer_digest}/layer.tar");
        let manifest = serde_json::to_vec(&json!([{
            "Config": config_name,
            "RepoTags": [self.name],
            "Layers": [layer_name],
        }]))?;
        let archive = tar_of(&[
            (&config_name, 0o644, &config),
            (&layer_name, 0o644, &layer),
            ("manifest.json", 0o644, &manifest),
        ])?;
        fs::write(to, archive).with_context(|| format!("write {to}"))
    }

    fn config(&self, layer_digest: &str) -> Vec<u8> {
        let labels: serde_json::Map<_, _> = self
            .labels
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Entrypoint": ["/app"],
                "Cmd": self.arguments,
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "foundry-testbed"}],
        });
        config.to_string().into_bytes()
    }
}

/// A tar archive of files, without times or owners.
fn tar_of(files: &[(&str, u32, &[u8])]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len())?);
        header.set_mode(*mode);
        header.set_cksum();
        archive.append_data(&mut header, path, *content)?;
    }
    Ok(archive.into_inner()?)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::ImageArchive;

    fn archive(image: &ImageArchive) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("utf-8");
        fs_err::write(folder.join("binary"), "#!").expect("written");
        image
            .write(&folder.join("binary"), &folder.join("image.tar"))
            .expect("an archive");
        fs_err::read(folder.join("image.tar")).expect("readable")
    }

    #[test]
    fn same_inputs_make_the_same_bytes() {
        let image = ImageArchive::new("localhost/a:1");
        assert_eq!(archive(&image), archive(&image));
        assert_ne!(archive(&image), archive(&image.clone().label("v", "2")));
    }

    #[test]
    fn the_manifest_names_files_that_are_there() {
        let bytes = archive(&ImageArchive::new("localhost/a:1"));
        let mut names = Vec::new();
        let mut manifest = serde_json::Value::Null;
        for entry in tar::Archive::new(bytes.as_slice())
            .entries()
            .expect("entries")
        {
            let entry = entry.expect("an entry");
            let name = entry.path().expect("a path").to_string_lossy().into_owned();
            if name == "manifest.json" {
                manifest = serde_json::from_reader(entry).expect("JSON");
            }
            names.push(name);
        }
        assert_eq!(manifest[0]["RepoTags"][0], "localhost/a:1");
        for named in [&manifest[0]["Config"], &manifest[0]["Layers"][0]] {
            assert!(
                names.iter().any(|name| name == named),
                "{named} in {names:?}"
            );
        }
    }
}
