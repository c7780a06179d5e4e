//! How bytes lie in the ledger's files: a mark, a version, a length and a checksum before the body.

/// Length of what stands before a body.
pub(super) const HEADER: usize = 16;

/// The version of every file that this agent writes, and the newest that it reads.
pub(super) const VERSION: u16 = 1;

const MARK: [u8; 6] = *b"FNDRYL";

/// What can stand in place of a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// It ends before it should.
    #[error("it is cut short")]
    Short,
    /// The mark is not ours.
    #[error("it does not begin like a part of a ledger")]
    Mark,
    /// The checksum is not that of the bytes.
    #[error("its checksum is wrong")]
    Checksum,
    /// A newer agent wrote it.
    #[error("it has format {0}, newer than {VERSION}")]
    TooNew(u16),
}

/// The body with its header before it.
pub(super) fn encode(body: &[u8]) -> Vec<u8> {
    encode_as(VERSION, body)
}

/// The same in another format.
pub(super) fn encode_as(version: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.extend_from_slice(&MARK);
    frame.extend_from_slice(&version.to_le_bytes());
    // A body is bounded far below this by what an assignment may hold.
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(&checksum(&frame, body).to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

/// The first body in these bytes, and what follows it.
pub(super) fn decode(bytes: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let (header, rest) = bytes.split_at_checked(HEADER).ok_or(FrameError::Short)?;
    if header[..6] != MARK {
        return Err(FrameError::Mark);
    }
    let number = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let length = usize::try_from(number(8)).unwrap_or(usize::MAX);
    let (body, rest) = rest.split_at_checked(length).ok_or(FrameError::Short)?;
    if checksum(&header[..12], body) != number(12) {
        return Err(FrameError::Checksum);
    }
    // Whatever the version, the header is the same: so a newer format is told from a flipped bit.
    let version = u16::from_le_bytes([header[6], header[7]]);
    if version > VERSION {
        return Err(FrameError::TooNew(version));
    }
    Ok((body, rest))
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FrameError, HEADER, VERSION, decode, encode, encode_as};

    proptest! {
        #[test]
        fn a_frame_reads_back_and_none_that_was_cut_or_flipped_does(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
        ) {
            let frame = encode(&body);
            prop_assert_eq!(decode(&frame), Ok((&body[..], &[][..])));
            let at = at.index(frame.len());
            prop_assert!(decode(&frame[..at]).is_err());
            let mut flipped = frame.clone();
            flipped[at] ^= 0x10;
            prop_assert!(decode(&flipped).is_err());
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut frame = encode_as(VERSION + 1, b"body");
        assert_eq!(decode(&frame), Err(FrameError::TooNew(VERSION + 1)));
        frame[6] = 0;
        assert_eq!(decode(&frame), Err(FrameError::Checksum));
        assert_eq!(decode(&frame[..HEADER - 1]), Err(FrameError::Short));
    }
}
