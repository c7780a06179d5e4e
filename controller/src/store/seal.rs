//! AES-256-GCM over what is secret in the store, bound to where it belongs.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use super::error::StoreError;

/// The key in `ca/seal.key`. Each sealed value has its own random nonce before it.
pub struct SealKey(RandomizedNonceKey);

// === impl SealKey ===

impl SealKey {
    /// From the bytes of the key.
    pub fn new(key: &[u8; 32]) -> Self {
        match RandomizedNonceKey::new(&AES_256_GCM, key) {
            Ok(key) => Self(key),
            Err(_) => unreachable!("32 bytes are a key of AES-256"),
        }
    }

    /// Seals a value that belongs to `place`, so that it opens nowhere else.
    pub(super) fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut body = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(place), &mut body)
            .map_err(|_| StoreError::Seal {
                what: place.to_owned(),
            })?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what was sealed for this place.
    pub(super) fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let broken = || StoreError::Seal {
            what: place.to_owned(),
        };
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut body = body.to_vec();
        let length = self
            .0
            .open_in_place(nonce, Aad::from(place), &mut body)
            .map_err(|_| broken())?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SealKey;

    proptest! {
        #[test]
        fn a_seal_opens_only_where_it_belongs(plain in proptest::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()) {
            let key = SealKey::new(&[7; 32]);
            let mut sealed = key.seal("host|k3s|4", &plain).unwrap();
            prop_assert_eq!(key.open("host|k3s|4", &sealed).unwrap(), plain);
            prop_assert!(key.open("host|k3s|5", &sealed).is_err());
            prop_assert!(SealKey::new(&[8; 32]).open("host|k3s|4", &sealed).is_err());
            let at = flip.index(sealed.len());
            sealed[at] ^= 1;
            prop_assert!(key.open("host|k3s|4", &sealed).is_err());
        }
    }

    #[test]
    fn too_short_is_broken_not_a_panic() {
        assert!(SealKey::new(&[7; 32]).open("x", &[1, 2]).is_err());
    }
}
