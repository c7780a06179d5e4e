//! Messages with their length before them, for the dialogue of enrolment over a pipe.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

/// The longest message that is taken, in bytes.
pub const MAX_FRAME: usize = 256 * 1024;

/// What cannot be a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`], or not a length at all.
    #[error("a message of {length} bytes, longer than the {MAX_FRAME} that are taken")]
    TooLong {
        /// The length that it claims.
        length: u64,
    },
    /// Not the expected message.
    #[error("a message that cannot be read")]
    Malformed(#[source] prost::DecodeError),
}

/// The message with its length before it.
pub fn encode<M: Message>(message: &M) -> Bytes {
    message.encode_length_delimited_to_vec().into()
}

/// Takes one message off the front of the buffer; `None`: it is not there whole yet.
pub fn decode<M: Message + Default>(buffer: &mut BytesMut) -> Result<Option<M>, FrameError> {
    let Some((length, prefix)) = read_length(buffer)? else {
        return Ok(None);
    };
    if buffer.len() < prefix + length {
        return Ok(None);
    }
    buffer.advance(prefix);
    let frame = buffer.split_to(length).freeze();
    M::decode(frame).map(Some).map_err(FrameError::Malformed)
}

/// The frame's length and how many bytes say it.
fn read_length(buffer: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length: u64 = 0;
    for (index, byte) in buffer.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let within = usize::try_from(length)
                .ok()
                .filter(|length| *length <= MAX_FRAME);
            return within
                .map(|length| Some((length, index + 1)))
                .ok_or(FrameError::TooLong { length });
        }
    }
    if buffer.len() >= 5 {
        Err(FrameError::TooLong { length })
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::{decode, encode};
    use crate::agent::v1::Accepted;
    use crate::agent::v1::{EnrolMessage, EnrolOffer, enrol_message::Body};

    proptest! {
        #[test]
        fn messages_survive_any_split(csr in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0usize..2000) {
            let offer = EnrolOffer { csr: csr.into(), ..Default::default() };
            let message = EnrolMessage { body: Some(Body::Offer(offer)) };
            let frame = encode(&message);
            let cut = cut.min(frame.len() - 1);
            let mut buffer = BytesMut::from(&frame[..cut]);
            prop_assert!(decode::<EnrolMessage>(&mut buffer).unwrap_or(None).is_none());
            buffer.extend_from_slice(&frame[cut..]);
            prop_assert_eq!(decode::<EnrolMessage>(&mut buffer).ok().flatten(), Some(message));
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode::<Accepted>(&mut BytesMut::from(&noise[..]));
        }
    }

    #[test]
    fn a_length_beyond_the_cap_is_refused_before_its_bytes_come() {
        let mut buffer = BytesMut::from(&[0xff, 0xff, 0xff, 0x7f][..]);
        assert!(decode::<Accepted>(&mut buffer).is_err());
    }
}
