//! What an image archive holds: `docker save` (manifest.json) or an OCI layout (index.json), gzipped or not, read once
//! from front to back.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};

use camino::{Utf8Path, Utf8PathBuf};
use flate2::read::MultiGzDecoder;
use foundry_proto::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What was found in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    /// Of the whole file.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Config and manifest digests, as `sha256:…`, sorted.
    pub identities: Vec<String>,
    /// References that it carries, sorted.
    pub references: Vec<String>,
}

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentsError {
    /// It cannot be opened.
    #[error("cannot open {path}")]
    Open {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is not a tar archive, or broken.
    #[error("cannot read {path} as a tar archive")]
    Tar {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is a tar archive of something else.
    #[error("{path} holds neither manifest.json (docker save) nor index.json (OCI)")]
    NoImage { path: Utf8PathBuf },
    /// What should list the images cannot be read.
    #[error("{path}: {entry} cannot be read")]
    Json {
        path: Utf8PathBuf,
        entry: String,
        #[source]
        source: serde_json::Error,
    },
}

/// JSON files longer than this are layers or junk, in bytes.
const LONGEST_JSON: u64 = 4 << 20;

/// An image of a `docker save` archive.
#[derive(Deserialize)]
struct DockerImage {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
}

/// An OCI index, or a manifest; what is not there is empty.
#[derive(Deserialize, Serialize, Default)]
struct Oci {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    config: Option<Descriptor>,
}

#[derive(Deserialize, Serialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: Option<Annotations>,
}

#[derive(Deserialize, Serialize, Default)]
struct Annotations {
    #[serde(rename = "io.containerd.image.name", default)]
    name: Option<String>,
}

/// Reads the archive at this path.
pub(super) fn read(path: &Utf8Path) -> Result<Contents, ContentsError> {
    let file = fs_err::File::open(path).map_err(|source| ContentsError::Open {
        path: path.to_owned(),
        source,
    })?;
    let mut hashing = Hashing {
        inner: BufReader::with_capacity(1 << 20, file),
        hash: Sha256::new(),
        size: 0,
    };
    let broken = |source| ContentsError::Tar {
        path: path.to_owned(),
        source,
    };
    let mut first = [0; 2];
    let read = hashing.read(&mut first).map_err(broken)?;
    let zipped = first[..read] == [0x1f, 0x8b];
    let start = io::Cursor::new(first[..read].to_vec());
    let found = if zipped {
        Found::in_tar(MultiGzDecoder::new(start.chain(&mut hashing)))
    } else {
        Found::in_tar(start.chain(&mut hashing))
    };
    let found = found.map_err(broken)?;
    io::copy(&mut hashing, &mut io::sink()).map_err(broken)?;
    let (identities, references) = found.images(path)?;
    let digest: [u8; 32] = hashing.hash.finalize().into();
    Ok(Contents {
        digest: digest.into(),
        size: hashing.size,
        identities,
        references,
    })
}

/// Counts and digests what passes.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    size: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

/// The small files of an archive that list its images.
#[derive(Default)]
struct Found {
    docker: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
    /// JSON among the blobs, by digest.
    blobs: Vec<(String, Vec<u8>)>,
}

// === impl Found ===

impl Found {
    fn in_tar(reader: impl Read) -> io::Result<Self> {
        let mut found = Self::default();
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = entry
                .path()?
                .to_string_lossy()
                .trim_start_matches("./")
                .to_owned();
            let is_list = name == "manifest.json" || name == "index.json";
            let is_blob = name.starts_with("blobs/sha256/") && entry.size() <= LONGEST_JSON;
            if !is_list && !is_blob {
                continue;
            }
            let mut content = Vec::new();
            Read::by_ref(&mut entry)
                .take(LONGEST_JSON)
                .read_to_end(&mut content)?;
            match name.as_str() {
                "manifest.json" => found.docker = Some(content),
                "index.json" => found.index = Some(content),
                _ if content.first() == Some(&b'{') => {
                    let digest = name.trim_start_matches("blobs/sha256/");
                    found.blobs.push((format!("sha256:{digest}"), content));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Identities and references, each sorted.
    fn images(&self, path: &Utf8Path) -> Result<(Vec<String>, Vec<String>), ContentsError> {
        if self.docker.is_none() && self.index.is_none() {
            return Err(ContentsError::NoImage {
                path: path.to_owned(),
            });
        }
        let json = |entry: &str| {
            let (path, entry) = (path.to_owned(), entry.to_owned());
            move |source| ContentsError::Json {
                path,
                entry,
                source,
            }
        };
        let (mut identities, mut references) = (BTreeSet::new(), BTreeSet::new());
        if let Some(docker) = &self.docker {
            let images: Vec<DockerImage> =
                serde_json::from_slice(docker).map_err(json("manifest.json"))?;
            for image in images {
                let digest = image
                    .config
                    .trim_start_matches("blobs/sha256/")
                    .trim_end_matches(".json");
                identities.insert(format!("sha256:{digest}"));
                references.extend(image.tags.unwrap_or_default());
            }
        }
        if let Some(index) = &self.index {
            let index: Oci = serde_json::from_slice(index).map_err(json("index.json"))?;
            self.walk(&index, &mut identities);
            let names = index
                .manifests
                .iter()
                .filter_map(|manifest| manifest.annotations.as_ref());
            references.extend(names.filter_map(|annotations| annotations.name.clone()));
        }
        Ok((
            identities.into_iter().collect(),
            references.into_iter().collect(),
        ))
    }

    /// Every manifest and config that this index or manifest leads to.
    fn walk(&self, node: &Oci, identities: &mut BTreeSet<String>) {
        identities.extend(node.config.as_ref().map(|config| config.digest.clone()));
        for manifest in &node.manifests {
            if !identities.insert(manifest.digest.clone()) {
                continue;
            }
            let blob = self
                .blobs
                .iter()
                .find(|(digest, _)| *digest == manifest.digest);
            let inner = blob.and_then(|(_, content)| serde_json::from_slice::<Oci>(content).ok());
            if let Some(inner) = inner {
                self.walk(&inner, identities);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use camino::Utf8PathBuf;
    use foundry_proto::Digest;

    use super::{ContentsError, read};

    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn on_disk(content: &[u8]) -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("image.tar")).unwrap();
        fs_err::write(&path, content).unwrap();
        (folder, path)
    }

    const DOCKER: &str =
        r#"[{"Config":"abc.json","RepoTags":["whoami:1"],"Layers":["x/layer.tar"]}]"#;

    #[test]
    fn docker_save_names_its_config() {
        let bytes = archive(&[("abc.json", "{}"), ("manifest.json", DOCKER)]);
        let (_folder, path) = on_disk(&bytes);
        let contents = read(&path).unwrap();
        assert_eq!(contents.digest, Digest::of(&bytes));
        assert_eq!(contents.size, bytes.len() as u64);
        assert_eq!(contents.identities, ["sha256:abc"]);
        assert_eq!(contents.references, ["whoami:1"]);
    }

    #[test]
    fn an_oci_layout_leads_from_index_to_config() {
        let index = r#"{"manifests":[{"digest":"sha256:m1","annotations":{"io.containerd.image.name":"docker.io/library/whoami:1"}}]}"#;
        let manifest = r#"{"config":{"digest":"sha256:c1"},"layers":[]}"#;
        let bytes = archive(&[("index.json", index), ("blobs/sha256/m1", manifest)]);
        let (_folder, path) = on_disk(&bytes);
        let contents = read(&path).unwrap();
        assert_eq!(contents.identities, ["sha256:c1", "sha256:m1"]);
        assert_eq!(contents.references, ["docker.io/library/whoami:1"]);
    }

    #[test]
    fn a_zipped_archive_has_the_digest_of_its_file() {
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(&archive(&[("manifest.json", DOCKER)]))
            .unwrap();
        let bytes = zip.finish().unwrap();
        let (_folder, path) = on_disk(&bytes);
        let contents = read(&path).unwrap();
        assert_eq!(contents.digest, Digest::of(&bytes));
        assert_eq!(contents.identities, ["sha256:abc"]);
    }

    #[test]
    fn what_is_no_image_archive_says_so() {
        let (_folder, path) = on_disk(&archive(&[("notes.txt", "hello")]));
        assert!(matches!(read(&path), Err(ContentsError::NoImage { .. })));
        let (_folder, path) = on_disk(&[7; 2000]);
        assert!(matches!(read(&path), Err(ContentsError::Tar { .. })));
        assert!(matches!(
            read(&path.with_extension("gone")),
            Err(ContentsError::Open { .. })
        ));
    }
}
