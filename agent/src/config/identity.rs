//! The host's key and certificate, and the authorities that it trusts.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_link::pki::{HostKey, PkiError};
use fs_err as fs;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::write_atomically;

/// Who this host is: made at enrolment, replaced at each renewal.
pub struct Identity {
    /// The private key; it never leaves the host.
    pub key: HostKey,
    /// The certificate of the key, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The authorities whose controllers are believed.
    pub trusted: Vec<CertificateDer<'static>>,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("cannot read the identity of this host")]
    Read(#[source] io::Error),
    /// It cannot be written.
    #[error("cannot write the identity of this host")]
    Write(#[source] io::Error),
    /// A file is not PEM.
    #[error("{file} is not in PEM")]
    Pem {
        /// The file's name.
        file: &'static str,
        /// The cause.
        #[source]
        source: pem::PemError,
    },
    /// A part is missing.
    #[error("{file} holds no {what}")]
    Lacks {
        /// The file's name.
        file: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The key is no key.
    #[error("the key of this host cannot be used")]
    Key(#[source] PkiError),
}

/// Key and chain lie in one file, so that one rename swaps both.
const HOST_FILE: &str = "host.pem";
const TRUSTED_FILE: &str = "trusted.pem";
const KEY_TAG: &str = "PRIVATE KEY";
const CERTIFICATE_TAG: &str = "CERTIFICATE";

// === impl Identity ===

impl Identity {
    /// Reads the identity in this folder.
    pub fn read(folder: &Utf8Path) -> Result<Self, IdentityError> {
        let read = |file| fs::read(folder.join(file)).map(Zeroizing::new);
        let host = read(HOST_FILE).map_err(IdentityError::Read)?;
        let trusted = read(TRUSTED_FILE).map_err(IdentityError::Read)?;
        let key = sections(HOST_FILE, &host)?
            .into_iter()
            .find(|section| section.tag() == KEY_TAG)
            .ok_or(IdentityError::Lacks {
                file: HOST_FILE,
                what: "private key",
            })?;
        let key_pem = Zeroizing::new(pem::encode(&key));
        Ok(Self {
            key: HostKey::from_pem(&key_pem).map_err(IdentityError::Key)?,
            chain: certificates(HOST_FILE, &host)?,
            trusted: certificates(TRUSTED_FILE, &trusted)?,
        })
    }

    /// The files that make up an identity in this folder.
    pub(crate) fn files(folder: &Utf8Path) -> [Utf8PathBuf; 2] {
        [folder.join(HOST_FILE), folder.join(TRUSTED_FILE)]
    }

    /// Writes it into this folder, which must be there; each file all or nothing, the key readable by root alone.
    pub fn write(&self, folder: &Utf8Path) -> Result<(), IdentityError> {
        let write = |file: &str, text: &str| {
            write_atomically(&folder.join(file), 0o600, text.as_bytes())
                .map_err(IdentityError::Write)
        };
        // The authorities first: a new certificate may come from a new one, and the old one stays in the list.
        write(TRUSTED_FILE, &encode(&self.trusted))?;
        let mut host = self.key.to_pem();
        host.push_str(&encode(&self.chain));
        write(HOST_FILE, &host)
    }
}

fn encode(certificates: &[CertificateDer<'_>]) -> String {
    let sections: Vec<_> = certificates
        .iter()
        .map(|certificate| pem::Pem::new(CERTIFICATE_TAG, certificate.as_ref()))
        .collect();
    pem::encode_many(&sections)
}

fn sections(file: &'static str, text: &[u8]) -> Result<Vec<pem::Pem>, IdentityError> {
    pem::parse_many(text).map_err(|source| IdentityError::Pem { file, source })
}

fn certificates(
    file: &'static str,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let certificates: Vec<_> = sections(file, text)?
        .into_iter()
        .filter(|section| section.tag() == CERTIFICATE_TAG)
        .map(|section| CertificateDer::from(section.into_contents()))
        .collect();
    if certificates.is_empty() {
        return Err(IdentityError::Lacks {
            file,
            what: "certificate",
        });
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use foundry_link::pki::HostKey;
    use rustls::pki_types::CertificateDer;

    use super::{Identity, IdentityError};

    #[test]
    fn an_identity_reads_back_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let identity = Identity {
            key: HostKey::generate().unwrap(),
            chain: vec![CertificateDer::from(vec![1, 2, 3])],
            trusted: vec![CertificateDer::from(vec![4]), CertificateDer::from(vec![5])],
        };
        identity.write(folder).unwrap();
        let read = Identity::read(folder).unwrap();
        assert_eq!(read.key.fingerprint(), identity.key.fingerprint());
        assert_eq!(
            (read.chain, read.trusted),
            (identity.chain, identity.trusted)
        );
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        fs_err::write(folder.join("host.pem"), "").unwrap();
        fs_err::write(folder.join("trusted.pem"), "").unwrap();
        assert!(matches!(
            Identity::read(folder),
            Err(IdentityError::Lacks {
                file: "host.pem",
                ..
            })
        ));
    }
}
